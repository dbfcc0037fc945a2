//! An endpoint of a server.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::net::{IpAddr, Ipv6Addr};
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{Either, join};
use steady_socket_protocol::control::Window;
use steady_socket_protocol::session::frame::{Answer, Credential, Refusal, Style};
use steady_socket_protocol::session::store::Identity;
use steady_socket_protocol::{
    Decodes, Encodes, Endpoint, Message, MessageKind, Request, Subprotocol,
};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use crate::body::Body;
use crate::handshake::{Choice, Handshake, Refused, Spoken, choose};
use crate::log::{Log, Logs};
use crate::options::{InvalidOptions, Options};
use crate::origin::Origins;
use crate::peer::{Handle, Link, Peer};
use crate::plain::Plain;
use crate::session::{self, Job, Life, Session, Sessions};
use crate::stop::{ANNOUNCED, Leave, Stopper};
use crate::store::Store;
#[cfg(feature = "redis")]
use crate::store::redis::Redis;
use crate::turn::in_one_turn;
use crate::wire::{Allowance, Crowd, Wire};
use crate::{Socket, observe};

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;
type Handler<E> = Box<dyn Fn(Peer<E>) -> Task + Send + Sync>;
type OnRequest<E> = Box<
    dyn Fn(Handle<E>, Message) -> Pin<Box<dyn Future<Output = Answer<Body>> + Send>> + Send + Sync,
>;
type CheckHandshake = Box<
    dyn Fn(&Handshake<'_>) -> Pin<Box<dyn Future<Output = Result<Identity, Refused>> + Send>>
        + Send
        + Sync,
>;
type Authenticate = Box<
    dyn Fn(Option<Credential>) -> Pin<Box<dyn Future<Output = Result<Identity, Denied>> + Send>>
        + Send
        + Sync,
>;

/// A client is not let in: the answer of a check of credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Denied;

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the client is not let in")
    }
}

impl std::error::Error for Denied {}

/// An endpoint with all its clients. Cheap to clone.
///
/// Its handler runs once for each session, and for each connection of a client without one:
///
/// ```
/// # #[cfg(feature = "json")] {
/// use steady_socket_server::{Json, Server, endpoint};
///
/// endpoint! {
///     /// Sends numbers back, doubled.
///     pub Doubler at "/double" {
///         client: i64,
///         server: i64,
///         "doubler.json" => Json,
///     }
/// }
///
/// let server = Server::<Doubler>::new(async |mut peer| {
///     while let Some(Ok(number)) = peer.next().await {
///         let Ok(()) = peer.send(&(number * 2)).await else { return };
///     }
/// });
/// # }
/// ```
pub struct Server<E: Endpoint> {
    core: Arc<Core<E>>,
}

impl<E: Endpoint> Clone for Server<E> {
    fn clone(&self) -> Self {
        Self {
            core: Arc::clone(&self.core),
        }
    }
}

impl<E: Endpoint> fmt::Debug for Server<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("connections", &self.connections())
            .field("sessions", &self.sessions())
            .finish_non_exhaustive()
    }
}

struct Core<E: Endpoint> {
    options: Arc<Options>,
    origins: Origins,
    handler: Handler<E>,
    on_request: Option<OnRequest<E>>,
    check_handshake: Option<CheckHandshake>,
    authenticate: Option<Authenticate>,
    places: Arc<Places>,
    stopper: Stopper,
    sessions: Arc<Sessions>,
}

/// Makes a [`Server`].
pub struct ServerBuilder<E: Endpoint> {
    options: Options,
    on_request: Option<OnRequest<E>>,
    check_handshake: Option<CheckHandshake>,
    authenticate: Option<Authenticate>,
    #[cfg(feature = "redis")]
    redis: Option<Redis>,
}

impl<E: Endpoint> fmt::Debug for ServerBuilder<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerBuilder")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl<E: Endpoint> ServerBuilder<E> {
    /// Sets the options.
    #[must_use]
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// Keeps the sessions in a Redis server instead of this process's memory, so that they outlive it, and that a client may
    /// come back to any process that has the same endpoint and Redis.
    #[cfg(feature = "redis")]
    #[must_use]
    pub fn store(mut self, redis: Redis) -> Self {
        self.redis = Some(redis);
        self
    }

    /// Checks each handshake, of clients with and without a session: returns who the client is, which is then the
    /// [`identity`](Handle::identity) of its [`Peer`], or [`Refused::Unauthenticated`] (401) or [`Refused::Forbidden`] (403).
    /// A session belongs to the identity that began it. A check that takes longer than
    /// [`authentication_timeout`](Options::authentication_timeout) refuses, with 503.
    ///
    /// ```
    /// # #[cfg(feature = "json")] {
    /// # use steady_socket_server::{Identity, Json, Refused, Server, endpoint};
    /// # endpoint! { pub Chat at "/chat" { client: String, server: String, "chat.json" => Json } }
    /// # async fn user_of(ticket: Option<String>) -> Option<String> { ticket }
    /// let server = Server::<Chat>::builder()
    ///     .check_handshake(|handshake| {
    ///         // A browser's page can set no header, but the URL's query; and it sends the cookies.
    ///         let ticket = handshake.query("ticket");
    ///         async move { user_of(ticket).await.map(Identity).ok_or(Refused::Unauthenticated) }
    ///     })
    ///     .build(async |mut peer| while peer.next().await.is_some() {});
    /// # }
    /// ```
    #[must_use]
    pub fn check_handshake<F>(
        mut self,
        check: impl Fn(&Handshake<'_>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<Identity, Refused>> + Send + 'static,
    {
        self.check_handshake = Some(Box::new(move |handshake| Box::pin(check(handshake))));
        self
    }

    /// Checks the credential of each client that asks for a session, on every connection, and each fresh one that it sends:
    /// returns who the client is, or [`Denied`], which ends it with the code 3972. A session belongs to the identity that
    /// began it, so another one is refused even if it knows the session's secret. It takes the place of the identity of the
    /// handshake. A check that takes longer than [`authentication_timeout`](Options::authentication_timeout) denies.
    ///
    /// Clients without a session have no credential; [`check_handshake`](Self::check_handshake) is for them.
    #[must_use]
    pub fn authenticate<F>(
        mut self,
        check: impl Fn(Option<Credential>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<Identity, Denied>> + Send + 'static,
    {
        self.authenticate = Some(Box::new(move |credential| Box::pin(check(credential))));
        self
    }

    /// Answers the requests of clients that have a session. The handler runs beside the client's other one, once for each
    /// request, and is dropped if the client cancels it.
    #[must_use]
    pub fn on_request<R, F>(
        mut self,
        handler: impl Fn(Handle<E>, R) -> F + Send + Sync + 'static,
    ) -> Self
    where
        R: Request,
        E: Decodes<R> + Encodes<R::Response> + Encodes<R::Error>,
        F: Future<Output = Result<R::Response, R::Error>> + Send + 'static,
    {
        self.on_request = Some(Box::new(move |handle, message| {
            let name = handle.subprotocol();
            let Ok(request) = <E as Decodes<R>>::decode(name, message) else {
                return Box::pin(std::future::ready(Answer::Refused(Refusal::NoHandler)));
            };
            let answer = handler(handle, request);
            Box::pin(async move {
                let encoded = match answer.await {
                    Ok(response) => <E as Encodes<R::Response>>::encode(name, &response)
                        .map(|message| Answer::Response(message.into())),
                    Err(error) => <E as Encodes<R::Error>>::encode(name, &error)
                        .map(|message| Answer::Error(message.into())),
                };
                encoded.unwrap_or(Answer::Refused(Refusal::Failed))
            })
        }));
        self
    }

    /// Makes the server. `handler` runs once for each session, and for each connection without one.
    ///
    /// # Errors
    /// The first option that is out of range.
    pub fn build<F>(
        self,
        handler: impl Fn(Peer<E>) -> F + Send + Sync + 'static,
    ) -> Result<Server<E>, InvalidOptions>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.options.validate()?;
        Ok(self.unchecked(handler))
    }

    fn unchecked<F>(self, handler: impl Fn(Peer<E>) -> F + Send + Sync + 'static) -> Server<E>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let options = Arc::new(self.options);
        let sessions = Sessions::new(&options, |now, half| {
            #[cfg(feature = "redis")]
            if let Some(redis) = self.redis {
                let patience = Duration::from_millis(half.store_timeout_ms);
                let redis = redis.share(options.memory(), options.logs(), patience);
                let logs = Logs::in_redis(redis.clone(), options.logs());
                return (Store::Redis(redis), logs);
            }
            let _ = half;
            let logs = Logs::in_memory(options.logs());
            (Store::memory(now, &options), logs)
        });
        let origins = Origins {
            allowed: options.allow_origins.clone(),
            required: options.require_origin,
            secure: options.secure,
        };
        Server {
            core: Arc::new(Core {
                origins,
                handler: Box::new(move |peer| Box::pin(handler(peer))),
                on_request: self.on_request,
                check_handshake: self.check_handshake,
                authenticate: self.authenticate,
                places: Arc::default(),
                stopper: Stopper::new(),
                sessions: Arc::new(sessions),
                options,
            }),
        }
    }
}

impl<E: Endpoint> Server<E> {
    /// A server with the default options. `handler` runs once for each session, and for each connection without one.
    #[must_use]
    pub fn new<F>(handler: impl Fn(Peer<E>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self::builder().unchecked(handler)
    }

    /// A server with options, requests or a check of credentials.
    #[must_use]
    pub fn builder() -> ServerBuilder<E> {
        ServerBuilder {
            options: Options::default(),
            on_request: None,
            check_handshake: None,
            authenticate: None,
            #[cfg(feature = "redis")]
            redis: None,
        }
    }

    /// How many connections are open.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.core.places.lock().open
    }

    /// How many sessions there are, connected or not.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.core.sessions.count()
    }

    /// The shared log of this name. It begins with its first entry, or the first session that joins it.
    #[must_use]
    pub fn log(&self, name: &str) -> Log<E> {
        Log::new(name.into(), Arc::clone(&self.core.sessions.logs))
    }

    /// The longest frame that the framework has to take, in bytes.
    #[must_use]
    pub fn longest_frame(&self) -> usize {
        self.core.options.longest_frame()
    }

    /// Admits a client, and takes a place for its connection; or says why not, which is logged.
    ///
    /// # Errors
    /// Why the handshake is to be refused.
    pub async fn admit(&self, handshake: &Handshake<'_>) -> Result<Admission<E>, Refused> {
        let admitted = self.check(handshake).await;
        if let Err(refused) = &admitted {
            observe::refused(refused, handshake.headers, handshake.address);
        }
        admitted
    }

    async fn check(&self, handshake: &Handshake<'_>) -> Result<Admission<E>, Refused> {
        let core = &self.core;
        let origin = core.origins.check(handshake.headers);
        origin.map_err(Refused::Origin)?;
        if core.stopper.is_stopping() {
            return Err(Refused::Stopping);
        }
        let choice = choose::<E>(handshake.headers, core.options.sessions)?;
        let address = handshake.address.map(network);
        let place = Places::take(&core.places, &core.options, address)?;
        let identity = match &core.check_handshake {
            None => handshake.identity.clone(),
            Some(check) => {
                let checking = async { check(handshake).await };
                let checking = timeout(core.options.authentication_timeout, checking);
                let checked = AssertUnwindSafe(checking).catch_unwind().await;
                let checked = checked.unwrap_or_else(|_| {
                    observe::panicked();
                    Ok(Err(Refused::Unchecked))
                });
                Some(checked.unwrap_or(Err(Refused::Unchecked))?)
            }
        };
        Ok(Admission {
            core: Arc::clone(core),
            choice,
            identity,
            address,
            place,
        })
    }

    /// Stops: takes no more clients, tells those that are there when to come back, closes their connections with 1012, and
    /// returns when all have gone, or after `wait`. Sessions stay in this process's memory, so a client that comes back to
    /// another process is told what became of its messages there.
    ///
    /// The window should be long enough for the crowd: clients divided by the handshakes a second that the server or its
    /// successor takes.
    pub async fn shutdown(&self, window: Window, wait: Duration) {
        let core = &self.core;
        core.stopper.announce(window);
        let gone = core.places.all_gone();
        let stopping = async {
            tokio::time::sleep(ANNOUNCED).await;
            core.stopper.close(window);
            gone.await;
        };
        let _ = timeout(wait, stopping).await;
    }
}

/// A client that is let in: serve its WebSocket with it.
#[must_use = "the client is not served"]
pub struct Admission<E: Endpoint> {
    core: Arc<Core<E>>,
    choice: Choice<E::ClientMessage, E::ServerMessage>,
    identity: Option<Identity>,
    /// The client's network.
    address: Option<IpAddr>,
    place: Place,
}

impl<E: Endpoint> fmt::Debug for Admission<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admission")
            .field("subprotocol", &self.choice.answer)
            .finish_non_exhaustive()
    }
}

impl<E: Endpoint> Admission<E> {
    /// The value of `Sec-WebSocket-Protocol` in the answer; without one, the answer has no such header.
    #[must_use]
    pub fn subprotocol(&self) -> Option<&str> {
        self.choice.answer.as_deref()
    }

    /// The longest frame that the framework has to take, in bytes.
    #[must_use]
    pub fn longest_frame(&self) -> usize {
        self.core.options.longest_frame()
    }

    /// Serves the client's WebSocket until its end. Dropping the future drops the connection; a session waits for the next
    /// one then.
    pub fn serve<S: Socket>(self, socket: S) -> impl Future<Output = ()> + Send + use<E, S> {
        self.converse(socket, None)
    }

    /// Likewise, but closes the connection with a code and a reason when `leave` resolves. A session waits for the next
    /// connection then, if the code lets the client come back.
    pub fn serve_until<S, F>(
        self,
        socket: S,
        leave: F,
    ) -> impl Future<Output = ()> + Send + use<E, S, F>
    where
        S: Socket,
        F: Future<Output = (u16, String)> + Send + 'static,
    {
        self.converse(socket, Some(Box::pin(leave)))
    }

    fn converse<S: Socket>(
        self,
        socket: S,
        leave: Option<Leave>,
    ) -> impl Future<Output = ()> + Send + use<E, S> {
        match self.has_session() {
            true => Either::Left(Box::pin(self.serve_session(socket, leave))),
            false => Either::Right(self.serve_plain(socket, leave)),
        }
    }

    /// Whether the client gets a session: then [`serve_session`](Self::serve_session) serves it, and otherwise
    /// [`serve_plain`](Self::serve_plain). A future that can be either has room for the larger one.
    pub(crate) fn has_session(&self) -> bool {
        self.choice.spoken == Spoken::Session
    }

    // These two are not async, so that nothing is in the future twice: it is most of what a connection costs in memory.

    pub(crate) fn serve_session<S: Socket>(
        self,
        socket: S,
        leave: Option<Leave>,
    ) -> impl Future<Output = ()> + Send + use<E, S> {
        let place = self.place;
        let stopping = self.core.stopper.listen().or(leave);
        observe::connected(true);
        let options = Arc::clone(&self.core.options);
        let allowance = place.allowance.clone();
        let wire = Wire::new(socket, options, true, allowance, place.crowd());
        let sessions = Arc::clone(&self.core.sessions);
        let subprotocol = self.choice.subprotocol;
        let host = Guests {
            core: self.core,
            subprotocol,
            identity: self.identity,
        };
        let style = style(subprotocol.kind, subprotocol.codec);
        let name = subprotocol.name;
        let served = session::serve(wire, host, sessions, name, style, self.address, stopping);
        in_one_turn(served).map(move |end| {
            drop(place);
            observe::disconnected(&end);
        })
    }

    pub(crate) fn serve_plain<S: Socket>(
        self,
        socket: S,
        leave: Option<Leave>,
    ) -> impl Future<Output = ()> + Send + use<E, S> {
        let (core, place) = (self.core, self.place);
        let stopping = core.stopper.listen().or(leave);
        observe::connected(false);
        let options = Arc::clone(&core.options);
        let controls = self.choice.spoken == Spoken::Controls;
        let plain = Arc::new(Plain::new(&options, controls));
        let allowance = place.allowance.clone();
        let wire = Wire::new(socket, options, controls, allowance, place.crowd());
        let link = Link::Plain(Arc::clone(&plain));
        let id = core.sessions.next_id();
        let identity = self.identity.map(Arc::new);
        let handle = Handle::new(id, link, self.choice.subprotocol, identity);
        let logs = Arc::clone(&core.sessions.logs);
        let handler = (core.handler)(Peer::new(handle, core.options.close_timeout, logs));
        // Both in this task; the handler may go on when its client has gone.
        in_one_turn(join(guarded(handler), plain.serve(wire, stopping))).map(move |((), end)| {
            drop(place);
            observe::disconnected(&end);
        })
    }
}

/// How a codec's frames are written.
fn style(kind: MessageKind, codec: &str) -> Style {
    match kind {
        MessageKind::Binary => Style::BINARY,
        MessageKind::Text if codec == "json" => Style::JSON,
        MessageKind::Text => Style::TEXT,
    }
}

/// Runs a handler. If it panics, its client is disconnected, and nobody else.
async fn guarded(task: impl Future<Output = ()>) {
    if AssertUnwindSafe(task).catch_unwind().await.is_err() {
        observe::panicked();
    }
}

/// What a connection with a session needs of its endpoint.
struct Guests<E: Endpoint> {
    core: Arc<Core<E>>,
    subprotocol: &'static Subprotocol<E::ClientMessage, E::ServerMessage>,
    identity: Option<Identity>,
}

impl<E: Endpoint> Clone for Guests<E> {
    fn clone(&self) -> Self {
        Self {
            core: Arc::clone(&self.core),
            subprotocol: self.subprotocol,
            identity: self.identity.clone(),
        }
    }
}

impl<E: Endpoint> session::Host for Guests<E> {
    async fn check(&self, credential: Option<Credential>) -> Result<Identity, Denied> {
        let Some(authenticate) = &self.core.authenticate else {
            let nobody = || Identity(String::new());
            return Ok(self.identity.clone().unwrap_or_else(nobody));
        };
        let checking = authenticate(credential);
        let checked = AssertUnwindSafe(timeout(self.core.options.authentication_timeout, checking));
        match checked.catch_unwind().await {
            Ok(Ok(Ok(identity))) => Ok(identity),
            Ok(Ok(Err(Denied)) | Err(_)) => {
                observe::denied();
                Err(Denied)
            }
            Err(_) => {
                observe::panicked();
                Err(Denied)
            }
        }
    }

    fn run(&self, session: Arc<Session>) {
        let guests = self.clone();
        tokio::spawn(in_one_turn(async move {
            session
                .run(|job| guests.clone().carry_out(Arc::clone(&session), job))
                .await;
        }));
    }
}

impl<E: Endpoint> Guests<E> {
    /// Does what a session asks of the program. Each job has a future of its own, since that of the handler stays as long
    /// as the session.
    fn carry_out(self, session: Arc<Session>, job: Job) -> Task {
        match job {
            Job::Begin(life) => {
                let logs = Arc::clone(&self.core.sessions.logs);
                let handle = self.handle(&session, life);
                let peer = Peer::new(handle, self.core.options.close_timeout, logs);
                Box::pin(guarded((self.core.handler)(peer)))
            }
            Job::Answer {
                life,
                token,
                body,
                withdrawn,
            } => {
                let Some(on_request) = &self.core.on_request else {
                    session.answer(token, Answer::Refused(Refusal::NoHandler));
                    return Box::pin(std::future::ready(()));
                };
                let handle = self.handle(&session, life);
                let answering = AssertUnwindSafe(on_request(handle, body.into_message()));
                Box::pin(async move {
                    let answer = tokio::select! {
                        answer = answering.catch_unwind() => answer.unwrap_or_else(|_| {
                            observe::panicked();
                            Answer::Refused(Refusal::Failed)
                        }),
                        _ = withdrawn => Answer::Refused(Refusal::Cancelled),
                    };
                    session.answer(token, answer);
                })
            }
            Job::Check(credential) => Box::pin(async move {
                let checked = session::Host::check(&self, Some(credential)).await;
                if checked.ok() != session.identity() {
                    session.refuse();
                }
            }),
        }
    }

    fn handle(&self, session: &Arc<Session>, life: Life) -> Handle<E> {
        let link = Link::Session(Arc::clone(session), life);
        // Without a name, everybody is the same.
        let identity = session.identity().filter(|identity| !identity.0.is_empty());
        Handle::new(life.0, link, self.subprotocol, identity.map(Arc::new))
    }
}

/// The connections that are open.
#[derive(Debug, Default)]
struct Places {
    taken: Mutex<Taken>,
    /// [`Taken::open`], for those who need no lock.
    crowd: Crowd,
    freed: Notify,
}

#[derive(Debug, Default)]
struct Taken {
    open: usize,
    /// Only if there is a limit.
    by_address: HashMap<IpAddr, AtAddress>,
    /// How many addresses there may be before those that are as good as new are forgotten.
    sweep_at: usize,
}

/// What there is of one address.
#[derive(Debug, Default)]
struct AtAddress {
    open: usize,
    allowance: Option<Arc<Allowance>>,
}

impl AtAddress {
    /// Whether forgetting it changes nothing. Who disconnects does not get a new allowance by that.
    fn is_new(&self, now: Instant) -> bool {
        self.open == 0 && self.allowance.as_ref().is_none_or(|it| it.is_full(now))
    }
}

/// The addresses that one client is likely to have.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 => v4,
    }
}

/// A connection's place, freed on drop.
#[derive(Debug)]
struct Place {
    places: Arc<Places>,
    address: Option<IpAddr>,
    allowance: Option<Arc<Allowance>>,
}

impl Taken {
    fn sweep(&mut self) {
        if self.by_address.len() >= self.sweep_at {
            let now = Instant::now();
            self.by_address.retain(|_, at| !at.is_new(now));
            self.sweep_at = (self.by_address.len() * 2).max(64);
        }
    }
}

impl Place {
    fn crowd(&self) -> Crowd {
        Arc::clone(&self.places.crowd)
    }
}

impl Places {
    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(
        this: &Arc<Self>,
        options: &Options,
        address: Option<IpAddr>,
    ) -> Result<Place, Refused> {
        let mut taken = this.lock();
        if taken.open >= options.max_connections {
            return Err(Refused::Full);
        }
        let most = options.max_connections_per_address;
        let is_limited = most.is_some() || options.rate_per_address.is_some();
        let address = address.filter(|_| is_limited);
        let mut allowance = None;
        if let Some(address) = address {
            taken.sweep();
            let at = taken
                .by_address
                .entry(address)
                .or_insert_with(|| AtAddress {
                    open: 0,
                    allowance: Allowance::of_address(options),
                });
            if most.is_some_and(|most| at.open >= most) {
                return Err(Refused::FullForAddress);
            }
            at.open += 1;
            allowance = at.allowance.clone();
        }
        taken.open += 1;
        this.crowd.store(taken.open, Ordering::Relaxed);
        Ok(Place {
            places: Arc::clone(this),
            address,
            allowance,
        })
    }

    /// Resolves when no connection is open.
    async fn all_gone(&self) {
        loop {
            let mut freed = pin!(self.freed.notified());
            freed.as_mut().enable();
            if self.lock().open == 0 {
                return;
            }
            freed.await;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        taken.open -= 1;
        self.places.crowd.store(taken.open, Ordering::Relaxed);
        if let Some(address) = self.address
            && let Some(at) = taken.by_address.get_mut(&address)
        {
            at.open -= 1;
            if at.is_new(Instant::now()) {
                taken.by_address.remove(&address);
            }
        }
        drop(taken);
        self.places.freed.notify_waiters();
    }
}
