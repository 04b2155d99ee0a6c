//! Handshakes that must fail, callers that send anything, and calls that get their answers.

use super::handshake::{HandshakeError, Refusal};
use super::wire::{Frame, WireError};
use super::*;
use crate::raft::codec::{self, HEADER, Kind};
use openraft::raft::VoteRequest;
use parking_lot::Mutex as SyncMutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const SHORT: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(20);
const PATIENCE: Patience = Patience { silence: LONG, frame: LONG };

fn times() -> Times {
    Times {
        connect: LONG,
        handshake: SHORT,
        pause: Duration::from_millis(5),
        append: LONG,
        propose: LONG,
        silence: LONG,
        idle: LONG,
        frame: SHORT,
        snapshot: LONG,
    }
}

fn peer(node: u64, cluster: Option<u128>) -> Peer {
    Peer { node, incarnation: 1, address: format!("node-{node}:1"), cluster }
}

fn net(node: u64, cluster: Option<u128>, password: &str) -> Arc<Net> {
    Net::new(peer(node, cluster), Secret::derive(password.as_bytes()), times())
}

/// Answers every vote with a refusal that repeats the term, and keeps messages.
#[derive(Default)]
struct Echo {
    messages: SyncMutex<Vec<(Peer, Vec<u8>)>>,
}

impl Service for Echo {
    fn handle(&self, _from: Arc<Peer>, request: Request) -> Pin<Box<dyn Future<Output = Response> + Send>> {
        Box::pin(async move {
            match request {
                Request::Vote(vote) => {
                    Response::Vote(openraft::raft::VoteResponse::new(vote.vote, None, false))
                }
                _ => Response::Failed("only votes here".into()),
            }
        })
    }

    fn control(&self, from: &Peer, bytes: Vec<u8>) {
        self.messages.lock().push((from.clone(), bytes));
    }
}

struct Called {
    address: String,
    service: Arc<Echo>,
    net: Arc<Net>,
}

async fn called(net: Arc<Net>) -> Called {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let service = Arc::new(Echo::default());
    tokio::spawn(Arc::clone(&net).listen(listener, Arc::clone(&service) as Arc<dyn Service>));
    Called { address, service, net }
}

fn vote(term: u64) -> Request {
    Request::Vote(VoteRequest::new(openraft::Vote::new(term, 1), None))
}

async fn assert_answers(called: &Called, caller: &Arc<Net>) {
    let node = called.net.me().node;
    caller.learn(node, &called.address, 9);
    for term in 1..4 {
        match caller.call(node, vote(term), LONG).await {
            Ok(Response::Vote(response)) => assert_eq!(response.vote, openraft::Vote::new(term, 1)),
            other => panic!("{other:?}"),
        }
    }
}

/// What both sides of a handshake come to.
async fn meet(
    caller: &Net,
    target: Option<u64>,
    answerer: &Net,
) -> (Result<Introduction, HandshakeError>, Result<Introduction, HandshakeError>) {
    let (mut near, mut far) = tokio::io::duplex(1 << 16);
    let (calls, answers) = (caller.party(PATIENCE).unwrap(), answerer.party(PATIENCE).unwrap());
    tokio::join!(calls.call(&mut near, target), answers.answer(&mut far))
}

#[tokio::test]
async fn those_that_belong_together_meet() {
    for (mine, theirs) in [(Some(7), Some(7)), (None, Some(7)), (Some(7), None), (None, None)] {
        let (caller, answerer) = (net(1, mine, "secret"), net(2, theirs, "secret"));
        let (call, answer) = meet(&caller, Some(2), &answerer).await;
        assert_eq!(Peer::from(call.unwrap()), answerer.me());
        assert_eq!(Peer::from(answer.unwrap()), caller.me());
    }
}

#[tokio::test]
async fn those_that_do_not_are_refused_and_both_know_why() {
    let mine = net(1, Some(7), "secret");
    let cases = [
        (net(2, Some(7), "another"), Some(2), Refusal::Secret),
        (net(2, Some(8), "secret"), Some(2), Refusal::Deployment),
        (net(3, Some(7), "secret"), Some(2), Refusal::AnotherNode(3)),
    ];
    for (answerer, target, why) in cases {
        let (call, answer) = meet(&mine, target, &answerer).await;
        assert!(matches!(call, Err(HandshakeError::Refused(refusal)) if refusal == why), "{call:?}");
        assert!(matches!(answer, Err(HandshakeError::Refusing(refusal)) if refusal == why), "{answer:?}");
    }
}

#[tokio::test]
async fn another_protocol_is_refused_by_its_number() {
    let (caller, answerer) = (net(1, None, "secret"), net(2, None, "secret"));
    let (mut near, mut far) = tokio::io::duplex(1 << 16);
    let mut calls = caller.party(PATIENCE).unwrap();
    calls.me.protocol = PROTOCOL + 1;
    let answers = answerer.party(PATIENCE).unwrap();
    let (call, answer) = tokio::join!(calls.call(&mut near, None), answers.answer(&mut far));
    assert!(matches!(call, Err(HandshakeError::Refused(Refusal::Protocol(_)))), "{call:?}");
    assert!(matches!(answer, Err(HandshakeError::Refusing(Refusal::Protocol(_)))), "{answer:?}");
}

/// Whoever is called but does not know the secret cannot pass by repeating what it hears.
#[tokio::test]
async fn an_answerer_without_the_secret_is_found_out() {
    let caller = net(1, None, "secret");
    let (mut near, mut far) = tokio::io::duplex(1 << 16);
    let calls = caller.party(PATIENCE).unwrap();
    let impostor = async {
        let hello: handshake::Step = wire::read(&mut far, Kind::Handshake, PATIENCE).await.unwrap();
        let handshake::Step::Hello { me, .. } = hello else { panic!("{hello:?}") };
        let challenge = codec::encode(Kind::Handshake, &handshake::Step::Challenge(me)).unwrap();
        far.write_all(&challenge).await.unwrap();
        let proof: handshake::Step = wire::read(&mut far, Kind::Handshake, PATIENCE).await.unwrap();
        let handshake::Step::Proof(proof) = proof else { panic!("{proof:?}") };
        let welcome = codec::encode(Kind::Handshake, &handshake::Step::Welcome(proof)).unwrap();
        far.write_all(&welcome).await.unwrap();
    };
    let (call, ()) = tokio::join!(calls.call(&mut near, None), impostor);
    assert!(matches!(call, Err(HandshakeError::Refusing(Refusal::Secret))), "{call:?}");
}

#[tokio::test]
async fn calls_get_their_answers_and_messages_arrive() {
    let called = called(net(2, Some(7), "secret")).await;
    let caller = net(1, Some(7), "secret");
    assert_answers(&called, &caller).await;
    caller.control(2, b"hello".to_vec());
    while called.service.messages.lock().is_empty() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(*called.service.messages.lock(), [(caller.me(), b"hello".to_vec())]);
    // Who is at an address is not known before; messages are lost until there is a connection.
    while called.service.messages.lock().len() < 2 {
        caller.control_to(&called.address, b"who are you".to_vec());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_refused_caller_learns_why() {
    let called = called(net(2, Some(7), "secret")).await;
    for (stranger, expected) in
        [(net(1, Some(7), "another"), "secrets differ"), (net(1, Some(8), "secret"), "another deployment")]
    {
        stranger.learn(2, &called.address, 9);
        let error = stranger.call(2, vote(1), LONG).await.unwrap_err();
        assert!(matches!(&error, CallError::Unreachable(why) if why.contains(expected)), "{error:?}");
    }
    let old = net(1, Some(7), "secret");
    old.learn(3, &called.address, 9);
    let error = old.call(3, vote(1), LONG).await.unwrap_err();
    assert!(matches!(&error, CallError::Unreachable(why) if why.contains("another node")), "{error:?}");
}

/// Reads until the other side has closed.
async fn assert_closed(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    // A reset is as good as an end.
    let _ = tokio::time::timeout(LONG, stream.read_to_end(&mut rest)).await.expect("it closes");
}

#[tokio::test]
async fn garbage_is_closed_and_others_are_served() {
    let called = called(net(2, Some(7), "secret")).await;
    let mut random = fastrand::Rng::with_seed(1);
    for round in 0..40 {
        let mut stream = TcpStream::connect(&called.address).await.unwrap();
        let mut bytes: Vec<u8> = (0..random.usize(1..3000)).map(|_| random.u8(..)).collect();
        if round % 2 == 0 {
            // Begins like a frame of the handshake.
            let head = codec::encode(Kind::Handshake, &random.u64(..)).unwrap();
            let length = head.len().min(bytes.len());
            bytes[..length].copy_from_slice(&head[..length]);
        }
        let _ = stream.write_all(&bytes).await;
        assert_closed(&mut stream).await;
    }
    assert_answers(&called, &net(1, Some(7), "secret")).await;
}

#[tokio::test]
async fn who_says_nothing_or_too_little_is_closed() {
    let called = called(net(2, Some(7), "secret")).await;
    let mut silent = TcpStream::connect(&called.address).await.unwrap();
    let mut slow = TcpStream::connect(&called.address).await.unwrap();
    slow.write_all(&[0xa7]).await.unwrap();
    // More than there is room for: the rest is closed at once, and for no longer than the first ones may stay.
    let mut crowd = Vec::new();
    for _ in 0..100 {
        crowd.push(TcpStream::connect(&called.address).await.unwrap());
    }
    for stream in [&mut silent, &mut slow].into_iter().chain(&mut crowd) {
        assert_closed(stream).await;
    }
    assert_answers(&called, &net(1, Some(7), "secret")).await;
}

#[tokio::test]
async fn a_peer_that_breaks_the_rules_is_closed() {
    let called = called(net(2, Some(7), "secret")).await;
    let caller = net(1, Some(7), "secret");
    let mut oversized = codec::encode(Kind::Frame, &Frame::Control(vec![1; 10])).unwrap();
    oversized[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
    let mut damaged = codec::encode(Kind::Frame, &Frame::Control(vec![1; 10])).unwrap();
    damaged[HEADER + 3] ^= 1;
    let mut unfinished = codec::encode(Kind::Frame, &Frame::Control(vec![1; 10])).unwrap();
    unfinished.pop();
    let answer = Frame::Response { id: 1, response: Response::NotLeader(None) };
    let answer = codec::encode(Kind::Frame, &answer).unwrap();
    for bytes in [oversized, damaged, unfinished, answer, b"GET / HTTP/1.1\r\n\r\n".to_vec()] {
        let mut stream = TcpStream::connect(&called.address).await.unwrap();
        caller.party(PATIENCE).unwrap().call(&mut stream, Some(2)).await.unwrap();
        stream.write_all(&bytes).await.unwrap();
        assert_closed(&mut stream).await;
    }
    assert!(called.service.messages.lock().is_empty());
    assert_answers(&called, &caller).await;
}

#[tokio::test]
async fn a_frame_is_read_whole_or_not_at_all() {
    let bytes = codec::encode(Kind::Frame, &Frame::Control(vec![7; 100])).unwrap();
    for end in 0..bytes.len() {
        let mut cut = &bytes[..end];
        let result = wire::read::<_, Frame>(&mut cut, Kind::Frame, PATIENCE).await;
        let is_closed = matches!(result, Err(WireError::Closed));
        assert_eq!(is_closed, end == 0, "{result:?}");
        assert!(result.is_err());
    }
    assert!(wire::read::<_, Frame>(&mut bytes.as_slice(), Kind::Frame, PATIENCE).await.is_ok());
}

#[tokio::test]
async fn a_node_that_does_not_answer_is_a_timeout_and_one_that_is_not_there_an_error() {
    let caller = net(1, Some(7), "secret");
    caller.learn(2, "127.0.0.1:1", 9);
    assert!(matches!(caller.call(2, vote(1), LONG).await, Err(CallError::Unreachable(_))));
    assert!(matches!(caller.call(3, vote(1), LONG).await, Err(CallError::Unreachable(_))));
    // Accepts and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    caller.learn(4, &silent.local_addr().unwrap().to_string(), 9);
    assert!(matches!(caller.call(4, vote(1), SHORT).await, Err(CallError::Timeout(_))));
}

proptest::proptest! {
    /// What a peer with the secret may send: any bytes in a right envelope, and right frames with bytes changed.
    #[test]
    fn any_body_is_a_frame_or_an_error(
        body in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300),
        at in proptest::prelude::any::<proptest::sample::Index>(),
    ) {
        let _ = codec::decode::<Frame>(Kind::Frame, &codec::seal(Kind::Frame, &body).unwrap());
        let _ = codec::decode::<handshake::Step>(Kind::Handshake, &codec::seal(Kind::Handshake, &body).unwrap());
        let request = Request::Snapshot { vote: openraft::Vote::new(3, 1), meta: Default::default(), facts: body };
        let bytes = codec::encode(Kind::Frame, &Frame::Request { id: 1, request }).unwrap();
        let mut inner = bytes[HEADER..].to_vec();
        let at = at.index(inner.len());
        inner[at] = inner[at].wrapping_add(1);
        let _ = codec::decode::<Frame>(Kind::Frame, &codec::seal(Kind::Frame, &inner).unwrap());
    }
}

#[test]
fn what_a_node_says_of_itself_outlives_what_others_say() {
    let net = net(1, None, "secret");
    net.learn(2, "first:1", 0);
    net.learn(2, "second:1", 5);
    net.learn(2, "stale:1", 4);
    net.learn(1, "me:1", 9);
    net.learn(3, "", 9);
    assert_eq!(net.address(2).as_deref(), Some("second:1"));
    assert_eq!((net.address(1), net.address(3)), (None, None));
}
