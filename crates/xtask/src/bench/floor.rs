//! A server that does nothing: what the kernel and the runtime take of each request, whoever answers it.
//!
//! It counts the asterisks of what it reads and sends as many replies of the same length. A server on the same runtime
//! that answers each batch with one write can hardly cost less on the same machine.

use super::server::Contender;
use anyhow::{Context, Result};
use std::net::{Ipv4Addr, SocketAddr};
use tokio::net::{TcpListener, TcpStream};

/// As long as the reply to a GET of 16 bytes.
const REPLY: &[u8] = b"$16\r\nxxxxxxxxxxxxxxxx\r\n";
const READ_BYTES: usize = 16 * 1024;

/// This program, as that server.
pub(super) fn contender() -> Result<Contender> {
    Ok(Contender { name: "floor", program: std::env::current_exe()?, command: Some("floor") })
}

/// Serves until it is killed. Of the arguments only `--port` means something to it.
///
/// # Errors
/// When it cannot listen.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let at = arguments.iter().position(|argument| argument == "--port").context("no --port")?;
    let port: u16 = arguments.get(at + 1).context("no port")?.parse()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(serve(stream));
        }
    })
}

/// Ends with the connection.
async fn serve(mut stream: TcpStream) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut input = vec![0; READ_BYTES];
    let mut output = Vec::new();
    while let Ok(read @ 1..) = stream.read(&mut input).await {
        output.clear();
        memchr::memchr_iter(b'*', &input[..read]).for_each(|_| output.extend_from_slice(REPLY));
        if stream.write_all(&output).await.is_err() {
            return;
        }
    }
}
