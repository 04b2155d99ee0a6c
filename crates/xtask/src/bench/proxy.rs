//! A link that can be cut: passes connections on, until it is told not to for a while.

use anyhow::Result;
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// See the module's text. Its thread ends with the process.
pub(super) struct Proxy {
    pub(super) port: u16,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    cut: AtomicBool,
    /// Both ends of what it passes on.
    open: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    /// One that passes connections on to this port.
    pub(super) fn new(to: u16) -> Result<Proxy> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let state = Arc::new(State::default());
        let own = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if !own.cut.load(Relaxed) {
                    // Whoever has connected finds out.
                    let _ = pass(&own, stream, to);
                }
            }
        });
        Ok(Proxy { port, state })
    }

    /// Ends all connections, and takes none for this time.
    pub(super) fn cut(&self, time: Duration) {
        self.state.cut.store(true, Relaxed);
        for stream in self.state.open.lock().expect("nobody panics").drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
        std::thread::sleep(time);
        self.state.cut.store(false, Relaxed);
    }
}

fn pass(state: &State, from: TcpStream, to: u16) -> Result<()> {
    let to = TcpStream::connect((Ipv4Addr::LOCALHOST, to))?;
    from.set_nodelay(true)?;
    to.set_nodelay(true)?;
    state.open.lock().expect("nobody panics").extend([from.try_clone()?, to.try_clone()?]);
    for (mut source, mut sink) in [(from.try_clone()?, to.try_clone()?), (to, from)] {
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut source, &mut sink);
            let _ = sink.shutdown(Shutdown::Both);
        });
    }
    Ok(())
}
