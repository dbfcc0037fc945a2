//! Handles and sockets for other threads.

use core::time::Duration;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::StreamExt;
use steady_socket::native::{
    RemoteDelivering, RemoteEvents, RemoteHandle, RemoteSocket, SocketThread,
};
use steady_socket::protocol::hello::{ClientMessage, Hello, ServerMessage};
use steady_socket::protocol::session::End;
use steady_socket::{
    Builder, Event, Json, Options, Phase, PlainText, Request, RequestError, SendError, Sent,
    Session, Socket, endpoint,
};

use super::server::{WS, new_id, sleep, soon};

type Text = Socket<String, String, PlainText>;

const _: () = {
    const fn is_send<T: Send>() {}
    const fn is_sync<T: Sync>() {}
    is_send::<RemoteHandle<std::rc::Rc<u8>, PlainText>>();
    is_sync::<RemoteHandle<std::rc::Rc<u8>, PlainText>>();
    is_send::<RemoteSocket<String, String, PlainText>>();
    is_send::<RemoteEvents>();
    is_send::<RemoteDelivering<String>>();
    is_send::<SocketThread>();
    is_sync::<SocketThread>();
};

#[derive(serde::Serialize, serde::Deserialize)]
struct Echo(u32);

impl Request for Echo {
    type Response = u32;
    type Error = ();
}

fn in_runtime(test: impl Future<Output = ()> + Send + 'static) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(3)
        .enable_all()
        .build()
        .unwrap();
    // On a worker, as in a program's task.
    runtime.block_on(runtime.spawn(test)).unwrap();
}

fn url(path: &str) -> String {
    format!("ws://{}{path}", WS.socket_address())
}

#[test]
fn tasks_of_any_thread_send_and_one_receives() {
    in_runtime(async {
        const TASKS: u32 = 4;
        const EACH: u32 = 50;
        let thread = SocketThread::start().unwrap();
        let mut socket = thread
            .connect(|| endpoint::<Hello, Json>(format!("ws://{}", WS.socket_address())))
            .await
            .unwrap();
        drop(thread);
        for task in 0..TASKS {
            let handle = socket.handle();
            tokio::spawn(async move {
                for number in 0..EACH {
                    let name = format!("{task} {number}");
                    handle.send(ClientMessage::Hello { name }).await.unwrap();
                }
            });
        }
        let mut next = [0; TASKS as usize];
        for _ in 0..TASKS * EACH {
            let greeting = soon("a greeting", socket.recv()).await.unwrap().unwrap();
            let ServerMessage::Greeting { text } = greeting else {
                panic!("{greeting:?}");
            };
            let text = text.strip_prefix("Hello ").unwrap().trim_end_matches('!');
            let (task, number) = text.split_once(' ').unwrap();
            let task: usize = task.parse().unwrap();
            assert_eq!(number.parse(), Ok(next[task]), "in the order of its task");
            next[task] += 1;
        }
        let snapshot = socket.handle().snapshot().await.unwrap();
        assert_eq!(snapshot.opens, 1);
        assert_eq!(socket.handle().phase().await, Phase::Open);
    });
}

#[test]
fn a_thread_without_a_runtime_uses_it_too() {
    let thread = SocketThread::start().unwrap();
    let connected = thread.connect(|| Text::builder(url("/")));
    let mut socket = futures_util::FutureExt::boxed(connected);
    let mut socket = block_on(&mut socket).unwrap();
    let handle = socket.handle();
    std::thread::spawn(move || {
        let sending = handle.send("Ada");
        block_on(&mut Box::pin(sending)).unwrap();
    });
    let greeting = block_on(&mut Box::pin(socket.recv()));
    assert_eq!(greeting, Some(Ok("Hello Ada!".to_owned())));
}

/// Any executor will do: this one parks the thread.
fn block_on<F: Future + Unpin>(future: &mut F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(std::thread::current())).into();
    let mut task = core::task::Context::from_waker(&waker);
    loop {
        match core::pin::Pin::new(&mut *future).poll(&mut task) {
            core::task::Poll::Ready(output) => return output,
            core::task::Poll::Pending => std::thread::park_timeout(Duration::from_secs(30)),
        }
    }
}

#[test]
fn a_handle_can_leave_the_thread_of_its_socket() {
    let run = steady_socket::native::run(async {
        let mut socket = Text::connect(url("/")).unwrap();
        let handle = socket.handle().remote().unwrap();
        let other = std::thread::spawn(move || {
            block_on(&mut Box::pin(async {
                handle.send("Ada").await.unwrap();
                handle
                    .with(|handle| handle.try_send("Grace"))
                    .await
                    .unwrap()
                    .unwrap();
            }));
            handle
        });
        for name in ["Ada", "Grace"] {
            let greeting = soon("a greeting", socket.recv()).await;
            assert_eq!(greeting, Some(Ok(format!("Hello {name}!"))));
        }
        let handle = other.join().unwrap();
        drop(socket);
        assert_eq!(handle.phase().await, Phase::Closed);
        assert_eq!(handle.send("late").await, Err(SendError::Closed));
        assert!(handle.reconnect().await.is_err());
        assert!(handle.events().await.is_err());
        handle
    });
    // The thread goes on, but its sockets are over.
    let handle = run.unwrap();
    let late = block_on(&mut Box::pin(handle.try_send("late")));
    assert_eq!(late, Err(SendError::Closed));
}

#[test]
fn a_reader_that_gives_up_loses_nothing() {
    in_runtime(async {
        let thread = SocketThread::start().unwrap();
        let mut socket = thread
            .connect(|| Text::builder(url("/echo")))
            .await
            .unwrap();
        let handle = socket.handle();
        tokio::spawn(async move {
            for number in 0..300 {
                handle.send(number.to_string()).await.unwrap();
                if number % 10 == 0 {
                    sleep(Duration::from_millis(1)).await;
                }
            }
        });
        let mut number = 0;
        let mut gave_up = 0;
        while number < 300 {
            let patience = Duration::from_micros(50 * (number % 7));
            match tokio::time::timeout(patience, socket.next()).await {
                Ok(message) => {
                    assert_eq!(message, Some(Ok(number.to_string())));
                    number += 1;
                }
                Err(_) => gave_up += 1,
            }
            assert!(gave_up < 1_000_000, "nothing comes");
        }
        assert!(gave_up > 0);
    });
}

#[test]
fn a_sender_waits_for_room_and_one_that_gives_up_sends_nothing() {
    in_runtime(async {
        let thread = SocketThread::start().unwrap();
        let options = Options::default().start_closed(true).max_queued_messages(2);
        let mut socket = thread
            .connect(move || Text::builder(url("/echo")).options(options))
            .await
            .unwrap();
        let handle = socket.handle();
        assert_eq!(handle.try_send("a").await, Ok(Sent::Queued));
        assert_eq!(handle.try_send("b").await, Ok(Sent::Queued));
        assert_eq!(handle.try_send("c").await, Err(SendError::Full));
        let given_up = tokio::time::timeout(Duration::from_millis(20), handle.send("d"));
        assert!(given_up.await.is_err());
        let waits = handle.clone();
        let waiting = tokio::spawn(async move { waits.send("e").await });
        sleep(Duration::from_millis(20)).await;
        assert!(!waiting.is_finished());
        handle.reconnect().await.unwrap();
        assert_eq!(soon("room", waiting).await.unwrap(), Ok(()));
        for expected in ["a", "b", "e"] {
            let message = soon("a message", socket.recv()).await;
            assert_eq!(message, Some(Ok(expected.to_owned())));
        }
    });
}

#[test]
fn events_are_told_elsewhere_in_their_order() {
    in_runtime(async {
        let thread = SocketThread::start().unwrap();
        let options = Options::default().start_closed(true);
        let socket = thread
            .connect(move || Text::builder(url("/echo")).options(options))
            .await
            .unwrap();
        let handle = socket.handle();
        let mut events = handle.events().await.unwrap();
        handle.reconnect().await.unwrap();
        let told = tokio::spawn(async move {
            let mut told = Vec::new();
            while let Some(event) = events.next().await {
                match event {
                    Event::State(change) => told.push(change.phase.name().to_owned()),
                    Event::Open { .. } => told.push("open!".to_owned()),
                    Event::Closed(closed) => told.push(format!("{}", closed.loss.close.code)),
                    _ => {}
                }
            }
            told
        });
        soon("open", async {
            while handle.phase().await != Phase::Open {
                sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
        assert!(handle.close(Some(1), "").await.is_err());
        handle.close(Some(4000), "bye").await.unwrap();
        soon("closed", async {
            while handle.phase().await != Phase::Closed {
                sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
        drop(socket);
        assert_eq!(
            soon("the end", told).await.unwrap(),
            ["connecting", "open", "open!", "closing", "closed", "4000"]
        );
    });
}

fn with_session(id: &str) -> Builder<u32, u32, Json> {
    let soon = Duration::from_millis(20);
    Socket::builder(url(&format!("/session/echo?id={id}")))
        .protocols(["echo.json"])
        .options(
            Options::default()
                .first_delay_max(soon)
                .min_delay(soon)
                .base_delay(soon)
                .max_delay(soon)
                .attempt_interval(Duration::ZERO),
        )
        .session(Session::required())
}

#[test]
fn a_session_is_used_from_many_tasks_while_it_is_cut() {
    in_runtime(async {
        const TASKS: u32 = 4;
        const EACH: u32 = 50;
        let thread = SocketThread::start().unwrap();
        let id = new_id();
        let name = id.clone();
        let mut socket = thread.connect(move || with_session(&name)).await.unwrap();
        let done = Arc::new(AtomicU32::new(0));
        for task in 0..TASKS {
            let (handle, done) = (socket.handle(), Arc::clone(&done));
            tokio::spawn(async move {
                for number in 0..EACH {
                    let number = task * EACH + number;
                    let end = handle.deliver(number).await.unwrap();
                    assert_eq!(handle.request(Echo(number)).await, Ok(number));
                    assert_eq!(end.await, Ok(()));
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        // Before its first welcome, a server that is cut knows nothing of the session.
        let welcomed = socket.handle();
        let progress = Arc::clone(&done);
        let cutting = tokio::spawn(async move {
            let mut cut_at = 0;
            loop {
                sleep(Duration::from_millis(5)).await;
                // Not without progress: what is alone on its way when three connections in a row fail is set aside.
                let done = progress.load(Ordering::Relaxed);
                let is_welcome = cut_at > 0 || welcomed.phase().await == Phase::Open;
                if is_welcome && done >= cut_at && WS.cut_all(&id, None).await > 0 {
                    cut_at = done + 10;
                }
            }
        });
        let mut seen = vec![false; (TASKS * EACH) as usize];
        for _ in 0..TASKS * EACH {
            let number = soon("an echo", socket.recv()).await.unwrap().unwrap();
            assert!(!core::mem::replace(&mut seen[number as usize], true));
        }
        soon("all ends", async {
            while done.load(Ordering::Relaxed) < TASKS * EACH {
                sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
        cutting.abort();
    });
}

#[test]
fn what_a_session_cannot_do_is_an_error_elsewhere_too() {
    in_runtime(async {
        let thread = SocketThread::start().unwrap();
        let plain = thread
            .connect(|| Text::builder(url("/echo")))
            .await
            .unwrap();
        let handle = plain.handle();
        let error = handle.deliver("a").await.unwrap_err();
        assert_eq!(error, SendError::NoSession);

        // Nobody listens there: what was not sent comes back when the socket is dropped.
        let nowhere = thread
            .connect(|| with_session("nobody").url("ws://127.0.0.1:9/"))
            .await
            .unwrap();
        let handle = nowhere.handle();
        let late = handle
            .request_within(Echo(1), Duration::from_millis(10))
            .await;
        assert_eq!(late, Err(RequestError::TimedOut));
        let end = handle.deliver(7).await.unwrap();
        let given_up = tokio::time::timeout(Duration::from_millis(10), handle.request(Echo(2)));
        assert!(given_up.await.is_err());
        drop(nowhere);
        let end = soon("its end", end).await.unwrap_err();
        assert!(matches!(end, End::NotHandled { payload: 7, .. }), "{end:?}");
        let late = handle.request(Echo(3)).await.unwrap_err();
        assert!(
            matches!(
                late,
                RequestError::Unsent(SendError::Closed) | RequestError::Unknown(_)
            ),
            "{late:?}"
        );
    });
}

#[test]
fn dropping_it_closes_the_connection() {
    in_runtime(async {
        let thread = SocketThread::start().unwrap();
        let id = new_id();
        let url = url(&format!("/?id={id}"));
        let mut socket = thread.connect(move || Text::builder(url)).await.unwrap();
        socket.send("Ada").await.unwrap();
        soon("a greeting", socket.recv()).await.unwrap().unwrap();
        // With its last user, the thread ends, after its sockets have closed.
        drop(thread);
        drop(socket);
        soon("it is gone", async {
            while WS.cut_all(&id, None).await > 0 {
                sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    });
}

#[test]
fn a_builder_that_fails_or_panics_takes_nothing_along() {
    in_runtime(async {
        let thread = SocketThread::start().unwrap();
        let mut socket = thread.connect(|| Text::builder(url("/"))).await.unwrap();
        let failed = thread.connect(|| Text::builder("ftp://example.org/")).await;
        assert!(failed.is_err());
        let panicked = thread
            .connect(|| -> Builder<String, String, PlainText> { panic!("planned by a test") })
            .await;
        assert!(panicked.is_err());
        socket.send("Ada").await.unwrap();
        let greeting = soon("a greeting", socket.recv()).await;
        assert_eq!(greeting, Some(Ok("Hello Ada!".to_owned())));
    });
}
