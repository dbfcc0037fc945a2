//! Keeps the server of wasm test pages from stalling.
//!
//! wasm-bindgen's test runner serves them with tiny_http 0.12, whose pool counts a thread as idle until it
//! has woken up for its connection. When a browser opens several connections at once, the pool can hand out
//! more than it has threads; the rest wait until a thread ends its connection, and browsers keep idle ones
//! open for minutes. The page then hangs at "Loading scripts..." (seen in 4 of 12 starts of Chromium on a
//! busy machine, and in none of 40 with this module).

use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// The longest that a waiting connection may have to wait.
const INTERVAL: Duration = Duration::from_millis(200);

/// Repeatedly opens a connection to the server and closes it at once, until dropped. The server starts a
/// thread for it if none is idle, and that thread then serves what waits.
pub(crate) struct KeepServing {
    /// Dropped to stop the thread.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl KeepServing {
    pub(crate) fn start(server: SocketAddr) -> Self {
        let (stop, stopped) = mpsc::channel::<()>();
        let thread = thread::spawn(move || {
            while stopped.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                // Nobody listens while a program is compiled, and between two programs.
                let _ = TcpStream::connect_timeout(&server, INTERVAL);
            }
        });
        Self {
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

impl Drop for KeepServing {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    #[test]
    fn connections_come_until_it_is_dropped() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let keep_serving = KeepServing::start(listener.local_addr().unwrap());
        for _ in 0..3 {
            listener.accept().unwrap();
        }
        drop(keep_serving);
        listener.set_nonblocking(true).unwrap();
        // One may have arrived before the drop; none arrives after it.
        let _ = listener.accept();
        thread::sleep(INTERVAL * 3);
        assert!(listener.accept().is_err());
    }
}
