//! Conversions between encodings as commands cause them, and what blocking forms park for.

use crate::testing::Bench;

#[test]
fn encodings_change_where_redis_changes_them() {
    let mut bench = Bench::new();
    bench.settings.encoding.list_listpack_size = 4;
    let listpack = "$8|listpack|";
    let quicklist = "$9|quicklist|";
    bench.check(&[
        ("RPUSH l a b c d", ":4|"),
        ("OBJECT ENCODING l", listpack),
        ("RPUSH l e", ":5|"),
        ("OBJECT ENCODING l", quicklist),
        ("LPOP l 3", "*3|$1|a|$1|b|$1|c|"),
        // Two nodes are left, of one element each.
        ("OBJECT ENCODING l", quicklist),
        ("RPUSH l x y", ":4|"),
        ("LINSERT l BEFORE x w", ":5|"),
        ("OBJECT ENCODING l", quicklist),
        ("LTRIM l 0 0", "+OK|"),
        ("OBJECT ENCODING l", listpack),
        ("RPUSH big 1 2 3 4 5", ":5|"),
        ("LREM big 1 1", ":1|"),
        ("LREM big 1 2", ":1|"),
        ("LREM big 1 3", ":1|"),
        ("OBJECT ENCODING big", quicklist),
        ("LMOVE big fresh LEFT LEFT", "$1|4|"),
        ("OBJECT ENCODING fresh", listpack),
    ]);
}

#[test]
fn a_blocking_form_that_may_not_block_answers_as_if_time_had_passed() {
    Bench::new().check(&[
        ("BLPOP k 0", "*-1|"),
        ("BRPOP k 0", "*-1|"),
        ("BLMPOP 0 1 k LEFT", "*-1|"),
        ("BLMOVE k k LEFT LEFT 0", "$-1|"),
        ("BRPOPLPUSH k k 0", "$-1|"),
    ]);
}
