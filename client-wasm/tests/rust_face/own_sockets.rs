//! Sockets from a constructor of the program's own, which need not behave like a browser's.

use core::time::Duration;
use std::rc::Rc;

use futures_util::StreamExt;
use js_sys::{Array, Function, Reflect, Uint8Array};
use steady_socket::browser::Browser;
use steady_socket::protocol::{MsgPack, PlainText};
use steady_socket::{Cause, Event, Events, Loss, Options, Phase, Socket};
use wasm_bindgen::prelude::*;
use wasm_bindgen_test::wasm_bindgen_test;

use super::server::soon;

type Text = Socket<String, String, PlainText>;

/// Makes a socket emit an error, as if closed.
const ERROR: &str = "socket.readyState = 3; socket.onerror();";

/// A connection on a socket that does this, in JavaScript, right after its construction. One attempt is made, which
/// may take a minute.
fn on_a_socket_that(acts: &str) -> (Text, Events) {
    let make = format!(
        "return class {{
            readyState = 0;
            constructor() {{ setTimeout((socket) => {{ {acts} }}, 0, this); }}
            close() {{}}
        }};"
    );
    let constructor = Function::new_no_args(&make).call0(&JsValue::UNDEFINED);
    let constructor = constructor.expect("a class").unchecked_into();
    let socket = Text::builder("ws://server.test/")
        .options(
            Options::default()
                .connect_timeout(Duration::from_secs(60))
                .max_retries(Some(0)),
        )
        .platform(Rc::new(Browser::with_constructor(constructor)))
        .connect()
        .expect("a socket");
    let events = socket.events();
    (socket, events)
}

/// The next reported end.
async fn next_end(events: &mut Events) -> Loss {
    soon("an end", async {
        loop {
            if let Event::Closed(closed) = events.next().await.expect("events go on") {
                return closed.loss;
            }
        }
    })
    .await
}

/// How many more ends are reported, of a socket that is gone.
async fn further_ends(events: Events) -> usize {
    let is_end = async |event| matches!(event, Event::Closed(_)).then_some(());
    soon("the end of the events", events.filter_map(is_end).count()).await
}

#[wasm_bindgen_test]
async fn a_close_code_of_0_is_told_if_the_server_has_sent_it() {
    for (event, code, clean) in [
        ("code: 0, wasClean: true", 0, true),
        ("code: 0, wasClean: false", 1006, false),
        ("wasClean: true", 1006, true),
        ("code: 4321, wasClean: true", 4321, true),
    ] {
        let acts = format!("socket.readyState = 3; socket.onclose({{ {event}, reason: '' }});");
        let (_socket, mut events) = on_a_socket_that(&acts);
        let close = next_end(&mut events).await.close;
        assert_eq!((close.code, close.clean), (code, clean), "{event}");
    }
}

// [R25]
#[wasm_bindgen_test]
async fn a_socket_that_keeps_the_bytes_it_is_given_has_them_as_they_were() {
    let make = "return class Keeping {
        static kept = [];
        readyState = 1;
        bufferedAmount = 0;
        constructor() { setTimeout(() => this.onopen()); }
        send(data) { Keeping.kept.push(data); }
        close() {}
    };";
    let constructor = Function::new_no_args(make).call0(&JsValue::UNDEFINED);
    let constructor: Function = constructor.expect("a class").unchecked_into();
    let socket = Socket::<Vec<u8>, Vec<u8>, MsgPack>::builder("ws://server.test/")
        .platform(Rc::new(Browser::with_constructor(constructor.clone())))
        .connect()
        .expect("a socket");
    let mut events = socket.events();
    soon("the opening", async {
        while !matches!(events.next().await, Some(Event::Open { .. })) {}
    })
    .await;
    for value in [1, 2, 3] {
        socket
            .handle()
            .try_send(vec![value; 4])
            .expect("it is open");
    }
    // More memory, so that a view of the old memory would be detached.
    let more = vec![9_u8; 8 << 20];
    let kept = Reflect::get(&constructor, &"kept".into()).expect("a list");
    let kept: Vec<Vec<u8>> = Array::from(&kept)
        .iter()
        .map(|data| Uint8Array::new(&data).to_vec())
        .collect();
    assert_eq!(
        kept,
        [1, 2, 3].map(|value| vec![0x94, value, value, value, value])
    );
    drop(more);
}

// [R13]
#[wasm_bindgen_test]
async fn an_attempt_that_tells_an_error_while_it_connects_and_no_close_has_failed_at_once() {
    let late = "setTimeout(() => { socket.onopen?.(); socket.onclose?.({ code: 4321 }); }, 50);";
    let acts = format!("socket.onerror(); socket.onerror(); {late}");
    let (silent, mut events) = on_a_socket_that(&acts);
    let end = next_end(&mut events).await;
    assert_eq!(end.cause, Cause::Socket);
    assert_eq!((end.close.code, end.close.clean), (1006, false));
    let tells = "socket.onerror(); socket.onclose({ code: 4321, wasClean: true });";
    let (_told, mut of_told) = on_a_socket_that(tells);
    assert_eq!(next_end(&mut of_told).await.close.code, 4321);

    // Another connection takes long enough for late events.
    let (_another, mut of_another) = on_a_socket_that(ERROR);
    next_end(&mut of_another).await;
    assert_eq!(silent.handle().phase(), Phase::Closed);
    drop(silent);
    assert_eq!(further_ends(events).await, 0);
}

// [R13]
#[wasm_bindgen_test]
async fn a_closed_socket_that_tells_an_error_and_no_close_has_ended() {
    let close_after = |millis: u32| {
        format!("setTimeout(() => socket.onclose?.({{ code: 4321, wasClean: true }}), {millis});")
    };
    let (told, mut of_told) = on_a_socket_that(&format!("{ERROR} {}", close_after(5)));
    let (open, _) = on_a_socket_that("socket.readyState = 1; socket.onopen(); socket.onerror();");
    let twice_and_late = format!("{ERROR} {ERROR} {}", close_after(1_300));
    let (untold, mut of_untold) = on_a_socket_that(&twice_and_late);

    let end = next_end(&mut of_told).await;
    assert_eq!((end.close.code, end.close.clean), (4321, true));
    let end = next_end(&mut of_untold).await;
    assert_eq!(end.cause, Cause::Socket);
    assert_eq!((end.close.code, end.close.clean), (1006, false));

    // Another one takes as long again: by then, every stray event would have come.
    let (_another, mut of_another) = on_a_socket_that(ERROR);
    next_end(&mut of_another).await;
    assert_eq!(open.handle().phase(), Phase::Open);
    drop((told, untold));
    assert_eq!(further_ends(of_told).await, 0);
    assert_eq!(further_ends(of_untold).await, 0);
}
