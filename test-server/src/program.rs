//! What every server program needs: a line for its user, and a sign that it is to end.

use std::future::Future;
use std::io::{self, Write};

/// Writes a line to the standard error. Unlike `eprintln!` it does not panic if nobody reads there
/// any more, for that must not end the server.
pub fn tell(line: &str) {
    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// Ready when the process is asked to end: by Ctrl-C, or by SIGTERM. From the call on, the signals
/// no longer end the process at once.
///
/// # Errors
///
/// When the system lets no handler be set.
#[cfg(unix)]
pub fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Ready when the process is asked to end by Ctrl-C.
///
/// # Errors
///
/// None on this system.
#[cfg(not(unix))]
pub fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        // Without a handler the system ends the process by itself.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    })
}
