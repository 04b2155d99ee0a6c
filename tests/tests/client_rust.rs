//! The redis-rs client, in both protocol versions.
#![allow(clippy::unwrap_used, reason = "a test may")]

use redis::{Commands, Connection};
use redoubt_tests::Server;
use std::collections::HashMap;

fn connect(server: &Server, protocol: &str) -> Connection {
    let url = format!("redis://127.0.0.1:{}/?protocol={protocol}", server.port);
    redis::Client::open(url).unwrap().get_connection().unwrap()
}

fn use_it(protocol: &str) {
    let server = Server::ours(&[]);
    let mut connection = connect(&server, protocol);
    let _: () = connection.set("string", "value").unwrap();
    assert_eq!(connection.get::<_, String>("string").unwrap(), "value");
    assert_eq!(connection.get::<_, Option<String>>("nokey").unwrap(), None);
    assert_eq!(connection.incr::<_, _, i64>("counter", 5).unwrap(), 5);

    let _: () = connection.hset_multiple("hash", &[("a", 1), ("b", 2)]).unwrap();
    let hash: HashMap<String, i64> = connection.hgetall("hash").unwrap();
    assert_eq!(hash, HashMap::from([("a".into(), 1), ("b".into(), 2)]));

    let _: () = connection.zadd_multiple("zset", &[(1.5, "one"), (2.0, "two")]).unwrap();
    let scores: Vec<(String, f64)> = connection.zrange_withscores("zset", 0, -1).unwrap();
    assert_eq!(scores, [("one".to_string(), 1.5), ("two".to_string(), 2.0)]);

    let _: () = connection.rpush("list", &["x", "y"]).unwrap();
    assert_eq!(connection.lrange::<_, Vec<String>>("list", 0, -1).unwrap(), ["x", "y"]);
    let _: () = connection.sadd("set", &["m", "n"]).unwrap();
    let mut members: Vec<String> = connection.smembers("set").unwrap();
    members.sort();
    assert_eq!(members, ["m", "n"]);

    let error = connection.lpush::<_, _, i64>("string", "x").unwrap_err();
    assert_eq!(error.code(), Some("WRONGTYPE"));

    let (first, second): (i64, Vec<String>) =
        redis::pipe().atomic().incr("counter", 1).lrange("list", 0, 0).query(&mut connection).unwrap();
    assert_eq!((first, second), (6, vec!["x".to_string()]));

    let mut keys: Vec<String> = connection.scan().unwrap().map(|key| key.unwrap()).collect();
    keys.sort();
    assert_eq!(keys, ["counter", "hash", "list", "set", "string", "zset"]);
    let popped: Option<(String, String)> = connection.blpop("list", 1.0).unwrap();
    assert_eq!(popped, Some(("list".into(), "x".into())));
}

#[test]
fn redis_rs_in_resp2() {
    use_it("resp2");
}

#[test]
fn redis_rs_in_resp3() {
    use_it("resp3");
}

/// Messages to a RESP2 connection in subscriber mode.
#[test]
fn redis_rs_subscribes() {
    let server = Server::ours(&[]);
    let mut publisher = connect(&server, "resp2");
    let mut connection = connect(&server, "resp2");
    let mut listener = connection.as_pubsub();
    listener.subscribe("news").unwrap();
    listener.psubscribe("n*").unwrap();
    assert_eq!(publisher.publish::<_, _, i64>("news", "hello").unwrap(), 2);
    let (first, second) = (listener.get_message().unwrap(), listener.get_message().unwrap());
    assert_eq!((first.get_channel_name(), first.from_pattern()), ("news", false));
    assert_eq!(second.get_pattern::<String>().unwrap(), "n*");
    assert_eq!(second.get_payload::<String>().unwrap(), "hello");
    drop(listener);
    // Left, the connection does what it did before.
    assert_eq!(connection.get::<_, Option<String>>("nokey").unwrap(), None);
}

/// Messages to a RESP3 connection that goes on to work.
#[test]
fn redis_rs_hears_pushes() {
    let server = Server::ours(&[]);
    let mut publisher = connect(&server, "resp3");
    let mut connection = connect(&server, "resp3");
    let (sender, receiver) = std::sync::mpsc::channel();
    connection.set_push_sender(sender);
    // It does not wait for the confirmation; the reply of the next call comes after it.
    connection.subscribe_resp3("news").unwrap();
    let _: () = connection.set("k", "v").unwrap();
    assert_eq!(publisher.publish::<_, _, i64>("news", "hello").unwrap(), 1);
    assert_eq!(connection.get::<_, String>("k").unwrap(), "v");
    let kinds: Vec<redis::PushKind> = receiver.try_iter().map(|push| push.kind).collect();
    assert_eq!(kinds, [redis::PushKind::Subscribe, redis::PushKind::Message]);
}
