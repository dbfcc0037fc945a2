use serde_json::{Value, json};
use steady_socket_protocol::hello::{ClientMessage, InvalidName, ServerMessage};
use steady_socket_protocol::{self as protocol, Decode, Encode, MsgPack};
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Client, config, start};

#[tokio::test]
async fn every_name_is_greeted_and_written_down() {
    let server = start(config()).await;
    let mut client = server.connect("/").await;
    for name in ["Ada", " Grace ", "世界", "👩‍🚀", "<b>&\"'\\"] {
        assert_eq!(
            client.ask(name).await,
            Message::from(format!("Hello {name}!"))
        );
    }
    let expected = "< Ada\n> Hello Ada!\n<  Grace \n> Hello  Grace !\n< 世界\n> Hello 世界!\n\
                    < 👩‍🚀\n> Hello 👩‍🚀!\n< <b>&\"'\\\n> Hello <b>&\"'\\!\n";
    assert_eq!(server.transcript(), expected);
}

#[tokio::test]
async fn names_sent_at_once_are_greeted_in_order() {
    let server = start(config()).await;
    let mut client = server.connect("/").await;
    for index in 0..500 {
        client.send(index.to_string()).await;
    }
    for index in 0..500 {
        assert_eq!(
            client.receive().await,
            Message::from(format!("Hello {index}!"))
        );
    }
}

#[tokio::test]
async fn an_invalid_name_closes_the_plain_hello_and_says_why() {
    let server = start(config()).await;
    let cases = [
        (String::new(), "the name is empty"),
        ("   ".to_owned(), "the name is empty"),
        ("é".repeat(257), "has 257 characters: send at most 256"),
        (
            "a\u{1b}[31mb".to_owned(),
            "character 2 of the name is a control character",
        ),
    ];
    for (name, expected) in cases {
        let mut client = server.connect("/").await;
        client.send(name).await;
        let (code, reason) = client.closed().await;
        assert_eq!(code, 1008);
        assert!(reason.contains(expected), "{reason}");
    }
    let mut client = server.connect("/").await;
    assert_eq!(
        client.ask("é".repeat(256)).await.len(),
        512 + "Hello !".len()
    );
    assert_eq!(
        server.transcript().lines().count(),
        2,
        "only the valid name is written down"
    );
}

#[tokio::test]
async fn binary_closes_the_plain_hello_with_1003() {
    let server = start(config()).await;
    let mut client = server.connect("/").await;
    client.send(b"Ada".to_vec()).await;
    assert_eq!(client.closed().await.0, 1003);
}

async fn ask_json(client: &mut Client, message: impl Into<Message>) -> Value {
    serde_json::from_str(client.ask(message).await.to_text().unwrap()).unwrap()
}

#[tokio::test]
async fn the_typed_hello_speaks_json_and_survives_every_mistake() {
    let server = start(config()).await;
    for headers in [&[][..], &[("sec-websocket-protocol", "hello.json")]] {
        let (mut client, _) = server.connect_with("/hello", headers).await.unwrap();
        let greeting = json!({ "type": "greeting", "text": "Hello Ada!" });
        let hello = r#"{"type":"hello","name":"Ada"}"#;
        assert_eq!(ask_json(&mut client, hello).await, greeting);

        let invalid = |reason: Value| json!({ "type": "invalid", "reason": reason });
        let cases = [
            (
                r#"{"type":"hello","name":" "}"#.to_owned(),
                invalid(json!({ "problem": "empty" })),
            ),
            (
                json!({ "type": "hello", "name": "x".repeat(300) }).to_string(),
                invalid(json!({ "problem": "tooLong", "length": 300, "max": 256 })),
            ),
            (
                r#"{"type":"hello","name":"a\nb"}"#.to_owned(),
                invalid(json!({ "problem": "controlCharacter", "position": 1 })),
            ),
        ];
        for (message, expected) in cases {
            assert_eq!(ask_json(&mut client, message).await, expected);
        }

        let deep = "[".repeat(30_000);
        for text in [
            "",
            "hunter2",
            "{}",
            "null",
            r#"{"type":"bye"}"#,
            r#"{"type":"hello"}"#,
            &deep,
        ] {
            let answer = ask_json(&mut client, text).await;
            assert_eq!(answer["type"], "malformed", "{text}");
            assert!(
                !answer.to_string().contains("hunter2"),
                "no payload in errors: {answer}"
            );
        }
        let answer = ask_json(&mut client, vec![1_u8, 2]).await;
        let text = "json: expected a text message, not a binary one";
        assert_eq!(answer, json!({ "type": "malformed", "text": text }));

        assert_eq!(
            ask_json(&mut client, hello).await,
            greeting,
            "the connection is still good"
        );
    }
    assert!(
        server
            .transcript()
            .starts_with("< Ada\n> Hello Ada!\n< Ada\n")
    );
}

#[tokio::test]
async fn the_typed_hello_speaks_messagepack() {
    let server = start(config()).await;
    let headers = [("sec-websocket-protocol", "hello.msgpack")];
    let (mut client, _) = server.connect_with("/hello", &headers).await.unwrap();
    let mut ask = async |message: Message| -> ServerMessage {
        let answer = client.ask(message).await;
        MsgPack::decode(protocol::Message::Binary(answer.into_data().into())).unwrap()
    };
    let hello = |name: &str| {
        let message = MsgPack::encode(&ClientMessage::Hello {
            name: name.to_owned(),
        })
        .unwrap();
        let protocol::Message::Binary(bytes) = message else {
            unreachable!()
        };
        Message::from(bytes)
    };
    let greeting = ServerMessage::Greeting {
        text: "Hello Ada!".to_owned(),
    };
    assert_eq!(ask(hello("Ada")).await, greeting);
    let invalid = ServerMessage::Invalid {
        reason: InvalidName::Empty,
    };
    assert_eq!(ask(hello("")).await, invalid);
    let mut truncated = hello("Ada").into_data().to_vec();
    truncated.pop();
    for wrong in [
        truncated.into(),
        vec![0xc1].into(),
        vec![0x91; 60_000].into(),
        "text".into(),
    ] {
        assert!(matches!(ask(wrong).await, ServerMessage::Malformed { .. }));
    }
    assert_eq!(ask(hello("Ada")).await, greeting);
}

#[tokio::test]
async fn echo_keeps_content_and_kind() {
    let server = start(config()).await;
    let mut client = server.connect("/echo").await;
    let messages: [Message; 5] = [
        "text\n\0".into(),
        "".into(),
        vec![0_u8, 255].into(),
        Vec::new().into(),
        "é".repeat(32 * 1024).into(),
    ];
    for message in messages {
        assert_eq!(client.ask(message.clone()).await, message);
    }
    assert_eq!(server.transcript(), "");
}
