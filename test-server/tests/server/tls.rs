use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ::ring::digest::{SHA256, digest};
use data_encoding::BASE64;
use futures_util::{SinkExt, StreamExt};
use rcgen::PublicKeyData;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use test_server::{Certificate, Config, Server, StartError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::support::{Folder, Killed, config, program, start, within};

fn secure() -> Config {
    Config {
        tls: Some(Certificate::SelfSigned),
        ..config()
    }
}

/// Accepts any certificate and keeps it for inspection; signatures are still checked.
#[derive(Debug)]
struct Keeper(Arc<CryptoProvider>, Mutex<Vec<u8>>);

impl ServerCertVerifier for Keeper {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        *self.1.lock().unwrap() = end_entity.to_vec();
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// The certificate that the server presents.
async fn certificate(address: SocketAddr) -> CertificateDer<'static> {
    let keeper = Arc::new(Keeper(provider(), Mutex::default()));
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&keeper) as _)
        .with_no_client_auth();
    connect_tls(address, "localhost", config).await.unwrap();
    let certificate = keeper.1.lock().unwrap().clone();
    certificate.into()
}

async fn connect_tls(
    address: SocketAddr,
    name: &'static str,
    config: ClientConfig,
) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = within(TcpStream::connect(address)).await.unwrap();
    let name = ServerName::try_from(name).unwrap();
    within(TlsConnector::from(Arc::new(config)).connect(name, stream)).await
}

/// A client's configuration that trusts this certificate and no other.
fn trusting(certificate: CertificateDer<'static>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

type Client = WebSocketStream<TlsStream<TcpStream>>;

/// Connects with all checks on, as if the certificate had come from a trusted source.
async fn connect(
    address: SocketAddr,
    path: &str,
    headers: &[(&'static str, &str)],
) -> Result<Client, Error> {
    let config = trusting(certificate(address).await);
    let stream = connect_tls(address, "localhost", config).await.unwrap();
    let url = format!("wss://{address}{path}");
    let mut request = url.into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    Ok(within(client_async(request, stream)).await?.0)
}

#[tokio::test]
async fn it_greets_and_says_goodbye_over_tls() {
    let server = start(secure()).await;
    let address = server.address;
    let mut client = connect(address, "/", &[]).await.unwrap();
    client.send(Message::from("Ada")).await.unwrap();
    let answer = within(client.next()).await.unwrap().unwrap();
    assert_eq!(answer, Message::from("Hello Ada!"));

    let mut echo = connect(address, "/echo", &[]).await.unwrap();
    let large = Message::from(vec![7_u8; 64 * 1024]);
    echo.send(large.clone()).await.unwrap();
    assert_eq!(within(echo.next()).await.unwrap().unwrap(), large);

    let stopped = server.stop();
    for client in [&mut client, &mut echo] {
        let Message::Close(Some(close)) = within(client.next()).await.unwrap().unwrap() else {
            panic!("no close frame");
        };
        assert_eq!(u16::from(close.code), 1001);
        // TLS marks the end, too: nobody truncated the connection.
        let end = within(client.next()).await;
        assert!(
            matches!(end, None | Some(Err(Error::ConnectionClosed))),
            "{end:?}"
        );
    }
    assert_eq!(within(stopped).await.unwrap().cut, 0);
}

#[tokio::test]
async fn the_page_comes_by_https_and_may_connect_by_wss() {
    let www = Folder::new("tls");
    www.write("index.html", "page");
    let server = start(Config {
        www: www.path(),
        ..secure()
    })
    .await;
    let address = server.address;
    let config = trusting(certificate(address).await);
    let mut stream = connect_tls(address, "localhost", config).await.unwrap();
    let request = format!("GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    within(stream.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.ends_with("\r\n\r\npage"), "{answer}");
    assert!(
        answer.contains(&format!("connect-src 'self' wss://{address} ")),
        "{answer}"
    );
}

#[tokio::test]
async fn the_own_origin_is_the_one_with_https() {
    let server = start(secure()).await;
    let address = server.address;
    let own = format!("https://{address}");
    assert!(connect(address, "/", &[("origin", &own)]).await.is_ok());
    let plain = format!("http://{address}");
    match connect(address, "/", &[("origin", &plain)]).await {
        Err(Error::Http(response)) => assert_eq!(response.status(), 403),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_self_signed_certificate_is_for_this_machine_alone() {
    let server = start(secure()).await;
    let shown = certificate(server.address).await;
    for name in ["localhost", "127.0.0.1", "::1"] {
        let config = trusting(shown.clone());
        assert!(
            connect_tls(server.address, name, config).await.is_ok(),
            "{name}"
        );
    }
    let config = trusting(shown);
    assert!(
        connect_tls(server.address, "app.example", config)
            .await
            .is_err()
    );
    let other = start(secure()).await;
    let config = trusting(certificate(other.address).await);
    assert!(
        connect_tls(server.address, "localhost", config)
            .await
            .is_err(),
        "every start makes its own"
    );
}

#[tokio::test]
async fn a_tls_handshake_has_as_much_time_as_any_handshake() {
    let server = start(Config {
        // Enough for those that do not stall, however busy the machine is.
        handshake_timeout: Duration::from_secs(3),
        ..secure()
    })
    .await;
    // Nothing, the beginning of a ClientHello, and TLS without a request.
    let ends_after = async |bytes: &[u8]| {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut rest = Vec::new();
        let _ = within(stream.read_to_end(&mut rest)).await;
    };
    let without_request = async {
        let config = trusting(certificate(server.address).await);
        let mut stream = connect_tls(server.address, "localhost", config)
            .await
            .unwrap();
        let mut rest = Vec::new();
        let _ = within(stream.read_to_end(&mut rest)).await;
    };
    tokio::join!(
        ends_after(b""),
        ends_after(&[0x16, 3, 1, 2, 0, 1]),
        without_request
    );
    assert!(connect(server.address, "/", &[]).await.is_ok());
}

#[tokio::test]
async fn clients_that_stall_in_their_handshake_keep_nobody_out() {
    let server = start(Config {
        max_connections: 2,
        // Far longer than this test waits for anything: they are sent away, not timed out.
        handshake_timeout: Duration::from_secs(600),
        ..secure()
    })
    .await;
    let certificate = certificate(server.address).await;
    let mut stalled = Vec::new();
    for index in 0..100 {
        let mut stream = within(TcpStream::connect(server.address)).await.unwrap();
        let bytes: &[u8] = [&[][..], &[0x16, 3, 1, 2, 0, 1]][index % 2];
        stream.write_all(bytes).await.unwrap();
        stalled.push(stream);
    }
    let config = trusting(certificate);
    let stream = connect_tls(server.address, "localhost", config)
        .await
        .unwrap();
    let request = format!("wss://{}/", server.address)
        .into_client_request()
        .unwrap();
    let (mut client, _) = within(client_async(request, stream)).await.unwrap();
    client.send("Ada".into()).await.unwrap();
    let greeting = within(client.next()).await.unwrap().unwrap();
    assert_eq!(greeting, Message::from("Hello Ada!"));
}

#[tokio::test]
async fn plain_http_is_not_answered() {
    let server = start(secure()).await;
    let answer = server.http("GET", "/", &[]).await;
    assert!(!answer.contains("HTTP/1.1"), "{answer}");
    assert!(connect(server.address, "/", &[]).await.is_ok());
}

#[tokio::test]
async fn a_stalled_tls_handshake_does_not_delay_the_stop() {
    let server = start(Config {
        shutdown_timeout: Duration::from_secs(20),
        ..secure()
    })
    .await;
    let mut stalled = TcpStream::connect(server.address).await.unwrap();
    // Served, so the previous one was accepted too.
    drop(connect(server.address, "/", &[]).await.unwrap());
    assert_eq!(within(server.stop()).await.unwrap().cut, 0);
    let mut rest = Vec::new();
    let _ = within(stalled.read_to_end(&mut rest)).await;
}

#[tokio::test]
async fn a_certificate_may_come_from_files() {
    let made = rcgen::generate_simple_self_signed(["named.example".to_owned()]).unwrap();
    let folder = Folder::new("certificate");
    folder.write("cert.pem", &pem("CERTIFICATE", made.cert.der()));
    folder.write(
        "key.pem",
        &pem("PRIVATE KEY", &made.signing_key.serialize_der()),
    );
    folder.write("text.pem", "nothing of the kind");
    let other = rcgen::KeyPair::generate().unwrap();
    folder.write("other.pem", &pem("PRIVATE KEY", &other.serialize_der()));
    let with = |certificate: &str, key: &str| Config {
        tls: Some(Certificate::Files {
            certificate: folder.path().join(certificate),
            key: folder.path().join(key),
        }),
        ..config()
    };

    let server = start(with("cert.pem", "key.pem")).await;
    assert_eq!(&certificate(server.address).await, made.cert.der());

    let wrong = [
        ("absent.pem", "key.pem", "absent.pem"),
        ("text.pem", "key.pem", "text.pem: no PEM certificate"),
        ("cert.pem", "text.pem", "text.pem: no PEM private key"),
        ("cert.pem", "cert.pem", "cert.pem: no PEM private key"),
        ("cert.pem", "other.pem", "no TLS: "),
    ];
    for (certificate, key, expected) in wrong {
        let error = Server::bind(with(certificate, key)).await.unwrap_err();
        assert!(matches!(error, StartError::Certificate(_)), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
}

/// In PEM form, in one long line, which readers must accept.
fn pem(label: &str, bytes: &[u8]) -> String {
    let body = BASE64.encode(bytes);
    format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
}

#[test]
fn the_program_writes_by_what_to_know_its_certificate() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let folder = Folder::new("fingerprint");
    let key = made.signing_key.serialize_der();
    folder.write("cert.pem", &pem("CERTIFICATE", made.cert.der()));
    folder.write("key.pem", &pem("PRIVATE KEY", &key));
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (certificate, key) = (file("cert.pem"), file("key.pem"));
    let arguments = [
        "--port",
        "0",
        "--tls",
        "--tls-cert",
        &certificate,
        "--tls-key",
        &key,
    ];
    let mut process = Killed(program(&arguments).spawn().unwrap());
    let stderr = BufReader::new(process.0.stderr.take().unwrap());
    let lines: Vec<String> = stderr.lines().take(3).map(Result::unwrap).collect();

    let sha256 = |bytes: &[u8]| digest(&SHA256, bytes).as_ref().to_vec();
    let colons: Vec<_> = sha256(made.cert.der())
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect();
    let public_key = sha256(&made.signing_key.subject_public_key_info());
    assert!(
        lines[0].starts_with("listening on https://127.0.0.1:"),
        "{lines:?}"
    );
    assert_eq!(
        lines[1..],
        [
            format!("certificate SHA-256 {}", colons.join(":")),
            format!("public key SHA-256 {}", BASE64.encode(&public_key)),
        ]
    );
}
