//! Folders of the append-only file go from one server to the other: what ours writes the reference loads, and the other
//! way round.

use redoubt_tests::random::state::{self, State};
use redoubt_tests::{Client, Kind, Reply, Server};
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

/// A folder that outlives the servers that use it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("redoubt-aof-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a folder for the test");
        Folder(path)
    }

    fn start(&self, kind: Kind, settings: &[(&str, &str)]) -> Option<Server> {
        let path = self.0.display().to_string();
        let own = [("dir", path.as_str()), ("appendonly", "yes"), ("aof-timestamp-enabled", "yes")];
        Server::start(kind, &[&own[..], settings].concat())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Every type, several databases, transactions, expiries, removals.
fn fill(client: &mut Client, tag: &str) {
    for line in [
        "SELECT 0",
        "SET s1 text",
        "SET s2 12345",
        "APPEND s1 more",
        "INCRBYFLOAT s2 0.5",
        "SETRANGE s3 5 x",
        "SETBIT bits 77 1",
        "PFADD hll a b c",
        "RPUSH list a b c 1 2 3",
        "LPOP list",
        "LINSERT list BEFORE c between",
        "SADD set a b c",
        "SADD ints 1 2 3",
        "SPOP set",
        "ZADD zset 1 a 2.5 b -inf c",
        "ZINCRBY zset 0.1 a",
        "HSET hash f v g 2",
        "HINCRBYFLOAT hash g 0.25",
        "DEL stream",
        "XADD stream * f v",
        "XADD stream 9999999999999-1 f w",
        "XGROUP CREATE stream group 0",
        "XREADGROUP GROUP group consumer COUNT 1 STREAMS stream >",
        "SET soon x PX 5000000",
        "EXPIRE list 5000",
        "SET gone x PX 1",
        "SELECT 3",
        "SET other x",
        "MOVE other 5",
        "SELECT 0",
        "MULTI",
        "SET m1 x",
        "INCR m2",
        "SELECT 7",
        "SET m3 x",
        "EXEC",
        "SELECT 0",
        "COPY s1 s4",
        "RENAME s4 s5",
        "SORT list ALPHA STORE sorted",
        "GEOADD geo 13.361389 38.115556 Palermo",
        "DEL bits",
    ] {
        let reply = client.line(line);
        assert!(!matches!(reply, Reply::Error(_)), "{line}: {reply}");
    }
    client.call(&["SET", &format!("tag:{tag}"), "binary\0\r\n"]);
    for number in 0..200 {
        client.call(&["SET", &format!("many:{tag}:{number}"), &"x".repeat(number)]);
    }
}

fn state_of(server: &Server) -> State {
    let mut client = server.client();
    eventually("it has loaded", || client.call(&["INFO", "persistence"]).text().contains("\r\nloading:0"));
    state::read(&mut client).expect("a keyspace")
}

/// What a server holds once its short-lived key is gone, after it has ended in an orderly way.
fn end(mut server: Server) -> State {
    eventually("the short-lived key is gone", || server.client().call(&["EXISTS", "gone"]) == Reply::Int(0));
    let state = state_of(&server);
    server.client().send(&["SHUTDOWN"]).expect("an open connection");
    server.wait_exit(PATIENCE).expect("it ends");
    state
}

fn rewrite(server: &Server) {
    let mut client = server.client();
    let reply = client.call(&["BGREWRITEAOF"]);
    assert!(!matches!(reply, Reply::Error(_)), "{reply}");
    eventually("it is rewritten", || {
        let info = client.call(&["INFO", "persistence"]).text();
        info.contains("aof_rewrite_in_progress:0") && info.contains("aof_rewrite_scheduled:0")
    });
}

#[track_caller]
fn same(what: &str, before: &State, after: &State) {
    let difference = state::difference(after, before);
    assert!(difference.is_none(), "{what}: {}", difference.unwrap_or_default());
}

/// `from` writes, `to` reads and writes on, `from` reads that.
fn exchange(name: &str, from: Kind, to: Kind, settings: &[(&str, &str)]) {
    let folder = Folder::new(name);
    let Some(first) = folder.start(from, &settings_of(from, settings)) else { return };
    fill(&mut first.client(), "first");
    end(first);
    // Redis itself does not get all back: XREADGROUP leaves no `entries-read` in its file.
    let Some(again) = folder.start(from, &settings_of(from, settings)) else { return };
    let before = end(again);
    let Some(second) = folder.start(to, &settings_of(to, settings)) else { return };
    same(&format!("{} loads what {} wrote", to.name(), from.name()), &before, &state_of(&second));
    fill(&mut second.client(), "second");
    rewrite(&second);
    second.client().line("SET after rewrite");
    let before = end(second);
    let Some(third) = folder.start(from, &settings_of(from, settings)) else { return };
    same(&format!("{} loads what {} rewrote", from.name(), to.name()), &before, &state_of(&third));
}

/// Ours writes snapshots that Redis 7.0 can read.
fn settings_of<'a>(kind: Kind, settings: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let own = [("rdb-version", "10")];
    settings.iter().chain(own.iter().filter(|_| kind == Kind::Ours)).copied().collect()
}

#[test]
fn with_redis_7() {
    exchange("ours-7", Kind::Ours, Kind::Redis7, &[]);
    exchange("7-ours", Kind::Redis7, Kind::Ours, &[("aof-use-rdb-preamble", "no")]);
    exchange("ours-7-commands", Kind::Ours, Kind::Redis7, &[("aof-use-rdb-preamble", "no")]);
}

#[test]
fn with_redis_8() {
    exchange("ours-8", Kind::Ours, Kind::Redis8, &[("appendfsync", "always")]);
    exchange("8-ours", Kind::Redis8, Kind::Ours, &[]);
}

/// A name that is quoted in the manifest.
#[test]
fn a_name_that_needs_quotes() {
    let folder = Folder::new("names");
    let settings = [("appendfilename", "my'file.aof")];
    let Some(first) = folder.start(Kind::Ours, &settings) else { return };
    first.client().line("SET k v");
    rewrite(&first);
    let before = end(first);
    assert!(folder.0.join("appendonlydir/my'file.aof.manifest").exists());
    let Some(second) = folder.start(Kind::Redis8, &settings) else { return };
    same("a quoted name", &before, &state_of(&second));
}

/// The single file of versions before 7.
#[test]
fn an_old_file() {
    for kind in [Kind::Ours, Kind::Redis7] {
        let folder = Folder::new("old");
        let old = "*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n";
        fs::write(folder.0.join("appendonly.aof"), old).expect("a file");
        let Some(server) = folder.start(kind, &[]) else { return };
        eventually("it is loaded", || server.client().call(&["GET", "k"]) == Reply::Bulk(b"v".to_vec()));
        server.client().line("SET k2 v2");
        end(server);
        assert!(
            !folder.0.join("appendonly.aof").exists()
                && folder.0.join("appendonlydir/appendonly.aof").exists()
        );
        let Some(server) = folder.start(Kind::Ours, &[]) else { return };
        eventually("it is loaded", || server.client().call(&["DBSIZE"]) == Reply::Int(2));
        rewrite(&server);
        assert!(!folder.0.join("appendonlydir/appendonly.aof").exists());
    }
}

/// Killed at random moments of writing and rewriting, the server has everything it acknowledged, whatever `appendfsync`
/// is: the system has what the process has written.
#[test]
fn killed_servers_have_what_they_acknowledged() {
    let folder = Folder::new("killed");
    let mut acknowledged = [0i64; 3];
    for round in 0..12usize {
        let policy = ["always", "everysec", "no"][round % 3];
        let preamble = if round % 2 == 0 { "yes" } else { "no" };
        let settings = [("appendfsync", policy), ("aof-use-rdb-preamble", preamble)];
        let Some(server) = folder.start(Kind::Ours, &settings) else { return };
        let mut client = server.client();
        eventually("it has loaded", || {
            client.call(&["INFO", "persistence"]).text().contains("\r\nloading:0")
        });
        for (number, last) in acknowledged.iter_mut().enumerate() {
            let key = format!("list{number}");
            let length = client.call(&["LLEN", &key]).int();
            assert!(length >= *last, "{key} has {length} of {last} at the start of round {round}");
            let whole = client.call(&["LRANGE", &key, "0", "-1"]).list();
            let right = whole.iter().enumerate().all(|(at, element)| element.text() == (at + 1).to_string());
            assert!(right, "round {round}: {key} is not 1, 2, 3...");
            *last = length;
        }
        acknowledged = write_and_kill(server, acknowledged);
    }
    assert!(acknowledged.iter().sum::<i64>() > 100, "{acknowledged:?} writes prove little");
}

/// Appends to three lists and rewrites, until the server is killed in the middle of it. The lengths acknowledged.
fn write_and_kill(server: Server, before: [i64; 3]) -> [i64; 3] {
    let address = server.address();
    std::thread::scope(|scope| {
        let writers = [0, 1, 2].map(|number| {
            scope.spawn(move || {
                let mut last = before[number];
                let Ok(mut client) = Client::connect(address) else { return last };
                let key = format!("list{number}");
                while let Ok(Reply::Int(length)) = client.try_call(&["RPUSH", &key, &(last + 1).to_string()])
                {
                    last = length;
                }
                last
            })
        });
        let mut client = server.client();
        for _ in 0..fastrand::u32(1..4) {
            client.call(&["BGREWRITEAOF"]);
            std::thread::sleep(Duration::from_millis(fastrand::u64(1..40)));
        }
        // With SIGKILL.
        drop(server);
        writers.map(|writer| writer.join().expect("no panic"))
    })
}
