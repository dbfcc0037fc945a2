use rmp_serde::decode::Error;
use serde::{Serialize, de::DeserializeOwned};

use super::{Codec, Decode, Encode, MAX_DEPTH};
use crate::{DecodeError, EncodeError, Fault, Message, MessageKind, Position};

/// MessagePack in binary messages, via serde, in the shape that JSON would have.
///
/// Structs and the fields of variants are maps keyed by name, and types with a human-readable form (an IP
/// address, a UUID) use it, so that one description of a message serves both codecs. Two things differ from
/// JSON: a field marked as bytes (`serde_bytes`) is a byte string rather than a list of numbers, and a map's
/// keys may be numbers rather than strings.
#[derive(Debug, Clone, Copy)]
pub enum MsgPack {}

impl Codec for MsgPack {
    const NAME: &'static str = "msgpack";
    const KIND: MessageKind = MessageKind::Binary;
}

impl<T: Serialize + ?Sized> Encode<T> for MsgPack {
    fn encode(value: &T) -> Result<Message, EncodeError> {
        let mut bytes = Vec::with_capacity(128);
        let mut serializer = rmp_serde::Serializer::new(&mut bytes)
            .with_struct_map()
            .with_human_readable();
        match value.serialize(&mut serializer) {
            Ok(()) => Ok(bytes.into()),
            Err(error) => Err(EncodeError::new(Self::NAME, &error.to_string())),
        }
    }
}

impl<T: DeserializeOwned> Decode<T> for MsgPack {
    fn decode(message: Message) -> Result<T, DecodeError> {
        let Message::Binary(bytes) = &message else {
            return Err(DecodeError::wrong_kind(Self::NAME, Self::KIND, &message));
        };
        if let Err((fault, offset)) = check(bytes) {
            let at = Some(Position::Byte(offset));
            return Err(DecodeError::malformed(
                Self::NAME,
                fault,
                at,
                &message,
                None,
            ));
        }
        let mut deserializer =
            rmp_serde::Deserializer::from_read_ref(bytes.as_slice()).with_human_readable();
        T::deserialize(&mut deserializer).map_err(|error| {
            let fault = match error {
                Error::Utf8Error(_) => Fault::Syntax,
                Error::DepthLimitExceeded => Fault::TooDeep,
                _ => Fault::Mismatch,
            };
            DecodeError::malformed(Self::NAME, fault, None, &message, Some(&error.to_string()))
        })
    }
}

/// Checks that `bytes` are exactly one complete MessagePack value, without trailing data, nested no deeper
/// than [`MAX_DEPTH`]; otherwise returns what is wrong and at which byte.
///
/// rmp-serde alone would accept trailing data, and its depth limit does not count the variants of a recursive
/// enum, so that one message could exhaust the stack.
fn check(bytes: &[u8]) -> Result<(), (Fault, usize)> {
    let mut reader = Reader { bytes, offset: 0 };
    // How many values each open list or map still lacks, outermost first.
    let mut open: Vec<u64> = Vec::new();
    loop {
        let start = reader.offset;
        let inside = reader.value()?;
        if inside > 0 {
            if open.len() == MAX_DEPTH {
                return Err((Fault::TooDeep, start));
            }
            open.push(inside);
            continue;
        }
        // One value is complete, and with it possibly the ones that contain it.
        loop {
            match open.last_mut() {
                None if reader.offset < bytes.len() => return Err((Fault::Syntax, reader.offset)),
                None => return Ok(()),
                Some(lacking) => {
                    *lacking -= 1;
                    if *lacking > 0 {
                        break;
                    }
                    open.pop();
                }
            }
        }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl Reader<'_> {
    /// Reads one marker with its own data and returns the number of values nested in it.
    fn value(&mut self) -> Result<u64, (Fault, usize)> {
        let marker = self.number(1)?;
        let (data, inside) = match marker {
            0x00..=0x7f | 0xc0 | 0xc2 | 0xc3 | 0xe0.. => (0, 0),
            0x80..=0x8f => (0, (marker & 0x0f) * 2),
            0x90..=0x9f => (0, marker & 0x0f),
            0xa0..=0xbf => (marker & 0x1f, 0),
            0xc1 => return Err((Fault::Syntax, self.offset - 1)),
            // Bytes, then extensions, whose data follows a type byte.
            0xc4..=0xc6 => (self.number(1 << (marker - 0xc4))?, 0),
            0xc7..=0xc9 => (self.number(1 << (marker - 0xc7))? + 1, 0),
            0xca => (4, 0),
            0xcb => (8, 0),
            0xcc..=0xcf => (1 << (marker - 0xcc), 0),
            0xd0..=0xd3 => (1 << (marker - 0xd0), 0),
            0xd4..=0xd8 => ((1 << (marker - 0xd4)) + 1, 0),
            0xd9..=0xdb => (self.number(1 << (marker - 0xd9))?, 0),
            0xdc..=0xdd => (0, self.number(2 << (marker - 0xdc))?),
            0xde..=0xdf => (0, self.number(2 << (marker - 0xde))? * 2),
        };
        self.skip(data)?;
        Ok(inside)
    }

    /// Reads a big-endian number of `width` bytes (1, 2 or 4).
    fn number(&mut self, width: u64) -> Result<u64, (Fault, usize)> {
        let start = self.offset;
        self.skip(width)?;
        let digits = &self.bytes[start..self.offset];
        Ok(digits
            .iter()
            .fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn skip(&mut self, length: u64) -> Result<(), (Fault, usize)> {
        let left = self.bytes.len() - self.offset;
        match usize::try_from(length) {
            Ok(length) if length <= left => {
                self.offset += length;
                Ok(())
            }
            _ => Err((Fault::Truncated, self.bytes.len())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;
    use crate::DecodeReason;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Nest {
        Leaf,
        Deeper(Box<Nest>),
    }

    #[derive(Serialize, Deserialize, Debug, PartialEq)]
    struct Everything {
        unit: (),
        flag: Option<bool>,
        numbers: (u8, i64, u64),
        address: IpAddr,
        nest: Nest,
        named: Variant,
        list: Vec<Variant>,
    }

    #[derive(Serialize, Deserialize, Debug, PartialEq)]
    enum Variant {
        Unit,
        Newtype(String),
        Tuple(u8, u8),
        Struct { letter: char },
    }

    fn everything() -> Everything {
        Everything {
            unit: (),
            flag: None,
            numbers: (u8::MAX, i64::MIN, u64::MAX),
            address: IpAddr::from([127, 0, 0, 1]),
            nest: Nest::Deeper(Box::new(Nest::Leaf)),
            named: Variant::Struct { letter: 'ß' },
            list: vec![
                Variant::Unit,
                Variant::Newtype("x".into()),
                Variant::Tuple(1, 2),
            ],
        }
    }

    fn fault<T: DeserializeOwned>(bytes: &[u8]) -> Fault {
        match <MsgPack as Decode<T>>::decode(bytes.into())
            .map(drop)
            .unwrap_err()
            .reason()
        {
            DecodeReason::Malformed { fault, .. } => fault,
            other @ DecodeReason::WrongKind { .. } => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_shape_comes_back() {
        let decoded: Everything = MsgPack::decode(MsgPack::encode(&everything()).unwrap()).unwrap();
        assert_eq!(decoded, everything());
    }

    #[cfg(feature = "json")]
    #[test]
    fn it_has_the_shape_of_json() {
        let shape: serde_json::Value =
            MsgPack::decode(MsgPack::encode(&everything()).unwrap()).unwrap();
        assert_eq!(shape, serde_json::to_value(everything()).unwrap());
    }

    #[test]
    fn each_fault_is_told_apart() {
        let cases: [(&[u8], Fault); 9] = [
            (&[], Fault::Truncated),
            (&[0x92, 1], Fault::Truncated),
            (&[0xdd, 0xff, 0xff, 0xff, 0xff], Fault::Truncated),
            (&[0xdb, 0xff, 0xff, 0xff, 0xff, b'a'], Fault::Truncated),
            (&[0xc1], Fault::Syntax),
            (&[0x91, 1, 0xc0], Fault::Syntax),
            (&[0xa1, 0xff], Fault::Syntax),
            (&[0xc0], Fault::Mismatch),
            (&[0x91, 0xcd, 1, 44], Fault::Mismatch),
        ];
        for (bytes, expected) in cases {
            assert_eq!(fault::<Vec<u8>>(bytes), expected, "{bytes:02x?}");
        }
    }

    #[test]
    fn depth_is_bounded_even_through_a_recursive_enum() {
        // {"Deeper": {"Deeper": … "Leaf"}}
        let nest = |depth: usize| [&b"\x81\xa6Deeper".repeat(depth)[..], b"\xa4Leaf"].concat();
        assert!(<MsgPack as Decode<Nest>>::decode(nest(MAX_DEPTH).into()).is_ok());
        assert_eq!(fault::<Nest>(&nest(MAX_DEPTH + 1)), Fault::TooDeep);
        assert_eq!(fault::<Nest>(&nest(100_000)), Fault::TooDeep);
    }

    #[test]
    fn text_is_the_wrong_kind() {
        let error = <MsgPack as Decode<u8>>::decode("1".into()).unwrap_err();
        assert!(matches!(error.reason(), DecodeReason::WrongKind { .. }));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let _ = <MsgPack as Decode<Everything>>::decode(bytes.clone().into());
            let _ = <MsgPack as Decode<Nest>>::decode(bytes.into());
        }

        #[test]
        fn what_was_encoded_passes_the_check_and_no_part_of_it_does(
            list: Vec<(u64, i64, f64, String, Option<Vec<u8>>)>,
            cut: prop::sample::Index,
        ) {
            let Message::Binary(bytes) = MsgPack::encode(&list).unwrap() else { unreachable!() };
            prop_assert_eq!(check(&bytes), Ok(()));
            let end = cut.index(bytes.len());
            prop_assert_eq!(check(&bytes[..end]), Err((Fault::Truncated, end)));
        }
    }
}
