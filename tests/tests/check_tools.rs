//! redoubt-check-rdb and redoubt-check-aof judge files as redis-check-rdb and redis-check-aof do.

use redoubt_tests::data::{Folder, fill};
use redoubt_tests::{Kind, Server};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Both tools of a name: ours, and that of the reference if it is on this machine.
struct Tools {
    ours: PathBuf,
    reference: Option<PathBuf>,
    _links: Folder,
}

impl Tools {
    fn new(name: &str) -> Tools {
        let links = Folder::with("none", b"");
        let ours = links.0.join(format!("redoubt-{name}"));
        std::os::unix::fs::symlink(Kind::Ours.program().expect("our own"), &ours)
            .expect("a link can be made");
        let server = Kind::Redis7.program();
        let reference =
            server.map(|server| server.with_file_name(format!("redis-{name}"))).filter(|path| path.exists());
        if reference.is_none() {
            eprintln!("skipped: the reference's {name} is not on this machine");
        }
        Tools { ours, reference, _links: links }
    }

    /// What ours says; both must be of one mind whether all is well.
    fn judge(&self, args: &[&str], what: &str) -> (bool, String) {
        let (good, text) = run(&self.ours, args, "");
        if let Some(reference) = &self.reference {
            let (theirs, told) = run(reference, args, "");
            assert_eq!(good, theirs, "{what}\nours:\n{text}\nthe reference:\n{told}");
        }
        (good, text)
    }
}

/// Whether a tool ended well, and what it wrote.
fn run(tool: &Path, args: &[&str], input: &str) -> (bool, String) {
    let mut child = Command::new(tool)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it can be run");
    // It may end without reading.
    let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("its own child");
    let code = output.status.code().expect("no signal ends it");
    assert!(code == 0 || code == 1, "exit code {code}");
    (code == 0, String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[test]
fn rdb_files_are_judged_as_by_the_reference() {
    let tools = Tools::new("check-rdb");
    let Some(server) = Server::start(Kind::Redis7, &[]) else { return };
    let mut client = server.client();
    fill(&mut client, false);
    client.call(&["SAVE"]);
    let file = fs::read(server.dir.join("dump.rdb")).expect("SAVE writes it");
    let folder = Folder::with("dump.rdb", &file);
    let path = folder.0.join("dump.rdb");
    let path = path.to_str().expect("a path in ASCII");
    let (good, text) = tools.judge(&[path], "whole");
    assert!(good && text.contains("\\o/ RDB looks OK! \\o/") && text.contains(" keys read"), "{text}");
    let mut rng = fastrand::Rng::with_seed(17);
    for round in 0..60 {
        let mut damaged = file.clone();
        if round % 3 == 0 {
            damaged.truncate(rng.usize(..file.len()));
        } else {
            // The checksum finds what nothing else does.
            let at = rng.usize(9..file.len());
            damaged[at] ^= rng.u8(1..);
        }
        fs::write(path, &damaged).expect("a file can be written");
        let (good, text) = tools.judge(&[path], &format!("round {round}"));
        assert!(!good && text.contains("--- RDB ERROR DETECTED ---") && text.contains("[offset "), "{text}");
    }
    fs::write(path, b"").expect("a file can be written");
    tools.judge(&[path], "empty");
    tools.judge(&["/does/not/exist"], "missing");
    tools.judge(&[], "no file");
    tools.judge(&["a", "b"], "two files");
    let (good, text) = run(&Kind::Ours.program().expect("our own"), &["--check-rdb", "/does/not/exist"], "");
    assert!(!good && text.contains("Cannot open file /does/not/exist"), "{text}");
}

/// A folder as a server with an append-only file leaves it.
struct Appended {
    folder: Folder,
    manifest: String,
    increment: String,
    whole: Vec<u8>,
}

impl Appended {
    fn new() -> Option<Appended> {
        let server = Server::start(
            Kind::Redis7,
            &[("appendonly", "yes"), ("appendfsync", "always"), ("aof-timestamp-enabled", "yes")],
        )?;
        let mut client = server.client();
        for number in 0..200 {
            client.call(&["SET", &format!("key:{number}"), &"v".repeat(number)]);
        }
        for line in ["MULTI", "INCR a", "INCR b", "EXEC"] {
            client.line(line);
        }
        let folder = Folder::with("none", b"");
        for entry in fs::read_dir(server.dir.join("appendonlydir")).expect("it exists") {
            let entry = entry.expect("an entry");
            fs::copy(entry.path(), folder.0.join(entry.file_name())).expect("a file can be copied");
        }
        let path = |name: &str| folder.0.join(name).to_str().expect("a path in ASCII").to_owned();
        let (manifest, increment) = (path("appendonly.aof.manifest"), path("appendonly.aof.1.incr.aof"));
        let whole = fs::read(&increment).expect("it exists");
        Some(Appended { manifest, increment, whole, folder })
    }

    fn write(&self, bytes: &[u8]) {
        fs::write(&self.increment, bytes).expect("a file can be written");
    }

    fn read(&self) -> Vec<u8> {
        fs::read(&self.increment).expect("it exists")
    }
}

#[test]
fn append_only_files_are_judged_as_by_the_reference() {
    let tools = Tools::new("check-aof");
    let Some(appended) = Appended::new() else { return };
    let (manifest, increment) = (appended.manifest.as_str(), appended.increment.as_str());
    let base = appended.folder.0.join("appendonly.aof.1.base.rdb");
    for file in [manifest, increment, base.to_str().expect("a path in ASCII")] {
        let (good, text) = tools.judge(&[file], file);
        assert!(good && text.contains("valid"), "{text}");
    }
    let mut rng = fastrand::Rng::with_seed(23);
    for round in 0..60 {
        let mut damaged = appended.whole.clone();
        if round % 2 == 0 {
            damaged.truncate(rng.usize(1..damaged.len()));
        } else {
            // Damage between words: nobody sees it inside one.
            let marks: Vec<usize> =
                (0..damaged.len()).filter(|at| b"*$\r\n".contains(&damaged[*at])).collect();
            damaged[marks[rng.usize(..marks.len())]] = b'!';
        }
        appended.write(&damaged);
        tools.judge(&[manifest], &format!("round {round}, all files"));
        tools.judge(&[increment], &format!("round {round}, one file"));
    }
    appended.write(b"");
    tools.judge(&[manifest], "empty");
    tools.judge(&[increment], "empty");
    for args in
        [&["/does/not/exist"][..], &[], &["--what", increment], &["--truncate-to-timestamp", "x", increment]]
    {
        assert!(!tools.judge(args, "wrong arguments").0);
    }
}

#[test]
fn an_end_is_cut_off_where_the_reference_would() {
    let tools = Tools::new("check-aof");
    let Some(appended) = Appended::new() else { return };
    let (manifest, whole) = (appended.manifest.as_str(), appended.whole.clone());
    for len in [whole.len() - 5, whole.len() - 40, whole.len() / 2, whole.len() - 14] {
        appended.write(&whole[..len]);
        let (good, text) = run(&tools.ours, &["--fix", manifest], "n\n");
        assert!(!good && appended.read().len() == len, "{text}");
        let (good, text) = run(&tools.ours, &["--fix", manifest], "y\n");
        assert!(good && text.contains("Successfully truncated"), "{text}");
        let ours = appended.read();
        if let Some(reference) = &tools.reference {
            appended.write(&whole[..len]);
            assert!(run(reference, &["--fix", manifest], "y\n").0);
            assert_eq!(ours.len(), appended.read().len());
        }
        assert!(whole.starts_with(&ours) && tools.judge(&[manifest], "fixed").0);
        appended.write(&whole[..len]);
        assert!(run(&tools.ours, &["--fix", "--yes", manifest], "").0);
        assert_eq!(appended.read(), ours);
    }
}

#[test]
fn files_are_cut_to_a_time() {
    let tools = Tools::new("check-aof");
    let folder = Folder::with("none", b"");
    let path = folder.0.join("appendonly.aof");
    let path = path.to_str().expect("a path in ASCII");
    let set = |key: &str| format!("*3\r\n$3\r\nSET\r\n$1\r\n{key}\r\n$1\r\n1\r\n");
    let whole = format!("#TS:100\r\n{}{}#TS:200\r\n{}#TS:300\r\n{}", set("a"), set("b"), set("c"), set("d"));
    for at in ["99", "100", "150", "200", "299", "300", "1000"] {
        let args = ["--truncate-to-timestamp", at, path];
        fs::write(path, &whole).expect("a file can be written");
        let (good, text) = run(&tools.ours, &args, "");
        let ours = fs::read(path).expect("it exists");
        assert_eq!(good, at != "99", "{text}");
        if let Some(reference) = &tools.reference {
            fs::write(path, &whole).expect("a file can be written");
            let (theirs, told) = run(reference, &args, "");
            assert_eq!((good, &ours), (theirs, &fs::read(path).expect("it exists")), "{at}\n{text}\n{told}");
        }
    }
}
