//! A client's connection: one call at a time, or several at once, each with a deadline, and given up when the caller sees a
//! reason to.

use anyhow::{Context, Result, bail};
use redoubt_tests::Reply;
use redoubt_tests::client::encode;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// How often a waiting caller looks whether to go on.
const LOOK: Duration = Duration::from_millis(20);

/// One connection, in RESP2.
#[derive(Debug)]
pub struct Link {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Link {
    /// Connects.
    ///
    /// # Errors
    /// When nobody accepts within `timeout`.
    pub fn connect(address: SocketAddr, timeout: Duration) -> Result<Link> {
        let stream = TcpStream::connect_timeout(&address, timeout)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(LOOK))?;
        Ok(Link { stream, buffer: Vec::new() })
    }

    /// Sends a call and reads its reply. After an error the connection is of no use.
    ///
    /// # Errors
    /// When there is none in time. Whether the call was executed is not known then.
    pub fn call<W: AsRef<[u8]>>(&mut self, words: &[W], timeout: Duration) -> Result<Reply> {
        self.call_unless(words, timeout, || false)
    }

    /// As `call`, but given up as soon as `is_void` says that waiting is of no use.
    ///
    /// # Errors
    /// As `call`.
    pub fn call_unless<W: AsRef<[u8]>>(
        &mut self,
        words: &[W],
        timeout: Duration,
        is_void: impl Fn() -> bool,
    ) -> Result<Reply> {
        self.send(words)?;
        self.read(timeout, is_void)
    }

    /// Sends a call.
    ///
    /// # Errors
    /// When the connection is gone.
    pub fn send<W: AsRef<[u8]>>(&mut self, words: &[W]) -> Result<()> {
        self.stream.write_all(&encode(words)).context("sending")
    }

    /// The next reply.
    ///
    /// # Errors
    /// When there is none in time, the connection is closed, or `is_void` says that waiting is of no use.
    pub fn read(&mut self, timeout: Duration, is_void: impl Fn() -> bool) -> Result<Reply> {
        let deadline = Instant::now() + timeout;
        let mut chunk = [0; 4096];
        loop {
            if let Some((reply, used)) = Reply::decode(&self.buffer, false)? {
                self.buffer.drain(..used);
                return Ok(reply);
            }
            match self.stream.read(&mut chunk) {
                Ok(0) => bail!("closed"),
                Ok(count) => self.buffer.extend_from_slice(&chunk[..count]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    if Instant::now() >= deadline {
                        bail!("no reply within {timeout:?}");
                    }
                    if is_void() {
                        bail!("given up");
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("receiving"),
            }
        }
    }
}
