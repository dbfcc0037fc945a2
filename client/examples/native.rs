//! A native program: greeted on its own thread, and from any task. `docs/native.md` shows it.
//!
//! ```sh
//! cargo run -p test-server
//! cargo run -p steady-socket --features native --example native -- ws://127.0.0.1:8765
//! ```

use steady_socket::native::{self, SocketThread};
use steady_socket::{PlainText, Socket};

type Error = Box<dyn std::error::Error + Send + Sync>;

// docs: one thread
async fn greet(url: &str) -> Result<String, Error> {
    let mut socket = Socket::<String, String, PlainText>::connect(url)?;
    socket.send("Ada").await?; // sent when it is open
    let greeting = socket.recv().await.ok_or("closed for good")?;
    Ok(greeting?)
}
// docs: end

// docs: any thread
async fn greet_many(url: String) -> Result<Vec<String>, Error> {
    let thread = SocketThread::start()?;
    let mut socket = thread
        .connect(|| Socket::<String, String, PlainText>::builder(url))
        .await?;
    for name in ["Ada", "Grace"] {
        let handle = socket.handle(); // Send, and cloned freely
        tokio::spawn(async move { handle.send(name).await });
    }
    let mut greetings = Vec::new();
    while greetings.len() < 2 {
        greetings.push(socket.recv().await.ok_or("closed for good")??);
    }
    Ok(greetings)
}
// docs: end

/// Both, one after the other.
pub(crate) fn main_with(url: &str) -> Result<Vec<String>, Error> {
    let mut greetings = vec![native::run(greet(url))??];
    let runtime = tokio::runtime::Runtime::new()?;
    greetings.extend(runtime.block_on(greet_many(url.to_owned()))?);
    Ok(greetings)
}

#[allow(dead_code, reason = "a test calls what this does")]
fn main() -> Result<(), Error> {
    let url = std::env::args().nth(1);
    let url = url.as_deref().unwrap_or("ws://127.0.0.1:8765");
    for greeting in main_with(url)? {
        println!("{greeting}");
    }
    Ok(())
}
