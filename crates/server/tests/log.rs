//! The replication log seen through a consumer: order, content, and replies held until it lets them go.

use parking_lot::Mutex;
use redoubt_server::config::Config;
use redoubt_server::log::{Consumer, Hold};
use redoubt_server::{Handle, Server};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

/// Keeps everything it is given.
#[derive(Default)]
struct Recorder {
    frames: Mutex<Vec<u8>>,
    end: Mutex<u64>,
}

impl Consumer for Recorder {
    fn append(&self, offset: u64, frames: &[u8]) {
        let mut end = self.end.lock();
        assert_eq!(*end, offset, "the log has a gap");
        *end += frames.len() as u64;
        self.frames.lock().extend_from_slice(frames);
    }
}

impl Recorder {
    /// Commands as lines of words.
    fn commands(&self) -> Vec<String> {
        let frames = self.frames.lock().clone();
        let text = String::from_utf8(frames).expect("tests write text");
        let mut commands = Vec::new();
        let mut lines = text.split("\r\n");
        while let Some(count) = lines.next().and_then(|line| line.strip_prefix('*')) {
            let count: usize = count.parse().expect("a word count");
            let words: Vec<&str> =
                (0..count).filter_map(|_| lines.next().and_then(|_| lines.next())).collect();
            commands.push(words.join(" "));
        }
        commands
    }
}

fn start(holds: bool) -> (Handle, Arc<Recorder>, Hold) {
    let config =
        Config::new().with("port", "0").and_then(|c| c.with("bind", "127.0.0.1")).expect("valid settings");
    let server = Server::builder().config(config).start().expect("a free port");
    let recorder = Arc::new(Recorder::default());
    let consumer: Arc<dyn Consumer> = Arc::clone(&recorder) as _;
    let hold = server.shared().log.local_hold();
    server.shared().log.attach(consumer, holds.then_some(&hold));
    (server, recorder, hold)
}

struct Client(TcpStream);

impl Client {
    fn new(server: &Handle) -> Client {
        let stream = TcpStream::connect(server.addresses()[0]).expect("the server listens");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout can be set");
        Client(stream)
    }

    fn send(&mut self, line: &str) {
        self.0.write_all(format!("{line}\r\n").as_bytes()).expect("the connection is open");
    }

    /// Reads exactly the reply expected.
    fn expect(&mut self, reply: &str) {
        let mut buffer = vec![0; reply.len()];
        self.0.read_exact(&mut buffer).expect("a reply");
        assert_eq!(String::from_utf8_lossy(&buffer), reply);
    }

    /// Whether something can be read right now.
    fn has_reply(&mut self) -> bool {
        self.0.set_nonblocking(true).expect("a socket");
        let peeked = self.0.peek(&mut [0; 1]);
        self.0.set_nonblocking(false).expect("a socket");
        match peeked {
            Ok(_) => true,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                false
            }
        }
    }
}

#[test]
fn effects_are_deterministic_and_in_order() {
    let (server, recorder, _hold) = start(false);
    let mut client = Client::new(&server);
    client.send("RPUSH l a b");
    client.expect(":2\r\n");
    client.send("GET nothing");
    client.expect("$-1\r\n");
    client.send("SELECT 3");
    client.expect("+OK\r\n");
    client.send("SADD s only");
    client.expect(":1\r\n");
    client.send("SPOP s");
    client.expect("$4\r\nonly\r\n");
    for line in ["MULTI", "HSET h f 1", "HSET h g 2", "EXEC"] {
        client.send(line);
    }
    client.expect("+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n:1\r\n:1\r\n");
    for line in ["SELECT 5", "MSETNX x 1 y 2", "MULTI", "SET x 2", "SELECT 6", "SET x 3", "EXEC"] {
        client.send(line);
    }
    client.expect("+OK\r\n:1\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n+OK\r\n+OK\r\n+OK\r\n");
    client.send("SELECT 7");
    for line in ["MULTI", "SET x 4", "INCR x", "EXEC"] {
        client.send(line);
    }
    client.expect("+OK\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n:5\r\n");
    // The transaction begins before the database of its first command is told, as in Redis.
    let expected = [
        "SELECT 0",
        "RPUSH l a b",
        "SELECT 3",
        "SADD s only",
        "SREM s only",
        "MULTI",
        "HSET h f 1",
        "HSET h g 2",
        "EXEC",
        "SELECT 5",
        "MSETNX x 1 y 2",
        "MULTI",
        "SET x 2",
        "SELECT 6",
        "SET x 3",
        "EXEC",
        "MULTI",
        "SELECT 7",
        "SET x 4",
        "INCR x",
        "EXEC",
    ];
    assert_eq!(recorder.commands(), expected);
}

#[test]
fn a_parked_call_that_is_served_logs_what_it_took() {
    let (server, recorder, _hold) = start(false);
    let mut waiting = Client::new(&server);
    waiting.send("BLPOP q 0");
    let mut pushing = Client::new(&server);
    while server.shared().stats.blocked.load(std::sync::atomic::Ordering::Relaxed) == 0 {
        std::thread::yield_now();
    }
    pushing.send("RPUSH q x");
    pushing.expect(":1\r\n");
    waiting.expect("*2\r\n$1\r\nq\r\n$1\r\nx\r\n");
    assert_eq!(recorder.commands(), ["SELECT 0", "RPUSH q x", "LPOP q"]);
}

#[test]
fn replies_wait_for_the_log_and_nobody_else_does() {
    let (server, recorder, hold) = start(true);
    let log = &server.shared().log;
    let mut writer = Client::new(&server);
    writer.send("RPUSH held a");
    while log.end() == 0 {
        std::thread::yield_now();
    }
    let written = log.end();
    // A read that saw the write waits too, and a reply behind it keeps its place.
    let mut reader = Client::new(&server);
    reader.send("LLEN held");
    reader.send("PING");
    // Another partition and the same worker are not held up.
    let mut other = Client::new(&server);
    other.send("LLEN elsewhere");
    other.expect(":0\r\n");
    other.send("PING");
    other.expect("+PONG\r\n");
    assert!(!writer.has_reply());
    assert!(!reader.has_reply());
    hold.release(written - 1);
    other.send("PING");
    other.expect("+PONG\r\n");
    assert!(!writer.has_reply());
    hold.release(written);
    writer.expect(":1\r\n");
    reader.expect(":1\r\n+PONG\r\n");
    assert_eq!(recorder.commands(), ["SELECT 0", "RPUSH held a"]);
}

#[test]
fn a_hold_that_is_dropped_lets_replies_go() {
    let (server, _, hold) = start(true);
    let mut client = Client::new(&server);
    client.send("RPUSH l a");
    while server.shared().log.end() == 0 {
        std::thread::yield_now();
    }
    drop(hold);
    client.expect(":1\r\n");
}

/// The reply of a parked call and the keyspace events tell of the write as its own reply does.
#[test]
fn what_a_write_sets_off_waits_for_the_log_too() {
    let (server, recorder, hold) = start(true);
    let log = &server.shared().log;
    let mut listener = Client::new(&server);
    listener.send("CONFIG SET notify-keyspace-events El");
    listener.expect("+OK\r\n");
    listener.send("SUBSCRIBE __keyevent@0__:rpush");
    listener.expect("*3\r\n$9\r\nsubscribe\r\n$20\r\n__keyevent@0__:rpush\r\n:1\r\n");
    let mut parked = Client::new(&server);
    parked.send("BLPOP q 0");
    while server.shared().stats.blocked.load(std::sync::atomic::Ordering::Relaxed) == 0 {
        std::thread::yield_now();
    }
    let mut writer = Client::new(&server);
    writer.send("RPUSH q x");
    while recorder.commands().len() < 3 {
        std::thread::yield_now();
    }
    // Messages have nothing to do with the log, but keep their places.
    let mut publisher = Client::new(&server);
    publisher.send("PUBLISH __keyevent@0__:rpush later");
    publisher.expect(":1\r\n");
    std::thread::sleep(Duration::from_millis(20));
    for client in [&mut writer, &mut parked, &mut listener] {
        assert!(!client.has_reply());
    }
    hold.release(log.end());
    writer.expect(":1\r\n");
    parked.expect("*2\r\n$1\r\nq\r\n$1\r\nx\r\n");
    let event = |text: &str| {
        format!("*3\r\n$7\r\nmessage\r\n$20\r\n__keyevent@0__:rpush\r\n${}\r\n{text}\r\n", text.len())
    };
    listener.expect(&event("q"));
    listener.expect(&event("later"));
}

/// Who publishes after it has written tells of the write.
#[test]
fn messages_wait_for_what_their_sender_has_written() {
    let (server, recorder, hold) = start(true);
    let log = &server.shared().log;
    let mut listener = Client::new(&server);
    listener.send("SUBSCRIBE news");
    listener.expect("*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n");
    listener.send("SSUBSCRIBE parts");
    listener.expect("*3\r\n$10\r\nssubscribe\r\n$5\r\nparts\r\n:1\r\n");
    let mut sender = Client::new(&server);
    sender.send("SET k v\r\nPUBLISH news written\r\nSPUBLISH parts of\r\nMULTI\r\nSET k w\r\nPUBLISH news both\r\nEXEC");
    while recorder.commands().len() < 3 {
        std::thread::yield_now();
    }
    let message = |kind: &str, channel: &str, text: &str| {
        let parts = [kind, channel, text].map(|word| format!("${}\r\n{word}\r\n", word.len()));
        format!("*3\r\n{}", parts.concat())
    };
    std::thread::sleep(Duration::from_millis(20));
    assert!(!listener.has_reply() && !sender.has_reply());
    hold.release(log.end());
    sender.expect("+OK\r\n:1\r\n:1\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n:1\r\n");
    listener.expect(&message("message", "news", "written"));
    listener.expect(&message("smessage", "parts", "of"));
    listener.expect(&message("message", "news", "both"));
    // Nothing of its own is open.
    let mut other = Client::new(&server);
    sender.send("SET k x");
    other.send("PUBLISH news free");
    other.expect(":1\r\n");
    listener.expect(&message("message", "news", "free"));
}

#[test]
fn replies_that_are_void_close_their_connections() {
    let (server, recorder, disk) = start(true);
    let log = &server.shared().log;
    let copies = log.hold();
    let mut writer = Client::new(&server);
    writer.send("RPUSH held a");
    while recorder.commands().len() < 2 {
        std::thread::yield_now();
    }
    let written = log.end();
    let mut reader = Client::new(&server);
    reader.send("LLEN held");
    disk.release(written);
    let mut other = Client::new(&server);
    other.send("LLEN elsewhere");
    other.expect(":0\r\n");
    std::thread::sleep(Duration::from_millis(20));
    assert!(!writer.has_reply() && !reader.has_reply(), "the copies have it not");
    log.void();
    drop(copies);
    for client in [&mut writer, &mut reader] {
        assert_eq!(client.0.read(&mut [0; 16]).expect("a close is no error"), 0);
    }
    let mut later = Client::new(&server);
    later.send("LLEN held");
    later.expect(":1\r\n");
}

#[test]
fn expiry_of_fields_is_logged_as_times_and_removals() {
    let (server, recorder, _hold) = start(false);
    let mut client = Client::new(&server);
    for (line, reply) in [
        ("HSET h a 1 b 2 c 3 d 4", ":4\r\n"),
        ("HEXPIREAT h 9999999999 FIELDS 2 a nosuch", "*2\r\n:1\r\n:-2\r\n"),
        ("HGETEX h PXAT 9999999999001 FIELDS 2 b nosuch", "*2\r\n$1\r\n2\r\n$-1\r\n"),
        ("HINCRBYFLOAT h a 1.5", "$3\r\n2.5\r\n"),
        ("HPERSIST h FIELDS 2 b c", "*2\r\n:1\r\n:-1\r\n"),
        ("HSETEX h FXX KEEPTTL FIELDS 1 a 7", ":1\r\n"),
        ("HSETEX h EXAT 9999999998 FIELDS 1 b 8", ":1\r\n"),
        ("HGETDEL h FIELDS 2 c nosuch", "*2\r\n$1\r\n3\r\n$-1\r\n"),
        ("HEXPIRE h 0 FIELDS 1 b", "*1\r\n:2\r\n"),
        ("HPEXPIRE h 1 FIELDS 2 a d", "*2\r\n:1\r\n:1\r\n"),
    ] {
        client.send(line);
        client.expect(reply);
    }
    // Nobody asks for the hash: the last fields go by themselves, and the key with them.
    while !recorder
        .commands()
        .iter()
        .any(|command| command.starts_with("HDEL h a") || command == "HDEL h d a")
    {
        std::thread::sleep(Duration::from_millis(5));
    }
    client.send("DBSIZE");
    client.expect(":0\r\n");
    let commands = recorder.commands();
    let (relative, rest) = (&commands[10], [&commands[..10], &commands[11..]].concat());
    assert!(relative.starts_with("HPEXPIREAT h ") && relative.ends_with(" FIELDS 2 a d"), "{relative}");
    let expected = [
        "SELECT 0",
        "HSET h a 1 b 2 c 3 d 4",
        "HPEXPIREAT h 9999999999000 FIELDS 1 a",
        "HPEXPIREAT h 9999999999001 FIELDS 1 b",
        "HSETEX h KEEPTTL FIELDS 1 a 2.5",
        "HPERSIST h FIELDS 1 b",
        "HSETEX h KEEPTTL FIELDS 1 a 7",
        "HSETEX h PXAT 9999999998000 FIELDS 1 b 8",
        "HDEL h c",
        "HDEL h b",
    ];
    assert_eq!(&rest[..10], expected);
    assert_eq!(rest.len(), 11);
}
