//! The real server, and what a test may do to its own connections.

use core::future::Future;
use core::time::Duration;

use futures_util::future::{Either, select};
use gloo_net::http::{Request, RequestBuilder};
use gloo_timers::future::TimeoutFuture;

/// A server with the control: its WebSocket URL without a path.
#[derive(Clone, Copy)]
pub(crate) struct Server(&'static str);

pub(crate) const WS: Server = Server(match option_env!("STEADY_SOCKET_TEST_SERVER") {
    Some(address) => address,
    None => "ws://127.0.0.1:8765",
});

/// Another one, with TLS. The tests' browser accepts any certificate.
#[cfg(feature = "wss-tests")]
pub(crate) const WSS: Server = Server(match option_env!("STEADY_SOCKET_TEST_SERVER_TLS") {
    Some(address) => address,
    None => "wss://127.0.0.1:8767",
});

impl Server {
    /// The WebSocket URL without a path. Fails the test at once, saying how to start the server, if it is not
    /// running.
    pub(crate) async fn address(self) -> &'static str {
        // The control, since its response may be read from another origin.
        let answer = self.control("cut?id=nobody").send().await;
        let (address, start) = (self.0, self.command());
        let Ok(answer) = answer else {
            panic!("no server lets these tests in at {address}: start it with `{start}`");
        };
        assert!(
            answer.ok(),
            "the server at {address} has no control (status {}): start it with `{start}`",
            answer.status()
        );
        address
    }

    /// What a test configures: a page needs no more for either server.
    pub(crate) fn on_platform<Out, In, C>(
        self,
        builder: steady_socket::Builder<Out, In, C>,
    ) -> steady_socket::Builder<Out, In, C> {
        builder
    }

    /// Ends the only connection of this name: without a close frame, or with a code.
    pub(crate) async fn cut(self, id: &str, code: Option<u16>) {
        let connections = self.cut_all(id, code).await;
        assert_eq!(connections, 1, "connections of that name");
    }

    /// Ends the connections of this name, and returns their number.
    pub(crate) async fn cut_all(self, id: &str, code: Option<u16>) -> u32 {
        let code = code.map_or(String::new(), |code| format!("&code={code}&reason=test"));
        let answer = self.control(&format!("cut?id={id}{code}")).send().await;
        let answer = answer.expect("the control answers");
        assert!(
            answer.ok(),
            "the control answered with status {}",
            answer.status()
        );
        let text = answer.text().await.expect("an answer");
        text.strip_prefix("{\"connections\":")
            .and_then(|rest| rest.strip_suffix('}')?.parse().ok())
            .unwrap_or_else(|| panic!("the control answered {text}"))
    }

    fn control(self, query: &str) -> RequestBuilder {
        Request::post(&format!(
            "{}/control/{query}",
            self.0.replacen("ws", "http", 1)
        ))
    }

    fn command(self) -> &'static str {
        match self.0.starts_with("wss:") {
            true => "cargo run -p test-server --features tls -- --tls --port 8767",
            false => "cargo run -p test-server",
        }
    }
}

/// A name for a test's own connections.
pub(crate) fn new_id() -> String {
    format!("test-{}", (js_sys::Math::random() * 1e15) as u64)
}

/// The output of `future`, unless it takes so long that something must hang.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let ceiling = Duration::from_secs(30);
    match select(
        Box::pin(future),
        TimeoutFuture::new(ceiling.as_millis() as u32),
    )
    .await
    {
        Either::Left((value, _)) => value,
        Either::Right(_) => panic!("nothing for {} s: {what}", ceiling.as_secs()),
    }
}

pub(crate) async fn sleep(time: Duration) {
    TimeoutFuture::new(time.as_millis() as u32).await;
}
