//! The real server, in a thread of this program, and what a test may do to its own connections.

use core::future::Future;
use core::time::Duration;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, mpsc};

use rcgen::{CertificateParams, KeyPair};
use steady_socket::Builder;
use steady_socket::native::Native;
use test_server::{Certificate, Config};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// A server with the control.
#[derive(Clone, Copy)]
pub(crate) struct Server {
    is_secure: bool,
}

pub(crate) const WS: Server = Server { is_secure: false };
pub(crate) const WSS: Server = Server { is_secure: true };

/// Starts a server, which runs as long as this program.
pub(crate) fn start(config: Config) -> SocketAddr {
    let (tell, address) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let server = test_server::Server::bind(config).await.unwrap();
            tell.send(server.local_addr()).unwrap();
            server.run(core::future::pending()).await;
        });
    });
    address.recv().expect("the server starts")
}

pub(crate) fn config() -> Config {
    Config {
        port: 0,
        www: "does/not/exist".into(),
        demo_control: true,
        ..Config::default()
    }
}

/// The certificate of the server with TLS, and its own root.
pub(crate) static CERTIFICATE: LazyLock<String> = LazyLock::new(|| {
    let key = KeyPair::generate().unwrap();
    let name = "127.0.0.1".to_owned();
    let certificate = CertificateParams::new([name]).unwrap().self_signed(&key);
    format!("{}{}", certificate.unwrap().pem(), key.serialize_pem())
});

static PLAIN: LazyLock<SocketAddr> = LazyLock::new(|| start(config()));

static SECURE: LazyLock<SocketAddr> = LazyLock::new(|| {
    let both = std::env::temp_dir().join(format!("steady-socket-{}.pem", std::process::id()));
    std::fs::write(&both, &*CERTIFICATE).unwrap();
    let address = start(Config {
        tls: Some(Certificate::Files {
            certificate: both.clone(),
            key: both.clone(),
        }),
        ..config()
    });
    std::fs::remove_file(both).unwrap();
    address
});

impl Server {
    pub(crate) fn socket_address(self) -> SocketAddr {
        match self.is_secure {
            true => *SECURE,
            false => *PLAIN,
        }
    }

    /// The WebSocket URL without a path.
    pub(crate) async fn address(self) -> &'static str {
        static ADDRESSES: LazyLock<[String; 2]> =
            LazyLock::new(|| [format!("ws://{}", *PLAIN), format!("wss://{}", *SECURE)]);
        &ADDRESSES[usize::from(self.is_secure)]
    }

    /// What a test configures, with the root of the server.
    pub(crate) fn on_platform<Out, In, C>(
        self,
        builder: Builder<Out, In, C>,
    ) -> Builder<Out, In, C> {
        match self.is_secure {
            false => builder,
            true => {
                let native = Native::new().roots(CERTIFICATE.as_bytes());
                builder.platform(Rc::new(native.unwrap()))
            }
        }
    }

    /// Ends the only connection of this name: without a close frame, or with a code.
    pub(crate) async fn cut(self, id: &str, code: Option<u16>) {
        let connections = self.cut_all(id, code).await;
        assert_eq!(connections, 1, "connections of that name");
    }

    /// Ends the connections of this name, and returns their number.
    pub(crate) async fn cut_all(self, id: &str, code: Option<u16>) -> u32 {
        let code = code.map_or(String::new(), |code| format!("&code={code}&reason=test"));
        let stream = TcpStream::connect(self.socket_address()).await.unwrap();
        let answer = match self.is_secure {
            false => post(stream, &format!("cut?id={id}{code}")).await,
            true => {
                let mut roots = RootCertStore::empty();
                let root = CertificateDer::from_pem_slice(CERTIFICATE.as_bytes());
                roots.add(root.unwrap()).unwrap();
                let config = ClientConfig::builder()
                    .with_root_certificates(roots)
                    .with_no_client_auth();
                let connector = TlsConnector::from(Arc::new(config));
                let name = ServerName::try_from("127.0.0.1").unwrap();
                let stream = connector.connect(name, stream).await.unwrap();
                post(stream, &format!("cut?id={id}{code}")).await
            }
        };
        let (_, text) = answer.rsplit_once("\r\n\r\n").unwrap();
        text.strip_prefix("{\"connections\":")
            .and_then(|rest| rest.strip_suffix('}')?.parse().ok())
            .unwrap_or_else(|| panic!("the control answered {answer}"))
    }
}

async fn post(mut stream: impl AsyncRead + AsyncWrite + Unpin, query: &str) -> String {
    let request = format!(
        "POST /control/{query} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // TLS may end without its own farewell.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

/// A name for a test's own connections.
pub(crate) fn new_id() -> String {
    static LAST: AtomicU64 = AtomicU64::new(0);
    format!("test-{}", LAST.fetch_add(1, Ordering::Relaxed))
}

/// The output of `future`, unless it takes so long that something must hang.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let ceiling = Duration::from_secs(30);
    match tokio::time::timeout(ceiling, future).await {
        Ok(value) => value,
        Err(_) => panic!("nothing for {} s: {what}", ceiling.as_secs()),
    }
}

pub(crate) async fn sleep(time: Duration) {
    tokio::time::sleep(time).await;
}
