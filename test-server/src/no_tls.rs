//! What stands in for TLS in a build without the feature `tls`: nothing, and a word on why.

use std::convert::Infallible;

use tokio::net::TcpStream;

use crate::{Certificate, Fingerprint, InvalidCertificate};

/// Never there.
pub(crate) type TlsStream = TcpStream;

/// Cannot be had.
pub(crate) struct Tls(Infallible);

impl Tls {
    pub(crate) fn load(_: &Certificate) -> Result<Self, InvalidCertificate> {
        Err(InvalidCertificate(
            "this test-server was built without TLS: build it with `--features tls`".to_owned(),
        ))
    }

    pub(crate) fn fingerprint(&self) -> &Fingerprint {
        match self.0 {}
    }

    pub(crate) async fn accept(&self, _: TcpStream) -> std::io::Result<TlsStream> {
        match self.0 {}
    }
}
