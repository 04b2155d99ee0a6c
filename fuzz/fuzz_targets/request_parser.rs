//! The request parser must read the same requests, or the same error, however its input is cut into reads.
//!
//! The first byte says how many cut positions follow (two bytes each); the rest is the input. Valid frames are also
//! compared with redis-protocol. CONTRIBUTING.md says how to run it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use redis_protocol::resp2::{decode::decode, types::OwnedFrame};
use redoubt_resp::{Limits, RequestParser, Status};

type Requests = (Vec<Vec<Vec<u8>>>, Option<String>);

fn read(input: &[u8], cuts: &[usize]) -> Requests {
    let (mut parser, mut buf, mut spans) = (RequestParser::new(), Vec::new(), Vec::new());
    let (mut requests, mut fed) = (Vec::new(), 0);
    for cut in cuts.iter().copied().chain([input.len()]) {
        buf.extend_from_slice(&input[fed..cut.max(fed)]);
        fed = cut.max(fed);
        loop {
            spans.clear();
            match parser.parse(&mut buf, &mut spans, &Limits::default()) {
                Ok(Status::Incomplete) => break,
                Ok(Status::Complete { .. }) => {
                    requests.push(spans.iter().map(|span| span.of(&buf).to_vec()).collect());
                }
                Err(error) => return (requests, Some(error.to_string())),
            }
        }
        let done = parser.consumed();
        buf.drain(..done);
        parser.rebase(done);
    }
    (requests, None)
}

/// The words of the first request, if redis-protocol takes it for a flat array of strings. Nested input is not shown to
/// it: it recurses without a bound.
fn oracle(input: &[u8]) -> Option<Vec<Vec<u8>>> {
    if input.first() != Some(&b'*') || input.iter().filter(|byte| **byte == b'*').count() > 1 {
        return None;
    }
    let Ok(Some((OwnedFrame::Array(frames), _))) = decode(input) else { return None };
    frames
        .into_iter()
        .map(|frame| match frame {
            OwnedFrame::BulkString(word) => Some(word),
            _ => None,
        })
        .collect()
}

fuzz_target!(|data: &[u8]| {
    let Some((count, rest)) = data.split_first() else { return };
    let Some((cuts, input)) = rest.split_at_checked(2 * (usize::from(*count) % 8)) else { return };
    let mut cuts: Vec<usize> = cuts
        .chunks(2)
        .map(|pair| usize::from(u16::from_le_bytes([pair[0], pair[1]])) % (input.len() + 1))
        .collect();
    cuts.sort_unstable();
    let whole = read(input, &[]);
    assert_eq!(read(input, &cuts), whole);
    // Lengths with a plus or leading zeros are accepted there and refused here, as Redis does.
    if let (Some(words), None) = (oracle(input), &whole.1) {
        assert_eq!(whole.0.first(), Some(&words));
    }
});
