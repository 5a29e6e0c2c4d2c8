//! TLS to a server: trusted authorities, client certificate.

use std::{
    fmt, io,
    sync::{Arc, OnceLock},
};

use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{
    error::{ConfigError, Error, ErrorKind},
    store::certificates::{Certificates, disagreement},
};

const SERVER: &str = "redis";

/// TLS configuration of connections.
pub(in crate::store::redis) struct Tls {
    certificates: Certificates,
    /// Read once: there are hundreds.
    system: OnceLock<Arc<RootCertStore>>,
}

impl Tls {
    /// Reads the certificates, so that an invalid one is reported at once.
    pub(in crate::store::redis) fn new(certificates: Certificates) -> Result<Self, ConfigError> {
        certificates.check(SERVER)?;
        Ok(Self { certificates, system: OnceLock::new() })
    }

    pub(in crate::store::redis) async fn connect(
        &self,
        host: &str,
        socket: TcpStream,
    ) -> Result<TlsStream<TcpStream>, Error> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| misconfigured("the redis host is not a name for a certificate".into()))?;
        // Read for each connection: certificates are replaced while a service runs.
        let config = self.config().map_err(|error| misconfigured(error.fault().to_owned()))?;
        TlsConnector::from(Arc::new(config)).connect(name, socket).await.map_err(refused)
    }

    fn config(&self) -> Result<ClientConfig, ConfigError> {
        let roots = match self.certificates.roots(SERVER)? {
            Some(authorities) => Arc::new(authorities),
            None => self.system()?,
        };
        self.certificates.client(SERVER, roots)
    }

    fn system(&self) -> Result<Arc<RootCertStore>, ConfigError> {
        if let Some(system) = self.system.get() {
            return Ok(Arc::clone(system));
        }
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        let (added, _) = roots.add_parsable_certificates(found.certs);
        if added == 0 {
            // Not kept: the file that `SSL_CERT_FILE` names may appear later.
            let fault = "the system has no trusted certificates";
            return Err(ConfigError::new("redis ca file", fault));
        }
        Ok(Arc::clone(self.system.get_or_init(|| Arc::new(roots))))
    }
}

fn refused(error: io::Error) -> Error {
    match disagreement(SERVER, &error) {
        Some(text) => misconfigured(text).with_source(error),
        None => Error::unavailable(error),
    }
}

fn misconfigured(text: String) -> Error {
    Error::new(ErrorKind::Misconfigured, text)
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("certificates", &self.certificates).finish_non_exhaustive()
    }
}
