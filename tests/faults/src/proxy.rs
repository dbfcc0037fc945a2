//! TCP ports in front of other servers.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use crate::log::Log;
use crate::relay::finish;
use crate::toxics::{self, Direction, Ending, Step, Toxic, Toxics};

/// How much is read at once, in bytes.
const CHUNK: usize = 16 * 1024;

/// How many chunks may be on their way in one direction: with the size above, what the longest and
/// fattest of lines can hold.
const CHUNKS: usize = 256;

/// A proxy, as it is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    name: String,
    upstream: SocketAddr,
    #[serde(default)]
    listen: Option<SocketAddr>,
}

/// A proxy, as it is shown.
#[derive(Debug, Serialize)]
pub(crate) struct Shown {
    name: String,
    listen: SocketAddr,
    upstream: SocketAddr,
    toxics: Vec<Toxic>,
}

struct Proxy {
    listen: SocketAddr,
    upstream: SocketAddr,
    toxics: watch::Sender<Toxics>,
    /// Whether somebody listens at the moment.
    listening: watch::Receiver<bool>,
    /// Ends everything on drop.
    _tasks: JoinSet<()>,
}

/// All proxies, by name.
pub(crate) struct Proxies {
    log: Arc<Log>,
    all: Mutex<BTreeMap<String, Proxy>>,
}

impl Proxies {
    pub(crate) fn new(log: Arc<Log>) -> Self {
        Self {
            log,
            all: Mutex::default(),
        }
    }

    /// Opens a proxy.
    pub(crate) async fn add(&self, wanted: Wanted) -> Result<Shown, String> {
        let Wanted {
            name,
            upstream,
            listen,
        } = wanted;
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if !(1..=64).contains(&name.len()) || !name.chars().all(is_word) {
            return Err("name: it must be 1 to 64 letters, digits, - or _".to_owned());
        }
        let listen = listen.unwrap_or_else(|| SocketAddr::new([127, 0, 0, 1].into(), 0));
        for (field, address) in [("upstream", upstream), ("listen", listen)] {
            if !address.ip().is_loopback() {
                return Err(format!(
                    "{field}: {address} is not on this machine's loopback interface, such as \
                     127.0.0.1:8765: nothing else is opened or connected to"
                ));
            }
        }
        let listener = TcpListener::bind(listen)
            .await
            .map_err(|error| format!("listen: {listen}: {error}"))?;
        let listen = listener.local_addr().map_err(|error| error.to_string())?;
        let (toxics, in_force) = watch::channel(Toxics::from([]));
        let (is_listening, listening) = watch::channel(true);
        let line = Arc::new(Line {
            name: name.clone(),
            upstream,
            log: Arc::clone(&self.log),
        });
        let mut all = self.lock();
        if all.contains_key(&name) {
            return Err(format!("name: proxy {name} already exists"));
        }
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(line, listener, listen, in_force, is_listening));
        let proxy = Proxy {
            listen,
            upstream,
            toxics,
            listening,
            _tasks: tasks,
        };
        let shown = proxy.show(&name);
        all.insert(name, proxy);
        Ok(shown)
    }

    /// Closes a proxy and cuts its connections; returns whether it existed.
    pub(crate) fn remove(&self, name: &str) -> bool {
        self.lock().remove(name).is_some()
    }

    /// Closes all proxies and returns how many there were.
    pub(crate) fn clear(&self) -> usize {
        std::mem::take(&mut *self.lock()).len()
    }

    pub(crate) fn list(&self) -> Vec<Shown> {
        let all = self.lock();
        all.iter().map(|(name, proxy)| proxy.show(name)).collect()
    }

    pub(crate) fn show(&self, name: &str) -> Option<Shown> {
        self.lock().get(name).map(|proxy| proxy.show(name))
    }

    /// Changes a proxy's toxics, and waits until the change is in force for all its connections, including later
    /// ones. Returns how many toxics there were before and are now; `None` if there is no such proxy.
    async fn change(
        &self,
        name: &str,
        change: impl FnOnce(&mut Vec<Toxic>),
    ) -> Option<(usize, usize)> {
        let (mut listening, is_down, counts) = {
            let all = self.lock();
            let proxy = all.get(name)?;
            let mut toxics = proxy.toxics.borrow().to_vec();
            let before = toxics.len();
            change(&mut toxics);
            let counts = (before, toxics.len());
            let toxics: Toxics = toxics.into();
            let is_down = toxics::is_down(&toxics);
            proxy.toxics.send_replace(toxics);
            (proxy.listening.clone(), is_down, counts)
        };
        // It fails if the proxy is removed meanwhile, and then nobody listens any more.
        let _ = listening.wait_for(|listening| *listening != is_down).await;
        Some(counts)
    }

    /// Adds a toxic, replacing one of the same name. `false` if there is no such proxy.
    pub(crate) async fn poison(&self, name: &str, toxic: Toxic) -> bool {
        let change = |toxics: &mut Vec<Toxic>| {
            toxics.retain(|other| other.name != toxic.name);
            toxics.push(toxic);
        };
        self.change(name, change).await.is_some()
    }

    /// Removes one toxic or all, and returns how many that were; `None` if there is no such proxy.
    pub(crate) async fn cure(&self, name: &str, toxic: Option<&str>) -> Option<usize> {
        let change = |toxics: &mut Vec<Toxic>| {
            toxics.retain(|other| toxic.is_some_and(|toxic| other.name != toxic));
        };
        let (before, now) = self.change(name, change).await?;
        Some(before - now)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Proxy>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Proxy {
    fn show(&self, name: &str) -> Shown {
        Shown {
            name: name.to_owned(),
            listen: self.listen,
            upstream: self.upstream,
            toxics: self.toxics.borrow().to_vec(),
        }
    }
}

/// State shared by a proxy's connections.
struct Line {
    name: String,
    upstream: SocketAddr,
    log: Arc<Log>,
}

/// Listens, unless it is down, and serves its clients.
async fn accept(
    line: Arc<Line>,
    listener: TcpListener,
    address: SocketAddr,
    mut toxics: watch::Receiver<Toxics>,
    is_listening: watch::Sender<bool>,
) {
    let mut listener = Some(listener);
    // Dropped, and thus cut, when the proxy is removed.
    let mut connections = JoinSet::new();
    loop {
        if toxics::is_down(&toxics.borrow_and_update()) {
            listener = None;
        } else if listener.is_none() {
            listener = TcpListener::bind(address).await.ok();
        }
        is_listening.send_replace(listener.is_some());
        let Some(open) = &listener else {
            let is_down = toxics::is_down(&toxics.borrow());
            tokio::select! {
                changed = toxics.changed() => if changed.is_err() { return },
                // Another program has taken the port meanwhile: it may release it.
                () = sleep(Duration::from_millis(50)), if !is_down => {}
            }
            continue;
        };
        tokio::select! {
            changed = toxics.changed() => if changed.is_err() { return },
            accepted = open.accept() => match accepted {
                Ok((client, _)) => {
                    connections.spawn(serve(Arc::clone(&line), client, toxics.clone()));
                }
                // No file handles left, which persists: wait before retrying.
                Err(_) => sleep(Duration::from_millis(50)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(line: Arc<Line>, mut client: TcpStream, toxics: watch::Receiver<Toxics>) {
    let tell = |event, by: Option<&str>| {
        let mut details = json!({ "proxy": line.name });
        if let Some(by) = by {
            details["by"] = by.into();
        }
        line.log.add(event, details);
    };
    let Ok(mut server) = TcpStream::connect(line.upstream).await else {
        tell("proxyEnd", Some("upstream"));
        return;
    };
    tell("proxyOpen", None);
    for stream in [&client, &server] {
        // A failure only delays things.
        let _ = stream.set_nodelay(true);
    }
    let end = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let both = async {
            let up = pipe(from_client, to_server, Direction::Upstream, toxics.clone());
            let down = pipe(
                from_server,
                to_client,
                Direction::Downstream,
                toxics.clone(),
            );
            match tokio::try_join!(up, down) {
                Ok(_) => None,
                Err(Broken::Limit) => Some(Ending::Cut),
                // Whichever end resets the connection, the other end sees a reset, too.
                Err(Broken::Io) => Some(Ending::Reset),
            }
        };
        tokio::select! {
            biased;
            ending = ending(toxics.clone()) => Some(ending),
            ending = both => ending,
        }
    };
    tell(
        "proxyEnd",
        Some(match end {
            None => "peers",
            Some(Ending::Cut) => "cut",
            Some(Ending::Reset) => "reset",
        }),
    );
    let reset = end == Some(Ending::Reset);
    tokio::join!(finish(client, reset), finish(server, reset));
}

/// Waits until the toxics end a connection that begins now.
async fn ending(mut toxics: watch::Receiver<Toxics>) -> Ending {
    let began = Instant::now();
    loop {
        let ending = toxics::ending(&toxics.borrow_and_update(), began);
        let over = async {
            match ending {
                Some((at, ending)) => {
                    sleep_until(at).await;
                    ending
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            ending = over => return ending,
            changed = toxics.changed() => if changed.is_err() { return Ending::Cut },
        }
    }
}

/// Why a direction stops.
enum Broken {
    /// A limit is reached.
    Limit,
    /// An end disappeared without a goodbye.
    Io,
}

impl From<io::Error> for Broken {
    fn from(_: io::Error) -> Self {
        Self::Io
    }
}

/// Forwards one direction, to its end.
async fn pipe(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    direction: Direction,
    mut toxics: watch::Receiver<Toxics>,
) -> Result<(), Broken> {
    let (chunks, mut arrived) = mpsc::channel(CHUNKS);
    let read = async move {
        loop {
            let mut chunk = vec![0; CHUNK];
            let length = from.read(&mut chunk).await?;
            chunk.truncate(length);
            // The writer stops when there is nothing more to do.
            if length == 0 || chunks.send((Instant::now(), chunk)).await.is_err() {
                return Ok(());
            }
        }
    };
    let write = async move {
        let mut passed = toxics::Passed::default();
        while let Some((at, chunk)) = arrived.recv().await {
            let luck = fastrand::f64() * 2.0 - 1.0;
            let mut left = &chunk[..];
            while !left.is_empty() {
                let is_start = left.len() == chunk.len();
                let now = toxics.borrow_and_update().clone();
                let step = passed.step(&now, direction, left.len(), at, luck, is_start);
                let wait = async {
                    match step {
                        Step::Hold => std::future::pending().await,
                        Step::Wait(until) => sleep_until(until).await,
                        Step::Write { pause, .. } => sleep_at_all(pause).await,
                        Step::End => {}
                    }
                };
                tokio::select! {
                    biased;
                    changed = toxics.changed() => {
                        changed.map_err(|_| Broken::Limit)?;
                        continue;
                    }
                    () = wait => {}
                }
                match step {
                    Step::Hold | Step::Wait(_) => {}
                    Step::End => return Err(Broken::Limit),
                    Step::Write { bytes, .. } => {
                        to.write_all(&left[..bytes]).await?;
                        passed.add(bytes);
                        left = &left[bytes..];
                        if passed.is_at_limit(&now, direction) {
                            return Err(Broken::Limit);
                        }
                    }
                }
            }
        }
        let ended = Instant::now();
        loop {
            let now = toxics.borrow_and_update().clone();
            let over = async {
                if toxics::is_holding(&now, direction) {
                    std::future::pending::<()>().await;
                }
                sleep_until(ended + toxics::close_delay(&now, direction)).await;
            };
            tokio::select! {
                () = over => break,
                changed = toxics.changed() => changed.map_err(|_| Broken::Limit)?,
            }
        }
        to.shutdown().await?;
        Ok::<(), Broken>(())
    };
    tokio::try_join!(read, write).map(|_| ())
}

/// Sleeps, but does not even check the clock if there is no wait: a timer takes at least a millisecond.
async fn sleep_at_all(time: Duration) {
    if !time.is_zero() {
        sleep(time).await;
    }
}
