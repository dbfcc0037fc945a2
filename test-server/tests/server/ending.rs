use std::net::SocketAddr;
use std::time::Duration;

use test_server::{Config, Server, StartError, Stopped};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use crate::support::{config, start, within};

#[tokio::test]
async fn a_stop_says_1001_to_everybody_and_waits_for_them() {
    let server = start(Config {
        shutdown_timeout: Duration::from_secs(20),
        ..config()
    })
    .await;
    let address = server.address;
    let mut clients = Vec::new();
    for path in ["/", "/hello", "/echo"] {
        clients.push(server.connect(path).await);
    }
    let stopped = server.stop();
    for client in clients {
        assert_eq!(
            client.closed().await,
            (1001, "the server is stopping".to_owned())
        );
    }
    assert_eq!(within(stopped).await.unwrap(), Stopped { cut: 0 });
    assert!(
        TcpStream::connect(address).await.is_err(),
        "nobody listens any more"
    );
}

#[tokio::test]
async fn a_stop_does_not_wait_for_ever() {
    let server = start(Config {
        close_timeout: Duration::from_secs(60),
        ..config()
    })
    .await;
    let mut client = server.connect("/").await;
    assert_eq!(client.ask("Ada").await, Message::from("Hello Ada!"));
    let stopped = server.stop();
    // The client does not read, and so never answers the Close.
    assert_eq!(within(stopped).await.unwrap(), Stopped { cut: 1 });
}

#[tokio::test]
async fn a_stop_ends_idle_and_stalled_http_connections() {
    let server = start(config()).await;
    let idle = TcpStream::connect(server.address).await.unwrap();
    assert_eq!(within(server.stop()).await.unwrap(), Stopped { cut: 0 });
    drop(idle);
}

#[tokio::test]
async fn a_server_that_is_dropped_cuts_its_connections() {
    let server = start(config()).await;
    let mut client = server.connect("/").await;
    client.ask("Ada").await;
    server.abort();
    client.cut().await;
}

#[tokio::test]
async fn the_client_may_close_first() {
    let server = start(config()).await;
    let mut client = server.connect("/").await;
    client.ask("Ada").await;
    client.send(Message::Close(None)).await;
    let end = client.next().await.unwrap().unwrap();
    assert!(matches!(end, Message::Close(_)), "{end:?}");
    client.cut().await;
}

#[tokio::test]
async fn a_port_in_use_and_a_bad_host_are_told_apart() {
    let first = Server::bind(config()).await.unwrap();
    let port = first.local_addr().port();
    let error = Server::bind(Config { port, ..config() }).await.unwrap_err();
    assert!(matches!(error, StartError::Listen { .. }));
    let expected = format!("port {port} of 127.0.0.1 is in use");
    assert!(error.to_string().starts_with(&expected), "{error}");

    let error = Server::bind(Config {
        host: "256.1.1.1".into(),
        ..config()
    })
    .await
    .unwrap_err();
    assert!(error.to_string().contains("cannot listen"), "{error}");
    let error = Server::bind(Config {
        max_connections: 0,
        ..config()
    })
    .await
    .unwrap_err();
    assert!(error.to_string().contains("from 1 to 1000000"), "{error}");
}

#[tokio::test]
async fn ipv6_works_too() {
    let server = start(Config {
        host: "::1".into(),
        ..config()
    })
    .await;
    assert!(matches!(server.address, SocketAddr::V6(_)));
    let own = format!("http://{}", server.address);
    let (mut client, _) = server.connect_with("/", &[("origin", &own)]).await.unwrap();
    assert_eq!(client.ask("Ada").await, Message::from("Hello Ada!"));
}
