//! The Rust API in a page, against the real server.
#![cfg(target_family = "wasm")]

wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_browser);

mod rust_face;

mod in_a_document {
    //! What needs a document.

    use core::time::Duration;
    use std::rc::Rc;

    use futures_util::StreamExt;
    use js_sys::Promise;
    use steady_socket::browser::Browser;
    use steady_socket::protocol::PlainText;
    use steady_socket::{Cause, Event, Options, Socket};
    use wasm_bindgen::prelude::*;
    use wasm_bindgen_futures::JsFuture;
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::rust_face::server::soon;

    #[wasm_bindgen(inline_js = r#"
    export function ofAFrame(policy) {
      const frame = document.createElement('iframe');
      frame.srcdoc = `<meta http-equiv="Content-Security-Policy" content="${policy}">`;
      return new Promise((resolve) => {
        frame.onload = () => resolve(frame.contentWindow.WebSocket);
        document.body.append(frame);
      });
    }
    "#)]
    extern "C" {
        /// The `WebSocket` of a frame with a content security policy.
        #[wasm_bindgen(js_name = ofAFrame)]
        fn of_a_frame(policy: &str) -> Promise;
    }

    // [R13]
    #[wasm_bindgen_test]
    async fn a_server_that_the_policy_forbids_is_a_failed_attempt_long_before_its_time_is_over() {
        let constructor = JsFuture::from(of_a_frame("connect-src 'none'")).await;
        let constructor = constructor.expect("a frame").unchecked_into();
        let socket = Socket::<String, String, PlainText>::builder("ws://server.test/")
            .options(
                Options::default()
                    .connect_timeout(Duration::from_secs(300))
                    .max_retries(Some(0)),
            )
            .platform(Rc::new(Browser::with_constructor(constructor)))
            .connect()
            .expect("a socket");
        let mut events = socket.events();
        let loss = soon("the end", async {
            loop {
                if let Event::Closed(closed) = events.next().await.expect("events go on") {
                    return closed.loss;
                }
            }
        })
        .await;
        // Firefox throws out of the constructor.
        let causes = [Cause::Socket, Cause::Refused];
        assert!(causes.contains(&loss.cause), "{:?}", loss.cause);
        assert_eq!((loss.close.code, loss.close.clean), (1006, false));
    }
}
