//! Fields of hashes expire by themselves: nobody has to ask for them.

use redoubt_tests::{Client, Server};
use std::time::{Duration, Instant};

/// How long active expiry may take to come by: it runs ten times a second.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The value of a line of INFO.
fn info(client: &mut Client, section: &str, name: &str) -> String {
    let text = client.call(&["INFO", section]).text();
    let prefix = format!("{name}:");
    text.lines().find_map(|line| line.strip_prefix(prefix.as_str())).unwrap_or_default().trim().to_owned()
}

fn wait(client: &mut Client, section: &str, name: &str, value: &str) {
    let started = Instant::now();
    loop {
        let now = info(client, section, name);
        if now == value {
            return;
        }
        assert!(started.elapsed() < TIMEOUT, "{name} is {now:?}, not {value:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn due_fields_and_emptied_keys_go_without_access() {
    let server = Server::ours(&[]);
    let mut client = server.client();
    for key in 0..300 {
        client.call(&["HSET", &format!("whole{key}"), "a", "1", "b", "2"]);
        client.call(&["HPEXPIRE", &format!("whole{key}"), "20", "FIELDS", "2", "a", "b"]);
        client.call(&["HSET", &format!("part{key}"), "a", "1", "b", "2"]);
        client.call(&["HPEXPIRE", &format!("part{key}"), "20", "FIELDS", "1", "a"]);
        client.call(&["HSET", &format!("plain{key}"), "a", "1"]);
    }
    // Only counters are looked at: no command asks for a key.
    wait(&mut client, "stats", "expired_subkeys", "900");
    wait(&mut client, "keyspace", "db0", "keys=600,expires=0,avg_ttl=0,subexpiry=0");
    assert_eq!(info(&mut client, "stats", "expired_keys"), "0");
    assert_eq!(client.line("HLEN part7").int(), 1);
}

#[test]
fn a_large_hash_expires_in_slices() {
    let server = Server::ours(&[("databases", "3")]);
    let mut client = server.client();
    client.line("SELECT 2");
    let fields: Vec<String> = (0..20_000).map(|number| format!("field:{number}")).collect();
    for chunk in fields.chunks(1000) {
        let mut set = vec!["HSETEX", "big", "PX", "100", "FIELDS", "1000"];
        set.extend(chunk.iter().flat_map(|field| [field.as_str(), "v"]));
        client.call(&set);
    }
    client.line("HSET big stays 1");
    wait(&mut client, "stats", "expired_subkeys", "20000");
    assert_eq!(client.line("HGETALL big").list().len(), 2);
}

#[test]
fn a_field_set_anew_does_not_expire() {
    let server = Server::ours(&[]);
    let mut client = server.client();
    client.line("HSET h a 1 b 2 c 3");
    client.line("HPEXPIRE h 200 FIELDS 3 a b c");
    client.line("HSET h a 2");
    client.line("HPERSIST h FIELDS 1 b");
    wait(&mut client, "stats", "expired_subkeys", "1");
    assert_eq!(client.line("HMGET h a b c").to_string(), "*3\n  \"2\"\n  \"2\"\n  (nil)");
    wait(&mut client, "keyspace", "db0", "keys=1,expires=0,avg_ttl=0,subexpiry=0");
}

#[test]
fn digests_tell_fields_that_expire() {
    let server = Server::ours(&[("enable-debug-command", "yes")]);
    let mut client = server.client();
    client.line("HSET a f 1");
    client.line("HSET b f 1");
    client.line("HSET c f 1");
    client.line("HEXPIRE b 1000 FIELDS 1 f");
    client.line("HEXPIRE c 2000 FIELDS 1 f");
    let digests = client.line("DEBUG DIGEST-VALUE a b c").list();
    assert_ne!(digests[0], digests[1]);
    assert_eq!(digests[1], digests[2]);
    client.line("HPERSIST b FIELDS 1 f");
    let persisted = client.line("DEBUG DIGEST-VALUE b").list();
    assert_eq!(persisted[0], digests[0]);
    assert!(client.line("MEMORY USAGE c").int() > client.line("MEMORY USAGE a").int());
}
