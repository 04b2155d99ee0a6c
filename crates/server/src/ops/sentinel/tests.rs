//! Answers to views made by hand.

use super::*;
use crate::sentinel::sample;
use redoubt_commands::find;
use redoubt_commands::spec::{Run, ServerOp};

fn moment() -> Moment {
    Moment { now: redoubt_ha::Time(10_000_000), unix_ms: 0, up_ms: 0, failing_over: false }
}

/// What a node answers that sees this.
fn ask(view: &View, line: &str) -> String {
    let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
    let args = Args::new(&words);
    let command = find(&args).expect("a subcommand");
    let Run::Server(ServerOp::Sentinel(op)) = command.spec.run else { panic!("{line}") };
    let sentinels = Sentinels { view, at: moment() };
    let mut out = Vec::new();
    let values = crate::config::Config::new().values();
    let mut reply = Reply::new(&mut out, false);
    let outcome = command.check_arity(words.len()).and_then(|()| match op {
        SentinelOp::Config => config(&sentinels, &values, &args, &mut reply),
        _ => answer(&sentinels, op, &args, &mut reply),
    });
    match outcome {
        Ok(()) => String::from_utf8(out).expect("text").replace("\r\n", "|"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn where_the_primary_is() {
    let view = sample(2);
    assert_eq!(ask(&view, "SENTINEL GET-MASTER-ADDR-BY-NAME mymaster"), "*2|$8|10.0.0.1|$4|6379|");
    assert_eq!(ask(&view, "SENTINEL GET-MASTER-ADDR-BY-NAME other"), "*-1|");
    assert_eq!(ask(&view, "SENTINEL IS-MASTER-DOWN-BY-ADDR 10.0.0.1 6379 0 *"), "*3|:0|$1|*|:0|");
    let port = ask(&view, "SENTINEL IS-MASTER-DOWN-BY-ADDR 10.0.0.1 x 0 *");
    assert_eq!(port, "ERR value is not an integer or out of range");
    assert_eq!(ask(&view, "SENTINEL MYID"), format!("$40|{}|", run_id(view.me.node)));
    let nobody = View::new(&crate::config::Config::new().values().ha);
    assert_eq!(ask(&nobody, "SENTINEL GET-MASTER-ADDR-BY-NAME mymaster"), "*-1|");
}

#[test]
fn a_silent_primary_is_told_down() {
    let mut view = sample(2);
    view.heard.remove(&redoubt_ha::NodeId(1));
    assert_eq!(ask(&view, "SENTINEL IS-MASTER-DOWN-BY-ADDR 10.0.0.1 6379 0 *"), "*3|:1|$1|*|:0|");
    assert_eq!(ask(&view, "SENTINEL IS-MASTER-DOWN-BY-ADDR 10.0.0.2 6379 0 *"), "*3|:0|$1|*|:0|");
    assert_eq!(
        ask(&view, "SENTINEL CKQUORUM mymaster"),
        "+OK 2 usable Sentinels. Quorum and failover authorization can be reached|"
    );
    view.heard.clear();
    let none = ask(&view, "SENTINEL CKQUORUM mymaster");
    assert!(none.starts_with("NOQUORUM 1 usable Sentinels. Not enough available"), "{none}");
}

#[test]
fn unknown_names_and_words() {
    let view = sample(2);
    for line in
        ["MASTER x", "REPLICAS x", "SLAVES x", "SENTINELS x", "CKQUORUM x", "REMOVE x", "SET x quorum 2"]
    {
        let answer = ask(&view, &format!("SENTINEL {line}"));
        assert_eq!(answer, "ERR No such master with that name", "{line}");
    }
    for (line, expected) in [
        ("MASTER", "ERR wrong number of arguments for 'sentinel|master' command"),
        ("DEBUG foo", "ERR Unknown option or number of arguments for SENTINEL DEBUG 'foo'"),
        ("CONFIG GET a b", "ERR Only SENTINEL CONFIG GET <option> / SET <option> <value> are supported."),
        ("CONFIG SET foo bar", "ERR Invalid argument 'foo' to SENTINEL CONFIG SET"),
        ("SET mymaster foo bar", "ERR Unknown option or number of arguments for SENTINEL SET 'foo'"),
        ("SET mymaster quorum 2 x", "ERR Unknown option or number of arguments for SENTINEL SET 'x'"),
        ("SET mymaster quorum", "ERR wrong number of arguments for 'sentinel|set' command"),
    ] {
        assert_eq!(ask(&view, &format!("SENTINEL {line}")), expected, "{line}");
    }
}

#[test]
fn what_is_so_may_be_set_and_nothing_else() {
    let view = sample(2);
    assert_eq!(ask(&view, "SENTINEL SET mymaster quorum 2 down-after-milliseconds 450"), "+OK|");
    for (line, word) in [
        ("SET mymaster quorum 1", "ha-peers"),
        ("SET mymaster down-after-milliseconds 30000", "ha-node-timeout"),
        ("SET mymaster notification-script /bin/true", "no meaning"),
        ("CONFIG SET announce-ip 1.2.3.4", "ha-announce-clients"),
        ("DEBUG ping-period 5", "ha-node-timeout"),
        ("MONITOR other 127.0.0.1 6379 2", "built into"),
        ("REMOVE mymaster", "built into"),
        ("SIMULATE-FAILURE crash-after-election", "not simulated"),
    ] {
        let answer = ask(&view, &format!("SENTINEL {line}"));
        assert!(answer.starts_with("ERR ") && answer.contains(word), "{line}: {answer}");
    }
    assert_eq!(ask(&view, "SENTINEL CONFIG SET announce-ip 10.0.0.2"), "+OK|");
    assert_eq!(
        ask(&view, "SENTINEL CONFIG GET announce-*"),
        "*6|$18|announce-hostnames|$2|no|$11|announce-ip|$8|10.0.0.2|$13|announce-port|$5|26379|"
    );
}
