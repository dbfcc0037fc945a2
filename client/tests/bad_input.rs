//! Invalid settings are reported when the socket is made, and what a peer sends is never more than data.

use std::collections::BTreeMap;

use futures_util::{FutureExt, StreamExt};
use steady_socket::options::{OPTIONS, OptionError};
use steady_socket::protocol::{Json, MsgPack, PlainText};
use steady_socket::testing::World;
use steady_socket::{ConnectError, Message, Options, Socket};

fn connect(options: Options) -> Result<(), ConnectError> {
    Socket::<String, String, PlainText>::builder("wss://example.org/")
        .options(options)
        .platform(World::new().platform())
        .connect()
        .map(drop)
}

#[test]
fn every_option_refuses_what_is_out_of_its_range_by_its_name() {
    for (index, spec) in OPTIONS.iter().enumerate() {
        let beyond = [spec.min - 1.0, spec.max + 1.0, f64::NAN, f64::NEG_INFINITY];
        let unlimited = (!spec.unlimited).then_some(f64::INFINITY);
        for value in beyond.into_iter().chain(unlimited) {
            let error = Options::default()
                .set(index, value)
                .expect_err("it is out of range");
            assert!(matches!(error, OptionError::OutOfRange { .. }), "{error}");
            let said = error.to_string();
            let takes = format!("from {} to {}", spec.min, spec.max);
            assert!(said.contains(spec.name) && said.contains(&takes), "{said}");
        }
    }
}

#[test]
fn connecting_tells_an_option_that_is_wrong() {
    for (options, says) in [
        (
            Options::default().growth_factor(f64::NAN),
            "growth_factor is NaN",
        ),
        (
            Options::default().growth_factor(-1.0),
            "growth_factor is -1",
        ),
        (Options::default().attempt_burst(0), "attempt_burst is 0"),
        (
            Options::default().high_water_mark(1).low_water_mark(2),
            "high_water_mark is 1 bytes, below low_water_mark",
        ),
    ] {
        let error = connect(options).expect_err(says);
        assert!(matches!(error, ConnectError::Option(_)), "{error:?}");
        assert!(error.to_string().contains(says), "{error}");
    }
    assert_eq!(connect(Options::default()), Ok(()));
}

/// A name that means something to JavaScript is a key like any other.
#[test]
fn proto_in_a_message_is_a_key_like_any_other() {
    type Map = BTreeMap<String, u8>;
    let expected = Map::from([("__proto__".to_owned(), 1), ("constructor".to_owned(), 2)]);

    let world = World::new();
    let mut json = Socket::<Map, Map, Json>::builder("wss://example.org/")
        .platform(world.platform())
        .connect()
        .expect("it is all in order");
    world.connection(0).open();
    world
        .connection(0)
        .send(Message::from(r#"{"__proto__":1,"constructor":2}"#));
    let item = json.next().now_or_never().flatten();
    assert_eq!(item, Some(Ok(expected.clone())));

    let mut msgpack = Socket::<Map, Map, MsgPack>::builder("wss://example.org/")
        .platform(world.platform())
        .connect()
        .expect("it is all in order");
    world.connection(1).open();
    let bytes = [&b"\x82\xa9__proto__\x01"[..], b"\xabconstructor\x02"].concat();
    world.connection(1).send(bytes);
    let item = msgpack.next().now_or_never().flatten();
    assert_eq!(item, Some(Ok(expected)));
}
