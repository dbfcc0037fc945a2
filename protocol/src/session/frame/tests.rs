use super::*;
use alloc::format;
use alloc::vec;
use proptest::prelude::*;

fn text(text: &str) -> Data<'_> {
    Data::from(text)
}

fn limits() -> Limits {
    Limits {
        messages: 1_000,
        bytes: 1_048_576,
        message_bytes: 1_048_576,
        requests: 64,
    }
}

/// A number, often at a border.
fn numbers() -> impl Strategy<Value = u64> {
    prop_oneof![
        Just(0),
        0..20_u64,
        (u64::from(u32::MAX) - 2)..(u64::from(u32::MAX) + 3),
        (MAX_NUMBER - 3)..=MAX_NUMBER,
        0..=MAX_NUMBER,
    ]
}

fn positive() -> impl Strategy<Value = u64> {
    numbers().prop_map(|number| number.max(1))
}

fn payloads(kind: Kind) -> BoxedStrategy<Data<'static>> {
    match kind {
        Kind::Text => prop_oneof![
            "~{0,3}.{0,8}".prop_map(|text| Data::Text(Cow::Owned(text))),
            "[\\[\\]{}\",\\\\a1 \n~]{0,8}".prop_map(|text| Data::Text(Cow::Owned(text))),
        ]
        .boxed(),
        Kind::Binary => prop::collection::vec(prop_oneof![Just(BINARY_MARK), any::<u8>()], 0..300)
            .prop_map(|bytes| Data::Binary(Cow::Owned(bytes)))
            .boxed(),
    }
}

fn kinds() -> impl Strategy<Value = Kind> {
    prop_oneof![Just(Kind::Text), Just(Kind::Binary)]
}

fn any_payload() -> impl Strategy<Value = Data<'static>> {
    kinds().prop_flat_map(payloads)
}

fn verdicts() -> impl Strategy<Value = Verdict> {
    let gaps = prop::collection::vec((2..5_u64, 0..3_u64), 0..4);
    (0..1_000_u64, gaps, numbers(), numbers()).prop_map(|(handled, gaps, given, received)| {
        let mut last = handled;
        let also = gaps.into_iter().map(|(gap, length)| {
            let from = last + gap;
            last = from + length;
            (from, last)
        });
        let also = also.collect();
        Verdict {
            handled,
            also,
            given,
            received,
        }
    })
}

fn some_limits() -> impl Strategy<Value = Limits> {
    (positive(), positive(), positive(), numbers()).prop_map(
        |(messages, bytes, message_bytes, requests)| Limits {
            messages,
            bytes,
            message_bytes,
            requests,
        },
    )
}

fn hellos() -> impl Strategy<Value = Hello> {
    let counts = (numbers(), numbers(), numbers(), positive(), numbers());
    let credential = prop::option::of("[!-~]{1,40}");
    (
        any::<[u8; 16]>(),
        positive(),
        counts,
        some_limits(),
        numbers(),
        credential,
    )
        .prop_map(
            |(
                random,
                attempt,
                (epoch, received, handled, first, sent),
                limits,
                age_ms,
                credential,
            )| {
                Hello {
                    secret: Secret::new(random),
                    attempt,
                    epoch,
                    received,
                    handled,
                    first,
                    sent,
                    limits,
                    age_ms,
                    credential: credential.and_then(|text| Credential::parse(&text)),
                }
            },
        )
}

fn welcomes() -> impl Strategy<Value = Welcome> {
    let why = prop::sample::select(Why::ALL.map(|(why, _)| why).to_vec());
    let outcome = prop_oneof![
        Just(Outcome::Fresh),
        Just(Outcome::Continued),
        positive().prop_map(Outcome::Replayed),
        (why, prop::option::of(verdicts()))
            .prop_map(|(why, verdict)| Outcome::Lost(Lost { why, verdict })),
    ];
    let counts = (
        positive(),
        numbers(),
        numbers(),
        numbers(),
        positive(),
        numbers(),
    );
    let back = prop::option::of((numbers(), numbers()).prop_map(|(a, b)| Window {
        min_ms: a.min(b),
        max_ms: a.max(b),
    }));
    (
        outcome,
        counts,
        some_limits(),
        numbers(),
        prop::option::of(numbers()),
        back,
    )
        .prop_map(
            |(
                outcome,
                (epoch, owner, received, handled, first, sent),
                limits,
                window_ms,
                beat_ms,
                back,
            )| {
                Welcome {
                    outcome,
                    epoch,
                    owner,
                    received,
                    handled,
                    first,
                    sent,
                    limits,
                    window_ms,
                    beat_ms,
                    back,
                }
            },
        )
}

fn frames() -> impl Strategy<Value = Frame<Data<'static>>> {
    let batch = (kinds(), 1..(MAX_NUMBER - 10), prop::option::of(numbers())).prop_flat_map(
        |(kind, first, handled)| {
            prop::collection::vec(payloads(kind), 1..6).prop_map(move |messages| Frame::Batch {
                first,
                handled,
                messages,
            })
        },
    );
    let refusal = prop::sample::select(Refusal::ALL.map(|(why, _)| why).to_vec());
    let answer = prop_oneof![
        any_payload().prop_map(Answer::Response),
        any_payload().prop_map(Answer::Error),
        refusal.prop_map(Answer::Refused),
    ];
    prop_oneof![
        any_payload().prop_map(Frame::Message),
        batch,
        positive().prop_map(Frame::Skip),
        any_payload().prop_map(Frame::Request),
        (positive(), numbers(), answer).prop_map(|(request, handled, answer)| Frame::Answer {
            request,
            handled,
            answer
        }),
        positive().prop_map(|request| Frame::Cancel { request }),
        any_payload().prop_map(Frame::AwaitedMessage),
        any_payload().prop_map(Frame::Volatile),
        (numbers(), numbers()).prop_map(|(handled, sent)| Frame::Ack(Counts { handled, sent })),
        positive().prop_map(Frame::Got),
        positive().prop_map(Frame::Awaited),
        positive().prop_map(Frame::Stalled),
        "[!-~]{1,40}".prop_map(|text| Frame::Credential(Credential::parse(&text).unwrap())),
        hellos().prop_map(|hello| Frame::Hello(hello.into())),
        welcomes().prop_map(|welcome| Frame::Welcome(welcome.into())),
        (verdicts(), numbers()).prop_map(|(verdict, sent)| Frame::End { verdict, sent }),
        Just(Frame::Control(Control::Ping { number: Some(7) })),
        Just(Frame::Unknown),
    ]
}

fn styles() -> impl Strategy<Value = Style> {
    prop::sample::select(vec![Style::JSON, Style::TEXT, Style::BINARY])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn every_frame_is_read_as_it_was_written(frame in frames(), style in styles()) {
        let written = write(frame.clone(), style).unwrap();
        prop_assert_eq!(&read(written.clone()), &Ok(frame.clone()), "owned: {:?}", written);
        let borrowed = match &written {
            Data::Text(text) => Data::Text(Cow::Borrowed(text)),
            Data::Binary(bytes) => Data::Binary(Cow::Borrowed(bytes)),
        };
        prop_assert_eq!(read(borrowed), Ok(frame));
    }

    #[test]
    fn nothing_that_arrives_does_harm(
        text in "~?(hello|welcome|end|skip|credential|stalled|[bBsSqrexcvagw])?.{0,40}",
        bytes in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        let _ = read(Data::from(text.as_str()));
        let _ = read(Data::from(text.as_bytes()));
        let _ = read(Data::from(bytes.as_slice()));
        let marked: Vec<u8> = [BINARY_MARK].into_iter().chain(bytes).collect();
        let _ = read(Data::from(marked.as_slice()));
    }

    /// A frame with a byte missing, doubled or changed is read as something, or refused with a sentence.
    #[test]
    fn a_damaged_frame_does_no_harm(frame in frames(), style in styles(), at: prop::sample::Index, byte: u8, how in 0..3) {
        let mut bytes = match write(frame, style).unwrap() {
            Data::Text(text) => text.into_owned().into_bytes(),
            Data::Binary(bytes) => bytes.into_owned(),
        };
        if !bytes.is_empty() {
            let at = at.index(bytes.len());
            match how {
                0 => { bytes.remove(at); }
                1 => bytes.insert(at, byte),
                _ => bytes[at] = byte,
            }
        }
        for data in [Data::from(bytes.as_slice()), Data::Text(String::from_utf8_lossy(&bytes))] {
            if let Err(error) = read(data) {
                prop_assert!(error.to_string().contains("malformed"));
            }
        }
    }
}

#[test]
fn what_is_malformed_is_refused_with_what_is_accepted() {
    for (frame, kind, problem) in [
        ("~a", "a", Problem::Number("handled")),
        ("~a 1", "a", Problem::Number("sent")),
        ("~a 1 02", "a", Problem::Number("sent")),
        ("~a 1 -2", "a", Problem::Number("sent")),
        ("~a 1  2", "a", Problem::Number("sent")),
        ("~a 1 9007199254740992", "a", Problem::Number("sent")),
        ("~a 1 12345678901234567", "a", Problem::Number("sent")),
        ("~a 1 2 ", "a", Problem::Excess),
        ("~g 0", "g", Problem::Zero("number")),
        ("~skip 0", "skip", Problem::Zero("count")),
        ("~q", "q", Problem::Missing("payload")),
        ("~c 0", "c", Problem::Zero("request")),
        ("~r 7 x", "r", Problem::Number("handled")),
        ("~c 7 x", "c", Problem::Excess),
        ("~d", "d", Problem::Missing("payload")),
        ("~v", "v", Problem::Missing("payload")),
        ("~b 1[]", "b", Problem::Array),
        ("~b 1 [1]", "b", Problem::Array),
        ("~b 0[1]", "b", Problem::Zero("first")),
        ("~b 1[1", "b", Problem::Array),
        ("~s 1[1]", "s", Problem::Text),
        ("~b 9007199254740991[1,2]", "b", Problem::Range),
        ("~hello", "hello", Problem::Missing("secret")),
        ("~hello secret=x", "hello", Problem::Value("secret")),
        (
            "~credential a b",
            "credential",
            Problem::Value("credential"),
        ),
        ("~welcome outcome=odd", "welcome", Problem::Value("outcome")),
        ("~welcome epoch=1", "welcome", Problem::Missing("outcome")),
        (
            "~welcome outcome=fresh return=1500-0",
            "welcome",
            Problem::Value("return"),
        ),
        ("~end sent=1", "end", Problem::Missing("was-handled")),
        (
            "~end sent=1 was-handled=5 was-also=5 was-given=6 was-received=6",
            "end",
            Problem::Value("was-also"),
        ),
    ] {
        let error = read(text(frame)).unwrap_err();
        assert_eq!(error, FrameError { kind, problem }, "{frame}");
        assert!(error.to_string().contains(kind), "{error}");
    }
    for (bytes, kind, problem) in [
        (&b"\xC1b 1"[..], "b", Problem::Missing("payload")),
        (b"\xC1b 1 ", "b", Problem::Array),
        (b"\xC1b 1 \x02a", "b", Problem::Length),
        (b"\xC1b 1 \x80\x00", "b", Problem::Length),
        (b"\xC1b 1 \xff\xff\xff\xff\x7f", "b", Problem::Length),
        (b"\xC1s 1 \x01a", "s", Problem::Array),
        (b"\xC1hello \xff", "hello", Problem::Head),
    ] {
        let error = read(Data::from(bytes)).unwrap_err();
        assert_eq!(error, FrameError { kind, problem }, "{bytes:?}");
    }
}

#[test]
fn what_is_unknown_is_passed_over() {
    for frame in ["~", "~ ", "~later 1", "~window 0-1500", "~A 1 2", "~beat x"] {
        assert_eq!(read(text(frame)), Ok(Frame::Unknown), "{frame}");
    }
    for frame in [&b"\xC1"[..], b"\xC1 ", b"\xC1later", b"\xC1beat 20000"] {
        assert_eq!(read(Data::from(frame)), Ok(Frame::Unknown), "{frame:?}");
    }
    let hello = "~hello colour=blue secret=AAAAAAAAAAAAAAAAAAAAAA attempt=1 epoch=0 received=0 handled=0 first=1 \
                 sent=0 messages=1000 bytes=1048576 message=1048576 requests=64 age=0 later";
    let Ok(Frame::Hello(hello)) = read(text(hello)) else {
        panic!("unknown fields do no harm");
    };
    assert_eq!(hello.limits, limits());
    let Ok(Frame::Answer { answer, .. }) = read(text("~x 1 0 tired")) else {
        panic!("unknown reasons do no harm");
    };
    assert_eq!(answer, Answer::Refused(Refusal::Other));
}

#[test]
fn a_lone_message_is_the_frame_that_it_would_be_without_a_session() {
    for message in ["", "Ada", "{\"a\":1}", " ~", "a~"] {
        let written = write(Frame::Message(text(message)), Style::JSON).unwrap();
        assert!(matches!(&written, Data::Text(Cow::Borrowed(same)) if *same == message));
    }
    let bytes = [0x93, BINARY_MARK, 1, 2];
    let written = write(Frame::Message(Data::from(&bytes[..])), Style::BINARY).unwrap();
    assert!(matches!(written, Data::Binary(Cow::Borrowed(same)) if same == bytes));
}

/// The figures of the specification.
#[test]
fn what_a_session_adds_in_bytes() {
    let json = format!("\"{}\"", "x".repeat(98));
    let bytes = [7_u8; 100];
    let cost = |first: u64, message: Data<'_>, style| {
        let batch = Frame::Batch {
            first,
            handled: None,
            messages: vec![message; 20],
        };
        write(batch, style).unwrap().len() - 20 * 100
    };
    for (first, json_cost, binary_cost) in [
        (1, 25, 25),
        (999_999_999, 33, 33),
        (MAX_NUMBER - 20, 40, 40),
    ] {
        assert_eq!(cost(first, text(&json), Style::JSON), json_cost);
        assert_eq!(
            cost(first, Data::from(&bytes[..]), Style::BINARY),
            binary_cost
        );
    }
    for style in [Style::JSON, Style::BINARY] {
        let ack = |number| {
            let counts = Counts {
                handled: number,
                sent: number,
            };
            write(Frame::Ack(counts), style).unwrap().len()
        };
        assert_eq!(ack(999_999_999), 22);
        assert_eq!(ack(MAX_NUMBER), 36);
    }
}

#[test]
fn a_text_that_would_change_in_a_batch_of_json_goes_as_a_string() {
    let batch = Frame::Batch {
        first: 1,
        handled: None,
        messages: vec![text("[1]"), text("]")],
    };
    let written = write(batch, Style::JSON).unwrap();
    assert_eq!(written, text(r#"~s 1["[1]","]"]"#));
}

#[test]
fn what_cannot_be_written_says_why() {
    let batch = |messages| Frame::Batch {
        first: 1,
        handled: None,
        messages,
    };
    let error = |frame| write(frame, Style::TEXT).unwrap_err();
    assert_eq!(error(batch(vec![])), WriteError::EmptyBatch);
    let mixed = vec![text("a"), Data::from(&b"b"[..])];
    assert_eq!(error(batch(mixed)), WriteError::MixedBatch);
    let beyond = Frame::Cancel {
        request: MAX_NUMBER + 1,
    };
    assert_eq!(error(beyond), WriteError::Number);
}

#[test]
fn secrets_and_credentials_are_checked_and_hidden() {
    assert_eq!(Secret::new([0; 16]).as_str(), "AAAAAAAAAAAAAAAAAAAAAA");
    assert_eq!(Secret::new([0xff; 16]).as_str(), "_____________________w");
    let counting = core::array::from_fn(|at| at as u8);
    // As `base64.urlsafe_b64encode(bytes(range(16)))` in Python, without the padding.
    assert_eq!(Secret::new(counting).as_str(), "AAECAwQFBgcICQoLDA0ODw");
    assert!(Secret::parse(&"a".repeat(21)).is_none());
    assert!(Secret::parse(&"a".repeat(87)).is_none());
    assert!(Secret::parse("AAAAAAAAAAAAAAAAAAAAA=").is_none());
    assert!(Credential::parse("").is_none());
    assert!(Credential::parse("a b").is_none());
    assert!(Credential::parse(&"a".repeat(CREDENTIAL_BYTES + 1)).is_none());
    let secret = Secret::new(counting);
    assert_eq!(format!("{secret:?}"), "Secret(…)");
    let credential = Credential::parse("hunter2").unwrap();
    assert_eq!(format!("{credential:?}"), "Credential(…)");
    // As `hashlib.sha256(b"AAECAwQFBgcICQoLDA0ODw").hexdigest()` in Python starts.
    assert_eq!(format!("{:?}", secret.key()), "Key(5d2611d5…)");
}
