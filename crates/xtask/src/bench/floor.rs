//! A server that does nothing: what the kernel takes of each request, whoever answers it.
//!
//! It counts the asterisks of what it reads, or the lines where requests are lines, and sends as many replies of the same
//! length, in a loop of epoll, one read and one write on a single thread. A server that answers each batch with one write
//! can hardly cost less on the same machine.

use super::server::Contender;
use anyhow::{Context, Result};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Registry, Token};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};

/// As long as the reply to a GET of 16 bytes.
const REPLY: &[u8] = b"$16\r\nxxxxxxxxxxxxxxxx\r\n";
const READ_BYTES: usize = 16 * 1024;
const LISTENER: Token = Token(usize::MAX);

struct Client {
    stream: TcpStream,
    /// The byte that stands once in each request; known from the first one on.
    mark: Option<u8>,
}

/// This program, as that server.
pub(super) fn contender() -> Result<Contender> {
    Ok(Contender { name: "floor", program: std::env::current_exe()?, command: Some("floor") })
}

/// Serves until it is killed. Of the arguments only `--port` means something to it.
///
/// # Errors
/// When it cannot listen, or wait for its sockets.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let at = arguments.iter().position(|argument| argument == "--port").context("no --port")?;
    let port: u16 = arguments.get(at + 1).context("no port")?.parse()?;
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(1024);
    let mut listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    // Where a client stands is its token; the places of those that left are not reused, there are few.
    let mut clients: Vec<Option<Client>> = Vec::new();
    let (mut input, mut output) = (vec![0; READ_BYTES], Vec::new());
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            if event.token() == LISTENER {
                accept(&listener, poll.registry(), &mut clients)?;
            } else if let Some(client) = &mut clients[event.token().0]
                && !serve(client, &mut input, &mut output)
            {
                clients[event.token().0] = None;
            }
        }
    }
}

fn accept(listener: &TcpListener, registry: &Registry, clients: &mut Vec<Option<Client>>) -> Result<()> {
    while let Ok((mut stream, _)) = listener.accept() {
        stream.set_nodelay(true)?;
        registry.register(&mut stream, Token(clients.len()), Interest::READABLE)?;
        clients.push(Some(Client { stream, mark: None }));
    }
    Ok(())
}

/// Answers what has come. False when the connection has ended.
fn serve(Client { stream, mark }: &mut Client, input: &mut [u8], output: &mut Vec<u8>) -> bool {
    loop {
        let read = match stream.read(input) {
            Ok(read @ 1..) => read,
            Ok(_) => return false,
            Err(error) => return error.kind() == ErrorKind::WouldBlock,
        };
        output.clear();
        let mark = *mark.get_or_insert(if input[0] == b'*' { b'*' } else { b'\n' });
        memchr::memchr_iter(mark, &input[..read]).for_each(|_| output.extend_from_slice(REPLY));
        // Its clients wait for their replies, so the socket always has room for them.
        if stream.write_all(output).is_err() {
            return false;
        }
        if read < input.len() {
            return true;
        }
    }
}
