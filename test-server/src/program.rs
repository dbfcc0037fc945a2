//! What every server program needs: messages for its user, and a signal to stop.

use std::future::Future;
use std::io::{self, Write};

/// Writes a line to the standard error. Unlike `eprintln!`, it does not panic if nobody reads there any more,
/// since that must not end the server.
pub fn tell(line: &str) {
    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// Resolves when the process is asked to end by Ctrl-C or SIGTERM. Once this is called, the signals no longer
/// end the process at once.
///
/// # Errors
///
/// If the system rejects the handler.
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

/// Resolves when the process is asked to end by Ctrl-C.
///
/// # Errors
///
/// Never on this system.
#[cfg(not(unix))]
pub fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        // Without a handler, the system ends the process itself.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    })
}
