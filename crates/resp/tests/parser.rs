//! The request parser: Redis's rules and texts, every way of cutting requests into reads, redis-protocol as oracle.

use proptest::prelude::*;
use redoubt_resp::{Limits, ProtocolError, RequestParser, Span, Status};

type Request = Vec<Vec<u8>>;

/// Feeds `input` in pieces that end at `cuts`, executes what is complete, and discards it from the buffer now and then.
fn feed(input: &[u8], cuts: &[usize], limits: &Limits) -> (Vec<Request>, Option<ProtocolError>) {
    let (mut parser, mut buf, mut spans) = (RequestParser::new(), Vec::new(), Vec::<Span>::new());
    let (mut requests, mut fed) = (Vec::new(), 0);
    for (turn, cut) in cuts.iter().copied().chain([input.len()]).enumerate() {
        buf.extend_from_slice(&input[fed..cut.max(fed)]);
        fed = cut.max(fed);
        loop {
            let mark = spans.len();
            match parser.parse(&mut buf, &mut spans, limits) {
                Ok(Status::Incomplete) => break,
                Ok(Status::Complete { end }) => {
                    assert_eq!(end, parser.consumed());
                    requests.push(spans[mark..].iter().map(|span| span.of(&buf).to_vec()).collect());
                }
                Err(error) => {
                    assert_eq!(spans.len(), mark, "an error left spans behind");
                    return (requests, Some(error));
                }
            }
        }
        spans.clear();
        if turn % 2 == 0 {
            let done = parser.consumed();
            buf.drain(..done);
            parser.rebase(done);
        }
    }
    (requests, None)
}

fn whole(input: &[u8]) -> (Vec<Request>, Option<ProtocolError>) {
    feed(input, &[], &Limits::default())
}

fn words(words: &[&str]) -> Request {
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}

fn fails(input: &[u8], text: &str) {
    let error = whole(input).1.unwrap_or_else(|| panic!("{} was accepted", input.escape_ascii()));
    assert_eq!(error.to_string(), format!("Protocol error: {text}"));
}

#[test]
fn reads_pipelined_requests() {
    let (requests, error) = whole(b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*1\r\n$4\r\nPING\r\nSET a \"b c\"\r\n");
    assert_eq!(requests, [words(&["GET", "k"]), words(&["PING"]), words(&["SET", "a", "b c"])]);
    assert_eq!(error, None);
}

#[test]
fn empty_requests_have_no_words() {
    assert_eq!(whole(b"*0\r\n*-1\r\n\r\n\n   \r\n").0, vec![Request::new(); 5]);
}

#[test]
fn empty_and_long_words() {
    let mut input = b"*3\r\n$0\r\n\r\n$12345\r\n".to_vec();
    input.extend_from_slice(&[b'x'; 12345]);
    input.extend_from_slice(b"\r\n$100\r\n");
    input.extend_from_slice(&[b'y'; 100]);
    input.extend_from_slice(b"\r\n");
    assert_eq!(whole(&input).0, [vec![vec![], vec![b'x'; 12345], vec![b'y'; 100]]]);
}

#[test]
fn malformed_requests_get_redis_texts() {
    fails(b"*x\r\n", "invalid multibulk length");
    fails(b"*\r\n", "invalid multibulk length");
    fails(b"*03\r\n", "invalid multibulk length");
    fails(b"*2147483648\r\n", "invalid multibulk length");
    fails(b"*99999999999999999999\r\n", "invalid multibulk length");
    fails(b"*1\r\n$x\r\n", "invalid bulk length");
    fails(b"*1\r\n$-1\r\n", "invalid bulk length");
    fails(b"*1\r\n$-0\r\n", "invalid bulk length");
    fails(b"*1\r\n$00\r\n", "invalid bulk length");
    fails(b"*1\r\n$ 3\r\n", "invalid bulk length");
    fails(b"*1\r\n$536870913\r\n", "invalid bulk length");
    fails(b"*1\r\nPING\r\n", "expected '$', got 'P'");
    fails(b"*1\r\n:12345\r\n", "expected '$', got ':'");
    fails(b"*1\r\n*3\r\n$3\r\n", "expected '$', got '*'");
    fails(b"SET \"a\r\n", "unbalanced quotes in request");
    fails(b"SET 'a'b\r\n", "unbalanced quotes in request");
}

#[test]
fn endless_lines_are_cut_off() {
    let endless = |start: &[u8]| [start, &[b'1'; 65537][..]].concat();
    fails(&endless(b"*"), "too big mbulk count string");
    fails(&endless(b"*1\r\n$"), "too big bulk count string");
    fails(&endless(b""), "too big inline request");
}

#[test]
fn unauthenticated_clients_are_kept_short() {
    let limits = Limits { authenticated: false, ..Limits::default() };
    let text = |input: &[u8]| feed(input, &[], &limits).1.map(|error| error.to_string());
    assert_eq!(text(b"*11\r\n").as_deref(), Some("Protocol error: unauthenticated multibulk length"));
    assert_eq!(text(b"*999\r\n$1\r\n").as_deref(), Some("Protocol error: unauthenticated multibulk length"));
    assert_eq!(text(b"*1\r\n$16385\r\n").as_deref(), Some("Protocol error: unauthenticated bulk length"));
    assert_eq!(text(b"*10\r\n$16384\r\n"), None);
}

#[test]
fn inline_words_are_decoded() {
    let one = |line: &[u8]| whole(&[line, b"\r\n"].concat()).0.remove(0);
    assert_eq!(
        one(br#"a  "b\x41\n\"\q\xzz" 'it\'s \n' c"#)[..],
        [b"a".to_vec(), b"bA\n\"qxzz".to_vec(), b"it's \\n".to_vec(), b"c".to_vec()]
    );
    assert_eq!(one(br#"pre"fix" "" ''"#), words(&["prefix", "", ""]));
    assert_eq!(one(b"\x0b a\tb\x00 \"c"), words(&["a", "b"]));
    assert_eq!(one(br#""\a\b\t\r\\""#), [vec![7, 8, 9, 13, b'\\']]);
}

#[test]
fn split_at_every_byte() {
    let mut input = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\nhello\r\nSET 'q r' \"\\x00\"\r\n*0\r\n\r\n*2\r\n$4\r\nECHO\r\n$1200\r\n".to_vec();
    input.extend_from_slice(&[b'v'; 1200]);
    input.extend_from_slice(b"\r\nPING\n");
    let expected = whole(&input);
    assert_eq!(expected.0.len(), 6);
    for cut in 0..input.len() {
        assert_eq!(feed(&input, &[cut], &Limits::default()), expected, "cut at {cut}");
    }
    let every: Vec<usize> = (0..input.len()).collect();
    assert_eq!(feed(&input, &every, &Limits::default()), expected, "byte by byte");
}

#[test]
fn big_words_announce_the_buffer_they_need() {
    let (mut parser, mut spans) = (RequestParser::new(), Vec::new());
    let mut buf = b"*2\r\n$3\r\nSET\r\n$100000\r\nabc".to_vec();
    let total = buf.len() - 3 + 100_000 + 2;
    assert_eq!(parser.parse(&mut buf, &mut spans, &Limits::default()), Ok(Status::Incomplete));
    assert_eq!(parser.wanted(), Some(total));
    assert!(parser.is_inside_request() && spans.is_empty());
    buf.resize(total, b'x');
    assert_eq!(parser.parse(&mut buf, &mut spans, &Limits::default()), Ok(Status::Complete { end: total }));
    assert_eq!(parser.wanted(), None);
    assert_eq!(spans[1].of(&buf).len(), 100_000);
}

#[test]
fn an_error_in_a_later_piece_leaves_no_spans() {
    let input = b"*2\r\n$3\r\nGET\r\n!bad\r\n";
    for cut in 0..input.len() {
        assert_eq!(
            feed(input, &[cut], &Limits::default()),
            (vec![], Some(ProtocolError::ExpectedBulk(b'!')))
        );
    }
}

fn encode(request: &Request) -> Vec<u8> {
    let mut out = format!("*{}\r\n", request.len()).into_bytes();
    for word in request {
        out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// Decodes with redis-protocol, which is independent of our parser.
fn oracle(mut input: &[u8]) -> Vec<Request> {
    use redis_protocol::resp2::{decode::decode, types::OwnedFrame};
    let mut requests = Vec::new();
    while !input.is_empty() {
        let (frame, used) = decode(input).expect("valid").expect("whole");
        let OwnedFrame::Array(frames) = frame else { panic!("not an array") };
        let word = |frame| match frame {
            OwnedFrame::BulkString(word) => word,
            other => panic!("not a bulk string: {other:?}"),
        };
        requests.push(frames.into_iter().map(word).collect());
        input = &input[used..];
    }
    requests
}

fn request() -> impl Strategy<Value = Request> {
    prop::collection::vec(prop::collection::vec(any::<u8>(), 0..1200), 1..14)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn agrees_with_redis_protocol(
        requests in prop::collection::vec(request(), 1..5),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let input: Vec<u8> = requests.iter().flat_map(encode).collect();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(input.len())).collect();
        cuts.sort_unstable();
        let (parsed, error) = feed(&input, &cuts, &Limits::default());
        prop_assert_eq!(error, None);
        prop_assert_eq!(&parsed, &oracle(&input));
        prop_assert_eq!(parsed, requests);
    }

    #[test]
    fn any_bytes_read_the_same_however_cut(
        input in prop::collection::vec(prop_oneof![
            4 => prop::sample::select(&b"*$0123-\r\n\"'\\x abGET"[..]), 1 => any::<u8>()], 0..200),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(input.len().max(1))).collect();
        cuts.sort_unstable();
        prop_assert_eq!(feed(&input, &cuts, &Limits::default()), whole(&input));
    }
}
