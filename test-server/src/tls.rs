//! TLS on the TCP connections, by rustls with ring, which needs no tools but a C compiler.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use data_encoding::{BASE64, HEXUPPER};
use rcgen::{CertificateParams, DnType, KeyPair};
use ring::digest::{SHA256, digest};
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::ParsedCertificate;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::{Certificate, Fingerprint, InvalidCertificate};

/// A TCP connection after its TLS handshake.
pub(crate) type TlsStream = tokio_rustls::server::TlsStream<TcpStream>;

/// The names in a self-signed certificate.
const OWN_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Everything needed to answer a TLS handshake.
pub(crate) struct Tls {
    acceptor: TlsAcceptor,
    fingerprint: Fingerprint,
}

impl Tls {
    /// Reads or generates the certificate.
    pub(crate) fn load(certificate: &Certificate) -> Result<Self, InvalidCertificate> {
        let (chain, key) = match certificate {
            Certificate::SelfSigned => self_signed()?,
            Certificate::Files { certificate, key } => (read_chain(certificate)?, read_key(key)?),
        };
        let invalid = |error: rustls::Error| InvalidCertificate(error.to_string());
        let first = chain
            .first()
            .ok_or_else(|| InvalidCertificate("the certificate chain is empty".to_owned()))?;
        let fingerprint = fingerprint(first).map_err(invalid)?;
        // Set explicitly, so that no other crate's choice of a process-wide provider matters.
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(invalid)?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(invalid)?;
        // A WebSocket starts as HTTP/1.1; the server supports nothing else.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            fingerprint,
        })
    }

    pub(crate) fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// Answers a client's TLS handshake.
    pub(crate) async fn accept(&self, stream: TcpStream) -> std::io::Result<TlsStream> {
        self.acceptor.accept(stream).await
    }
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn self_signed() -> Result<Identity, InvalidCertificate> {
    let make = || {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(OWN_NAMES.map(str::to_owned))?;
        params
            .distinguished_name
            .push(DnType::CommonName, "test-server, generated at start-up");
        Ok((params.self_signed(&key)?, key))
    };
    let (certificate, key) =
        make().map_err(|error: rcgen::Error| InvalidCertificate(error.to_string()))?;
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    Ok((vec![certificate.der().clone()], key.into()))
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, InvalidCertificate> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&read(path)?)
        .collect::<Result<_, _>>()
        .map_err(|error| unreadable(path, error))?;
    if chain.is_empty() {
        return Err(unreadable(path, "no PEM certificate in it"));
    }
    Ok(chain)
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, InvalidCertificate> {
    PrivateKeyDer::from_pem_slice(&read(path)?).map_err(|error| {
        // Never the error alone: it must be clear that it is about the key, and nothing of the key is shown.
        unreadable(path, format!("no PEM private key in it: {error}"))
    })
}

fn read(path: &Path) -> Result<Vec<u8>, InvalidCertificate> {
    fs::read(path).map_err(|error| unreadable(path, error))
}

fn unreadable(path: &Path, problem: impl std::fmt::Display) -> InvalidCertificate {
    InvalidCertificate(format!("{}: {problem}", path.display()))
}

fn fingerprint(certificate: &CertificateDer<'_>) -> Result<Fingerprint, rustls::Error> {
    let key = ParsedCertificate::try_from(certificate)?.subject_public_key_info();
    let hex = |byte: &u8| HEXUPPER.encode(&[*byte]);
    let of_certificate: Vec<String> = digest(&SHA256, certificate)
        .as_ref()
        .iter()
        .map(hex)
        .collect();
    Ok(Fingerprint {
        certificate: of_certificate.join(":"),
        public_key: BASE64.encode(digest(&SHA256, &key).as_ref()),
    })
}
