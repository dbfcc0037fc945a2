//! An endpoint with messages of every shape that serde and TypeScript both know, and a class for each of its
//! codecs.

pub mod shop;
pub mod ways;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use steady_socket_export::export_socket;
use steady_socket_export::steady_socket::protocol::endpoint;
use steady_socket_export::steady_socket::{Json, MsgPack};
use tsify::Tsify;

endpoint! {
    /// Both sides say the same.
    pub Shapes at "/shapes" {
        client: Shape,
        server: Shape,
        "shapes.json" => Json,
        "shapes.msgpack" => MsgPack,
    }
}

export_socket! {
    /// Speaks JSON.
    pub ShapesSocket: Shapes, codec Json
}

export_socket! {
    /// Speaks MessagePack.
    pub PackedShapesSocket: Shapes, codec MsgPack
}

/// A message.
#[derive(Debug, Serialize, Deserialize, Tsify)]
#[serde(
    tag = "type",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum Shape {
    /// Nothing but its name.
    Nothing,
    /// Numbers.
    Numbers {
        /// From 0 to 2^53 - 1, though Rust has more.
        unsigned: u64,
        /// Likewise on both sides of 0.
        signed: i64,
        /// A fraction.
        real: f64,
        /// From 0 to 255.
        small: u8,
    },
    /// What may be missing.
    Choices {
        /// `null` for none.
        count: Option<u32>,
        /// `null` for none.
        share: Option<f64>,
        /// Left out for none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[tsify(optional)]
        label: Option<String>,
        /// `false` where the sender says nothing.
        #[serde(default)]
        is_final: bool,
        /// Rust alone knows it.
        #[serde(skip)]
        secret: u8,
    },
    /// A 64-bit integer that is whole on both sides: as text.
    Identity {
        /// Any `u64`, in decimal.
        #[serde(with = "decimal")]
        #[tsify(type = "`${bigint}`")]
        id: u64,
    },
    /// Text.
    Text {
        /// Any.
        text: String,
    },
    /// A map with any keys.
    Map {
        /// By name.
        entries: BTreeMap<String, u32>,
    },
    /// Messages inside of a message.
    Tree {
        /// Any number.
        children: Vec<Shape>,
    },
    /// A table, for the measurements.
    Rows {
        /// Its rows.
        rows: Vec<Row>,
    },
}

/// A row of a table.
#[derive(Debug, Serialize, Deserialize, Tsify)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    id: u32,
    name: String,
    price_in_cents: f64,
    active: bool,
    tags: Vec<String>,
    parent: Option<u32>,
}

/// An integer as text in decimal.
mod decimal {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(crate) fn serialize<S: Serializer>(id: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(id)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(source: D) -> Result<u64, D::Error> {
        let text = String::deserialize(source)?;
        text.parse()
            .map_err(|_| D::Error::custom("it takes a whole number as text"))
    }
}
