//! Other nodes calling. Who has not proved to be one costs little: few bytes, a little time, one of a bounded number of
//! places.

use super::super::codec::{self, Kind};
use super::link::write;
use super::wire::{self, Frame, Patience, WireError};
use super::{Net, Peer, Service};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::BufReader;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

/// Connections that have not finished the handshake.
const STRANGERS_MAX: usize = 64;
/// Connections that have.
const PEERS_MAX: usize = 512;
/// Requests of one connection that are answered at the same time.
const REQUESTS_MAX: usize = 64;
/// After an accept that failed; file descriptors may have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

impl Net {
    /// Accepts connections until the node ends.
    pub(in crate::raft) async fn listen(self: Arc<Net>, listener: TcpListener, service: Arc<dyn Service>) {
        let mut stop = self.stop.subscribe();
        let strangers = Arc::new(Semaphore::new(STRANGERS_MAX));
        let peers = Arc::new(Semaphore::new(PEERS_MAX));
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                Some(_) = connections.join_next() => continue,
                _ = stop.wait_for(|stop| *stop) => break,
            };
            let (stream, address) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    self.complain(&"listener", &error);
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let (Ok(stranger), Ok(peer)) =
                (Arc::clone(&strangers).try_acquire_owned(), Arc::clone(&peers).try_acquire_owned())
            else {
                self.complain(&address.ip(), &"closed at once, there are too many connections");
                continue;
            };
            let (net, service) = (Arc::clone(&self), Arc::clone(&service));
            connections.spawn(async move {
                let _place = peer;
                let Some((stream, from)) = net.admit(stream, address).await else { return };
                drop(stranger);
                let why = net.serve(stream, Arc::new(from), &service).await;
                if let WireError::Codec(_) | WireError::Slow(_) = why {
                    net.complain(&address.ip(), &why);
                }
            });
        }
    }

    async fn admit(&self, mut stream: TcpStream, address: SocketAddr) -> Option<(TcpStream, Peer)> {
        let limit = self.times.handshake;
        let patience = Patience { silence: limit, frame: limit };
        let outcome = async {
            stream.set_nodelay(true).map_err(WireError::from)?;
            self.party(patience).map_err(WireError::from)?.answer(&mut stream).await
        };
        match tokio::time::timeout(limit, outcome).await {
            Ok(Ok(other)) => {
                let peer = Peer::from(other);
                self.learn(peer.node, &peer.address, peer.incarnation);
                Some((stream, peer))
            }
            Ok(Err(error)) => {
                if error.is_refusal() {
                    self.complain(&address.ip(), &error);
                }
                None
            }
            Err(_) => {
                self.complain(&address.ip(), &format_args!("no handshake in {limit:?}"));
                None
            }
        }
    }

    async fn serve(&self, stream: TcpStream, from: Arc<Peer>, service: &Arc<dyn Service>) -> WireError {
        let (reader, writer) = stream.into_split();
        let (out, queue) = mpsc::channel(REQUESTS_MAX);
        tokio::select! {
            why = self.answer_all(BufReader::new(reader), &from, service, out) => why,
            why = write(self, writer, queue) => why,
        }
    }

    async fn answer_all(
        &self,
        mut reader: BufReader<tokio::net::tcp::OwnedReadHalf>,
        from: &Arc<Peer>,
        service: &Arc<dyn Service>,
        out: mpsc::Sender<Vec<u8>>,
    ) -> WireError {
        let patience = Patience { silence: self.times.idle, frame: self.times.frame };
        let places = Arc::new(Semaphore::new(REQUESTS_MAX));
        let mut answers = JoinSet::new();
        loop {
            match wire::read(&mut reader, Kind::Frame, patience).await {
                Ok(Frame::Request { id, request }) => {
                    let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                        return WireError::Closed;
                    };
                    let (answer, out) = (service.handle(Arc::clone(from), request), out.clone());
                    answers.spawn(async move {
                        let frame = Frame::Response { id, response: answer.await };
                        if let Ok(bytes) = codec::encode(Kind::Frame, &frame) {
                            // The connection may be over.
                            let _ = out.send(bytes).await;
                        }
                        drop(place);
                    });
                    while answers.try_join_next().is_some() {}
                }
                Ok(Frame::Control(bytes)) => service.control(from, bytes),
                Ok(Frame::Response { .. }) => {
                    let text = "an answer where questions go";
                    return std::io::Error::new(std::io::ErrorKind::InvalidData, text).into();
                }
                Err(error) => return error,
            }
        }
    }
}
