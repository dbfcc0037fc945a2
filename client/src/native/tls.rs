//! TLS, by rustls with ring.

use std::sync::{Arc, OnceLock};

use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
/// The TLS library, for [`Native::tls_config`](super::Native::tls_config).
pub use tokio_rustls::rustls;

use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;

use crate::platform::Refused;

/// Shakes hands on a TCP connection with a host, which is without the brackets of an IPv6 address.
///
/// # Errors
/// What went wrong, in words.
pub(super) async fn connect(
    own: Option<Arc<ClientConfig>>,
    host: String,
    stream: TcpStream,
) -> Result<TlsStream<TcpStream>, String> {
    let config = match own {
        Some(own) => own,
        None => system().await?,
    };
    let name = ServerName::try_from(host).map_err(|_| "TLS cannot name the host".to_owned())?;
    let connector = TlsConnector::from(config);
    let connected = connector.connect(name, stream).await;
    connected.map_err(|error| format!("TLS failed: {error}"))
}

/// The configuration with the system's roots. They are read once, and again as long as that fails.
async fn system() -> Result<Arc<ClientConfig>, String> {
    static SYSTEM: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(config) = SYSTEM.get() {
        return Ok(Arc::clone(config));
    }
    let read = tokio::task::spawn_blocking(rustls_native_certs::load_native_certs);
    let found = read.await.map_err(|error| error.to_string())?;
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        let why = found.errors.first().map(|error| format!(": {error}"));
        let why = why.unwrap_or_default();
        return Err(format!("the system has no root certificates{why}"));
    }
    let config = trusting(roots).map_err(|error| error.to_string())?;
    Ok(Arc::clone(SYSTEM.get_or_init(|| config)))
}

/// The configuration with these roots, in PEM.
///
/// # Errors
/// If they are no certificates, or there are none.
pub(super) fn with_roots(pem: &[u8]) -> Result<Arc<ClientConfig>, Refused> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate
            .map_err(|error| Refused(format!("the root certificates are no PEM: {error:?}")))?;
        roots
            .add(certificate)
            .map_err(|error| Refused(format!("a root certificate cannot be used: {error}")))?;
    }
    if roots.is_empty() {
        return Err(Refused::because("there is no root certificate in this"));
    }
    trusting(roots).map_err(|error| Refused(error.to_string()))
}

fn trusting(roots: RootCertStore) -> Result<Arc<ClientConfig>, rustls::Error> {
    // Set explicitly, so that no other crate's choice of a process-wide provider matters.
    let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    // A WebSocket starts as HTTP/1.1.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
