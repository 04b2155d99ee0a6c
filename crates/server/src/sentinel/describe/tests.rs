//! Fields of views made by hand.

use super::*;
use crate::sentinel::sample::{NOW, changed, heard, sample};
use redoubt_ha::{Incarnation, Process};

const INSTANCE: [&str; 11] = [
    "name",
    "ip",
    "port",
    "runid",
    "flags",
    "link-pending-commands",
    "link-refcount",
    "last-ping-sent",
    "last-ok-ping-reply",
    "last-ping-reply",
    "down-after-milliseconds",
];
const REPORTED: [&str; 3] = ["info-refresh", "role-reported", "role-reported-time"];

fn at(now: Time) -> Moment {
    Moment { now, unix_ms: 1_000_000, up_ms: 5000, failing_over: false }
}

fn names(fields: &Fields) -> Vec<&'static str> {
    fields.iter().map(|(name, _)| *name).collect()
}

fn value<'f>(fields: &'f Fields, name: &str) -> &'f str {
    &fields.iter().find(|(known, _)| *known == name).expect("the field is there").1
}

/// A view in which this node was last heard a second ago.
fn without(view: &View, node: u64) -> View {
    let mut view = view.clone();
    view.heard.get_mut(&NodeId(node)).expect("it was heard").at = Time(NOW.0 - 1_000_000);
    view
}

#[test]
fn fields_stand_in_the_order_of_sentinel() {
    let view = sample(2);
    let sentinels = Sentinels { view: &view, at: at(NOW) };
    let of_masters =
        ["config-epoch", "num-slaves", "num-other-sentinels", "quorum", "failover-timeout", "parallel-syncs"];
    let of_replicas = [
        "master-link-down-time",
        "master-link-status",
        "master-host",
        "master-port",
        "slave-priority",
        "slave-repl-offset",
        "replica-announced",
    ];
    let of_sentinels = ["last-hello-message", "voted-leader", "voted-leader-epoch"];
    assert_eq!(names(&sentinels.master()), [&INSTANCE[..], &REPORTED, &of_masters].concat());
    assert_eq!(names(&sentinels.replicas()[0]), [&INSTANCE[..], &REPORTED, &of_replicas].concat());
    assert_eq!(names(&sentinels.others()[0]), [&INSTANCE[..], &of_sentinels].concat());
}

#[test]
fn a_healthy_deployment() {
    let view = sample(2);
    let sentinels = Sentinels { view: &view, at: at(NOW) };
    let master = sentinels.master();
    for (name, expected) in [
        ("name", "mymaster"),
        ("ip", "10.0.0.1"),
        ("port", "6379"),
        ("flags", "master"),
        ("last-ping-sent", "0"),
        ("last-ok-ping-reply", "20"),
        ("down-after-milliseconds", "450"),
        ("role-reported", "master"),
        ("role-reported-time", "5000"),
        ("config-epoch", "3"),
        ("num-slaves", "2"),
        ("num-other-sentinels", "2"),
        ("quorum", "2"),
        ("runid", &run_id(NodeId(1))),
    ] {
        assert_eq!(value(&master, name), expected, "{name}");
    }
    let replicas = sentinels.replicas();
    let addresses: Vec<&str> = replicas.iter().map(|replica| value(replica, "name")).collect();
    assert_eq!(addresses, ["10.0.0.2:6379", "10.0.0.3:6379"]);
    for (name, expected) in [
        ("flags", "slave"),
        ("master-link-status", "ok"),
        ("master-link-down-time", "0"),
        ("master-host", "10.0.0.1"),
        ("slave-priority", "100"),
        ("slave-repl-offset", "103"),
    ] {
        assert_eq!(value(&replicas[1], name), expected, "{name}");
    }
    let others = sentinels.others();
    let ids: Vec<&str> = others.iter().map(|other| value(other, "runid")).collect();
    assert_eq!(ids, [run_id(NodeId(1)), run_id(NodeId(3))]);
    assert_eq!((sentinels.usable(), sentinels.quorum()), (3, 2));
    assert!(sentinels.has_candidate());
}

#[test]
fn a_silent_primary_is_down_and_the_others_agree() {
    let view = without(&sample(2), 1);
    let master = Sentinels { view: &view, at: at(NOW) }.master();
    assert_eq!(value(&master, "flags"), "s_down,o_down,master,disconnected");
    let down = ["last-ping-reply", "s-down-time", "o-down-time", "down-after-milliseconds", "info-refresh"];
    assert_eq!(names(&master)[9..14], down);
    assert_eq!(value(&master, "s-down-time"), "550");
    assert_eq!(value(&master, "last-ping-sent"), "1000");
    // The controller is the one that fails it over.
    let view = without(&sample(3), 1);
    let master = Sentinels { view: &view, at: at(NOW) }.master();
    assert_eq!(value(&master, "flags"), "s_down,o_down,master,disconnected,failover_in_progress");
    assert_eq!(value(&master, "failover-state"), "select_slave");
}

#[test]
fn nobody_agrees_before_there_is_another_leader() {
    let mut view = without(&sample(2), 1);
    view.standing.leader = Some(NodeId(1));
    let flags = |view: &View| value(&Sentinels { view, at: at(NOW) }.master(), "flags").to_owned();
    assert_eq!(flags(&view), "s_down,master,disconnected");
    view.standing.leader = Some(NodeId(3));
    view.is_cut_off = true;
    assert_eq!(flags(&view), "s_down,master,disconnected");
    // A primary that is cut off knows it.
    let mut view = sample(1);
    view.is_cut_off = true;
    view.role = Role::Primary { epoch: redoubt_ha::Epoch(3), serving: false };
    assert_eq!(flags(&view), "s_down,master");
}

#[test]
fn a_planned_failover_is_in_progress() {
    let view = sample(2);
    let sentinels = Sentinels { view: &view, at: Moment { failing_over: true, ..at(NOW) } };
    let master = sentinels.master();
    assert_eq!(value(&master, "flags"), "master,failover_in_progress,force_failover");
    assert_eq!(value(&master, "failover-state"), "wait_promotion");
    assert_eq!(names(&master)[6..9], ["link-refcount", "failover-state", "last-ping-sent"]);
}

#[test]
fn replicas_of_another_epoch_or_silent_ones_are_no_good() {
    let mut view = without(&sample(1), 2);
    let process = Process { node: NodeId(3), incarnation: Incarnation(30) };
    view.heard.insert(process.node, heard(process, 2, 90));
    let sentinels = Sentinels { view: &view, at: at(NOW) };
    let replicas = sentinels.replicas();
    assert_eq!(value(&replicas[0], "flags"), "s_down,slave,disconnected");
    assert_eq!(value(&replicas[0], "master-link-status"), "err");
    assert_eq!(value(&replicas[1], "flags"), "slave");
    assert_eq!(
        (value(&replicas[1], "master-link-status"), value(&replicas[1], "slave-repl-offset")),
        ("err", "90")
    );
    assert_eq!((sentinels.usable(), sentinels.has_candidate()), (2, true));
    let view = changed(&view, |topology| {
        topology.members.get_mut(&NodeId(3)).expect("a member").announcement.priority = 0;
    });
    assert!(!Sentinels { view: &view, at: at(NOW) }.has_candidate(), "2 is silent, 3 may never lead");
}

#[test]
fn before_there_is_a_deployment() {
    let view = View::new(&crate::config::Config::new().values().ha);
    let sentinels = Sentinels { view: &view, at: at(NOW) };
    let master = sentinels.master();
    assert_eq!(value(&master, "flags"), "s_down,master");
    assert_eq!((value(&master, "ip"), value(&master, "port"), value(&master, "runid")), ("?", "0", ""));
    assert!(sentinels.replicas().is_empty() && sentinels.others().is_empty());
    assert!(sentinels.usable() < sentinels.quorum());
}

#[test]
fn ids_are_forty_digits_and_begin_as_in_the_log() {
    let id = run_id(NodeId(0xabc));
    assert_eq!(id.len(), 40);
    assert!(id.starts_with("0000000000000abc") && id.bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert_eq!(id, run_id(NodeId(0xabc)));
    assert_ne!(id[16..], run_id(NodeId(0xabd))[16..]);
}
