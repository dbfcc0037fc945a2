//! What only a native program can do with a socket.

use core::cell::Cell;
use core::convert::Infallible;
use core::time::Duration;
use std::rc::Rc;

use steady_socket::native::{self, Native, refused_with, run};
use steady_socket::protocol::PlainText;
use steady_socket::{
    Attempt, Builder, Cause, Closed, ConnectError, Event, Events, Json, Options, Phase, Request,
    SendError, Session, SessionEvent, Socket, Source, Verdict,
};

use super::server::{self, WS, new_id, soon};

type Text = Socket<String, String, PlainText>;

/// What the server's echo answers with itself.
#[derive(serde::Serialize, serde::Deserialize)]
struct Echo(u32);

impl Request for Echo {
    type Response = u32;
    type Error = ();
}

#[test]
fn where_no_sockets_run_there_is_none() {
    let url = "ws://127.0.0.1:9/";
    assert_eq!(Text::connect(url).unwrap_err(), ConnectError::NoRuntime);
    let builder = Text::builder(url).platform(Rc::new(Native::new()));
    let error = builder.connect().unwrap_err();
    assert_eq!(error, ConnectError::NoRuntime);
    assert!(error.to_string().contains("native::run"), "{error}");
    // A runtime alone is none either.
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        assert_eq!(Text::connect(url).unwrap_err(), ConnectError::NoRuntime);
        native::scope(async { drop(Text::connect(url).unwrap()) }).await;
    });
}

#[test]
fn a_socket_that_outlives_its_place_does_nothing_more_and_no_harm() {
    let url = format!("ws://{}/", WS.socket_address());
    let mut socket = run(async {
        let mut socket = Text::connect(url).unwrap();
        socket.send("Ada").await.unwrap();
        assert_eq!(
            soon("a greeting", socket.recv()).await,
            Some(Ok("Hello Ada!".to_owned()))
        );
        socket
    })
    .unwrap();
    let handle = socket.handle();
    let _ = handle.try_send("late");
    let _ = handle.reconnect();
    let _ = socket.close(None, "");
    drop(socket);
    assert_eq!(handle.phase(), Phase::Closed);
}

// [R14]
#[test]
fn the_predicate_sees_with_which_status_a_server_has_refused() {
    let address = server::start(test_server::Config {
        require_origin: true,
        ..server::config()
    });
    let url = format!("ws://{address}/");
    run(async {
        let socket = Text::builder(&url)
            .should_reconnect(|loss| (refused_with(loss) == Some(403)).then_some(Verdict::Stop))
            .connect()
            .unwrap();
        let mut events = socket.events();
        let closed = soon("the end", async {
            loop {
                if let Some(Event::Closed(closed)) = events.recv().await {
                    return closed;
                }
            }
        })
        .await;
        assert_eq!(closed.loss.cause, Cause::Socket);
        assert_eq!(refused_with(&closed.loss), Some(403));
        assert_eq!(closed.next_attempt_in(), None);

        // With what it requires, it lets in.
        let native = Native::new().header("Origin", &format!("http://{address}"));
        let mut socket = Text::builder(&url)
            .platform(Rc::new(native.unwrap()))
            .connect()
            .unwrap();
        socket.send("Ada").await.unwrap();
        assert_eq!(
            soon("a greeting", socket.recv()).await,
            Some(Ok("Hello Ada!".to_owned()))
        );
    })
    .unwrap();
}

#[test]
fn through_fifty_cuts_nothing_is_lost_and_every_end_is_known() {
    const CUTS: u32 = 50;
    const A_CUT: u32 = 20;
    run(async {
        let id = new_id();
        let url = format!("{}/session/echo?id={id}", WS.address().await);
        let soon_again = Duration::from_millis(20);
        let mut socket = Socket::<u32, u32, Json>::builder(url)
            .protocols(["echo.json"])
            .options(
                Options::default()
                    .first_delay_max(soon_again)
                    .min_delay(soon_again)
                    .base_delay(soon_again)
                    .max_delay(soon_again)
                    .attempt_interval(Duration::ZERO),
            )
            .session(Session::required())
            .connect()
            .unwrap();
        let (handle, mut events) = (socket.handle(), socket.events());
        let reads = async {
            for number in 0..CUTS * A_CUT {
                assert_eq!(socket.recv().await, Some(Ok(number)));
            }
        };
        let sends = async {
            let mut ends = Vec::new();
            let mut cut = 0;
            // Before its first welcome, a server that is cut knows nothing of the session.
            while handle.phase() != Phase::Open {
                server::sleep(Duration::from_millis(2)).await;
            }
            for number in 0..CUTS * A_CUT {
                ends.push(handle.deliver(number).unwrap());
                if number % A_CUT == 0 {
                    let answer = handle.request(Echo(number));
                    while WS.cut_all(&id, None).await == 0 {
                        server::sleep(Duration::from_millis(2)).await;
                    }
                    cut += 1;
                    assert_eq!(answer.await, Ok(number));
                }
            }
            for end in ends {
                assert_eq!(end.await, Ok(()));
            }
            cut
        };
        let both = futures_util::future::join(reads, sends);
        let ((), cuts) = soon("everything", both).await;
        assert_eq!(cuts, CUTS);
        let mut resumed = 0;
        while let Some(Some(event)) = futures_util::FutureExt::now_or_never(events.recv()) {
            let Event::Session(event) = event else {
                continue;
            };
            match *event {
                SessionEvent::Resumed { .. } => resumed += 1,
                SessionEvent::Lost(_) | SessionEvent::Ended(_) => panic!("{event}"),
                _ => {}
            }
        }
        assert!(
            resumed >= CUTS / 2,
            "{resumed}: cuts before the welcome aside"
        );
    })
    .unwrap();
}

/// Waits for the end of a socket's connection.
async fn ended(events: &mut Events) -> Closed {
    soon("the end", async {
        loop {
            if let Some(Event::Closed(closed)) = events.recv().await {
                return closed;
            }
        }
    })
    .await
}

// [R31]
#[test]
fn a_handler_that_panics_closes_its_socket_for_good_and_no_other() {
    let url = format!("ws://{}/", WS.socket_address());
    type Breaks = fn(Builder<String, String, PlainText>) -> Builder<String, String, PlainText>;
    let breaks: [(&str, Breaks); 4] = [
        ("on_message", |builder| {
            builder.on_message(|_, _| panic!("planned by a test"))
        }),
        ("on_event", |builder| {
            builder.on_event(|event| {
                assert!(!matches!(event, Event::Open { .. }), "planned by a test");
            })
        }),
        ("on_open", |builder| {
            builder.on_open(|_| panic!("planned by a test"))
        }),
        ("heartbeat", |builder| {
            builder.heartbeat("Eve".into(), |_| panic!("planned by a test"))
        }),
    ];
    run(async {
        let mut other = Text::connect(&url).unwrap();
        for (which, breaks) in breaks {
            let mut socket = breaks(Text::builder(&url)).connect().unwrap();
            let (mut events, handle) = (socket.events(), socket.handle());
            let _ = socket.try_send("Ada");
            let closed = ended(&mut events).await;
            assert_eq!(closed.loss.close.code, native::PANICKED, "{which}");
            assert_eq!(closed.next_attempt_in(), None, "{which}");
            assert_eq!(soon("the end of the stream", socket.recv()).await, None);
            assert_eq!(handle.phase(), Phase::Closed);
            assert_eq!(handle.try_send("late"), Err(SendError::Closed));

            other.send("Ada").await.unwrap();
            let greeting = soon("a greeting", other.recv()).await;
            assert_eq!(greeting, Some(Ok("Hello Ada!".to_owned())), "{which}");
        }
    })
    .unwrap();
}

// [R31]
#[test]
fn a_function_that_panics_before_an_attempt_fails_it() {
    let fine = format!("ws://{}/", WS.socket_address());
    let good = fine.clone();
    run(async {
        let url = Source::provider(
            async move |attempt: Attempt| -> Result<String, Infallible> {
                assert!(attempt.number > 1, "planned by a test");
                Ok(good.clone())
            },
        );
        let asked = Rc::new(Cell::new(0));
        let header = Native::new().header_from("X-Own", move || {
            assert!(asked.replace(asked.get() + 1) > 0, "planned by a test");
            "fine".to_owned()
        });
        let soon_again = Options::default().first_delay_max(Duration::from_millis(20));
        for builder in [
            Text::builder(url),
            Text::builder(&fine).platform(Rc::new(header.unwrap())),
        ] {
            let mut socket = builder.options(soon_again).connect().unwrap();
            let closed = ended(&mut socket.events()).await;
            let error = closed.loss.error.unwrap();
            assert!(error.contains("panicked"), "{error}");
            // The next attempt asks again.
            socket.send("Ada").await.unwrap();
            let greeting = soon("a greeting", socket.recv()).await;
            assert_eq!(greeting, Some(Ok("Hello Ada!".to_owned())));
        }
    })
    .unwrap();
}

// [R31]
#[test]
fn a_predicate_that_panics_closes_its_socket() {
    run(async {
        // Nobody listens at this port.
        let socket = Text::builder("ws://127.0.0.1:9/")
            .should_reconnect(|_| panic!("planned by a test"))
            .connect()
            .unwrap();
        let closed = ended(&mut socket.events()).await;
        assert_eq!(closed.next_attempt_in(), None);
        assert_eq!(socket.handle().phase(), Phase::Closed);
    })
    .unwrap();
}

// [R31]
#[test]
fn a_handler_that_panics_ends_its_session() {
    run(async {
        let url = format!("{}/session/echo?id={}", WS.address().await, new_id());
        let socket = Text::builder(url)
            .session(Session::required())
            .on_message(|_, _| panic!("planned by a test"))
            .connect()
            .unwrap();
        let (mut events, handle) = (socket.events(), socket.handle());
        handle.try_send("Ada").unwrap();
        soon("the end of the session", async {
            loop {
                if let Some(Event::Session(event)) = events.recv().await
                    && let SessionEvent::Ended(_) = *event
                {
                    return;
                }
            }
        })
        .await;
        assert_eq!(handle.try_send("late"), Err(SendError::Closed));
        assert_eq!(ended(&mut events).await.next_attempt_in(), None);
    })
    .unwrap();
}
