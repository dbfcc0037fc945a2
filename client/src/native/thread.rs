//! A thread of its own for sockets.

use core::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::sync::{mpsc, oneshot};

use super::{RemoteSocket, scope};
use crate::face::{Builder, ConnectError};

/// What the thread does for another.
type Job = Box<dyn FnOnce() + Send>;

/// How many jobs may wait.
const JOBS: usize = 64;

/// A thread that runs sockets, any number of them. Clones share it. It ends when the last clone and the last
/// [`RemoteSocket`] of it were dropped, after its sockets have closed.
///
/// ```no_run
/// use steady_socket::native::SocketThread;
/// use steady_socket::{PlainText, Socket};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let thread = SocketThread::start()?;
/// let mut socket = thread
///     .connect(|| Socket::<String, String, PlainText>::builder("wss://example.org/hello"))
///     .await?;
/// let handle = socket.handle();
/// tokio::spawn(async move { handle.send("Ada").await });
/// if let Some(greeting) = socket.recv().await {
///     println!("{}", greeting?);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SocketThread {
    jobs: mpsc::Sender<Job>,
}

impl fmt::Debug for SocketThread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketThread").finish_non_exhaustive()
    }
}

impl SocketThread {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the system does not give what a thread and its runtime need.
    pub fn start() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (jobs, mut to_do) = mpsc::channel::<Job>(JOBS);
        std::thread::Builder::new()
            .name("steady-socket".to_owned())
            .spawn(move || {
                runtime.block_on(scope(async {
                    while let Some(job) = to_do.recv().await {
                        // One that panics takes nothing along: it owns all that it uses.
                        let _ = catch_unwind(AssertUnwindSafe(job));
                    }
                }));
            })?;
        Ok(Self { jobs })
    }

    /// Connects what `build` configures on the thread, where the builder and its handlers stay.
    ///
    /// # Errors
    /// See [`Builder::connect`].
    pub async fn connect<Out, In, C>(
        &self,
        build: impl FnOnce() -> Builder<Out, In, C> + Send + 'static,
    ) -> Result<RemoteSocket<Out, In, C>, ConnectError>
    where
        Out: 'static,
        In: Send + 'static,
        C: steady_socket_protocol::Decode<In> + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let keep = self.clone();
        let job: Job = Box::new(move || {
            let made = build()
                .connect()
                .and_then(|socket| RemoteSocket::new(socket, keep));
            // If nobody waits for it any more, it is dropped here, and closes.
            drop(reply.send(made));
        });
        // The thread ends after the last clone of this.
        let _ = self.jobs.send(job).await;
        // Otherwise `build` has panicked.
        answer.await.unwrap_or(Err(ConnectError::Panicked))
    }
}
