use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Running, connect, start, within};

/// A proxy, and an upstream whose end of each connection the test holds.
struct Proxied {
    server: Running,
    listener: TcpListener,
    address: SocketAddr,
}

async fn proxied() -> Proxied {
    let server = start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = listener.local_addr().unwrap();
    let wanted = json!({ "name": "p", "upstream": upstream.to_string() });
    let shown = server
        .json("POST", "/faults/proxies", &wanted.to_string())
        .await;
    let address = shown["listen"].as_str().unwrap().parse().unwrap();
    Proxied {
        server,
        listener,
        address,
    }
}

impl Proxied {
    /// A connection through the proxy: the client's end and the server's.
    async fn connect(&self) -> (TcpStream, TcpStream) {
        let client = TcpStream::connect(self.address).await.unwrap();
        let (server, _) = within(self.listener.accept()).await.unwrap();
        (client, server)
    }

    async fn poison(&self, toxic: Value) {
        let path = "/faults/proxies/p/toxics";
        self.server.json("POST", path, &toxic.to_string()).await;
    }

    async fn cure(&self) {
        self.server
            .json("DELETE", "/faults/proxies/p/toxics", "")
            .await;
    }
}

async fn is_quiet(stream: &mut TcpStream) -> bool {
    timeout(Duration::from_millis(200), stream.peek(&mut [0]))
        .await
        .is_err()
}

async fn pass(from: &mut TcpStream, to: &mut TcpStream, data: &[u8]) {
    let mut received = vec![0; data.len()];
    let (written, read) = tokio::join!(from.write_all(data), within(to.read_exact(&mut received)));
    written.unwrap();
    read.unwrap();
    assert!(received == data);
}

#[tokio::test]
async fn without_toxics_everything_passes() {
    let proxied = proxied().await;
    let (mut client, mut server) = proxied.connect().await;
    let data: Vec<u8> = (0..1_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
    pass(&mut client, &mut server, &data).await;
    pass(&mut server, &mut client, &data).await;
    // An end of one direction is not one of the other.
    client.shutdown().await.unwrap();
    assert_eq!(within(server.read(&mut [0])).await.unwrap(), 0);
    pass(&mut server, &mut client, b"still").await;
    drop(server);
    assert_eq!(within(client.read(&mut [0])).await.unwrap(), 0);
    let end = proxied
        .server
        .until(|event| event["event"] == "proxyEnd")
        .await;
    assert_eq!((&end["proxy"], &end["by"]), (&json!("p"), &json!("peers")));
}

#[tokio::test]
async fn a_websocket_goes_through() {
    let server = start().await;
    let wanted = json!({ "name": "p", "upstream": server.address.to_string() });
    let shown = server
        .json("POST", "/faults/proxies", &wanted.to_string())
        .await;
    let address = shown["listen"].as_str().unwrap().parse().unwrap();
    let mut client = connect(address, "/").await.unwrap();
    assert_eq!(client.ask("Ada").await, Message::from("Hello Ada!"));
}

#[tokio::test]
async fn latency_delays_one_direction_and_keeps_the_order() {
    let proxied = proxied().await;
    let (mut client, mut server) = proxied.connect().await;
    proxied
        .poison(json!({"type": "latency", "attributes": {"latency": 400, "jitter": 100}}))
        .await;
    pass(&mut client, &mut server, b"at once").await;
    let before = Instant::now();
    let mut received = [0; 10];
    for number in 0..10 {
        server.write_u8(number).await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    within(client.read_exact(&mut received)).await.unwrap();
    assert_eq!(received, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert!(before.elapsed() >= Duration::from_millis(300));
}

#[tokio::test]
async fn bandwidth_is_limited() {
    let proxied = proxied().await;
    let (mut client, mut server) = proxied.connect().await;
    let toxic = json!({"type": "bandwidth", "stream": "upstream", "attributes": {"rate": 100}});
    proxied.poison(toxic).await;
    let before = Instant::now();
    pass(&mut client, &mut server, &[7; 50_000]).await;
    assert!(before.elapsed() >= Duration::from_millis(450));
    pass(&mut server, &mut client, &[7; 1_000_000]).await;
}

#[tokio::test]
async fn a_black_hole_holds_what_goes_in_until_it_is_gone() {
    let proxied = proxied().await;
    let (mut client, mut server) = proxied.connect().await;
    pass(&mut client, &mut server, b"before").await;
    proxied
        .poison(json!({"type": "timeout", "stream": "upstream"}))
        .await;
    client.write_all(b"held").await.unwrap();
    client.shutdown().await.unwrap();
    assert!(is_quiet(&mut server).await);
    pass(&mut server, &mut client, b"the other way").await;
    proxied.cure().await;
    let mut received = Vec::new();
    within(server.read_to_end(&mut received)).await.unwrap();
    assert_eq!(received, b"held");
}

#[tokio::test]
async fn a_black_hole_may_end_the_connection() {
    let proxied = proxied().await;
    let (mut client, mut server) = proxied.connect().await;
    proxied
        .poison(json!({"type": "timeout", "attributes": {"timeout": 200}}))
        .await;
    server.write_all(b"lost").await.unwrap();
    let mut received = Vec::new();
    assert_eq!(within(client.read_to_end(&mut received)).await.unwrap(), 0);
}

#[tokio::test]
async fn peers_are_reset() {
    let proxied = proxied().await;
    let (mut client, mut server) = proxied.connect().await;
    pass(&mut client, &mut server, b"before").await;
    proxied.poison(json!({"type": "reset_peer"})).await;
    for stream in [&mut client, &mut server] {
        let error = within(stream.read(&mut [0])).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }
    let end = proxied
        .server
        .until(|event| event["event"] == "proxyEnd")
        .await;
    assert_eq!(end["by"], "reset");
}

#[tokio::test]
async fn an_end_arrives_late() {
    let proxied = proxied().await;
    let (mut client, server) = proxied.connect().await;
    proxied
        .poison(json!({"type": "slow_close", "attributes": {"delay": 400}}))
        .await;
    let before = Instant::now();
    drop(server);
    assert_eq!(within(client.read(&mut [0])).await.unwrap(), 0);
    assert!(before.elapsed() >= Duration::from_millis(400));
}

#[tokio::test]
async fn a_limit_counts_from_its_giving() {
    let proxied = proxied().await;
    let (mut client, mut server) = proxied.connect().await;
    pass(&mut server, &mut client, &[1; 1000]).await;
    proxied
        .poison(json!({"type": "limit_data", "attributes": {"bytes": 100}}))
        .await;
    pass(&mut server, &mut client, &[2; 60]).await;
    server.write_all(&[3; 60]).await.unwrap();
    let mut received = Vec::new();
    within(client.read_to_end(&mut received)).await.unwrap();
    assert_eq!(received, [3; 40]);
}

#[tokio::test]
async fn data_comes_in_slices() {
    let proxied = proxied().await;
    let (mut client, mut server) = proxied.connect().await;
    let attributes = json!({"average_size": 10, "size_variation": 5, "delay": 20_000});
    proxied
        .poison(json!({"type": "slicer", "attributes": attributes}))
        .await;
    server.write_all(&[7; 100]).await.unwrap();
    let (mut pieces, mut missing) = (0, 100);
    while missing > 0 {
        let mut piece = [0; 100];
        missing -= within(client.read(&mut piece)).await.unwrap();
        pieces += 1;
    }
    assert!(pieces > 1, "{pieces}");
}

#[tokio::test]
async fn down_is_down_until_it_is_up_again() {
    let proxied = proxied().await;
    let (mut client, _server) = proxied.connect().await;
    proxied.poison(json!({"type": "down"})).await;
    assert_eq!(within(client.read(&mut [0])).await.unwrap(), 0);
    let refused = TcpStream::connect(proxied.address).await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    proxied.cure().await;
    let (mut client, mut server) = proxied.connect().await;
    pass(&mut client, &mut server, b"again").await;
}

#[tokio::test]
async fn proxies_are_listed_and_removed() {
    let proxied = proxied().await;
    let server = &proxied.server;
    let (mut client, _upstream) = proxied.connect().await;
    proxied
        .poison(json!({"type": "latency", "attributes": {"latency": 1}}))
        .await;
    proxied
        .poison(json!({"name": "mine", "type": "down", "stream": "upstream"}))
        .await;
    let shown = server.json("GET", "/faults/proxies/p", "").await;
    assert_eq!(shown["listen"], proxied.address.to_string());
    assert_eq!(shown["toxics"][0]["name"], "latency_downstream");
    assert_eq!(
        server.json("GET", "/faults/proxies", "").await,
        json!({"proxies": [shown]})
    );
    server
        .json("DELETE", "/faults/proxies/p/toxics/mine", "")
        .await;
    assert_eq!(
        server
            .ask("DELETE", "/faults/proxies/p/toxics/mine", "")
            .await
            .0,
        404
    );

    let again = json!({ "name": "p", "upstream": "127.0.0.1:1" });
    let (status, text) = server
        .ask("POST", "/faults/proxies", &again.to_string())
        .await;
    assert_eq!(status, 400);
    assert!(text.contains("proxy p already exists"), "{text}");

    server.json("DELETE", "/faults/proxies/p", "").await;
    assert!(!matches!(within(client.read(&mut [0])).await, Ok(1..)));
    within(async { while TcpStream::connect(proxied.address).await.is_ok() {} }).await;
    assert_eq!(server.ask("GET", "/faults/proxies/p", "").await.0, 404);
}
