//! Damaged files through the way a server starts: an error that names file and place, no panic, no memory taken because
//! a length in the file said so.

use redoubt_persistence::rdb::{KeyInfo, Options, Writer};
use redoubt_server::apply::{Applier, Origin};
use redoubt_server::config::Config;
use redoubt_server::{Handle, Server, StartError};
use redoubt_store::Txn;
use std::fs;
use std::path::{Path, PathBuf};

/// Kilobytes by which the address space may grow while damaged files of a few are loaded: threads and buffers.
const GROWTH_KB_MAX: u64 = 600 << 10;

struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        let name = format!("redoubt-damage-{}-{:08x}", std::process::id(), fastrand::u32(..));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).expect("a folder can be made");
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn config(folder: &Path) -> Config {
    let dir = folder.to_str().expect("a path in ASCII");
    let pairs = [("port", "0"), ("bind", "127.0.0.1"), ("save", ""), ("io-threads", "2"), ("dir", dir)];
    pairs.iter().try_fold(Config::new(), |config, (name, value)| config.with(name, value)).expect("valid")
}

fn open(folder: &Path) -> Handle {
    Server::builder().config(config(folder)).open().expect("a free port")
}

fn request(line: &str) -> Vec<u8> {
    let words: Vec<&str> = line.split(' ').collect();
    let words = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len())).collect::<String>();
    format!("*{}\r\n{words}", line.split(' ').count()).into_bytes()
}

/// Files with values of every type, short and long.
fn files() -> Vec<Vec<u8>> {
    let folder = Folder::new();
    let server = open(&folder.0);
    let mut lines =
        vec!["SET number 12345".to_owned(), format!("SET text {}", "x".repeat(300)), "SET t v".to_owned()];
    for size in [3, 600] {
        let list: String = (0..size).map(|i| format!(" e{i}")).collect();
        let numbers: String = (0..size).map(|i| format!(" {}", i * 1009)).collect();
        let pairs: String = (0..size).map(|i| format!(" {i} m{i}")).collect();
        lines.push(format!("RPUSH list{size}{list}"));
        lines.push(format!("SADD intset{size}{numbers}"));
        lines.push(format!("SADD set{size}{list}"));
        lines.push(format!("ZADD zset{size}{pairs}"));
        lines.push(format!("HSET hash{size}{pairs}"));
        lines.push(format!("HSET timed{size}{pairs}"));
        lines.push(format!("HPEXPIREAT timed{size} 70000000000000 FIELDS 2 0 2"));
        lines.extend((1..=size.min(200)).map(|i| format!("XADD stream{size} {i}-1 a {i} b c")));
        lines.push(format!("XGROUP CREATE stream{size} g 0"));
        lines.push(format!("XREADGROUP GROUP g c COUNT 2 STREAMS stream{size} >"));
    }
    let mut applier = Applier::new(server.shared(), Origin::Loading);
    applier.feed(&mut lines.iter().flat_map(|line| request(line)).collect()).expect("good commands");
    assert_eq!(applier.faults(), 0);
    [(11, true), (10, false), (12, true)]
        .into_iter()
        .map(|(version, compress)| {
            let space = &server.shared().keyspace;
            let mut txn = Txn::new(space, 0, fastrand::Rng::with_seed(0));
            txn.acquire(space.all_partitions());
            let options = Options { version, compress, checksum: true };
            let mut writer = Writer::new(Vec::new(), options).expect("a known version");
            writer.aux(b"redis-ver", b"7.0.0").expect("memory");
            writer.select(0).expect("memory");
            writer.resize(txn.len(0) as u64, 0).expect("memory");
            txn.for_each(|key, value, expire_ms| {
                let info = KeyInfo { expire_ms, ..KeyInfo::default() };
                writer.key(key, value, info).expect("memory");
            });
            writer.finish().expect("memory")
        })
        .collect()
}

/// How much address space the process has ever had, kilobytes.
fn peak_kb() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmPeak:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// Loads a file as a server does when it starts.
fn load(folder: &Path, bytes: &[u8]) -> Result<usize, String> {
    fs::write(folder.join("dump.rdb"), bytes).expect("a file can be written");
    let server = open(folder);
    let outcome = server.load();
    let space = &server.shared().keyspace;
    let mut txn = Txn::new(space, 0, fastrand::Rng::with_seed(0));
    txn.acquire(space.all_partitions());
    match outcome {
        Ok(()) => Ok(txn.len(0)),
        Err(StartError::Load(error)) => {
            let offset = error.offset().expect("damage is somewhere");
            assert!(offset <= bytes.len() as u64, "{error}");
            let text = error.to_string();
            assert!(text.contains("dump.rdb") && text.contains(&format!("at byte {offset}")), "{text}");
            Err(text)
        }
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn damaged_files_are_refused() {
    let folder = Folder::new();
    let mut rng = fastrand::Rng::with_seed(5);
    let files = files();
    for file in &files {
        assert!(load(&folder.0, file).expect("a good file") > 15);
    }
    let before = peak_kb();
    for round in 0..1200 {
        let file = &files[round % files.len()];
        let mut damaged = file.clone();
        if round % 4 == 0 {
            damaged.truncate(rng.usize(..file.len()));
        } else {
            let at = rng.usize(..damaged.len());
            damaged[at] ^= rng.u8(1..);
        }
        // A version without checksum, or one that is checked by nobody, is the one change that may pass.
        let passes = load(&folder.0, &damaged).is_ok();
        assert!(
            !passes || damaged[..9] != file[..9] || damaged[..damaged.len() - 8] == file[..file.len() - 8]
        );
    }
    // Without checksum any damage must be found where it is read, or do no harm.
    for round in 0..1200 {
        let mut damaged = files[round % files.len()].clone();
        for _ in 0..=rng.usize(..3) {
            let at = rng.usize(9..damaged.len() - 8);
            damaged[at] = rng.u8(..);
        }
        let end = damaged.len() - 8;
        damaged[end..].fill(0);
        let _ = load(&folder.0, &damaged);
    }
    let growth = peak_kb() - before;
    assert!(growth < GROWTH_KB_MAX, "{growth} kB more");
}
