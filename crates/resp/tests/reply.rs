//! The reply writer: frames of both versions, number formats, aggregates closed late.

use redoubt_resp::{DoubleBuffer, Reply};

/// What `write` puts on the wire in RESP2 and in RESP3.
fn both(write: impl Fn(&mut Reply<'_>)) -> [String; 2] {
    [false, true].map(|resp3| {
        let mut out = Vec::new();
        write(&mut Reply::new(&mut out, resp3));
        String::from_utf8(out).expect("text")
    })
}

fn same(write: impl Fn(&mut Reply<'_>), expected: &str) {
    assert_eq!(both(write), [expected, expected]);
}

#[test]
fn lines_and_numbers() {
    same(|r| r.ok(), "+OK\r\n");
    same(|r| r.simple("QUEUED"), "+QUEUED\r\n");
    same(|r| r.error("ERR two\r\nlines"), "-ERR two  lines\r\n");
    for value in [0, 1, 2, 9, 10, 99, 100, 12345, -1, -10, i64::MAX, i64::MIN] {
        same(|r| r.int(value), &format!(":{value}\r\n"));
        same(|r| r.bulk_int(value), &format!("${}\r\n{value}\r\n", value.to_string().len()));
    }
}

#[test]
fn bulks() {
    same(|r| r.bulk(b""), "$0\r\n\r\n");
    same(|r| r.bulk(b"a\r\nb"), "$4\r\na\r\nb\r\n");
    same(|r| r.bulk(&[b'x'; 100]), &format!("$100\r\n{}\r\n", "x".repeat(100)));
}

#[test]
fn types_that_differ_between_versions() {
    assert_eq!(both(|r| r.null()), ["$-1\r\n", "_\r\n"]);
    assert_eq!(both(|r| r.null_array()), ["*-1\r\n", "_\r\n"]);
    assert_eq!(both(|r| r.map(2)), ["*4\r\n", "%2\r\n"]);
    assert_eq!(both(|r| r.set(12)), ["*12\r\n", "~12\r\n"]);
    assert_eq!(both(|r| r.push(3)), ["*3\r\n", ">3\r\n"]);
    assert_eq!(both(|r| r.boolean(true)), [":1\r\n", "#t\r\n"]);
    assert_eq!(both(|r| r.boolean(false)), [":0\r\n", "#f\r\n"]);
    assert_eq!(both(|r| r.double(1.5)), ["$3\r\n1.5\r\n", ",1.5\r\n"]);
    assert_eq!(both(|r| r.verbatim("txt", b"hi")), ["$2\r\nhi\r\n", "=6\r\ntxt:hi\r\n"]);
}

#[test]
fn aggregates_closed_late() {
    let write = |r: &mut Reply<'_>| {
        r.simple("before");
        let outer = r.open();
        r.int(5);
        let inner = r.open();
        r.bulk(b"k");
        r.bulk(b"v");
        r.close_map(inner, 1);
        let empty = r.open();
        r.close_set(empty, 0);
        r.close_array(outer, 3);
        r.simple("after");
    };
    assert_eq!(
        both(write),
        [
            "+before\r\n*3\r\n:5\r\n*2\r\n$1\r\nk\r\n$1\r\nv\r\n*0\r\n+after\r\n",
            "+before\r\n*3\r\n:5\r\n%1\r\n$1\r\nk\r\n$1\r\nv\r\n~0\r\n+after\r\n",
        ]
    );
}

#[test]
fn taking_back() {
    let write = |r: &mut Reply<'_>| {
        r.ok();
        let position = r.position();
        r.bulk(b"partial");
        r.truncate(position);
        r.error("ERR no");
    };
    same(write, "+OK\r\n-ERR no\r\n");
}

/// Texts that Redis 8.0 answers `ZSCORE` with.
#[test]
fn doubles_have_known_texts() {
    let known = [
        (0.0, "0"),
        (-0.0, "-0"),
        (3.0, "3"),
        (-17.0, "-17"),
        (0.1, "0.1"),
        (-2.25, "-2.25"),
        (1.0 / 3.0, "0.3333333333333333"),
        (0.1 + 0.2, "0.30000000000000004"),
        (123_456.789, "123456.789"),
        (1e16, "10000000000000000"),
        (1e17, "100000000000000000"),
        (1e18, "1000000000000000000"),
        (123_456_789_012_345_678.0, "123456789012345680"),
        (1e19, "1e+19"),
        (12_345_678_901_234_567_000.0, "12345678901234567000"),
        (1.5e30, "1.5e+30"),
        (1e300, "1e+300"),
        (0.0001, "0.0001"),
        (0.00001, "0.00001"),
        (0.000001, "0.000001"),
        (0.0000001, "1e-7"),
        (0.00001234, "1.234e-5"),
        (0.0001234, "1.234e-4"),
        (0.001234, "0.001234"),
        (1.234e-7, "1.234e-7"),
        (5e-324, "5e-324"),
        (1.797_693_134_862_315_7e308, "1.7976931348623157e+308"),
        (f64::INFINITY, "inf"),
        (f64::NEG_INFINITY, "-inf"),
        (f64::NAN, "nan"),
    ];
    let mut buffer = DoubleBuffer::new();
    for (value, text) in known {
        assert_eq!(buffer.format(value), text);
    }
}

proptest::proptest! {
    #[test]
    fn doubles_read_back_equal(bits in proptest::num::u64::ANY) {
        let value = f64::from_bits(bits);
        let mut buffer = DoubleBuffer::new();
        let text = buffer.format(value);
        let back: f64 = text.parse().expect("a number");
        proptest::prop_assert!(back.to_bits() == bits || (back.is_nan() && value.is_nan()), "{} from {}", text, value);
    }
}
