//! An endpoint with sessions, which both ends ask.

use serde::{Deserialize, Serialize};
use steady_socket_export::export_socket;
use steady_socket_export::steady_socket::protocol::{Request, endpoint};
use steady_socket_export::steady_socket::{Json, MsgPack};
use tsify::Tsify;

endpoint! {
    /// Sells tea.
    pub Shop at "/shop" {
        client: Note,
        server: Note,
        "shop.json" => Json,
        "shop.msgpack" => MsgPack,
    }
}

export_socket! {
    /// Buys tea.
    pub ShopSocket: Shop, codec Json, session {
        requests: Ask, by: "type";
        handles: Question;
    }
}

export_socket! {
    /// Asks with simple types.
    pub CountingSocket: Shop, codec MsgPack, session {
        requests: Count;
    }
}

export_socket! {
    /// Has a session, and neither end asks.
    pub NotesSocket: Shop, codec Json, session {}
}

/// Something to tell.
#[derive(Debug, Serialize, Deserialize, Tsify)]
pub struct Note {
    text: String,
}

/// What a client may ask.
#[derive(Debug, Serialize, Deserialize, Tsify)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum Ask {
    /// What something costs.
    Price {
        /// What.
        of: String,
    },
    /// How much is left.
    Stock {
        /// Of what.
        of: String,
    },
}

/// What the shop answers.
#[derive(Debug, Serialize, Deserialize, Tsify)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum Told {
    /// The price.
    Price {
        /// In cents.
        cents: u32,
    },
    /// The stock.
    Stock {
        /// How much.
        grams: u32,
    },
}

/// Why the shop cannot answer.
#[derive(Debug, Serialize, Deserialize, Tsify)]
#[serde(rename_all = "camelCase")]
pub enum Unable {
    /// It is not sold here.
    NotSold,
}

impl Request for Ask {
    type Response = Told;
    type Error = Unable;
}

/// What the shop may ask.
#[derive(Debug, Serialize, Deserialize, Tsify)]
pub struct Question {
    /// In words.
    text: String,
}

/// What a client answers.
#[derive(Debug, Serialize, Deserialize, Tsify)]
pub struct Reply {
    /// Whether it agrees.
    yes: bool,
}

impl Request for Question {
    type Response = Reply;
    type Error = Unable;
}

/// How many there are.
#[derive(Debug, Serialize, Deserialize, Tsify)]
pub struct Count {
    /// Of what.
    of: String,
}

impl Request for Count {
    type Response = u32;
    type Error = ();
}

endpoint! {
    /// The test server says everything back, and answers a request with itself.
    pub Echo at "/session/echo" {
        client: crate::Shape,
        server: crate::Shape,
        "echo.json" => Json,
    }
}

export_socket! {
    /// Hears itself.
    pub EchoSocket: Echo, codec Json, session {
        requests: crate::Shape, by: "type";
    }
}

impl Request for crate::Shape {
    type Response = Self;
    type Error = ();
}
