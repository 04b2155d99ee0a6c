//! Every name and default of the reference's `CONFIG GET *` is here, but for a reviewed list of differences.

use super::Config;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Settings whose value differs, and why.
const DIFFERENT: &[(&str, &str)] = &[
    ("dir", "the test's folder"),
    ("disable-thp", "nothing forks here: decision 0014"),
    ("io-threads", "as many workers as cores, not one"),
    ("port", "the test's port"),
    ("save", "the test runs without snapshots"),
];

struct Reference(Child);

impl Drop for Reference {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts the reference and answers with its settings; `None` where it is not installed.
fn reference() -> Option<BTreeMap<String, String>> {
    let path = std::env::var("REDOUBT_REFERENCE").unwrap_or_else(|_| "/usr/bin/redis-server".into());
    if !Path::new(&path).exists() {
        return None;
    }
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut command = Command::new(path);
    command.args(["--port", &port.to_string(), "--save", ""]).stdout(Stdio::null());
    let _server = Reference(command.spawn().unwrap());
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut client = loop {
        match TcpStream::connect(("127.0.0.1", port)) {
            Ok(client) => break client,
            Err(error) => assert!(Instant::now() < deadline, "the reference does not start: {error}"),
        }
        std::thread::yield_now();
    };
    client.write_all(b"CONFIG GET *\r\nQUIT\r\n").unwrap();
    let mut text = String::new();
    client.read_to_string(&mut text).unwrap();
    // Bulk strings: each value follows the line with its length.
    let mut values = text.split("\r\n").skip(1).skip(1).step_by(2);
    let mut found = BTreeMap::new();
    while let (Some(name), Some(value)) = (values.next(), values.next()) {
        found.insert(name.into(), value.into());
    }
    Some(found)
}

#[test]
fn names_and_defaults_of_the_reference() {
    let Some(theirs) = reference() else {
        eprintln!("skipped: no reference server");
        return;
    };
    let config = Config::new();
    let ours: BTreeMap<String, String> = config.get(&["*"]).into_iter().collect();
    let wrong: Vec<String> = theirs
        .iter()
        .filter(|(name, _)| !DIFFERENT.iter().any(|(known, _)| known == name))
        .filter(|(name, value)| ours.get(*name) != Some(value))
        .map(|(name, value)| format!("{name}: {value:?} there, {:?} here", ours.get(name)))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(theirs.len() > 180, "only {} settings were read", theirs.len());
}
