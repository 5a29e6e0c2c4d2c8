//! TLS to a server: trusted authorities, client certificate.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use rustls::{
    AlertDescription, ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::error::{ConfigError, Error, ErrorKind};

/// PEM files.
#[derive(Clone, Debug, Default)]
pub(in crate::store::redis) struct Files {
    /// Certificates of authorities trusted in place of the system's.
    pub(in crate::store::redis) authorities: Option<PathBuf>,
    /// The client certificate with its chain, and its key.
    pub(in crate::store::redis) identity: Option<(PathBuf, PathBuf)>,
}

/// TLS configuration of connections.
pub(in crate::store::redis) struct Tls {
    files: Files,
    /// Read once: there are hundreds.
    system: OnceLock<Arc<RootCertStore>>,
}

/// The fault, and the setting that has it.
type Fault = (&'static str, &'static str);

impl Tls {
    /// Reads the files, so that an invalid one is reported at once.
    pub(in crate::store::redis) fn new(files: Files) -> Result<Self, ConfigError> {
        let tls = Self { files, system: OnceLock::new() };
        let checked = tls.authorities().and_then(|authorities| {
            tls.client(Arc::new(authorities.unwrap_or_else(RootCertStore::empty)))
        });
        checked.map_err(|(setting, fault)| ConfigError::new(setting, fault))?;
        Ok(tls)
    }

    pub(in crate::store::redis) async fn connect(
        &self,
        host: &str,
        socket: TcpStream,
    ) -> Result<TlsStream<TcpStream>, Error> {
        let misconfigured = |text| Error::new(ErrorKind::Misconfigured, text);
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| misconfigured("the redis host is not a name for a certificate"))?;
        // Read for each connection: certificates are replaced while a service runs.
        let config = self.config().map_err(|(_, fault)| misconfigured(fault))?;
        TlsConnector::from(Arc::new(config)).connect(name, socket).await.map_err(refused)
    }

    fn config(&self) -> Result<ClientConfig, Fault> {
        match self.authorities()? {
            Some(authorities) => self.client(Arc::new(authorities)),
            None => self.client(self.system()?),
        }
    }

    fn authorities(&self) -> Result<Option<RootCertStore>, Fault> {
        const SETTING: &str = "redis ca file";
        let Some(path) = &self.files.authorities else { return Ok(None) };
        let mut roots = RootCertStore::empty();
        for certificate in certificates(path)
            .ok_or((SETTING, "the redis CA file cannot be read or holds no certificate in PEM"))?
        {
            let fault = |_| (SETTING, "the redis CA file contains an invalid certificate");
            roots.add(certificate).map_err(fault)?;
        }
        Ok(Some(roots))
    }

    fn system(&self) -> Result<Arc<RootCertStore>, Fault> {
        if let Some(system) = self.system.get() {
            return Ok(Arc::clone(system));
        }
        let mut roots = RootCertStore::empty();
        let found = rustls_native_certs::load_native_certs();
        let (added, _) = roots.add_parsable_certificates(found.certs);
        if added == 0 {
            // Not kept: the file that `SSL_CERT_FILE` names may appear later.
            return Err(("redis ca file", "the system has no trusted certificates"));
        }
        Ok(Arc::clone(self.system.get_or_init(|| Arc::new(roots))))
    }

    /// With our own crypto provider: the process' default is up to the application.
    fn client(&self, roots: Arc<RootCertStore>) -> Result<ClientConfig, Fault> {
        const SETTING: &str = "redis client certificate";
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|_| (SETTING, "TLS cannot be used"))?
            .with_root_certificates(roots);
        let Some((certificate, key)) = &self.files.identity else {
            return Ok(builder.with_no_client_auth());
        };
        let chain = certificates(certificate).ok_or((
            SETTING,
            "the redis client certificate cannot be read or is not a PEM certificate",
        ))?;
        let key = PrivateKeyDer::from_pem_file(key)
            .map_err(|_| (SETTING, "the redis client key cannot be read or is not a PEM key"))?;
        let fault = |_| (SETTING, "the redis client certificate and its key do not match");
        builder.with_client_auth_cert(chain, key).map_err(fault)
    }
}

fn certificates(path: &Path) -> Option<Vec<CertificateDer<'static>>> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).ok()?.collect();
    all.ok().filter(|all| !all.is_empty())
}

fn refused(error: io::Error) -> Error {
    let why = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let text = match why {
        Some(rustls::Error::InvalidCertificate(_)) => {
            "the redis server's certificate is not trusted"
        }
        Some(rustls::Error::AlertReceived(AlertDescription::ProtocolVersion)) => {
            "the redis server supports no common version of TLS"
        }
        Some(rustls::Error::AlertReceived(_)) => {
            "the redis server rejects the TLS connection: it may require a client certificate"
        }
        Some(rustls::Error::InvalidMessage(_)) => "the server does not use TLS",
        _ => return Error::unavailable(error),
    };
    Error::new(ErrorKind::Misconfigured, text).with_source(error)
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("files", &self.files).finish_non_exhaustive()
    }
}
