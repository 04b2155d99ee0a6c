//! Data of every type, and folders for the files that hold it.

use crate::client::Client;
use std::fs;
use std::path::PathBuf;

/// Fills a server with every type at both sides of every encoding's limits, in two databases, some with expiries.
///
/// # Panics
/// When the server does not answer, or refuses.
pub fn fill(client: &mut Client, newer: bool) {
    let mut rng = fastrand::Rng::with_seed(11);
    for db in ["0", "7"] {
        client.call(&["SELECT", db]);
        for (number, text) in
            ["", "0", "-1", "127", "32768", "2147483648", "9223372036854775807", "text", "012"]
                .into_iter()
                .enumerate()
        {
            client.call(&["SET", &format!("string:{number}"), text]);
        }
        client.call(&["SET", "long", &"abc".repeat(1000)]);
        let noise: String = (0..100_000).map(|_| rng.alphanumeric()).collect();
        client.call(&["SET", "noise", &noise]);
        client.call(&["SET", &"k".repeat(300), "a key that is compressed"]);
        client.call(&["SET", "4711", "a key that is a number"]);
        for size in [1, 7, 127, 128, 129, 512, 513, 2000] {
            let words = |text: fn(usize) -> String| (0..size).map(text).collect::<Vec<_>>();
            let put = |client: &mut Client, head: [&str; 2], words: Vec<String>| {
                let key = format!("{}:{size}", head[1]);
                let call: Vec<&str> =
                    [head[0], &key].into_iter().chain(words.iter().map(String::as_str)).collect();
                assert!(!client.call(&call).is_error());
            };
            put(client, ["RPUSH", "list"], words(|i| format!("element {i}")));
            put(client, ["RPUSH", "numbers"], words(|i| (i * i * i * 997).to_string()));
            put(client, ["SADD", "intset"], words(|i| (i * 77_777).to_string()));
            put(client, ["SADD", "set"], words(|i| format!("member {i}")));
            put(
                client,
                ["HSET", "hash"],
                words(|i| format!("f{i} {}", i * 3)).join(" ").split(' ').map(str::to_owned).collect(),
            );
            put(
                client,
                ["ZADD", "zset"],
                words(|i| format!("{} m{i}", i as f64 / 3.0))
                    .join(" ")
                    .split(' ')
                    .map(str::to_owned)
                    .collect(),
            );
            for i in 0..size.min(200) {
                client.call(&[
                    "XADD",
                    &format!("stream:{size}"),
                    &format!("{}-{i}", i + 1),
                    "name",
                    &i.to_string(),
                    "b",
                    "c",
                ]);
            }
        }
        client.call(&["RPUSH", "wide", &"w".repeat(9000), "short"]);
        client.call(&["ZADD", "infinite", "inf", "a", "-inf", "b", "0", "c"]);
        client.call(&["XDEL", "stream:128", "5-4", "8-7"]);
        client.call(&["XGROUP", "CREATE", "stream:128", "group", "3-2"]);
        client.call(&["XREADGROUP", "GROUP", "group", "alice", "COUNT", "9", "STREAMS", "stream:128", ">"]);
        client.call(&["PEXPIREAT", "list:7", "99999999999000"]);
        client.call(&["EXPIRE", "string:1", "100000"]);
        if newer {
            client.call(&["HEXPIRE", "hash:7", "100000", "FIELDS", "2", "f1", "f2"]);
            client.call(&["HEXPIRE", "hash:2000", "100000", "FIELDS", "1", "f1"]);
        }
    }
    client.call(&["SELECT", "0"]);
}

/// A folder of a test's own, removed when dropped.
#[derive(Debug)]
pub struct Folder(pub PathBuf);

impl Folder {
    /// With a file in it.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn with(name: &str, bytes: &[u8]) -> Folder {
        let path = std::env::temp_dir().join(format!(
            "redoubt-load-{}-{:08x}",
            std::process::id(),
            fastrand::u32(..)
        ));
        fs::create_dir_all(&path).expect("a folder can be made");
        fs::write(path.join(name), bytes).expect("a file can be written");
        Folder(path)
    }

    /// Its path, as an option of a command line.
    ///
    /// # Panics
    /// When it is no text.
    pub fn path(&self) -> &str {
        self.0.to_str().expect("a path in ASCII")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
