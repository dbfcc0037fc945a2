//! The common part of all hello programs whose size is measured: the messages, and how a greeting is shown.
//!
//! The messages are as plain as possible, to compare the clients and not what serde generates for types.

use serde::{Deserialize, Serialize};

/// `{"type":"hello","name":"Ada"}`
#[derive(Debug, Serialize)]
pub struct Hello {
    r#type: &'static str,
    /// Whom to greet.
    pub name: String,
}

impl Hello {
    /// A message that asks for a greeting.
    #[must_use]
    pub const fn new(name: String) -> Self {
        Self {
            r#type: "hello",
            name,
        }
    }
}

/// `{"type":"greeting","text":"Hello Ada!"}`
#[derive(Debug, Deserialize)]
pub struct Greeting {
    /// The greeting.
    pub text: String,
}

/// Shows a text in the page.
pub fn show(text: &str) {
    let body = web_sys::window()
        .and_then(|window| window.document())
        .and_then(|document| document.body());
    if let Some(body) = body {
        body.set_text_content(Some(text));
    }
}
