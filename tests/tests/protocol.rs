//! Malformed, oversized, split and slow input: the bytes ours answers and the close are the reference's.
#![allow(clippy::unwrap_used, reason = "a test may")]

use redoubt_tests::client::encode;
use redoubt_tests::server::{Kind, Server};
use redoubt_tests::{Client, Reply};
use std::io::Write;
use std::time::{Duration, Instant};

/// Silence after which an open connection is taken to have said everything.
const SILENCE: Duration = Duration::from_millis(200);

/// What a server says to `input` on a connection of its own, and whether it closes.
fn answer(server: &Server, input: &[u8]) -> (String, bool) {
    let mut client = server.client();
    // A server may close before it took everything.
    let _ = client.send_raw(input);
    let (bytes, closed) = client.drain(SILENCE).unwrap();
    (String::from_utf8_lossy(&bytes).into_owned(), closed)
}

fn compare(options: &[(&str, &str)], inputs: &[Vec<u8>]) {
    let ours = Server::ours(options);
    let Some(reference) = Server::start(Kind::Redis7, options) else { return };
    let both = |input: &Vec<u8>| {
        std::thread::scope(|scope| {
            let theirs = scope.spawn(|| answer(&reference, input));
            (answer(&ours, input), theirs.join().unwrap())
        })
    };
    let mut failures = Vec::new();
    for input in inputs {
        let (ours, theirs) = both(input);
        if ours != theirs {
            let shown = String::from_utf8_lossy(&input[..input.len().min(80)]).into_owned();
            failures.push(format!(
                "{shown:?} ({} bytes)\n    ours:      {ours:?}\n    reference: {theirs:?}",
                input.len()
            ));
        }
    }
    assert!(failures.is_empty(), "(answer, closed) differs for\n{}", failures.join("\n"));
    let alive = ours.client().line("PING").to_string();
    assert!(["+PONG", "-NOAUTH Authentication required."].contains(&alive.as_str()), "{alive}");
}

fn bytes(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

#[test]
fn lengths_and_counts() {
    compare(
        &[],
        &bytes(&[
            "*-1\r\nPING\r\n",
            "*0\r\nPING\r\n",
            "*abc\r\n",
            "*\r\nPING\r\n",
            "*1048576\r\n",
            "*1048577\r\n",
            "*2147483647\r\n",
            "*2147483648\r\n",
            "*9223372036854775808\r\n",
            "*-9223372036854775809\r\n",
            "*+1\r\n$4\r\nPING\r\n",
            "*01\r\n$4\r\nPING\r\n",
            "* 1\r\n$4\r\nPING\r\n",
            "*1 \r\n$4\r\nPING\r\n",
            "*1\r\n:3\r\n",
            "*1\r\nPING\r\n",
            "*1\r\n*1\r\n$4\r\nPING\r\n",
            "*1\r\n$-1\r\n",
            "*1\r\n$-2\r\n",
            "*1\r\n$abc\r\n",
            "*1\r\n$\r\n",
            "*1\r\n$+4\r\nPING\r\n",
            "*1\r\n$04\r\nPING\r\n",
            "*1\r\n$536870912\r\n",
            "*1\r\n$536870913\r\n",
            "*1\r\n$9223372036854775808\r\n",
            "*1\r\n$0\r\n\r\n",
            "*2\r\n$4\r\nPING\r\n$0\r\n\r\n",
            "*1\r\n$4\r\nPINGxx*1\r\n$4\r\nPING\r\n",
            "*1\n$4\nPING\n\n",
            "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n",
        ]),
    );
}

#[test]
fn inline_requests() {
    compare(
        &[],
        &bytes(&[
            "PING\r\n",
            "PING\n",
            "\r\n\r\n  \r\nPING\r\n",
            "  PING   hello  \r\n",
            "PING \"a b\\x41\\n\"\r\n",
            "PING 'a \\'b'\r\n",
            "PING \"open\r\n",
            "PING 'open\r\n",
            "PING \"a\"b\r\n",
            "PING a b c\r\n",
            "nosuch a b\r\n",
            "nosuch \"\\x00\\r\\n\" b\r\n",
            "+PING\r\n",
            "$4\r\nPING\r\n",
            "PING\r\nQUIT\r\nPING\r\n",
            "POST / HTTP/1.1\r\n\r\n",
            "Host: here\r\n\r\n",
            "SELECT 1\r\nSELECT 16\r\nSELECT -1\r\nSELECT x\r\nPING\r\n",
        ]),
    );
}

#[test]
fn oversized_lines() {
    let long = |head: &str, fill: &str, tail: &str| [head, &fill.repeat(80_000), tail].concat().into_bytes();
    compare(
        &[],
        &[
            long("", "a", ""),
            long("PING ", "a", "\r\n"),
            long("*", "1", ""),
            long("*1\r\n$", "1", ""),
            long("*1\r\n$4\r\nPING\r\n", "b", ""),
            long("nosuch ", "a", "\r\n"),
            encode(&[vec![b'n'; 300], vec![b'a'; 300], vec![b'b'; 300]]),
        ],
    );
}

#[test]
fn before_authentication() {
    let password = [("requirepass", "secret")];
    compare(
        &password,
        &bytes(&[
            "PING\r\n",
            "*10\r\n",
            "*11\r\n",
            "*2\r\n$16384\r\n",
            "*2\r\n$16385\r\n",
            "*2\r\n$4\r\nAUTH\r\n$5\r\nwrong\r\n",
            "AUTH secret\r\nPING\r\n*11\r\n",
            "AUTH default secret\r\nPING\r\n",
            "AUTH nobody secret\r\nPING\r\n",
            "AUTH secret\r\n*2\r\n$16385\r\n",
            "HELLO 2 AUTH default wrong\r\n",
            "QUIT\r\n",
            "nosuch\r\n",
            "GET\r\n",
            "RESET\r\nPING\r\n",
            "AUTH a b c\r\n",
        ]),
    );
}

#[test]
fn without_a_password() {
    compare(&[], &bytes(&["AUTH x\r\n", "AUTH default x\r\n", "AUTH nobody x\r\n"]));
}

#[test]
fn a_pipeline_split_anywhere() {
    let server = Server::ours(&[]);
    let calls: &[&[&[u8]]] = &[
        &[b"SET", b"k", b"v\r\n*1"],
        &[b"GET", b"k"],
        &[b"DEL", b"k"],
        &[b"ECHO", b""],
        &[b"NOSUCH", b"\x00\xff"],
    ];
    let mut input: Vec<u8> = calls.iter().flat_map(|call| encode(call)).collect();
    input.extend_from_slice(b"PING inline\r\n");
    let ask = |pieces: &[&[u8]]| {
        let mut client = server.client();
        for piece in pieces {
            client.send_raw(piece).unwrap();
        }
        (0..=calls.len()).map(|_| client.read().unwrap().to_string()).collect::<Vec<_>>()
    };
    let whole = ask(&[&input]);
    assert_eq!(whole[..2], ["+OK", "\"v\\r\\n*1\""]);
    for at in 1..input.len() {
        let (head, tail) = input.split_at(at);
        assert_eq!(ask(&[head, tail]), whole, "split at byte {at}");
    }
    let single: Vec<&[u8]> = input.chunks(1).collect();
    assert_eq!(ask(&single), whole, "byte by byte");
}

/// Settings hold for what stands behind them in a pipeline, and for the call that sets them where that is judged later.
#[test]
fn a_setting_holds_for_the_rest_of_its_pipeline() {
    compare(
        &[],
        &bytes(&[
            "CONFIG SET hash-max-listpack-entries 0\r\nHSET a f v\r\nOBJECT ENCODING a\r\n\
             CONFIG SET hash-max-listpack-entries 9\r\nHSET b f v\r\nOBJECT ENCODING b\r\n",
            "CONFIG SET slowlog-log-slower-than 0\r\nGET a\r\nSLOWLOG LEN\r\n\
             CONFIG SET slowlog-log-slower-than -1\r\nSLOWLOG LEN\r\nSLOWLOG LEN\r\n",
            "MULTI\r\nCONFIG SET slowlog-log-slower-than 0\r\nEXEC\r\nSLOWLOG RESET\r\nSLOWLOG LEN\r\n",
            "CONFIG SET maxmemory 1\r\nSET k v\r\nCONFIG SET maxmemory 0\r\nSET k v\r\n",
            "CONFIG SET requirepass secret\r\nAUTH secret\r\nCONFIG SET requirepass ''\r\nAUTH secret\r\n",
        ]),
    );
}

/// Time goes on between the requests of a pipeline, and what clients are told of the data with it.
#[test]
fn time_goes_on_within_a_pipeline() {
    let options = [("enable-debug-command", "yes")];
    let ours = Server::ours(&options);
    let Some(reference) = Server::start(Kind::Redis7, &options) else { return };
    // Ours would go on removing what has expired during a DEBUG SLEEP.
    for server in [&ours, &reference] {
        server.client().line("DEBUG SET-ACTIVE-EXPIRE 0");
    }
    for pipeline in [
        "SET a v PX 50;EXISTS a;DEBUG SLEEP 0.1;EXISTS a;GET a;TTL a;DBSIZE",
        "SET a v;PEXPIRE a 50;DEBUG SLEEP 0.1;PERSIST a;GET a",
        "HSET h f v;PEXPIRE h 50;DEBUG SLEEP 0.1;HSET h g 1;HGETALL h;DEL h",
        "DEBUG SLEEP 0.7;SET a v EX 100;DEBUG SLEEP 0.3;TTL a;DEL a",
        "SET a v PX 50;MULTI;DEBUG SLEEP 0.1;GET a;EXEC;GET a",
        "SET a v PX 50;DEBUG SLEEP 0.1;CLIENT PAUSE 10000 WRITE;GET a;DBSIZE;CLIENT UNPAUSE;GET a;DBSIZE",
        "SET a v PX 50;REPLICAOF 127.0.0.1 1;DEBUG SLEEP 0.1;GET a;DBSIZE;REPLICAOF NO ONE;GET a;DBSIZE",
    ] {
        let replies = |server: &Server| -> Vec<Reply> {
            let mut client = server.client();
            client.send_raw(format!("{pipeline}\n").replace(';', "\n").as_bytes()).unwrap();
            pipeline.split(';').map(|_| client.read().unwrap()).collect()
        };
        assert_eq!(replies(&ours), replies(&reference), "{pipeline}");
    }
}

/// What the requests before it in a pipeline have counted, INFO tells and CONFIG RESETSTAT forgets.
#[test]
fn a_pipeline_is_counted_as_it_runs() {
    let figures = |server: &Server| {
        let mut client = server.client();
        client.line("CONFIG RESETSTAT");
        let mut told = Vec::new();
        for pipeline in [
            "SET a 1;GET a;GET b;INFO everything",
            "GET a;GET b;CONFIG RESETSTAT;GET a;INFO everything",
            "SET c 1 PX 1;DEBUG SLEEP 0.01;GET c;INFO everything",
            "MULTI;GET a;INFO everything;EXEC;SET a 2;SAVE;INFO everything",
            // What a batch leaves for the next one is counted once.
            "CONFIG SET hz 11;CONFIG SET hz 10;GET a;CLIENT PAUSE 0;GET a;INFO everything",
        ] {
            client.send_raw(format!("{pipeline}\n").replace(';', "\n").as_bytes()).unwrap();
            for _ in pipeline.split(';') {
                let reply = client.read().unwrap();
                let texts = reply.elements().unwrap_or_else(|| vec![reply]);
                let counted = |line: &&str| {
                    ["keyspace_", "expired_keys:", "rdb_changes"].iter().any(|name| line.starts_with(name))
                };
                for text in texts.iter().filter(|text| !text.is_nil()) {
                    told.extend(text.text().lines().filter(counted).map(str::to_owned));
                }
            }
        }
        told
    };
    let options = [("enable-debug-command", "yes")];
    let ours = Server::ours(&options);
    ours.client().line("DEBUG SET-ACTIVE-EXPIRE 0");
    let Some(reference) = Server::start(Kind::Redis7, &options) else { return };
    let told = figures(&ours);
    assert!(told.len() >= 20, "{told:?}");
    assert_eq!(told, figures(&reference));
}

#[test]
fn a_large_value_comes_in_small_pieces() {
    const LENGTH: usize = 64 << 20;
    let server = Server::ours(&[]);
    let mut client = server.client();
    let began = Instant::now();
    client.send_raw(format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${LENGTH}\r\n").as_bytes()).unwrap();
    let piece = vec![b'x'; 10_000];
    let mut left = LENGTH;
    while left > 0 {
        let count = left.min(piece.len());
        client.send_raw(&piece[..count]).unwrap();
        left -= count;
    }
    client.send_raw(b"\r\n").unwrap();
    assert_eq!(client.read().unwrap().to_string(), "+OK");
    assert_eq!(client.line("STRLEN k").int(), LENGTH as i64);
    // Quadratic handling would take minutes.
    assert!(began.elapsed() < Duration::from_secs(20), "took {:?}", began.elapsed());
}

/// Calls GET on one connection without ever reading; the bytes that came once the server gave up on it.
fn never_read(server: &Server) -> (usize, bool) {
    let mut slow = server.client();
    slow.stream().set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    let call = encode(&["GET", "big"]).repeat(100);
    for _ in 0..200 {
        if slow.stream().write_all(&call).is_err() {
            break;
        }
    }
    assert_eq!(server.client().line("PING").to_string(), "+PONG", "others are served");
    let (bytes, closed) = slow.drain(Duration::from_secs(2)).unwrap();
    (bytes.len(), closed)
}

#[test]
fn a_client_that_never_reads_is_closed() {
    for kind in [Kind::Ours, Kind::Redis7] {
        let Some(server) = Server::start(kind, &[("client-output-buffer-limit", "normal 1000000 0 0")])
        else {
            continue;
        };
        server.client().call(&["SET".as_bytes(), b"big", &[b'x'; 100_000]]);
        let (count, closed) = never_read(&server);
        assert!(closed, "{}: still open after {count} bytes", kind.name());
        assert!(count < 100 << 20, "{}: {count} bytes were sent", kind.name());
    }
}

#[test]
fn a_query_beyond_its_limit_is_closed() {
    for kind in [Kind::Ours, Kind::Redis7] {
        let Some(server) = Server::start(kind, &[]) else { continue };
        server.client().line("CONFIG SET client-query-buffer-limit 1048576");
        let mut client = server.client();
        let mut input = b"*2\r\n$4\r\nECHO\r\n$30000000\r\n".to_vec();
        input.resize(8 << 20, b'x');
        let _ = client.send_raw(&input);
        let (_, closed) = client.drain(Duration::from_secs(3)).unwrap();
        assert!(closed, "{}", kind.name());
        assert_eq!(server.client().line("PING").to_string(), "+PONG");
        // Whole requests too.
        let mut client = server.client();
        let (less, more) = ("x".repeat(1_000_000), "x".repeat(1 << 20));
        assert_eq!(client.call(&["SET", "k", &less]).to_string(), "+OK");
        let _ = client.send(&["SET", "k", &more]);
        let (_, closed) = client.drain(Duration::from_secs(3)).unwrap();
        assert!(closed, "{}", kind.name());
        assert_eq!(server.client().line("STRLEN k").int(), 1_000_000);
    }
}

#[test]
fn too_many_clients() {
    for kind in [Kind::Ours, Kind::Redis7] {
        let Some(server) = Server::start(kind, &[("maxclients", "4")]) else { continue };
        let mut clients: Vec<Client> = Vec::new();
        let refused = loop {
            let mut client = server.client();
            match client.try_call(&["PING"]) {
                Ok(Reply::Status(_)) => clients.push(client),
                Ok(reply) => break reply.to_string(),
                // The refusal and the close may come before our call was sent.
                Err(_) => break "-ERR max number of clients reached".into(),
            }
            assert!(clients.len() <= 4, "{}: a fifth client was served", kind.name());
        };
        assert_eq!(refused, "-ERR max number of clients reached", "{}", kind.name());
        drop(clients);
        let deadline = Instant::now() + Duration::from_secs(5);
        while server.client().try_call(&["PING"]).is_err() {
            assert!(Instant::now() < deadline, "{}: places are not freed", kind.name());
        }
    }
}

/// More is asked for in one pipeline than goes out in one write, with a MULTI and a quoted line amid it, and nothing is
/// read before all is asked.
#[test]
fn large_replies_of_a_pipeline_come_whole_and_in_order() {
    let server = Server::ours(&[]);
    let mut client = server.client();
    let value = |number: usize| vec![b'a' + (number % 26) as u8; 50_000 + number];
    for number in 0..26 {
        assert_eq!(
            client.call(&[b"SET", format!("k{number}").as_bytes(), &value(number)]).to_string(),
            "+OK"
        );
    }
    let mut asked = Vec::new();
    for round in 0..400 {
        asked.extend(encode(&["GET", &format!("k{}", round % 26)]));
        match round % 50 {
            10 => asked.extend(b"ECHO \"quoted line\"\r\n"),
            20 => asked.extend(encode(&["MULTI"])),
            22 => asked.extend(encode(&["EXEC"])),
            _ => {}
        }
    }
    let mut writer = client.stream().try_clone().unwrap();
    let sender = std::thread::spawn(move || writer.write_all(&asked).unwrap());
    let mut queued = Vec::new();
    for round in 0..400 {
        let expected = Reply::Bulk(value(round % 26));
        if [21, 22].contains(&(round % 50)) {
            assert_eq!(client.read().unwrap().to_string(), "+QUEUED");
            queued.push(expected);
        } else {
            assert!(client.read().unwrap() == expected, "reply {round}");
        }
        match round % 50 {
            10 => assert_eq!(client.read().unwrap(), Reply::Bulk(b"quoted line".to_vec())),
            20 => assert_eq!(client.read().unwrap().to_string(), "+OK"),
            22 => {
                assert!(client.read().unwrap() == Reply::Array(std::mem::take(&mut queued)), "EXEC {round}")
            }
            _ => {}
        }
    }
    sender.join().unwrap();
}

/// More is asked for, and answered, than all buffers between the two hold. Whoever is not read from before it has read
/// would wait for ever.
#[test]
fn a_pipeline_is_taken_whole_before_a_reply_is() {
    for kind in [Kind::Ours, Kind::Redis7] {
        let Some(server) = Server::start(kind, &[]) else { continue };
        let mut client = server.client();
        let value = "v".repeat(100);
        client.call(&["SET", "k", &value]);
        client.send_blindly(&encode(&["GET", "k"]).repeat(400_000)).expect("short requests are taken");
        assert!((0..400_000).all(|_| client.read().unwrap().text() == value), "{}", kind.name());
        // Beyond what is read ahead.
        let word = |number: usize| format!("{number:01024}");
        let calls: Vec<u8> = (0..40_000).flat_map(|number| encode(&["ECHO", &word(number)])).collect();
        client.send_blindly(&calls).expect("long requests are taken");
        assert!((0..40_000).all(|number| client.read().unwrap().text() == word(number)), "{}", kind.name());
        assert_eq!(client.line("PING").to_string(), "+PONG");
    }
}

/// Far more than is run at once comes in one piece, and some of it has to wait or is written by hand.
#[test]
fn a_long_pipeline_with_pauses_keeps_its_order() {
    let server = Server::ours(&[]);
    let mut client = server.client();
    let mut calls = Vec::new();
    for number in 1..=20_000 {
        match number {
            _ if number % 997 == 0 => calls.extend(encode(&["BLPOP", "nothing", "0.01"])),
            _ if number % 101 == 0 => calls.extend(format!("ECHO \"number {number}\"\r\n").into_bytes()),
            _ if number % 32 == 0 => calls.extend(b"PING\r\n"),
            _ => calls.extend(encode(&["SET", "k", &number.to_string()])),
        }
    }
    client.send_blindly(&calls).unwrap();
    for number in 1..=20_000 {
        let expected = match number {
            _ if number % 997 == 0 => "(nil)".to_string(),
            _ if number % 101 == 0 => format!("\"number {number}\""),
            _ if number % 32 == 0 => "+PONG".into(),
            _ => "+OK".into(),
        };
        assert_eq!(client.read().unwrap().to_string(), expected, "reply {number}");
    }
    assert_eq!(client.line("GET k").text(), "19999");
}

/// Whoever does not care for replies may send and go.
#[test]
fn what_was_sent_before_the_end_runs() {
    for kind in [Kind::Ours, Kind::Redis7] {
        let Some(server) = Server::start(kind, &[]) else { continue };
        let mut client = server.client();
        client.call(&["SET", "k", &"v".repeat(1000)]);
        let mut brief = server.client();
        let calls = [encode(&["GET", "k"]).repeat(20_000), encode(&["SET", "done", "1"])].concat();
        brief.send_blindly(&calls).unwrap();
        brief.stream().shutdown(std::net::Shutdown::Write).unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        while client.line("EXISTS done").int() == 0 {
            assert!(Instant::now() < deadline, "{}: the last request did not run", kind.name());
        }
    }
}
