//! Keeps the server that serves the pages of wasm tests from stalling.
//!
//! wasm-bindgen's test runner serves them by tiny_http 0.12, whose pool counts a thread as idle until it
//! has woken up for the connection that it was handed. When a browser opens several connections at once,
//! more can be handed out than there are threads; the rest wait until a thread ends its connection, and
//! browsers keep idle ones open for minutes. The page then stands at "Loading scripts..." (seen in 4 of 12
//! starts of Chromium on a busy machine, and in none of 40 with what is here).

use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How long a waiting connection may have to wait.
const INTERVAL: Duration = Duration::from_millis(200);

/// Opens a connection to the server again and again and closes it at once, until dropped. The server starts
/// a thread for it when none is idle, and that thread then takes what waits.
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
                // Nobody listens while a program is compiled, and between two of them.
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
        // One may have come before the drop, and none comes after it.
        let _ = listener.accept();
        thread::sleep(INTERVAL * 3);
        assert!(listener.accept().is_err());
    }
}
