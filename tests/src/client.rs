//! A blocking client: sends words, decodes replies with the `redis-protocol` crate.

use crate::reply::Reply;
use anyhow::{Context, Result, bail};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// How long a reply may take before a test fails.
pub const REPLY_TIMEOUT: Duration = Duration::from_secs(10);

/// What reading from a connection gave.
#[derive(Clone, Debug, PartialEq)]
pub enum Received {
    /// A whole reply.
    Reply(Reply),
    /// The server closed the connection.
    Closed,
    /// Nothing complete came in time.
    Nothing,
}

/// One connection. Switches its decoder when the server accepts HELLO or RESET.
pub struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
    resp3: bool,
    switching: bool,
}

impl Client {
    /// Connects, in RESP2.
    ///
    /// # Errors
    /// When the server does not accept the connection.
    pub fn connect(address: SocketAddr) -> Result<Client> {
        let stream = TcpStream::connect_timeout(&address, REPLY_TIMEOUT)?;
        stream.set_nodelay(true)?;
        Ok(Client { stream, buffer: Vec::new(), resp3: false, switching: false })
    }

    /// Sends a call without waiting for its reply.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn send<W: AsRef<[u8]>>(&mut self, words: &[W]) -> Result<()> {
        let name = words.first().map(|word| word.as_ref().to_ascii_uppercase()).unwrap_or_default();
        self.switching |= name == b"HELLO" || name == b"RESET";
        self.send_raw(&encode(words))
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn send_raw(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).context("sending")
    }

    /// The next reply, the end of the connection, or nothing within `timeout`.
    ///
    /// # Errors
    /// When what came is not RESP.
    pub fn receive(&mut self, timeout: Duration) -> Result<Received> {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(reply) = self.take_buffered()? {
                return Ok(Received::Reply(reply));
            }
            match self.fill(deadline)? {
                Some(0) => return Ok(Received::Closed),
                Some(_) => {}
                None => return Ok(Received::Nothing),
            }
        }
    }

    /// The next reply.
    ///
    /// # Errors
    /// When none comes within `REPLY_TIMEOUT` or the connection is closed.
    pub fn read(&mut self) -> Result<Reply> {
        match self.receive(REPLY_TIMEOUT)? {
            Received::Reply(reply) => Ok(reply),
            Received::Closed => bail!("the server closed the connection"),
            Received::Nothing => bail!("no reply within {REPLY_TIMEOUT:?}"),
        }
    }

    /// Sends a call and reads its reply.
    ///
    /// # Errors
    /// As `send` and `read`.
    pub fn try_call<W: AsRef<[u8]>>(&mut self, words: &[W]) -> Result<Reply> {
        self.send(words)?;
        self.read()
    }

    /// Sends a call and reads its reply.
    ///
    /// # Panics
    /// When there is none.
    #[track_caller]
    pub fn call<W: AsRef<[u8]>>(&mut self, words: &[W]) -> Reply {
        match self.try_call(words) {
            Ok(reply) => reply,
            Err(error) => panic!("{}: {error:#}", String::from_utf8_lossy(words[0].as_ref())),
        }
    }

    /// Sends a call given as one line, split as `redis-cli` does, and reads its reply.
    ///
    /// # Panics
    /// When the line has an open quote or there is no reply.
    #[track_caller]
    pub fn line(&mut self, line: &str) -> Reply {
        self.call(&crate::words::split(line).expect("quotes in a test's line are closed"))
    }

    /// Switches to RESP3.
    ///
    /// # Panics
    /// When the server refuses.
    #[track_caller]
    pub fn hello3(&mut self) {
        let reply = self.call(&["HELLO", "3"]);
        assert!(self.resp3, "HELLO 3 was answered with {reply}");
    }

    /// Whether the connection speaks RESP3.
    pub fn is_resp3(&self) -> bool {
        self.resp3
    }

    /// Everything the server sends until it closes or is silent for `timeout`, and whether it closed.
    ///
    /// # Errors
    /// When reading fails for another reason than a reset.
    pub fn drain(&mut self, timeout: Duration) -> Result<(Vec<u8>, bool)> {
        loop {
            match self.fill(Instant::now() + timeout)? {
                Some(0) => return Ok((std::mem::take(&mut self.buffer), true)),
                Some(_) => {}
                None => return Ok((std::mem::take(&mut self.buffer), false)),
            }
        }
    }

    /// Whether anything unread has come, waiting up to `timeout` for it. The end of the connection counts.
    ///
    /// # Errors
    /// When reading fails.
    pub fn has_data(&mut self, timeout: Duration) -> Result<bool> {
        Ok(!self.buffer.is_empty() || self.fill(Instant::now() + timeout)?.is_some())
    }

    /// Sends all of it before anything is read, as many libraries do with a pipeline.
    ///
    /// # Errors
    /// When the server does not take it, for ten seconds.
    pub fn send_blindly(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream().set_write_timeout(Some(Duration::from_secs(10)))?;
        self.send_raw(bytes)
    }

    /// The underlying socket.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    fn take_buffered(&mut self) -> Result<Option<Reply>> {
        let Some(&first) = self.buffer.first() else { return Ok(None) };
        // The reply to HELLO is already in the protocol it asked for: a map in RESP3, an array in RESP2.
        let resp3 = self.resp3 || (self.switching && first == b'%');
        let Some((reply, used)) = Reply::decode(&self.buffer, resp3)
            .with_context(|| format!("decoding {:?}", String::from_utf8_lossy(&self.buffer)))?
        else {
            return Ok(None);
        };
        self.buffer.drain(..used);
        if std::mem::take(&mut self.switching) {
            match &reply {
                Reply::Map(_) => self.resp3 = true,
                Reply::Array(_) => self.resp3 = false,
                Reply::Status(text) if text == b"RESET" => self.resp3 = false,
                _ => {}
            }
        }
        Ok(Some(reply))
    }

    /// Bytes read into the buffer: Some(0) at the end of the connection, None at the deadline.
    fn fill(&mut self, deadline: Instant) -> Result<Option<usize>> {
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        self.stream.set_read_timeout(Some(left))?;
        let mut chunk = [0; 1 << 16];
        match self.stream.read(&mut chunk) {
            Ok(count) => {
                self.buffer.extend_from_slice(&chunk[..count]);
                Ok(Some(count))
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(None),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(Some(0)),
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(None),
            Err(error) => Err(error).context("receiving"),
        }
    }
}

/// A call as RESP: an array of bulk strings.
pub fn encode<W: AsRef<[u8]>>(words: &[W]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        let word = word.as_ref();
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}
