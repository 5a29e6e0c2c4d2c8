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

/// TLS configuration of connections.
pub(in crate::store::redis) struct Tls {
    /// Name of the server in errors.
    server: &'static str,
    certificates: Certificates,
    /// Read once: there are hundreds.
    system: OnceLock<Arc<RootCertStore>>,
}

impl Tls {
    /// Reads the certificates, so that an invalid one is reported at once.
    pub(in crate::store::redis) fn new(
        server: &'static str,
        certificates: Certificates,
    ) -> Result<Self, ConfigError> {
        certificates.check(server)?;
        Ok(Self { server, certificates, system: OnceLock::new() })
    }

    pub(in crate::store::redis) async fn connect(
        &self,
        host: &str,
        socket: TcpStream,
    ) -> Result<TlsStream<TcpStream>, Error> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| {
            misconfigured(format!("the {} host is not a name for a certificate", self.server))
        })?;
        // Read for each connection: certificates are replaced while a service runs.
        let config = self.config().map_err(|error| misconfigured(error.fault().to_owned()))?;
        let connector = TlsConnector::from(Arc::new(config));
        connector.connect(name, socket).await.map_err(|error| refused(self.server, error))
    }

    fn config(&self) -> Result<ClientConfig, ConfigError> {
        let roots = match self.certificates.roots(self.server)? {
            Some(authorities) => Arc::new(authorities),
            None => self.system()?,
        };
        self.certificates.client(self.server, roots)
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
            return Err(ConfigError::new(format!("{} ca file", self.server), fault));
        }
        Ok(Arc::clone(self.system.get_or_init(|| Arc::new(roots))))
    }
}

fn refused(server: &str, error: io::Error) -> Error {
    match disagreement(server, &error) {
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
