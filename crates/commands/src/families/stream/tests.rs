//! What conversations with the reference cannot ask: additions of Redis 8.2, the log, blocking forms that may not block.

use crate::testing::Bench;

#[test]
fn deleting_heeds_references() {
    Bench::new().check(&[
        ("XADD s 1-1 a b", "$3|1-1|"),
        ("XADD s 2-1 a b", "$3|2-1|"),
        ("XADD s 3-1 a b", "$3|3-1|"),
        ("XGROUP CREATE s g 0", "+OK|"),
        ("XGROUP CREATE s h 0", "+OK|"),
        (
            "XREADGROUP GROUP g c COUNT 2 STREAMS s >",
            "*1|*2|$1|s|*2|*2|$3|1-1|*2|$1|a|$1|b|*2|$3|2-1|*2|$1|a|$1|b|",
        ),
        // Pending in g, not delivered by h; then delivered by neither.
        ("XDELEX s ACKED IDS 3 1-1 3-1 9-9", "*3|:2|:2|:-1|"),
        ("XGROUP SETID s h 2-1", "+OK|"),
        ("XDELEX s ACKED IDS 1 1-1", "*1|:2|"),
        ("XACKDEL s g ACKED IDS 2 1-1 1-1", "*2|:1|:-1|"),
        ("XLEN s", ":2|"),
        ("XDELEX s KEEPREF IDS 1 2-1", "*1|:1|"),
        ("XPENDING s g - + 10", "*1|*4|$3|2-1|$1|c|:0|:1|"),
        // Nothing is deleted, but what still refers to it goes.
        ("XDELEX s DELREF IDS 1 2-1", "*1|:-1|"),
        ("XPENDING s g", "*4|:0|$-1|$-1|*-1|"),
        ("XDELEX nokey IDS 2 1-1 2-2", "*2|:-1|:-1|"),
        ("XACKDEL s nogroup IDS 1 3-1", "*1|:-1|"),
    ]);
}

#[test]
fn options_of_deletion_are_checked() {
    Bench::new().check(&[
        ("XDELEX s IDS 2 1-1", "-ERR The `numids` parameter must match the number of arguments|"),
        ("XDELEX s IDS 0 1-1", "-ERR Number of IDs must be a positive integer|"),
        ("XDELEX s IDS x 1-1", "-ERR value is not an integer or out of range|"),
        ("XDELEX s IDS 1 x", "-ERR Invalid stream ID specified as stream command argument|"),
        ("XDELEX s KEEPREF ACKED IDS 1 1-1", "-ERR syntax error|"),
        ("XDELEX s IDS 1 1-1 2-2", "-ERR syntax error|"),
        ("XDELEX s IDS 1 1-1 DELREF", "*1|:-1|"),
        ("XDELEX s KEEPREF x 1", "-ERR syntax error|"),
        ("SET s x", "+OK|"),
        ("XDELEX s IDS 1 1-1", "-WRONGTYPE Operation against a key holding the wrong kind of value|"),
        ("XACKDEL s g IDS 1 1-1", "-WRONGTYPE Operation against a key holding the wrong kind of value|"),
    ]);
}

#[test]
fn trimming_heeds_references() {
    Bench::new().check(&[
        ("XADD s 1-1 a b", "$3|1-1|"),
        ("XADD s 2-1 a b", "$3|2-1|"),
        ("XADD s 3-1 a b", "$3|3-1|"),
        ("XADD s 4-1 a b", "$3|4-1|"),
        ("XGROUP CREATE s g 3-1", "+OK|"),
        ("XCLAIM s g c 0 1-1 FORCE JUSTID", "*1|$3|1-1|"),
        // 1-1 is pending and 4-1 not delivered: they stay although only one entry was to be left.
        ("XTRIM s MAXLEN = 1 ACKED", ":2|"),
        ("XRANGE s - +", "*2|*2|$3|1-1|*2|$1|a|$1|b|*2|$3|4-1|*2|$1|a|$1|b|"),
        ("XADD s KEEPREF MAXLEN 1 5-1 a b", "$3|5-1|"),
        ("XPENDING s g - + 10", "*1|*4|$3|1-1|$1|c|:0|:1|"),
        ("XCLAIM s g c 0 5-1 FORCE JUSTID", "*1|$3|5-1|"),
        ("XTRIM s DELREF MINID 6", ":1|"),
        ("XPENDING s g - + 10", "*1|*4|$3|1-1|$1|c|:0|:1|"),
        ("XTRIM s MAXLEN 0 DELREF ACKED", "-ERR syntax error|"),
        ("XTRIM s DELREF ACKED", "-ERR syntax error|"),
        ("XTRIM s KEEPREF LIMIT 0", "-ERR syntax error|"),
    ]);
}

#[test]
fn a_blocking_form_that_may_not_block_answers_as_if_time_had_passed() {
    Bench::new().check(&[
        ("XREAD BLOCK 0 STREAMS s $", "*-1|"),
        ("XGROUP CREATE s g 0 MKSTREAM", "+OK|"),
        ("XREADGROUP GROUP g c BLOCK 0 STREAMS s >", "*-1|"),
    ]);
}

/// Runs the calls with the log on and returns what they left in it, one command per line.
fn logged(bench: &Bench, calls: &[&str]) -> Vec<String> {
    calls.iter().flat_map(|call| bench.effects(call)).collect()
}

#[test]
fn the_log_says_what_happened_and_can_be_repeated() {
    let mut bench = Bench::new();
    bench.settings.encoding.stream_node_entries = 2;
    let log = logged(
        &bench,
        &[
            "XADD s * a 1",
            "XADD s 1700000000000-* a 2",
            "XADD s MAXLEN ~ 1 * a 3",
            "XADD s MINID = 1700000000000-2 * a 4",
            "XTRIM s MAXLEN ~ 1",
            "XTRIM s MAXLEN ~ 1",
            "XGROUP CREATE s g 0",
            "XREADGROUP GROUP g c STREAMS s >",
            "XREADGROUP GROUP g c STREAMS s >",
        ],
    );
    let expected = [
        "XADD s 1700000000000-0 a 1",
        "XADD s 1700000000000-1 a 2",
        "XADD s MAXLEN = 1 1700000000000-2 a 3",
        "XADD s 1700000000000-3 a 4",
        "XGROUP CREATE s g 0",
        "XGROUP CREATECONSUMER s g c",
        "XCLAIM s g c 0 1700000000000-2 TIME 1700000000000 RETRYCOUNT 1 FORCE JUSTID LASTID 1700000000000-3",
        "XCLAIM s g c 0 1700000000000-3 TIME 1700000000000 RETRYCOUNT 1 FORCE JUSTID LASTID 1700000000000-3",
        "XGROUP SETID s g 1700000000000-3 ENTRIESREAD 4",
    ];
    assert_eq!(log, expected);
    bench.now_ms += 5000;
    let log = logged(
        &bench,
        &[
            "XDEL s 1700000000000-2",
            "XAUTOCLAIM s g d 0 0",
            "XACK s g 1-1",
            "XACK s g 1700000000000-3",
            "XREADGROUP GROUP g d NOACK STREAMS s >",
            "XTRIM s ACKED MAXLEN 0",
        ],
    );
    let expected = [
        "XDEL s 1700000000000-2",
        "XGROUP CREATECONSUMER s g d",
        "XACK s g 1700000000000-2",
        "XCLAIM s g d 0 1700000000000-3 TIME 1700000005000 RETRYCOUNT 2 FORCE JUSTID LASTID 1700000000000-3",
        "XACK s g 1700000000000-3",
        "XTRIM s ACKED MAXLEN = 0",
    ];
    assert_eq!(log, expected);
}
