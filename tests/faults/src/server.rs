//! The port that looks like the hello server's.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use test_server::{Config as HelloConfig, Origin, Origins, Server};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep;
use warp::Filter;

use crate::control;
use crate::head::{self, Rewound};
use crate::log::Log;
use crate::proxy::Proxies;
use crate::relay::{self, Story};
use crate::rules::{Action, Match, Rules};

/// The configuration of a [`FaultServer`].
#[derive(Debug, Clone)]
pub struct Config {
    /// The address to listen on, on the loopback interface, such as `127.0.0.1`.
    pub host: IpAddr,
    /// The port to listen on; 0 picks a free one.
    pub port: u16,
    /// Origins whose pages may connect and use the control, besides the server's own.
    pub allow_origins: Vec<Origin>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            host: Ipv4Addr::LOCALHOST.into(),
            port: 0,
            allow_origins: Vec::new(),
        }
    }
}

/// State shared by all connections.
pub(crate) struct Shared {
    pub(crate) log: Arc<Log>,
    pub(crate) rules: Rules,
    pub(crate) proxies: Proxies,
    pub(crate) origins: Origins,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    last: u64,
    connections: HashMap<u64, Entry>,
}

/// An open connection, as the control reaches it.
struct Entry {
    path: String,
    id: Option<String>,
    orders: mpsc::UnboundedSender<Action>,
}

impl Shared {
    /// Applies an action to open connections, and returns how many.
    pub(crate) fn order(&self, matches: &Match, action: &Action) -> usize {
        let open = self.open();
        let matching = open
            .connections
            .values()
            .filter(|entry| matches.is_about(&entry.path, entry.id.as_deref()));
        matching
            .filter(|entry| entry.orders.send(action.clone()).is_ok())
            .count()
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's entry, removed on drop.
struct Registered<'a>(&'a Shared, u64);

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        self.0.open().connections.remove(&self.1);
    }
}

/// A server with faults that listens but does not answer yet; [`run`](Self::run) serves its clients.
pub struct FaultServer {
    listener: TcpListener,
    address: SocketAddr,
    hello: Server,
    shared: Arc<Shared>,
}

impl fmt::Debug for FaultServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultServer")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl FaultServer {
    /// Binds the port, and starts the inner hello server on another.
    ///
    /// # Errors
    ///
    /// If the address is not on the loopback interface or cannot be bound.
    pub async fn bind(config: Config) -> Result<Self, StartError> {
        let Config {
            host,
            port,
            allow_origins,
        } = config;
        if !host.is_loopback() {
            return Err(StartError::NotLoopback(host));
        }
        let failed = |source| StartError::Listen(SocketAddr::new(host, port), source);
        let listener = TcpListener::bind((host, port)).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let hello = Server::bind(HelloConfig {
            port: 0,
            allow_origins: allow_origins.clone(),
            // A client that is not read must not be given up meanwhile.
            idle_timeout: Duration::from_secs(60 * 60),
            ..HelloConfig::default()
        })
        .await
        .map_err(StartError::Hello)?;
        let log = Arc::new(Log::new());
        let shared = Arc::new(Shared {
            rules: Rules::default(),
            proxies: Proxies::new(Arc::clone(&log)),
            origins: Origins {
                allowed: allow_origins,
                required: false,
                secure: false,
            },
            log,
            open: Mutex::default(),
        });
        Ok(Self {
            listener,
            address,
            hello,
            shared,
        })
    }

    /// The address on which it listens, with the actual port.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` resolves; then cuts all connections, including those of proxies. Dropping this future
    /// does the same.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let Self {
            listener,
            hello,
            shared,
            ..
        } = self;
        let hello_address = hello.local_addr();
        let routes = control::filter(Arc::clone(&shared)).recover(control::recover);
        let service = TowerToHyperService::new(warp::service(routes));
        let mut connections = JoinSet::new();
        let accept = async {
            loop {
                tokio::select! {
                    accepted = listener.accept() => match accepted {
                        Ok((stream, _)) => {
                            let (shared, service) = (Arc::clone(&shared), service.clone());
                            connections.spawn(async move {
                                let Some((head, stream)) = begin(stream).await else { return };
                                if head.is_handshake {
                                    talk(&shared, head, stream, hello_address).await;
                                    return;
                                }
                                let stream = TokioIo::new(Rewound::new(head.bytes, stream));
                                // Nobody here needs to know how a request failed.
                                let _ = http1::Builder::new().serve_connection(stream, service).await;
                            });
                        }
                        // No file handles left, which persists: wait before retrying.
                        Err(_) => sleep(Duration::from_millis(50)).await,
                    },
                    Some(_) = connections.join_next() => {}
                }
            }
        };
        tokio::select! {
            () = shutdown => {}
            () = accept => {}
            // It ends only on request, and nobody requests it.
            _ = hello.run(std::future::pending()) => {}
        }
        shared.proxies.clear();
    }
}

async fn begin(mut stream: TcpStream) -> Option<(head::Head, TcpStream)> {
    // A failure only delays responses.
    let _ = stream.set_nodelay(true);
    let head = head::read(&mut stream).await?;
    Some((head, stream))
}

/// Serves a WebSocket.
async fn talk(shared: &Shared, head: head::Head, stream: TcpStream, hello: SocketAddr) {
    let (orders, ordered) = mpsc::unbounded_channel();
    let connection = {
        let mut open = shared.open();
        open.last += 1;
        let connection = open.last;
        let entry = Entry {
            path: head.path.clone(),
            id: head.id.clone(),
            orders,
        };
        open.connections.insert(connection, entry);
        connection
    };
    let _registered = Registered(shared, connection);
    let planned = shared.rules.for_connection(&head);
    let story = Story::new(Arc::clone(&shared.log), connection, &head);
    relay::serve(stream, head, hello, planned, ordered, story).await;
}

/// A server with faults could not start.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// Other machines might reach the address.
    NotLoopback(IpAddr),
    /// The address cannot be bound.
    Listen(SocketAddr, io::Error),
    /// The inner hello server could not start.
    Hello(test_server::StartError),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotLoopback(host) => write!(
                f,
                "{host} is not on the loopback interface: this server obeys \
                 anybody who reaches it, so it listens on 127.0.0.1 or ::1 only"
            ),
            Self::Listen(address, error) => write!(f, "cannot listen on {address}: {error}"),
            Self::Hello(error) => write!(f, "the inner hello server: {error}"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NotLoopback(_) => None,
            Self::Listen(_, error) => Some(error),
            Self::Hello(error) => Some(error),
        }
    }
}
