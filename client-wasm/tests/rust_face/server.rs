//! The real server, and what a test may do to its own connections.

use core::future::Future;
use core::time::Duration;

use futures_util::future::{Either, select};
use gloo_net::http::Request;
use gloo_timers::future::TimeoutFuture;

/// Where the server is, as a WebSocket URL without a path.
pub(crate) const SERVER: &str = match option_env!("STEADY_SOCKET_TEST_SERVER") {
    Some(server) => server,
    None => "ws://127.0.0.1:8765",
};

/// Fails the test at once, saying how to start the server, if it does not run.
pub(crate) async fn server() -> &'static str {
    // The control, since its answer may be read from another origin.
    let answer = Request::post(&http("/control/cut?id=nobody")).send().await;
    let Ok(answer) = answer else {
        panic!(
            "no server lets these tests in at {SERVER}: start it with `cargo run -p test-server`"
        );
    };
    assert!(
        answer.ok(),
        "the server at {SERVER} has no control (status {}): start it with `cargo run -p test-server`",
        answer.status()
    );
    SERVER
}

fn http(path: &str) -> String {
    format!("{}{path}", SERVER.replacen("ws", "http", 1))
}

/// A name for a test's own connections.
pub(crate) fn new_id() -> String {
    format!("test-{}", (js_sys::Math::random() * 1e15) as u64)
}

/// Ends the connections of this name: without a close frame, or with a code.
pub(crate) async fn cut(id: &str, code: Option<u16>) {
    let code = code.map_or(String::new(), |code| format!("&code={code}&reason=test"));
    let url = http(&format!("/control/cut?id={id}{code}"));
    let answer = Request::post(&url)
        .send()
        .await
        .expect("the control answers");
    assert!(
        answer.ok(),
        "the control answered with status {}",
        answer.status()
    );
    let answer = answer.text().await.expect("an answer");
    assert_eq!(answer, "{\"connections\":1}", "one connection of that name");
}

/// What `future` yields, unless it takes so long that something hangs.
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
