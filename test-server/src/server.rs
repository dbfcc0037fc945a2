//! Listening, accepting and stopping.
//!
//! warp's own accept loop is not used: it limits neither connections nor the time for a request's head, and
//! its graceful stop forgets upgraded connections.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::HttpService;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};
use warp::Filter;

use crate::endpoints::Endpoints;
use crate::guests::{Guest, Guests};
use crate::registry::{Command, Registry};
use crate::state::State;
use crate::tls::Tls;
use crate::wire::{self, Wire};
use crate::{Config, Fingerprint, InvalidConfig, Origins, control, handshake, page};

/// How many TCP connections there may be beyond the WebSockets: to fetch the page, and to be told that all
/// places are taken. Any more wait in the kernel's queue.
const SPARE_CONNECTIONS: usize = 64;

/// The largest request head to read, in bytes.
const HEAD_BYTES: usize = 16 * 1024;

/// A hello server that listens but does not answer yet; [`run`](Self::run) serves its clients.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<Tls>,
    state: Arc<State>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("url", &self.url())
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// How a server stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped {
    /// How many WebSocket connections did not close within [`shutdown_timeout`](Config::shutdown_timeout) and
    /// were dropped.
    pub cut: usize,
}

impl Server {
    /// Validates the configuration and binds the port.
    ///
    /// # Errors
    ///
    /// If a value is out of range, the certificate is unusable, or the address cannot be bound.
    pub async fn bind(config: Config) -> Result<Self, StartError> {
        config.validate().map_err(StartError::Config)?;
        let tls = config
            .tls
            .as_ref()
            .map(Tls::load)
            .transpose()
            .map_err(StartError::Certificate)?;
        let failed = |source| StartError::Listen {
            host: config.host.clone(),
            port: config.port,
            source,
        };
        let listener = TcpListener::bind((config.host.as_str(), config.port))
            .await
            .map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let registry = Arc::new(Registry::new(config.max_connections));
        let origins = Origins {
            allowed: config.allow_origins.clone(),
            required: config.require_origin,
            secure: tls.is_some(),
        };
        let endpoints = Endpoints::new(&config, tls.is_some())
            .map_err(|invalid| StartError::Config(InvalidConfig::Options(invalid)))?;
        Ok(Self {
            listener,
            address,
            tls,
            state: Arc::new(State {
                config: Arc::new(config),
                registry,
                origins,
                endpoints,
            }),
        })
    }

    /// The address on which it listens, with the actual port.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The fingerprint of the certificate, if the server uses TLS.
    #[must_use]
    pub fn fingerprint(&self) -> Option<&Fingerprint> {
        self.tls.as_ref().map(Tls::fingerprint)
    }

    /// The URL of the server for a browser, such as `https://127.0.0.1:8765/`.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}/", self.address)
    }

    /// Serves until `shutdown` resolves; then accepts no more connections, sends every open WebSocket a Close
    /// with 1001, and waits for them, at most [`shutdown_timeout`](Config::shutdown_timeout).
    ///
    /// Dropping this future stops the server too, but drops the connections.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Stopped {
        let Self {
            listener,
            address,
            tls,
            state,
        } = self;
        let tls = tls.map(Arc::new);
        let config = Arc::clone(&state.config);
        let routes = handshake::filter(Arc::clone(&state))
            .or(handshake::requests(false).and(
                control::filter(Arc::clone(&state))
                    .or(page::filter(&config, address, tls.is_some()))
                    .unify(),
            ))
            .unify();
        let service = TowerToHyperService::new(warp::service(routes));

        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(config.handshake_timeout)
            .max_buf_size(HEAD_BYTES);

        let total = config.max_connections + SPARE_CONNECTIONS;
        let places = Arc::new(Semaphore::new(total));
        let guests = Arc::<Guests>::default();
        let (running, stopping) = watch::channel(());
        let cut_on_drop = CutOnDrop(&state);
        let mut shutdown = pin!(shutdown);
        loop {
            let next = async {
                let stream = accept(&listener).await;
                // Never closed, so a place becomes free eventually.
                (guests.place(&places).await, stream)
            };
            let (place, stream) = tokio::select! {
                () = &mut shutdown => break,
                next = next => next,
            };
            let Some(place) = place else { break };
            let connection = Connection {
                http: http.clone(),
                service: service.clone(),
                stopping: stopping.clone(),
                guest: guests.enter(),
                patience: config.handshake_timeout,
            };
            match tls.clone() {
                None => {
                    tokio::spawn(connection.serve(stream, place));
                }
                Some(tls) => {
                    tokio::spawn(connection.secure(tls, stream, place));
                }
            }
        }

        drop(listener);
        drop(running);
        state
            .registry
            .stop(&Command::Close(1001, "the server is stopping".to_owned()));
        let all = u32::try_from(total).unwrap_or(u32::MAX);
        let stopped = match timeout(config.shutdown_timeout, places.acquire_many(all)).await {
            Ok(_) => Stopped { cut: 0 },
            Err(_) => Stopped {
                cut: state.registry.stop(&Command::Cut),
            },
        };
        drop(cut_on_drop);
        stopped
    }
}

/// Everything needed to serve one TCP connection.
struct Connection<S> {
    http: http1::Builder,
    service: S,
    /// Changed (by closing it) when the server stops.
    stopping: watch::Receiver<()>,
    /// Its entry until it becomes a WebSocket.
    guest: Guest,
    /// How long a client may take for each step: its TLS handshake, reading more of a response.
    patience: Duration,
}

impl<S, B> Connection<S>
where
    S: HttpService<Incoming, ResBody = B> + Send + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    /// Serves after the TLS handshake, if that completes in time and before the server stops.
    async fn secure(mut self, tls: Arc<Tls>, stream: TcpStream, place: OwnedSemaphorePermit) {
        let stream = tokio::select! {
            stream = timeout(self.patience, tls.accept(stream)) => stream,
            () = self.guest.stay.told_to_go() => return,
            _ = self.stopping.changed() => return,
        };
        // A client that cannot agree got a TLS alert; one that is too slow is just dropped.
        if let Ok(Ok(stream)) = stream {
            self.serve(stream, place).await;
        }
    }

    /// Answers requests until the connection ends, is upgraded or times out, or the server stops.
    async fn serve(mut self, stream: impl wire::Stream, place: OwnedSemaphorePermit) {
        let stay = Arc::clone(&self.guest.stay);
        let wire = Wire::new(stream, place, Arc::clone(&stay), self.patience);
        let mut connection = pin!(
            self.http
                .serve_connection(TokioIo::new(wire), self.service)
                .with_upgrades()
        );
        // Nobody here needs to know how an HTTP connection failed.
        tokio::select! {
            _ = connection.as_mut() => return,
            () = stay.told_to_go() => return,
            _ = self.stopping.changed() => connection.as_mut().graceful_shutdown(),
            () = sleep(Config::HTTP_TIME) => connection.as_mut().graceful_shutdown(),
        }
        // The response in progress.
        tokio::select! {
            _ = connection => {}
            () = stay.told_to_go() => {}
            () = sleep(self.patience) => {}
        }
    }
}

struct CutOnDrop<'a>(&'a State);

impl Drop for CutOnDrop<'_> {
    fn drop(&mut self) {
        self.0.registry.stop(&Command::Cut);
    }
}

async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Responses are small and awaited. A failure only delays them.
                let _ = stream.set_nodelay(true);
                return stream;
            }
            // A client left while it waited, or the process is out of file handles: the latter persists, and
            // must not make the loop spin.
            Err(_) => sleep(Duration::from_millis(50)).await,
        }
    }
}

/// A server could not start.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// The configuration is invalid.
    Config(InvalidConfig),
    /// TLS cannot use this certificate.
    Certificate(InvalidCertificate),
    /// The address cannot be bound.
    Listen {
        /// The requested host.
        host: String,
        /// The requested port.
        port: u16,
        /// The system's error.
        source: io::Error,
    },
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(invalid) => write!(f, "{invalid}"),
            Self::Certificate(invalid) => write!(f, "no TLS: {invalid}"),
            Self::Listen { host, port, source } if source.kind() == io::ErrorKind::AddrInUse => {
                write!(
                    f,
                    "port {port} of {host} is in use: stop the program that has it, or choose another \
                 (--port 0 takes a free one)"
                )
            }
            Self::Listen { host, port, source } => {
                write!(f, "cannot listen on port {port} of {host}: {source}")
            }
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Config(invalid) => Some(invalid),
            Self::Certificate(invalid) => Some(invalid),
            Self::Listen { source, .. } => Some(source),
        }
    }
}

/// A certificate or its key is unusable; says which file and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidCertificate(pub(crate) String);

impl fmt::Display for InvalidCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidCertificate {}
