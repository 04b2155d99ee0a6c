//! Tests of reading, printing, CONFIG SET, files and CONFIG REWRITE.

use super::*;
use std::time::Duration;

fn get(config: &Config, name: &str) -> String {
    config.get(&[name]).first().map(|(_, text)| text.clone()).expect("a setting of that name")
}

fn set(name: &str, value: &str) -> Result<String, String> {
    let mut config = Config::new();
    config.set(&[(name, value)], false).map_err(|error| error.to_string())?;
    Ok(get(&config, name))
}

fn refusal(name: &str, value: &str) -> String {
    let error = set(name, value).expect_err("the value must be refused");
    error
        .strip_prefix(&format!("ERR CONFIG SET failed (possibly related to argument '{name}') - "))
        .unwrap()
        .into()
}

fn read(text: &str) -> Result<Config, FileError> {
    let mut config = Config::new();
    config.reader().stdin(text)?;
    Ok(config)
}

#[test]
fn names_are_unique_and_lower_case() {
    let mut names: Vec<&str> = SETTINGS.iter().flat_map(|setting| setting.names()).collect();
    assert!(names.iter().all(|name| !name.contains(|c: char| c.is_ascii_uppercase())));
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
}

#[test]
fn every_default_reads_prints_and_reads_again() {
    let config = Config::new();
    for (index, setting) in SETTINGS.iter().enumerate() {
        for line in config.values[index].lines(&setting.kind) {
            read(&format!("{} {line}", setting.name))
                .unwrap_or_else(|error| panic!("{}: {error}", setting.name));
        }
    }
    assert_eq!(config.values().port, 6379);
}

#[test]
fn typed_values_follow_settings() {
    let config = read(
        "maxmemory 100mb\ntimeout 30\ntcp-keepalive 0\nunixsocket /tmp/s\nunixsocketperm 700\nbind 127.0.0.1 ::1\n\
         client-output-buffer-limit replica 1mb 2k 3\nhash-max-ziplist-entries 7\nmaxmemory-policy allkeys-lfu",
    );
    let values = config.unwrap().values();
    assert_eq!(values.maxmemory, 100 << 20);
    assert_eq!(values.timeout, Some(Duration::from_secs(30)));
    assert_eq!(values.tcp_keepalive, None);
    assert_eq!(values.unixsocketperm, Some(0o700));
    assert_eq!(values.bind, ["127.0.0.1", "::1"]);
    let limit = OutputLimit { hard_bytes: 1 << 20, soft_bytes: 2000, soft_seconds: 3 };
    assert_eq!(values.client_output_buffer_limit.replica, limit);
    assert_eq!(values.commands.encoding.hash_listpack_entries, 7);
    assert!(values.commands.lfu);
}

#[test]
fn numbers_are_strict_and_bounded() {
    assert_eq!(set("timeout", "7").unwrap(), "7");
    for bad in ["", "+7", "07", " 7", "7 ", "-0", "1e3", "99999999999999999999"] {
        assert_eq!(refusal("timeout", bad), "argument couldn't be parsed into an integer", "{bad:?}");
    }
    assert_eq!(refusal("port", "65536"), "argument must be between 0 and 65535 inclusive");
    assert_eq!(set("list-max-listpack-size", "-5").unwrap(), "-5");
    assert_eq!(set("hz", "5000").unwrap(), "500");
    assert_eq!(set("hz", "0").unwrap(), "1");
}

#[test]
fn memory_has_units_of_both_sorts() {
    for (text, bytes) in [
        ("1k", "1000"),
        ("1kb", "1024"),
        ("2M", "2000000"),
        ("2mB", "2097152"),
        ("1g", "1000000000"),
        ("7b", "7"),
    ] {
        assert_eq!(set("maxmemory", text).unwrap(), bytes, "{text}");
    }
    for bad in ["", "x", "1t", "-1", "1.5g", "99999999999gb", "10%"] {
        assert_eq!(refusal("maxmemory", bad), "argument must be a memory value", "{bad:?}");
    }
    let bounds = "argument must be between 1048576 and 9223372036854775807 inclusive";
    assert_eq!(refusal("proto-max-bulk-len", "1k"), bounds);
    assert_eq!(set("maxmemory-clients", "10%").unwrap(), "10%");
    assert_eq!(refusal("maxmemory-clients", "101%"), "percentage argument must be less or equal to 100");
    assert_eq!(refusal("maxmemory-clients", "-1"), "argument must be a memory or percent value");
}

#[test]
fn words_of_a_choice_match_in_any_case() {
    assert_eq!(set("loglevel", "VERBOSE").unwrap(), "verbose");
    assert_eq!(
        refusal("appendfsync", "sometimes"),
        "argument(s) must be one of the following: everysec, always, no"
    );
    assert_eq!(set("latency-tracking", "NO").unwrap(), "no");
    assert_eq!(refusal("latency-tracking", "1"), "argument must be 'yes' or 'no'");
}

#[test]
fn lists_read_and_print_as_the_reference_does() {
    assert_eq!(set("save", "10 10 20 20").unwrap(), "10 10 20 20");
    assert_eq!(set("save", "").unwrap(), "");
    for bad in ["10", "10 x", "0 10", "10 -1"] {
        assert_eq!(refusal("save", bad), "Invalid save parameters");
    }
    assert_eq!(
        set("client-output-buffer-limit", "replica 1mb 2k 3").unwrap(),
        "normal 0 0 0 slave 1048576 2000 3 pubsub 33554432 8388608 60"
    );
    assert!(refusal("client-output-buffer-limit", "normal 1 2").starts_with("Wrong number of arguments"));
    assert!(refusal("client-output-buffer-limit", "").starts_with("Wrong number of arguments"));
    assert!(refusal("client-output-buffer-limit", "master 1 2 3").starts_with("Invalid client class"));
    assert!(refusal("client-output-buffer-limit", "normal x 2 3").starts_with("Error in hard, soft"));
    assert_eq!(set("shutdown-on-sigterm", "nosave now").unwrap(), "nosave now");
    assert_eq!(set("shutdown-on-sigterm", "force NOW nosave").unwrap(), "nosave now force");
    assert_eq!(set("shutdown-on-sigterm", "default").unwrap(), "default");
    assert!(refusal("shutdown-on-sigterm", "").starts_with("argument(s) must be one of the following"));
    assert!(refusal("shutdown-on-sigterm", "nosave save").contains("simultaneously"));
    assert_eq!(set("latency-tracking-info-percentiles", "99.99999 50 1e1").unwrap(), "99.99999 50 10");
    assert!(refusal("latency-tracking-info-percentiles", "101").contains("should sit between"));
    assert!(refusal("oom-score-adj-values", "1 2 3000").contains("between -2000 and 2000"));
    assert_eq!(set("notify-keyspace-events", "Elgm").unwrap(), "glEm");
    assert_eq!(set("notify-keyspace-events", "KEg$lshzxetd").unwrap(), "AKE");
    assert!(refusal("notify-keyspace-events", "q").starts_with("Invalid event class character"));
}

#[test]
fn set_is_all_or_nothing() {
    let mut config = Config::new();
    let error = config.set(&[("maxmemory", "1"), ("maxmemory-policy", "x")], false).unwrap_err();
    assert!(error.to_string().contains("'maxmemory-policy'"));
    assert_eq!(get(&config, "maxmemory"), "0");
    let error = config.set(&[("maxmemory", "1"), ("foo", "2")], false).unwrap_err();
    assert_eq!(error.to_string(), "ERR Unknown option or number of arguments for CONFIG SET - 'foo'");
    let error = config.set(&[("maxmemory", "1"), ("MaxMemory", "2")], false).unwrap_err();
    assert!(error.to_string().ends_with("- duplicate parameter"));
    let changed = config.set(&[("MAXMEMORY", "1gb"), ("hz", "10")], false).unwrap();
    assert_eq!(changed.names().collect::<Vec<_>>(), ["maxmemory"]);
    config.undo(changed);
    assert_eq!(get(&config, "maxmemory"), "0");
}

#[test]
fn fixed_and_protected_settings() {
    assert_eq!(refusal("io-threads", "2"), "can't set immutable config");
    assert_eq!(refusal("dbfilename", "x.rdb"), "can't set protected config");
    let mut config = Config::new().with("enable-protected-configs", "local").unwrap();
    assert!(config.set(&[("dbfilename", "x.rdb")], false).is_err());
    assert!(config.set(&[("dbfilename", "x.rdb")], true).unwrap().has("dbfilename"));
    let error = config.set(&[("dbfilename", "a/b")], true).unwrap_err();
    assert!(error.to_string().ends_with("dbfilename can't be a path, just a filename"));
    let error = config.set(&[("dir", "/does/not/exist")], true).unwrap_err();
    assert!(error.to_string().ends_with("- No such file or directory"));
}

#[test]
fn get_takes_patterns_and_old_names() {
    let config = Config::new();
    assert_eq!(config.get(&["slave-priority"]), [("slave-priority".to_string(), "100".to_string())]);
    assert_eq!(config.get(&["MAXMEMORY"]), [("MAXMEMORY".to_string(), "0".to_string())]);
    assert_eq!(config.get(&["maxmemory-s*", "maxmemory-samples"]).len(), 1);
    assert!(config.get(&["nothing"]).is_empty());
    assert_eq!(config.get(&["key-load-delay"]).len(), 1);
    assert!(config.get(&["*"]).iter().all(|(name, _)| name != "key-load-delay"));
}

#[test]
fn words_of_a_line() {
    let words = |line| split_words(line).map(|words| words.join("|"));
    assert_eq!(words("a  b\tc"), Some("a|b|c".into()));
    assert_eq!(words(r#"a "b c" 'd \'e' "\x41\n\"""#), Some("a|b c|d 'e|A\n\"".into()));
    assert_eq!(words(r#"a """#), Some("a|".into()));
    for bad in [r#"a "b"#, "a 'b", r#"a "b"c"#] {
        assert_eq!(words(bad), None, "{bad}");
    }
}

#[test]
fn a_file_with_everything() {
    let config = read(
        "# comment\n\n  PORT 7000\r\nsave 10 1\nsave 20 2\nrename-command CONFIG \"\"\nrename-command GET get2\n\
         requirepass \"a b\"\nlist-max-ziplist-entries 3\nreplicaof no one\nclient-output-buffer-limit normal 1 1 1\n",
    )
    .unwrap();
    assert_eq!(get(&config, "port"), "7000");
    assert_eq!(get(&config, "save"), "10 1 20 2");
    assert_eq!(get(&config, "requirepass"), "a b");
    let renames: Vec<_> = config.renames().iter().map(|rename| (&*rename.from, &*rename.to)).collect();
    assert_eq!(renames, [("CONFIG", ""), ("GET", "get2")]);
    assert!(get(&config, "client-output-buffer-limit").starts_with("normal 1 1 1 slave 268435456"));
    assert_eq!(get(&read("save \"\"").unwrap(), "save"), "");
    assert_eq!(get(&read("save \"3600 1 300 100\"").unwrap(), "save"), "3600 1 300 100");
}

#[test]
fn wrong_lines_are_named() {
    let error = read("port 1\n  foo bar ").unwrap_err().to_string();
    assert_eq!(
        error,
        "Reading the configuration file, at line 2 of the standard input\n>>> 'foo bar'\n\
         Bad directive or wrong number of arguments"
    );
    for (line, reason) in [
        ("port", "wrong number of arguments"),
        ("port 1 2", "wrong number of arguments"),
        ("port a", "argument couldn't be parsed into an integer"),
        ("maxmemory \"1", "Unbalanced quotes in configuration line"),
        ("save 1", "Invalid save parameters"),
        ("shutdown-on-sigint", "argument(s) must be one of the following: default, save, nosave, now, force"),
        ("rename-command a", "Bad directive or wrong number of arguments"),
        ("unixsocketperm 8", "argument couldn't be parsed as an octal number"),
        ("replicaof a", "wrong number of arguments"),
        ("dir /does/not/exist", "No such file or directory"),
        ("loadmodule /x.so", "modules are not supported"),
        ("user a on", "users of access control lists are not supported yet"),
    ] {
        assert_eq!(read(line).unwrap_err().reason, reason, "{line}");
    }
}

/// A folder of its own for a test, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("redoubt-config-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn includes_with_patterns() {
    let folder = Folder::new("include");
    folder.file("b.inc", "hz 20\n");
    folder.file("a.inc", "hz 30\ntimeout 5\n");
    let at = folder.0.display();
    let main = folder.file("main.conf", &format!("include {at}/*.inc\ninclude {at}/none*.conf\nport 1\n"));
    let config = Config::from_file(&main).unwrap();
    assert_eq!((get(&config, "hz"), get(&config, "timeout")), ("20".into(), "5".into()));

    let bad = folder.file("bad.conf", "port x\n");
    let main = folder.file("main2.conf", &format!("include {at}/bad.conf\n"));
    let LoadError::Line(error) = Config::from_file(&main).unwrap_err() else { panic!("not a line's error") };
    assert_eq!(error.place, Place::File(bad, 1));
    let main = folder.file("main3.conf", &format!("include {at}/missing.conf\n"));
    assert!(Config::from_file(&main).unwrap_err().to_string().contains("missing.conf"));
    let own = folder.file("loop.conf", &format!("include {at}/loop.conf\n"));
    assert!(Config::from_file(&own).unwrap_err().to_string().contains("nested too deeply"));
}

#[test]
fn rewrite_keeps_what_holds_and_changes_the_rest() {
    let folder = Folder::new("rewrite");
    let text =
        "# mine\nport 7000\nmaxmemory 1gb   \n\nslave-priority 5\nsave 1 1\nsave 2 2\nrename-command A B\n";
    let path = folder.file("r.conf", text);
    let mut config = Config::from_file(&path).unwrap();
    config.rewrite().unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    let pairs = [
        ("port", "7001"),
        ("replica-priority", "6"),
        ("save", "9 9"),
        ("requirepass", "a \"b"),
        ("hz", "11"),
    ];
    config.set(&pairs, false).unwrap();
    config.rewrite().unwrap();
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        "# mine\nport 7001\nmaxmemory 1gb   \n\nreplica-priority 6\nsave 9 9\nrename-command A B\n\
         # Generated by CONFIG REWRITE\nhz 11\nrequirepass \"a \\\"b\"\n"
    );
    let again = Config::from_file(&path).unwrap();
    assert_eq!(again.values, config.values);
    config.set(&[("save", ""), ("hz", "10")], false).unwrap();
    config.rewrite().unwrap();
    assert_eq!(Config::from_file(&path).unwrap().values, config.values);
    assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 1);
    assert_eq!(Config::new().rewrite(), Err(RewriteError::NoFile));
}

#[test]
fn rewrite_overrides_an_include_below() {
    let folder = Folder::new("override");
    folder.file("inc", "hz 20\n");
    let path = folder.file("r.conf", &format!("hz 5\ninclude {}/inc\n", folder.0.display()));
    let mut config = Config::from_file(&path).unwrap();
    config.set(&[("hz", "30")], false).unwrap();
    config.rewrite().unwrap();
    assert_eq!(get(&Config::from_file(&path).unwrap(), "hz"), "30");
}

#[test]
fn documentation_is_up_to_date() {
    let page = docs_table();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/config.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, &page).unwrap();
    }
    assert!(std::fs::read_to_string(path).is_ok_and(|written| written == page), "run `cargo xtask docs`");
    for setting in SETTINGS.iter() {
        assert!(page.contains(&format!("| `{}`", setting.name)), "{}", setting.name);
    }
}

/// Reading never panics, whatever the line.
#[test]
fn odd_lines_do_not_panic() {
    for name in SETTINGS.iter().map(|setting| setting.name).chain(["include", "rename-command"]) {
        for value in
            ["", "\"\"", "a", "1", "-1", "1 2 3", "\u{e9} \u{1F600}", "'", "99999999999999999999", "%", "-%"]
        {
            let _ = read(&format!("{name} {value}"));
            let _ = set(name, value);
        }
    }
}
