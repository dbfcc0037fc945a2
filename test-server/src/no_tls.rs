//! Replaces TLS in a build without the feature `tls`: an error that says so.

use std::convert::Infallible;

use tokio::net::TcpStream;

use crate::{Certificate, Fingerprint, InvalidCertificate};

/// Never constructed.
pub(crate) type TlsStream = TcpStream;

/// Cannot be constructed.
pub(crate) struct Tls(Infallible);

impl Tls {
    pub(crate) fn load(_: &Certificate) -> Result<Self, InvalidCertificate> {
        Err(InvalidCertificate(
            "built without TLS: rebuild with `--features tls`".to_owned(),
        ))
    }

    pub(crate) fn fingerprint(&self) -> &Fingerprint {
        match self.0 {}
    }

    pub(crate) async fn accept(&self, _: TcpStream) -> std::io::Result<TlsStream> {
        match self.0 {}
    }
}
