//! Hand-made WebSocket frames, including broken ones.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;

/// The bit of the first byte that marks a message's last frame.
pub(crate) const FIN: u8 = 0x80;

/// The bit of the second byte that marks a masked payload.
const MASKED: u8 = 0x80;

/// The largest frame to accept from the inner server; it sends none beyond its own limit.
const LARGEST: u64 = 32 * 1024 * 1024;

/// The head of an unmasked frame with the first byte `first` and a payload of `length` bytes.
pub(crate) fn head(first: u8, length: u64) -> Vec<u8> {
    let mut head = vec![first];
    if let Ok(length @ 0..=125) = u8::try_from(length) {
        head.push(length);
    } else if let Ok(length) = u16::try_from(length) {
        head.push(126);
        head.extend(length.to_be_bytes());
    } else {
        head.push(127);
        head.extend(length.to_be_bytes());
    }
    head
}

/// A frame as a server sends it, or as no server should if `masked`.
pub(crate) fn frame(first: u8, payload: &[u8], masked: bool) -> Vec<u8> {
    let mut frame = head(first, payload.len() as u64);
    if masked {
        frame[1] |= MASKED;
        // A key of zeros leaves the payload unchanged.
        frame.extend([0; 4]);
    }
    frame.extend(payload);
    frame
}

/// A frame from the inner server.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) first: u8,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    pub(crate) fn opcode(&self) -> u8 {
        self.first & 0x0f
    }

    pub(crate) fn is_message(&self) -> bool {
        matches!(self.opcode(), TEXT | BINARY)
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        frame(self.first, &self.payload, false)
    }
}

/// Reads a server's frames.
pub(crate) struct Frames<R> {
    stream: R,
    buffer: Vec<u8>,
}

impl<R: AsyncRead + Unpin> Frames<R> {
    /// `buffer` holds what was already read.
    pub(crate) fn new(stream: R, buffer: Vec<u8>) -> Self {
        Self { stream, buffer }
    }

    /// The next frame, or `None` at the end. Dropping the future before it is ready loses nothing.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Frame>> {
        loop {
            if let Some(frame) = self.take()? {
                return Ok(Some(frame));
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
    }

    fn take(&mut self) -> io::Result<Option<Frame>> {
        let Some(Layout { head, length, .. }) = Layout::of(&self.buffer) else {
            return Ok(None);
        };
        if length > LARGEST {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let end = head + usize::try_from(length).map_err(|_| io::ErrorKind::InvalidData)?;
        if self.buffer.len() < end {
            return Ok(None);
        }
        let rest = self.buffer.split_off(end);
        let frame = std::mem::replace(&mut self.buffer, rest);
        Ok(Some(Frame {
            first: frame[0],
            payload: frame[head..].to_vec(),
        }))
    }
}

/// The layout of a frame.
struct Layout {
    /// The length of the head in bytes, including the masking key.
    head: usize,
    /// The length of the payload.
    length: u64,
    key: Option<[u8; 4]>,
}

impl Layout {
    /// The layout of the frame that starts here, if its head is complete.
    fn of(bytes: &[u8]) -> Option<Self> {
        let [_, second, rest @ ..] = bytes else {
            return None;
        };
        let (length, rest) = match second & !MASKED {
            126 => {
                let (length, rest) = rest.split_first_chunk()?;
                (u16::from_be_bytes(*length).into(), rest)
            }
            127 => {
                let (length, rest) = rest.split_first_chunk()?;
                (u64::from_be_bytes(*length), rest)
            }
            short => (short.into(), rest),
        };
        let (key, rest) = if second & MASKED == 0 {
            (None, rest)
        } else {
            let (key, rest) = rest.split_first_chunk()?;
            (Some(*key), rest)
        };
        Some(Self {
            head: bytes.len() - rest.len(),
            length,
            key,
        })
    }
}

/// Splits a client's stream into frames without holding payloads, which may be large.
#[derive(Default)]
pub(crate) struct Splitter {
    /// The beginning of a frame, or a whole control frame.
    begun: Vec<u8>,
    /// How much of the current frame's payload is still missing.
    missing: u64,
    /// Whether the current frame is its message's last.
    last: bool,
    message: Option<(u8, u64)>,
}

/// A part of a client's stream.
#[derive(Debug, PartialEq)]
pub(crate) enum Part {
    /// Bytes to pass on unchanged.
    Bytes(Vec<u8>),
    /// A whole control frame, with its payload unmasked.
    Control {
        opcode: u8,
        frame: Vec<u8>,
        payload: Vec<u8>,
    },
    /// The end of a message of this kind and size in bytes.
    MessageEnd { opcode: u8, bytes: u64 },
}

impl Splitter {
    /// Takes the bytes read and returns the parts found in them.
    pub(crate) fn feed(&mut self, mut bytes: &[u8]) -> Vec<Part> {
        let mut parts = Vec::new();
        while !bytes.is_empty() {
            if self.missing > 0 {
                let now = usize::try_from(self.missing).map_or(bytes.len(), |n| n.min(bytes.len()));
                let (payload, rest) = bytes.split_at(now);
                parts.push(Part::Bytes(payload.to_vec()));
                bytes = rest;
                self.missing -= now as u64;
                if self.missing == 0 {
                    self.end_frame(&mut parts);
                }
                continue;
            }
            self.begun.push(bytes[0]);
            bytes = &bytes[1..];
            self.look(&mut parts);
        }
        parts
    }

    /// Checks whether the collected bytes suffice to tell what they are.
    fn look(&mut self, parts: &mut Vec<Part>) {
        let Some(Layout { head, length, key }) = Layout::of(&self.begun) else {
            return;
        };
        let opcode = self.begun[0] & 0x0f;
        if opcode >= CLOSE && length <= 125 {
            if (self.begun.len() - head) as u64 == length {
                let frame = std::mem::take(&mut self.begun);
                let key = key.unwrap_or_default();
                let payload = frame[head..]
                    .iter()
                    .zip(key.iter().cycle())
                    .map(|(byte, key)| byte ^ key)
                    .collect();
                parts.push(Part::Control {
                    opcode,
                    frame,
                    payload,
                });
            }
            return;
        }
        self.last = self.begun[0] & FIN != 0;
        let (_, bytes) = self.message.get_or_insert((opcode, 0));
        *bytes = bytes.saturating_add(length);
        self.missing = length;
        parts.push(Part::Bytes(std::mem::take(&mut self.begun)));
        if length == 0 {
            self.end_frame(parts);
        }
    }

    fn end_frame(&mut self, parts: &mut Vec<Part>) {
        if self.last
            && let Some((opcode, bytes)) = self.message.take()
        {
            parts.push(Part::MessageEnd { opcode, bytes });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_are_read_as_they_are_written() {
        for length in [0, 1, 125, 126, 65_535, 65_536] {
            let payload = vec![7; length];
            let bytes = [frame(0x82, &payload, false), frame(0x81, b"x", true)].concat();
            let (start, rest) = bytes.split_at(bytes.len().min(3));
            let mut frames = Frames::new(rest, start.to_vec());
            let first = frames.next().await.unwrap().unwrap();
            assert_eq!((first.first, first.payload), (0x82, payload));
            assert!(frames.next().await.unwrap().unwrap().is_message());
            assert!(frames.next().await.unwrap().is_none());
        }
        let huge = head(0x82, u64::MAX);
        assert!(Frames::new(&huge[..], Vec::new()).next().await.is_err());
    }

    #[test]
    fn a_clients_stream_is_told_apart_however_it_is_cut() {
        let mut close = vec![0x88, 0x82, 1, 2, 3, 4];
        close.extend([0x03 ^ 1, 0xe9 ^ 2]);
        let mut bytes = frame(TEXT, b"ab", true);
        bytes.extend(frame(FIN, &[b'c'; 200], true));
        let messages = bytes.clone();
        bytes.extend(&close);
        for size in 1..bytes.len() {
            let mut splitter = Splitter::default();
            let parts: Vec<_> = bytes
                .chunks(size)
                .flat_map(|chunk| splitter.feed(chunk))
                .collect();
            let passed: Vec<u8> = parts
                .iter()
                .filter_map(|part| match part {
                    Part::Bytes(bytes) => Some(bytes.as_slice()),
                    _ => None,
                })
                .collect::<Vec<_>>()
                .concat();
            assert_eq!(passed, messages);
            let others: Vec<_> = parts
                .into_iter()
                .filter(|part| !matches!(part, Part::Bytes(_)))
                .collect();
            assert_eq!(
                others,
                [
                    Part::MessageEnd {
                        opcode: TEXT,
                        bytes: 202
                    },
                    Part::Control {
                        opcode: CLOSE,
                        frame: close.clone(),
                        payload: vec![0x03, 0xe9],
                    },
                ]
            );
        }
    }
}
