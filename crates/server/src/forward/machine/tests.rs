//! The machine against a model: however bytes are cut, wherever a primary is lost, each request is answered once and in
//! order, and none that changes something runs twice.

use super::*;
use crate::log::Released;
use proptest::prelude::*;

fn plain(len: usize) -> (usize, Nature) {
    (len, Nature::default())
}

fn request(number: usize) -> Vec<u8> {
    format!("*2\r\n$4\r\nINCR\r\n$6\r\n{number:06}\r\n").into_bytes()
}

/// All that is to be sent to the client.
fn sent(output: &mut Output) -> String {
    let mut all = Vec::new();
    loop {
        let part = output.sendable(Released::sample(u64::MAX)).to_vec();
        if part.is_empty() {
            return String::from_utf8(all).expect("tests write text");
        }
        output.advance(part.len());
        all.extend_from_slice(&part);
    }
}

fn ready(machine: &mut Machine) {
    machine.attach(Vec::new(), 0);
}

/// Has the machine write all it has, in pieces of up to `piece`, at most `most` bytes.
fn write(machine: &mut Machine, piece: usize, most: usize) -> Vec<u8> {
    let mut wire = Vec::new();
    while wire.len() < most {
        let bytes = machine.unsent(true);
        if bytes.is_empty() {
            break;
        }
        let n = bytes.len().min(piece).min(most - wire.len());
        wire.extend_from_slice(&bytes[..n]);
        machine.wrote(n);
    }
    wire
}

#[test]
fn replies_go_through_without_a_copy() {
    let (mut machine, mut output) = (Machine::default(), Output::default());
    ready(&mut machine);
    let mut input = [request(1), request(2)].concat();
    let (place, len) = (input.as_ptr(), input.len());
    machine.carry_run(&mut input, &[plain(len / 2), plain(len / 2)]);
    assert!(input.is_empty());
    assert_eq!(machine.unsent(true).as_ptr(), place);
    machine.wrote(len);
    let mut replies = b":1\r\n:2\r\n".to_vec();
    let place = replies.as_ptr();
    assert_eq!(machine.received(&mut replies, &mut output), Received::Fine);
    assert_eq!(output.sendable(Released::sample(u64::MAX)).as_ptr(), place);
    assert!(machine.is_idle() && machine.unanswered() == 0 && replies.is_empty());
}

#[test]
fn what_the_connection_begins_with_is_seen_by_nobody() {
    let (mut machine, mut output) = (Machine::default(), Output::default());
    machine.carry(&request(1), Nature::default());
    machine.attach(b"setup".to_vec(), 2);
    assert_eq!(write(&mut machine, 3, 100), b"setup");
    let mut replies = b"+OK\r\n%1\r\n+a\r\n:1\r\n".to_vec();
    assert_eq!(machine.received(&mut replies, &mut output), Received::Fine);
    assert!(machine.is_ready());
    assert_eq!(write(&mut machine, 100, 100), request(1));
    assert_eq!(sent(&mut output), "");
    machine.refused();
    machine.attach(b"setup".to_vec(), 1);
    let mut replies = b"-NOAUTH who are you\r\n".to_vec();
    assert_eq!(
        machine.received(&mut replies, &mut output),
        Received::Refused("NOAUTH who are you".to_owned())
    );
}

#[test]
fn pushes_pass_and_muted_replies_do_not() {
    let (mut machine, mut output) = (Machine::default(), Output::default());
    ready(&mut machine);
    machine.carry(b"a", Nature { muted: true, ..Nature::default() });
    machine.carry(b"b", Nature { skips: 2, ..Nature::default() });
    machine.carry(b"c", Nature::default());
    write(&mut machine, 1, 3);
    let mut replies = b":1\r\n>1\r\n+push\r\n+OK\r\n+QUEUED\r\n*1\r\n:2\r\n:3\r\n".to_vec();
    assert_eq!(machine.received(&mut replies, &mut output), Received::Fine);
    assert_eq!(sent(&mut output), ">1\r\n+push\r\n*1\r\n:2\r\n:3\r\n");
    let mut replies = b":4\r\n".to_vec();
    assert_eq!(machine.received(&mut replies, &mut output), Received::Broken, "nobody asked for it");
}

#[test]
fn a_node_that_does_not_lead_has_executed_nothing() {
    for refusal in [NOT_PRIMARY.to_owned(), format!("{NOT_PRIMARY_EXEC}{NOT_PRIMARY}")] {
        let (mut machine, mut output) = (Machine::default(), Output::default());
        ready(&mut machine);
        (1..4).for_each(|number| machine.carry(&request(number), Nature::default()));
        let wire = write(&mut machine, 100, 1000);
        let mut replies = format!(":1\r\n-{refusal}\r\n:3\r\n").into_bytes();
        assert_eq!(machine.received(&mut replies, &mut output), Received::NotPrimary);
        machine.refused();
        ready(&mut machine);
        let again = write(&mut machine, 100, 1000);
        assert_eq!(again, wire[wire.len() / 3..]);
        let mut replies = b":2\r\n:3\r\n".to_vec();
        assert_eq!(machine.received(&mut replies, &mut output), Received::Fine);
        assert_eq!(sent(&mut output), ":1\r\n:2\r\n:3\r\n");
    }
}

#[test]
fn a_large_reply_passes_in_pieces_and_cannot_be_taken_back() {
    let (mut machine, mut output) = (Machine::default(), Output::default());
    ready(&mut machine);
    machine.carry(b"GET", Nature { reads: true, ..Nature::default() });
    write(&mut machine, 100, 100);
    let value = "x".repeat(WHOLE_BYTES_MAX);
    let reply = format!("${}\r\n{value}\r\n", value.len());
    let (first, rest) = reply.as_bytes().split_at(WHOLE_BYTES_MAX);
    let mut replies = first.to_vec();
    machine.received(&mut replies, &mut output);
    assert!(machine.is_within_reply() && replies.is_empty() && output.pending() == first.len());
    let mut other = Output::default();
    assert_eq!(machine.lost(&mut other), None);
    let mut replies = rest.to_vec();
    machine.phase = Phase::Ready;
    assert_eq!(machine.received(&mut replies, &mut output), Received::Fine);
    assert!(!machine.is_within_reply() && machine.is_idle());
    assert_eq!(sent(&mut output), reply);
}

#[test]
fn reads_are_repeated_and_errors_keep_their_places() {
    let (mut machine, mut output) = (Machine::default(), Output::default());
    ready(&mut machine);
    let nature = |reads, blocks| Nature { reads, blocks, ..Nature::default() };
    machine.carry(b"write1", nature(false, false));
    machine.carry(b"read2", nature(true, false));
    machine.carry(b"block3", nature(false, true));
    machine.carry(b"write4", nature(false, false));
    write(&mut machine, 100, "write1read2block3wri".len());
    assert_eq!(machine.lost(&mut output), Some(2));
    assert_eq!(sent(&mut output), format!("-{UNKNOWN}\r\n"));
    ready(&mut machine);
    assert_eq!(write(&mut machine, 100, 100), b"read2write4");
    let mut replies = b"+two\r\n+four\r\n".to_vec();
    machine.received(&mut replies, &mut output);
    assert_eq!(sent(&mut output), format!("+two\r\n-{UNKNOWN_BLOCKED}\r\n+four\r\n"));
}

#[test]
fn a_read_that_ends_its_connection_is_not_repeated_for_ever() {
    let (mut machine, mut output) = (Machine::default(), Output::default());
    machine.carry(b"read", Nature { reads: true, ..Nature::default() });
    for _ in 0..REPEATS_MAX {
        ready(&mut machine);
        assert_eq!(write(&mut machine, 100, 100), b"read");
        assert_eq!(machine.lost(&mut output), Some(0));
    }
    ready(&mut machine);
    write(&mut machine, 100, 100);
    assert_eq!(machine.lost(&mut output), Some(1));
    assert!(machine.is_idle() && sent(&mut output).contains("unknown"));
}

#[test]
fn what_comes_home_is_what_has_no_answer() {
    let (mut machine, mut output) = (Machine::default(), Output::default());
    ready(&mut machine);
    machine.carry(b"read1", Nature { reads: true, ..Nature::default() });
    machine.carry(b"write2", Nature::default());
    machine.carry(b"write3", Nature::default());
    write(&mut machine, 100, "read1write2".len());
    machine.lost(&mut output);
    assert_eq!(machine.take_back(&mut output), b"write3");
    assert_eq!(sent(&mut output), format!("-{UNKNOWN}\r\n-{UNKNOWN}\r\n"));
    assert!(machine.is_idle());
}

/// A primary of the model: executes whole requests in order, and counts how often each was.
#[derive(Default)]
struct Primary {
    wire: Vec<u8>,
    replies: Vec<u8>,
}

impl Primary {
    /// Executes what has arrived, `most` requests.
    fn run(&mut self, executed: &mut [usize], most: usize) {
        let len = request(0).len();
        for _ in 0..most {
            if self.wire.len() < len {
                return;
            }
            let number: usize = std::str::from_utf8(&self.wire[len - 8..len - 2]).unwrap().parse().unwrap();
            self.wire.drain(..len);
            executed[number] += 1;
            self.replies.extend_from_slice(format!("$6\r\n{number:06}\r\n").as_bytes());
        }
    }
}

/// What happens next in a history.
#[derive(Clone, Debug)]
enum Step {
    /// The client asks for this many more; every so manieth reads.
    Ask(usize, usize),
    Write(usize, usize),
    Execute(usize),
    Receive(usize),
    /// The primary is killed; the next one is there at once.
    Kill,
    /// The primary is demoted.
    Demote,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1..5usize, 1..4usize).prop_map(|(count, reads)| Step::Ask(count, reads)),
        4 => (1..40usize, 1..200usize).prop_map(|(piece, most)| Step::Write(piece, most)),
        4 => (1..5usize).prop_map(Step::Execute),
        4 => (1..60usize).prop_map(Step::Receive),
        1 => Just(Step::Kill),
        1 => Just(Step::Demote),
    ]
}

/// Runs a history; `home` at its end instead of a last primary.
fn history(steps: &[Step]) -> (Vec<bool>, Vec<usize>, String) {
    let (mut machine, mut output, mut primary) = (Machine::default(), Output::default(), Primary::default());
    let (mut reads, mut executed, mut told, mut buf) = (Vec::new(), Vec::new(), String::new(), Vec::new());
    ready(&mut machine);
    for step in steps {
        match *step {
            Step::Ask(count, every) => {
                let mut input = Vec::new();
                let mut run = Vec::new();
                for _ in 0..count {
                    let bytes = request(reads.len());
                    let nature = Nature { reads: reads.len().is_multiple_of(every), ..Nature::default() };
                    run.push((bytes.len(), nature));
                    input.extend_from_slice(&bytes);
                    reads.push(nature.reads);
                    executed.push(0);
                }
                machine.carry_run(&mut input, &run);
            }
            Step::Write(piece, most) => primary.wire.extend(write(&mut machine, piece, most)),
            Step::Execute(most) => primary.run(&mut executed, most),
            Step::Receive(most) => {
                let some = primary.replies.len().min(most);
                buf.extend(primary.replies.drain(..some));
                assert_eq!(machine.received(&mut buf, &mut output), Received::Fine);
            }
            Step::Kill => {
                machine.lost(&mut output).expect("replies are small");
                (primary, buf) = (Primary::default(), Vec::new());
                ready(&mut machine);
            }
            Step::Demote => {
                let refusal = format!("-{NOT_PRIMARY}\r\n");
                let asked = primary.wire.len() >= request(0).len();
                if !asked {
                    continue;
                }
                buf.append(&mut primary.replies);
                buf.extend_from_slice(refusal.as_bytes());
                assert_eq!(machine.received(&mut buf, &mut output), Received::NotPrimary);
                machine.refused();
                (primary, buf) = (Primary::default(), Vec::new());
                ready(&mut machine);
            }
        }
        told.push_str(&sent(&mut output));
    }
    primary.wire.extend(write(&mut machine, 1000, usize::MAX));
    primary.run(&mut executed, usize::MAX);
    buf.append(&mut primary.replies);
    assert_eq!(machine.received(&mut buf, &mut output), Received::Fine);
    assert!(machine.is_idle());
    told.push_str(&sent(&mut output));
    (reads, executed, told)
}

proptest! {
    #[test]
    fn each_request_is_answered_once_and_in_order(steps in prop::collection::vec(step(), 1..60)) {
        let (reads, executed, told) = history(&steps);
        let mut answers = told.as_str();
        for (number, reads) in reads.iter().enumerate() {
            let own = format!("$6\r\n{number:06}\r\n");
            let unknown = format!("-{UNKNOWN}\r\n");
            if let Some(rest) = answers.strip_prefix(&own) {
                answers = rest;
                prop_assert!(*reads || executed[number] == 1, "{number} ran {} times", executed[number]);
            } else if let Some(rest) = answers.strip_prefix(&unknown) {
                answers = rest;
                prop_assert!(*reads || executed[number] <= 1, "{number} ran {} times", executed[number]);
            } else {
                prop_assert!(false, "{} is not answered: {}", number, answers);
            }
        }
        prop_assert_eq!(answers, "");
    }
}

#[test]
fn a_primary_may_be_lost_at_every_byte() {
    let all = 3 * request(0).len();
    for cut in 0..=all {
        for executed in 0..=3 {
            for received in 0..=36 {
                let steps = [
                    Step::Ask(3, 4),
                    Step::Write(7, cut),
                    Step::Execute(executed),
                    Step::Receive(received),
                    Step::Kill,
                ];
                let (_, executed, told) = history(&steps);
                assert!(executed[1..].iter().all(|times| *times <= 1), "{steps:?}: {executed:?}");
                assert_eq!(told.matches("$6").count() + told.matches("unknown").count(), 3, "{told}");
            }
        }
    }
}
