//! Snapshots taken while clients write: each is the data at one moment.

use parking_lot::Mutex;
use redoubt_persistence::rdb::{KeyRecord, Options, Reader, Record};
use redoubt_server::apply::{Applier, Origin};
use redoubt_server::config::Config;
use redoubt_server::digest::Digest;
use redoubt_server::log::Consumer;
use redoubt_server::snapshot::{Format, SnapshotError, Target};
use redoubt_server::{Handle, Server};
use redoubt_store::EncodingLimits;
use redoubt_tests::Client;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, channel};

/// Gathers a snapshot. Says the offset of the cut, the bytes and the outcome at the end.
struct Gather {
    offset: u64,
    bytes: Vec<u8>,
    /// Fails once it has this many bytes.
    room: usize,
    done: Sender<Gathered>,
}

struct Gathered {
    offset: u64,
    bytes: Vec<u8>,
    outcome: Result<(), SnapshotError>,
}

impl Gather {
    fn with_room(room: usize) -> (Box<dyn Target>, Receiver<Gathered>) {
        let (done, gathered) = channel();
        (Box::new(Gather { offset: u64::MAX, bytes: Vec::new(), room, done }), gathered)
    }
}

impl Target for Gather {
    fn cut(&mut self, offset: u64) {
        self.offset = offset;
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.bytes.len() + bytes.len() > self.room {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn end(self: Box<Self>, outcome: Result<(), SnapshotError>) {
        let Gather { offset, bytes, done, .. } = *self;
        done.send(Gathered { offset, bytes, outcome }).expect("the test waits");
    }
}

fn start() -> Handle {
    let config = Config::new().with("port", "0").and_then(|config| config.with("bind", "127.0.0.1"));
    let config = config.and_then(|config| config.with("save", ""));
    let config = config.and_then(|config| config.with("enable-debug-command", "yes"));
    Server::builder().config(config.expect("valid settings")).start().expect("a free port")
}

fn client(server: &Handle) -> Client {
    Client::connect(server.addresses()[0]).expect("the server listens")
}

/// Takes a snapshot in memory.
fn snapshot(server: &Handle, format: Format) -> Gathered {
    let (target, gathered) = Gather::with_room(usize::MAX);
    let shared = server.shared();
    let ticket =
        shared.snapshots.start(shared, format, |_| vec![("aof-base".into(), "0".into())], vec![target]);
    shared.snapshots.wait(ticket.expect("none runs"));
    gathered.recv().expect("an end")
}

fn keys(file: &[u8]) -> BTreeMap<(u64, String), KeyRecord> {
    let mut keys = BTreeMap::new();
    for record in Reader::new(file, EncodingLimits::default()).expect("an RDB file") {
        if let Record::Key(key) = record.expect("no damage") {
            let name = (key.db, key.key.escape_ascii().to_string());
            assert!(keys.insert(name, *key).is_none(), "a key stands twice in the file");
        }
    }
    keys
}

fn number(keys: &BTreeMap<(u64, String), KeyRecord>, name: &str) -> i64 {
    let text = keys.get(&(0, name.into())).map(|key| match key.value.as_ref() {
        redoubt_store::ValueRef::Str(text) => String::from_utf8(text.to_vec()).expect("digits"),
        other => panic!("{other:?}"),
    });
    text.map_or(0, |text| text.parse().expect("a number"))
}

/// Elements of the big collections.
const BIG: u64 = 6000;

fn fill_big(client: &mut Client) {
    let words = |head: [&str; 2], each: fn(u64) -> Vec<String>| {
        let head = head.map(str::to_owned).into_iter();
        head.chain((0..BIG).flat_map(each)).collect::<Vec<_>>()
    };
    client.call(&words(["HSET", "big:hash"], |at| vec![at.to_string(), at.to_string()]));
    client.call(&words(["SADD", "big:set"], |at| vec![at.to_string(), format!("member{at}")]));
    client.call(&words(["ZADD", "big:zset"], |at| vec![at.to_string(), at.to_string()]));
    if client.call(&["EXISTS", "big:list"]).int() == 0 {
        client.call(&words(["RPUSH", "big:list"], |at| vec![at.to_string()]));
        client.call(&words(["HSET", "big:timed"], |at| vec![at.to_string(), at.to_string()]));
        let timed = ["HPEXPIREAT", "big:timed", "4000000000000", "FIELDS", "3", "5", "77", "5999"];
        client.call(&timed);
        for _ in 0..BIG / 2 {
            client.call(&["XADD", "big:stream", "*", "field", "value"]);
        }
        client.call(&["XGROUP", "CREATE", "big:stream", "group", "0"]);
        client.call(&[
            "XREADGROUP",
            "GROUP",
            "group",
            "reader",
            "COUNT",
            "2000",
            "STREAMS",
            "big:stream",
            ">",
        ]);
    }
    client.call(&["SET", "big:text", &"some text ".repeat(40_000)]);
}

/// Writes until told to stop: the same counters in every transaction, one counter after the other without.
fn hammer(server: &Handle, stop: &AtomicBool) {
    let mut client = client(server);
    let mut round = 0u64;
    while !stop.load(Relaxed) {
        round += 1;
        client.call(&["MULTI"]);
        for name in ["a", "b", "c", "d"] {
            client.call(&["INCR", name]);
        }
        client.call(&["EXEC"]);
        client.call(&["SET", "first", &round.to_string()]);
        client.call(&["SET", "second", &round.to_string()]);
        let key = format!("key:{}", round % 3000);
        client.call(&["SET", &key, &round.to_string()]);
        client.call(&["DEL", &format!("key:{}", (round * 7) % 3000)]);
        client.call(&["RENAME", "moving", "moved"]);
        client.call(&["RPUSH", "moving", &round.to_string()]);
        // Those that are saved in parts.
        let element = (round * 31 % BIG).to_string();
        client.call(&["HSET", "big:hash", &element, &round.to_string()]);
        client.call(&["SREM", "big:set", &element]);
        client.call(&["ZADD", "big:zset", &round.to_string(), &element]);
        client.call(&["LSET", "big:list", &element, &round.to_string()]);
        client.call(&["HPEXPIREAT", "big:timed", "4000000000000", "FIELDS", "1", &element]);
        client.call(&["HSET", "big:timed", &(round * 17 % BIG).to_string(), &element]);
        client.call(&["XADD", "big:stream", "*", "field", &element]);
        client.call(&["XREADGROUP", "GROUP", "group", &element, "COUNT", "1", "STREAMS", "big:stream", ">"]);
        client.call(&["SETRANGE", "big:text", &element, &round.to_string()]);
        if round.is_multiple_of(50) {
            client.call(&["DEL", "big:set"]);
            client.call(&["EXPIREAT", "big:text", "4000000000"]);
            client.call(&["RENAME", "big:text", "big:moved"]);
            client.call(&["RENAME", "big:zset", "big:other"]);
        }
        if round % 50 == 25 {
            fill_big(&mut client);
        }
    }
}

/// What the log has said since it was attached.
#[derive(Default)]
struct Effects(Mutex<Vec<u8>>);

impl Consumer for Effects {
    fn append(&self, _offset: u64, frames: &[u8]) {
        self.0.lock().extend_from_slice(frames);
    }
}

/// A snapshot as an RDB file, whatever it is.
fn as_rdb(bytes: Vec<u8>) -> Vec<u8> {
    if bytes.starts_with(b"REDIS") {
        return bytes;
    }
    let other = start();
    let mut stream = bytes;
    let mut applier = Applier::new(other.shared(), Origin::Loading);
    applier.feed(&mut stream).expect("commands");
    assert_eq!((stream.len(), applier.faults()), (0, 0));
    snapshot(&other, Format::Rdb(Options::default())).bytes
}

#[test]
fn a_snapshot_is_the_data_at_one_moment() {
    let server = start();
    let effects = Arc::new(Effects::default());
    server.shared().log.attach(Arc::clone(&effects) as Arc<dyn Consumer>, None);
    let mut filler = client(&server);
    for number in 0..3000 {
        filler.call(&["SET", &format!("key:{number}"), "0"]);
    }
    fill_big(&mut filler);
    let stop = AtomicBool::new(false);
    let files: Vec<Gathered> = std::thread::scope(|scope| {
        (0..3).for_each(|_| drop(scope.spawn(|| hammer(&server, &stop))));
        let format = |at| if at % 4 == 3 { Format::Commands } else { Format::Rdb(Options::default()) };
        let files = (0..20).map(|at| snapshot(&server, format(at))).collect();
        stop.store(true, Relaxed);
        files
    });
    let log = effects.0.lock().clone();
    for file in files {
        file.outcome.expect("nothing failed");
        let found = keys(&as_rdb(file.bytes));
        let counters = ["a", "b", "c", "d"].map(|name| number(&found, name));
        assert_eq!(counters, [counters[0]; 4], "half a transaction is in the file");
        // The effects before the cut make the same data.
        let other = start();
        let mut stream = log[..file.offset as usize].to_vec();
        Applier::new(other.shared(), Origin::Loading).feed(&mut stream).expect("commands");
        let expected = keys(&snapshot(&other, Format::Rdb(Options::default())).bytes);
        assert_eq!(found.len(), expected.len());
        for (name, key) in &found {
            let digest = |key: &KeyRecord| Digest::of_value(key.value.as_ref()).hex();
            assert_eq!(digest(key), digest(&expected[name]), "{name:?}");
        }
    }
}

/// Data of all types.
fn fill(client: &mut Client) {
    let mut call = |line: &str| {
        let reply = client.line(line);
        assert!(!reply.is_error(), "{line}: {reply}");
    };
    call("SET text value PXAT 4000000000000");
    call("SET number 17");
    for at in 0..1000 {
        call(&format!("RPUSH list {at} element{at}"));
        call(&format!("SADD set member{at}"));
        call(&format!("SADD ints {at}"));
        call(&format!("ZADD zset {}.25 member{at}", at - 500));
        call(&format!("HSET hash field{at} value{at}"));
        call(&format!("XADD stream {}-{at} field {at}", at / 3 + 1));
    }
    call("HPEXPIREAT hash 4000000000000 FIELDS 2 field1 field500");
    call("ZADD zset inf most -inf least 1e300 much");
    call("PEXPIREAT set 4000000000000");
    call("XGROUP CREATE stream group 0");
    call("XGROUP CREATECONSUMER stream group idle");
    call("XREADGROUP GROUP group eager COUNT 100 STREAMS stream >");
    call("XACK stream group 1-0");
    call("XDEL stream 300-898");
    call("SELECT 5");
    call("XADD gone 5-5 a b");
    call("XDEL gone 5-5");
    call("SET \"strange\\r\\n\\xff\" \"\\x00\"");
    call("SELECT 0");
}

#[test]
fn commands_make_the_same_data() {
    let server = start();
    let mut client = client(&server);
    fill(&mut client);
    let gathered = snapshot(&server, Format::Commands);
    gathered.outcome.expect("nothing failed");
    let other = start();
    let mut stream = gathered.bytes;
    let mut applier = Applier::new(other.shared(), Origin::Loading);
    applier.feed(&mut stream).expect("commands");
    assert_eq!((stream.len(), applier.faults()), (0, 0));
    let mut copy = self::client(&other);
    assert_eq!(client.line("DEBUG DIGEST").text(), copy.line("DEBUG DIGEST").text());
    for line in ["PEXPIRETIME text", "PEXPIRETIME set", "HPEXPIRETIME hash FIELDS 1 field500"] {
        assert_eq!(client.line(line).to_string(), copy.line(line).to_string(), "{line}");
    }
}

#[test]
fn targets_share_a_snapshot_and_fail_alone() {
    let server = start();
    fill(&mut client(&server));
    let shared = server.shared();
    let ((small, few), (large, all)) = (Gather::with_room(1000), Gather::with_room(usize::MAX));
    let format = Format::Rdb(Options { compress: false, ..Options::default() });
    let ticket =
        shared.snapshots.start(shared, format, |_| Vec::new(), vec![small, large]).expect("none runs");
    let (few, all) = (few.recv().expect("an end"), all.recv().expect("an end"));
    assert!(
        matches!(few.outcome, Err(SnapshotError::Io(error)) if error.kind() == io::ErrorKind::StorageFull)
    );
    assert!(all.outcome.is_ok() && keys(&all.bytes).len() == 10);
    shared.snapshots.wait(ticket);
    assert!(shared.snapshots.running().is_none());
}

/// Blocks until it is let go.
struct Slow(Receiver<()>, Sender<Result<(), SnapshotError>>);

impl Target for Slow {
    fn cut(&mut self, _offset: u64) {}

    fn write(&mut self, _bytes: &[u8]) -> io::Result<()> {
        self.0.recv().map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn end(self: Box<Self>, outcome: Result<(), SnapshotError>) {
        self.1.send(outcome).expect("the test waits");
    }
}

#[test]
fn one_at_a_time_and_it_can_be_cancelled() {
    let server = start();
    fill(&mut client(&server));
    let shared = server.shared();
    let ((go, wait), (done, ended)) = (channel(), channel());
    let format = Format::Rdb(Options::default());
    let start = |target| shared.snapshots.start(shared, format, |_| Vec::new(), vec![target]);
    let ticket = start(Box::new(Slow(wait, done))).expect("none runs");
    shared.snapshots.wait_for_cut(ticket);
    assert_eq!(shared.snapshots.running().expect("it runs").keys.1, 10);
    assert!(start(Gather::with_room(0).0).is_err());
    shared.snapshots.cancel();
    go.send(()).expect("it waits");
    assert!(matches!(ended.recv().expect("an end"), Err(SnapshotError::Cancelled)));
    shared.snapshots.wait(ticket);
    // Nothing of it is left.
    assert_eq!(keys(&snapshot(&server, format).bytes).len(), 10);
}
