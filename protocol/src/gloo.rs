//! Conversions for programs that migrate from gloo-net or use both.

use crate::Message;

impl From<gloo_net::websocket::Message> for Message {
    fn from(message: gloo_net::websocket::Message) -> Self {
        match message {
            gloo_net::websocket::Message::Text(text) => Self::Text(text),
            gloo_net::websocket::Message::Bytes(bytes) => Self::Binary(bytes),
        }
    }
}

impl From<Message> for gloo_net::websocket::Message {
    fn from(message: Message) -> Self {
        match message {
            Message::Text(text) => Self::Text(text),
            Message::Binary(bytes) => Self::Bytes(bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_survives_the_way_there_and_back() {
        for message in [Message::from("text"), Message::from(vec![0, 1, 2])] {
            let there = gloo_net::websocket::Message::from(message.clone());
            assert_eq!(Message::from(there), message);
        }
    }
}
