//! The hello endpoint as a class for JavaScript, whose messages have the types of the Rust enums.
//!
//! ```sh
//! wasm-pack build examples/typed-hello --target web
//! ```

use steady_socket_export::export_socket;
use steady_socket_export::steady_socket::Json;
use steady_socket_protocol::hello::Hello;

export_socket! {
    /// Greets by name.
    ///
    /// ```ts
    /// const socket = new HelloSocket('ws://127.0.0.1:8765');
    /// socket.send({ type: 'hello', name: 'Ada' });
    /// for await (const answer of socket) {
    ///   if (answer.type === 'greeting') console.log(answer.text);
    /// }
    /// ```
    pub HelloSocket: Hello, codec Json
}
