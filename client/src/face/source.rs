//! Sources of the URL and the sub-protocols: a value, a function, or an async function.

use core::fmt;
use core::future::poll_fn;
use core::task::Poll;
use std::rc::Rc;

use steady_socket_protocol::is_token;

use super::running::{Running, on_panic};
use crate::application::{Answer, Attempt, Resolution};
use crate::options::Options;
use crate::platform::{FacePlatform, LocalFuture, Refused, Runtime, Target};

/// A fixed value, or one that is obtained afresh for every attempt: by an async function, or anything that
/// implements `AsyncFn(Attempt) -> Result<T, E>`.
///
/// Everything that takes a `Source` takes the value or the function itself:
///
/// ```
/// use std::convert::Infallible;
/// use steady_socket::{Attempt, PlainText, Socket, Source};
///
/// async fn chat(attempt: Attempt) -> Result<String, Infallible> {
///     Ok(format!("/chat?attempt={}", attempt.number))
/// }
///
/// let fixed = Socket::<String, String, PlainText>::builder("/chat");
/// let fresh = Socket::<String, String, PlainText>::builder(chat);
/// // With a closure, `provider` spares the types of its arguments.
/// let closure: Source<String> = Source::provider(async move |attempt| chat(attempt).await);
/// # drop((fixed, fresh, closure));
/// ```
pub struct Source<T>(Kind<T>);

/// A function that is called before every attempt.
type Provide<T> = dyn Fn(Attempt) -> LocalFuture<Result<T, Refused>>;

struct Provider<T> {
    provide: Box<Provide<T>>,
    /// How an attempt waits for the value. Providers set it when they are created, so that a program without any is
    /// built without it.
    search: Search,
}

enum Kind<T> {
    Value(T),
    Provider(Provider<T>),
}

impl<T: Clone + 'static> Source<T> {
    /// Calls `provide` before every attempt. If it fails, or does not finish within the option `provider_timeout`,
    /// the attempt has failed, and the next one calls it again. The text of its error is in
    /// [`Loss::error`](crate::Loss::error). Its future is dropped when the result is no longer needed.
    pub fn provider<F, E>(provide: F) -> Self
    where
        F: AsyncFn(Attempt) -> Result<T, E> + 'static,
        E: fmt::Display + 'static,
    {
        let provide = Rc::new(provide);
        Self::boxed(Box::new(move |attempt| {
            let provide = Rc::clone(&provide);
            Box::pin(async move { fallible(provide(attempt)).await })
        }))
    }

    fn boxed(provide: Box<Provide<T>>) -> Self {
        Self(Kind::Provider(Provider { provide, search }))
    }

    /// The value, if it is fixed.
    pub(super) const fn value(&self) -> Option<&T> {
        match &self.0 {
            Kind::Value(value) => Some(value),
            Kind::Provider(_) => None,
        }
    }

    /// Replaces a fixed value.
    pub(super) fn set_value(&mut self, value: T) {
        self.0 = Kind::Value(value);
    }

    /// The same source with `change` applied to its values.
    pub(super) fn map(self, change: impl Fn(T) -> T + Clone + 'static) -> Self {
        match self.0 {
            Kind::Value(value) => Self(Kind::Value(change(value))),
            Kind::Provider(Provider { provide, .. }) => Self::boxed(Box::new(move |attempt| {
                let (value, change) = (provide(attempt), change.clone());
                Box::pin(async move { value.await.map(change) })
            })),
        }
    }

    /// How an attempt waits for a provided value.
    const fn search(&self) -> Option<Search> {
        match &self.0 {
            Kind::Value(_) => None,
            Kind::Provider(provider) => Some(provider.search),
        }
    }

    /// The value for one attempt.
    pub(super) fn give(&self, attempt: &Attempt) -> LocalFuture<Result<T, Refused>> {
        match &self.0 {
            Kind::Value(value) => Box::pin(core::future::ready(Ok(value.clone()))),
            Kind::Provider(provider) => (provider.provide)(attempt.clone()),
        }
    }
}

/// A provided value, or its error as text.
async fn fallible<T, E: fmt::Display>(
    value: impl Future<Output = Result<T, E>>,
) -> Result<T, Refused> {
    value.await.map_err(|error| Refused(error.to_string()))
}

impl<T> fmt::Debug for Source<T> {
    /// Omits the value, which may carry a token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Value(_) => "Source::Value",
            Kind::Provider(_) => "Source::Provider",
        })
    }
}

impl From<&str> for Source<String> {
    fn from(value: &str) -> Self {
        Self(Kind::Value(value.to_owned()))
    }
}

impl From<&String> for Source<String> {
    fn from(value: &String) -> Self {
        Self(Kind::Value(value.clone()))
    }
}

impl From<String> for Source<String> {
    fn from(value: String) -> Self {
        Self(Kind::Value(value))
    }
}

impl From<Vec<String>> for Source<Vec<String>> {
    fn from(value: Vec<String>) -> Self {
        Self(Kind::Value(value))
    }
}

impl<const N: usize> From<[&str; N]> for Source<Vec<String>> {
    fn from(value: [&str; N]) -> Self {
        Self(Kind::Value(value.into_iter().map(str::to_owned).collect()))
    }
}

impl<F, Fut, E> From<F> for Source<String>
where
    F: Fn(Attempt) -> Fut + 'static,
    Fut: Future<Output = Result<String, E>> + 'static,
    E: fmt::Display + 'static,
{
    fn from(provide: F) -> Self {
        Self::boxed(Box::new(move |attempt| {
            Box::pin(fallible(provide(attempt)))
        }))
    }
}

impl<F, Fut, E> From<F> for Source<Vec<String>>
where
    F: Fn(Attempt) -> Fut + 'static,
    Fut: Future<Output = Result<Vec<String>, E>> + 'static,
    E: fmt::Display + 'static,
{
    fn from(provide: F) -> Self {
        Self::boxed(Box::new(move |attempt| {
            Box::pin(fallible(provide(attempt)))
        }))
    }
}

/// Where a connection's attempts find their target.
pub(super) struct Sources {
    pub(super) url: Source<String>,
    pub(super) protocols: Source<Vec<String>>,
    pub(super) options: Options,
    pub(super) platform: Rc<FacePlatform>,
    /// Finds the target of an attempt that is to have a session.
    #[cfg(feature = "session")]
    pub(super) for_session: Option<Box<dyn FindSession>>,
}

/// How a socket with a session finds its target.
#[cfg(feature = "session")]
pub(super) trait FindSession {
    /// See [`Sources::resolve`].
    fn resolve(
        &self,
        sources: &Rc<Sources>,
        attempt: &Attempt,
        answer: Answer<Target>,
    ) -> Resolution<Target>;
}

impl Sources {
    /// The target of an attempt, now or later.
    pub(super) fn resolve(
        self: &Rc<Self>,
        attempt: &Attempt,
        answer: Answer<Target>,
    ) -> Resolution<Target> {
        #[cfg(feature = "session")]
        if let Some(session) = &self.for_session {
            return session.resolve(self, attempt, answer);
        }
        if let Some(search) = self.url.search().or(self.protocols.search()) {
            return search(self, attempt, answer);
        }
        let (url, protocols) = (self.url.value(), self.protocols.value());
        // They were checked when the socket was made.
        Resolution::Ready(Ok(Target {
            url: url.cloned().unwrap_or_default(),
            protocols: protocols.cloned().unwrap_or_default(),
        }))
    }

    pub(super) fn target(&self, url: String, protocols: Vec<String>) -> Result<Target, Refused> {
        check_protocols(&protocols)?;
        // A fixed URL was parsed when the socket was made and does not change.
        let url = Runtime::parse_url(self.platform.as_ref(), &url)?;
        check_secure(self.platform.as_ref(), self.options, &url)?;
        Ok(Target { url, protocols })
    }
}

/// Resolves the URL and the sub-protocols of an attempt, where a provider supplies them.
type Search = fn(&Rc<Sources>, &Attempt, Answer<Target>) -> Resolution<Target>;

/// See [`Search`].
fn search(sources: &Rc<Sources>, attempt: &Attempt, answer: Answer<Target>) -> Resolution<Target> {
    let (url, protocols) = (sources.url.give(attempt), sources.protocols.give(attempt));
    let sought = Rc::clone(sources);
    let target = Box::pin(async move {
        let (url, protocols) = both(url, protocols).await;
        sought.target(url?, protocols?)
    });
    find(sources, target, answer)
}

/// Waits for a target, which can be cancelled.
pub(super) fn find(
    sources: &Sources,
    target: LocalFuture<Result<Target, Refused>>,
    answer: Answer<Target>,
) -> Resolution<Target> {
    let platform = sources.platform.as_ref();
    let panicked = || Err(Refused::because("a function of the program has panicked"));
    let (searching, watched) = Running::watch(target, on_panic(platform, panicked));
    let task = Box::pin(async move {
        if let Some(target) = watched.await {
            answer(target);
        }
    });
    Runtime::spawn(platform, task);
    Resolution::Pending(Box::new(searching))
}

/// Polls two futures concurrently.
pub(super) async fn both<A, B>(mut a: LocalFuture<A>, mut b: LocalFuture<B>) -> (A, B) {
    let (mut first, mut second) = (None, None);
    poll_fn(move |task| {
        if first.is_none()
            && let Poll::Ready(value) = a.as_mut().poll(task)
        {
            first = Some(value);
        }
        if second.is_none()
            && let Poll::Ready(value) = b.as_mut().poll(task)
        {
            second = Some(value);
        }
        match (first.take(), second.take()) {
            (Some(first), Some(second)) => Poll::Ready((first, second)),
            (one, other) => {
                (first, second) = (one, other);
                Poll::Pending
            }
        }
    })
    .await
}

/// Checks sub-protocols per the standard: each is an HTTP token, and none occurs twice.
pub(super) fn check_protocols(protocols: &[String]) -> Result<(), Refused> {
    for (index, protocol) in protocols.iter().enumerate() {
        if !is_token(protocol) {
            return Err(Refused(format!(
                "sub-protocol number {} is not a token; it takes visible ASCII without separators",
                index + 1
            )));
        }
        if protocols
            .iter()
            .take(index)
            .any(|earlier| earlier == protocol)
        {
            return Err(Refused(format!(
                "sub-protocol number {} is there twice",
                index + 1
            )));
        }
    }
    Ok(())
}

/// Whether a parsed URL may be connected to from this page.
pub(super) fn check_secure(
    platform: &FacePlatform,
    options: Options,
    url: &str,
) -> Result<(), Refused> {
    check_mixed_content(
        url,
        Runtime::page_is_secure(platform) && !options.values().allow_insecure,
    )
}

/// Refuses what browsers refuse on a page loaded over https: an insecure connection to a host other than this
/// machine.
fn check_mixed_content(url: &str, page_is_secure: bool) -> Result<(), Refused> {
    match url.strip_prefix("ws://") {
        Some(rest) if page_is_secure && !is_loopback(rest) => Err(Refused::because(
            "this page was loaded over https, and a browser refuses ws: connections from it to another \
             host; use wss:, or set the option allow_insecure",
        )),
        _ => Ok(()),
    }
}

/// The user's permission that a page may need to connect to this parsed URL: `None` for an Internet address. The
/// JavaScript counterpart of this rule is in `convert.js`.
#[cfg(any(feature = "gloo-net", test))]
pub(crate) fn permission_for(url: &str) -> Option<&'static str> {
    let (_, rest) = url.split_once("://")?;
    if is_loopback(rest) {
        return Some("loopback-network");
    }
    let host = host_of(rest);
    let prefixes = ["10.", "192.168.", "169.254."];
    let private = prefixes.iter().any(|prefix| host.starts_with(prefix))
        || (16..32).any(|second| host.starts_with(&format!("172.{second}.")));
    let v4 = private
        && host
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.');
    let v6 = ["[fc", "[fd", "[fe8", "[fe9", "[fea", "[feb"];
    let local = v4 || host.ends_with(".local") || v6.iter().any(|start| host.starts_with(start));
    local.then_some("local-network")
}

/// The host in the part of a parsed URL after the scheme; of an IPv6 address, at least its beginning.
fn host_of(rest: &str) -> &str {
    // By bytes, all of which are ASCII in a parsed URL: a character search compiles to many times the code.
    let until = |text: &str, end: fn(u8) -> bool| text.bytes().position(end).unwrap_or(text.len());
    let authority = rest
        .get(..until(rest, |byte| byte == b'/' || byte == b'?'))
        .unwrap_or_default();
    let host = match authority.bytes().rposition(|byte| byte == b'@') {
        Some(at) => authority.get(at.saturating_add(1)..).unwrap_or_default(),
        None => authority,
    };
    if host.starts_with('[') {
        return host;
    }
    host.get(..until(host, |byte| byte == b':'))
        .unwrap_or_default()
}

/// Whether the part of a parsed URL after the scheme names this machine (Secure Contexts, section 3.1).
fn is_loopback(rest: &str) -> bool {
    let host = host_of(rest);
    host.starts_with("[::1]")
        || host == "localhost"
        || host.ends_with(".localhost")
        || is_loopback_address(host)
}

/// Whether a parsed host name is 127.x.x.x. After parsing, no other name consists of digits and dots.
fn is_loopback_address(name: &str) -> bool {
    name.starts_with("127.")
        && name
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(protocols: &[&str]) -> bool {
        let protocols: Vec<String> = protocols.iter().map(|&name| name.to_owned()).collect();
        check_protocols(&protocols).is_ok()
    }

    #[test]
    fn sub_protocols_are_tokens_and_differ() {
        assert!(check(&[]));
        assert!(check(&["hello.json", "hello.msgpack", "a!#$%&'*+-.^_`|~"]));
        // Names are case-sensitive.
        assert!(check(&["a", "A"]));
        for bad in ["", "a b", "a,b", "é", "a/b", "a\u{7f}", "\t"] {
            assert!(!check(&[bad]), "{bad:?}");
        }
        assert!(!check(&["a", "b", "a"]));
    }

    #[test]
    fn an_address_of_this_machine_or_network_may_need_a_permission() {
        let (loopback, local) = (Some("loopback-network"), Some("local-network"));
        for (url, permission) in [
            ("ws://127.0.0.1:8765/a", loopback),
            ("wss://localhost/", loopback),
            ("http://user@[::1]:1/", loopback),
            ("ws://192.168.1.7/", local),
            ("ws://10.0.0.1:80/?a", local),
            ("ws://172.16.0.1/", local),
            ("ws://172.31.255.1/", local),
            ("ws://169.254.1.1/", local),
            ("ws://printer.local:9100/", local),
            ("ws://[fd00::1]/", local),
            ("ws://[fe80::1]/", local),
            ("ws://172.32.0.1/", None),
            ("ws://10.example.org/", None),
            ("wss://example.org/127.0.0.1", None),
            ("ws://[2001:db8::1]/", None),
        ] {
            assert_eq!(permission_for(url), permission, "{url}");
        }
    }

    // [R30]
    #[test]
    fn a_secure_page_connects_securely_or_to_this_machine() {
        // JavaScript has the same rule, and a test with the same table.
        let table = include_str!("../../tests/mixed-content.txt");
        let rows = table.lines().filter(|line| !line.starts_with('#'));
        let mut refused = 0;
        for (verdict, url) in rows.filter_map(|line| line.split_once(' ')) {
            let error = check_mixed_content(url, true).is_err();
            assert_eq!(verdict == "refused", error, "{url}");
            assert_eq!(check_mixed_content(url, false), Ok(()), "{url}");
            refused += usize::from(error);
        }
        assert_eq!(refused, 8, "of the table");
    }
}
