//! A Rust program that has called `close_sockets_on_panic`, and panics. A program of its own, since nothing works
//! afterwards.
#![cfg(target_family = "wasm")]

#[path = "rust_face/server.rs"]
#[allow(dead_code)]
mod server;

use core::cell::RefCell;
use core::time::Duration;
use std::rc::Rc;

use futures_util::{SinkExt, StreamExt};
use js_sys::{Function, Promise};
use steady_socket::browser::Browser;
use steady_socket::protocol::PlainText;
use steady_socket::{
    ConnectError, Gone, Options, Phase, SendError, Socket, close_sockets_on_panic,
};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_browser);

type Text = Socket<String, String, PlainText>;

#[wasm_bindgen(inline_js = r#"
let made = 0;
let ended;
const end = new Promise((resolve) => { ended = resolve; });

export function recorded() {
  return class extends WebSocket {
    constructor(...given) {
      super(...given);
      made += 1;
      this.addEventListener('close', ({ code, wasClean }) => ended(`${code} ${wasClean}`));
    }
  };
}

export function socketsMade() { return made; }

export function firstEnd() { return end; }
"#)]
extern "C" {
    /// The browser's `WebSocket`, with its sockets counted and watched.
    fn recorded() -> Function;

    #[wasm_bindgen(js_name = socketsMade)]
    fn sockets_made() -> u32;

    /// How the first of them ended, per its `close` event: the code, and whether the server answered.
    #[wasm_bindgen(js_name = firstEnd)]
    fn first_end() -> Promise;
}

thread_local! {
    /// The report to the program's own panic hook.
    static TOLD: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Panics as in a browser callback: the exception ends there, and its caller continues.
fn panic_in_a_callback() {
    let panics = Closure::once_into_js(|| -> () { panic!("on purpose") });
    let panics: Function = panics.unchecked_into();
    assert!(panics.call0(&JsValue::UNDEFINED).is_err());
}

// [R31]
#[wasm_bindgen_test]
async fn a_panic_of_a_rust_program_closes_its_sockets_and_the_earlier_hook_is_called() {
    let id = server::new_id();
    let url = format!("{}/?id={id}", server::WS.address().await);
    let soon = Duration::from_millis(10);
    let options = Options::default()
        .first_delay_max(soon)
        .min_delay(soon)
        .base_delay(soon)
        .max_delay(soon);
    let connect = || {
        Text::builder(url.clone())
            .options(options)
            .platform(Rc::new(Browser::with_constructor(recorded())))
            .connect()
    };
    let mut socket = connect().expect("a socket");
    let (handle, mut events) = (socket.handle(), socket.events());
    socket.send("Ada".to_owned()).await.expect("it is accepted");
    let greeting = server::soon("a greeting", socket.next()).await;
    assert_eq!(greeting, Some(Ok("Hello Ada!".to_owned())));

    std::panic::set_hook(Box::new(|panic| {
        TOLD.with_borrow_mut(|told| told.push(panic.to_string()));
    }));
    close_sockets_on_panic();
    panic_in_a_callback();

    let told = TOLD.with_borrow(Vec::clone);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("on purpose"), "{told:?}");

    // Clean: the server received the close and answered it.
    let end = server::soon("the end", JsFuture::from(first_end())).await;
    assert_eq!(
        end.ok().and_then(|end| end.as_string()).as_deref(),
        Some("1005 true")
    );

    let message = "late".to_owned();
    assert_eq!(handle.try_send(&message), Err(SendError::Closed));
    assert_eq!(handle.send(&message).await, Err(SendError::Closed));
    assert_eq!(handle.reconnect(), Err(Gone));
    assert_eq!(handle.ready(), Err(Gone));
    assert_eq!(handle.snapshot().map(drop), Err(Gone));
    assert_eq!(handle.buffered_amount(), Err(Gone));
    assert_eq!(handle.protocol(), Err(Gone));
    assert!(handle.events().is_err());
    assert_eq!(handle.close(None, ""), Ok(()));
    assert_eq!(handle.phase(), Phase::Closed);
    assert_eq!(events.next().await, None);
    assert_eq!(socket.next().await, None);
    assert_eq!(socket.send(message).await, Err(SendError::Closed));
    assert_eq!(SinkExt::close(&mut socket).await, Ok(()));
    assert!(format!("{socket:?} {handle:?}").contains("Closed"));
    assert_eq!(connect().map(drop), Err(ConnectError::Panicked));
    drop(socket);

    // By now it would have reconnected.
    server::sleep(20 * soon).await;
    assert_eq!(sockets_made(), 1);
    assert_eq!(server::WS.cut_all(&id, None).await, 0);
}
