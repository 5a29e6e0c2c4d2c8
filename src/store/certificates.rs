//! Certificates for TLS: trusted authorities, client certificate, as PEM in files or by value.

#[cfg(feature = "tls")]
use std::{error::Error as StdError, io};
use std::{fmt, path::PathBuf, sync::Arc};

#[cfg(feature = "tls")]
use rustls::{
    AlertDescription, CertificateError, ClientConfig, Error as TlsError, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

#[cfg(feature = "tls")]
use crate::error::ConfigError;

/// PEM text.
#[cfg_attr(
    not(any(feature = "tls", feature = "postgres")),
    allow(dead_code, reason = "read for TLS only")
)]
#[derive(Clone)]
pub(crate) enum Pem {
    /// Read for each connection: certificates are replaced while a service runs.
    File(PathBuf),
    Text(Arc<[u8]>),
}

/// The certificates of a configuration.
#[derive(Clone, Debug, Default)]
pub(crate) struct Certificates {
    pub(crate) authorities: Option<Pem>,
    /// The client certificate with its chain, and its key.
    pub(crate) identity: Option<(Pem, Pem)>,
}

impl Certificates {
    pub(crate) fn are_set(&self) -> bool {
        self.authorities.is_some() || self.identity.is_some()
    }
}

#[cfg(feature = "tls")]
impl Certificates {
    /// Reads them. `server` is the name in an error's setting and text.
    ///
    /// # Errors
    ///
    /// The first that cannot be used.
    pub(crate) fn check(&self, server: &str) -> Result<(), ConfigError> {
        let roots = self.roots(server)?.unwrap_or_else(RootCertStore::empty);
        self.client(server, Arc::new(roots)).map(drop)
    }

    /// The authorities, if they are set.
    pub(crate) fn roots(&self, server: &str) -> Result<Option<RootCertStore>, ConfigError> {
        let fault = |text: &str| {
            ConfigError::new(format!("{server} ca file"), format!("the {server} CA file {text}"))
        };
        let Some(pem) = &self.authorities else { return Ok(None) };
        let mut roots = RootCertStore::empty();
        for certificate in pem
            .certificates()
            .ok_or_else(|| fault("cannot be read or holds no certificate in PEM"))?
        {
            roots.add(certificate).map_err(|_| fault("contains an invalid certificate"))?;
        }
        Ok(Some(roots))
    }

    /// The configuration of a client that trusts `roots`. With our own crypto provider: the
    /// process' default is up to the application.
    pub(crate) fn client(
        &self,
        server: &str,
        roots: Arc<RootCertStore>,
    ) -> Result<ClientConfig, ConfigError> {
        let fault = |text: &str| {
            let text = format!("the {server} client {text}");
            ConfigError::new(format!("{server} client certificate"), text)
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|_| fault("cannot use TLS"))?
            .with_root_certificates(roots);
        let Some((certificate, key)) = &self.identity else {
            return Ok(builder.with_no_client_auth());
        };
        let chain = certificate
            .certificates()
            .ok_or_else(|| fault("certificate cannot be read or is not a PEM certificate"))?;
        let key = key.key().ok_or_else(|| fault("key cannot be read or is not a PEM key"))?;
        builder
            .with_client_auth_cert(chain, key)
            .map_err(|_| fault("certificate and its key do not match"))
    }
}

#[cfg(feature = "tls")]
impl Pem {
    fn certificates(&self) -> Option<Vec<CertificateDer<'static>>> {
        let all: Result<Vec<_>, _> = match self {
            Self::File(path) => CertificateDer::pem_file_iter(path).ok()?.collect(),
            Self::Text(text) => CertificateDer::pem_slice_iter(text).collect(),
        };
        all.ok().filter(|all| !all.is_empty())
    }

    fn key(&self) -> Option<PrivateKeyDer<'static>> {
        match self {
            Self::File(path) => PrivateKeyDer::from_pem_file(path).ok(),
            Self::Text(text) => PrivateKeyDer::from_pem_slice(text).ok(),
        }
    }
}

/// Why `server` and this process do not agree on TLS, for an operator; `None` if the connection was
/// lost.
#[cfg(feature = "tls")]
pub(crate) fn disagreement(server: &str, error: &io::Error) -> Option<String> {
    let inner = error.get_ref().map(|inner| inner as &(dyn StdError + 'static))?;
    let text = match inner.downcast_ref::<TlsError>()? {
        TlsError::InvalidCertificate(fault) => return Some(untrusted(server, fault)),
        TlsError::AlertReceived(AlertDescription::ProtocolVersion) => {
            "server supports no common version of TLS"
        }
        TlsError::AlertReceived(AlertDescription::UnknownCA) => {
            "server does not trust the client certificate"
        }
        TlsError::AlertReceived(AlertDescription::CertificateExpired) => {
            "server rejects the client certificate: it has expired"
        }
        TlsError::AlertReceived(
            AlertDescription::BadCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateUnknown,
        ) => "server rejects the client certificate",
        TlsError::AlertReceived(_) => {
            "server rejects the TLS connection: it may require a client certificate"
        }
        TlsError::InvalidMessage(_) => return Some("the server does not use TLS".to_owned()),
        _ => return None,
    };
    Some(format!("the {server} {text}"))
}

#[cfg(feature = "tls")]
fn untrusted(server: &str, fault: &CertificateError) -> String {
    use CertificateError as Fault;
    let text = match fault {
        Fault::NotValidForName | Fault::NotValidForNameContext { .. } => "is for another host name",
        Fault::Expired | Fault::ExpiredContext { .. } => "has expired",
        Fault::NotValidYet | Fault::NotValidYetContext { .. } => "is not valid yet",
        Fault::UnknownIssuer => "is not trusted: its issuer is none of the trusted authorities",
        _ => "is not trusted",
    };
    format!("the {server} server's certificate {text}")
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.fmt(f),
            Self::Text(_) => f.write_str("PEM(..)"),
        }
    }
}

#[cfg(test)]
#[cfg(feature = "tls")]
mod tests {
    use crate::store::certificates::*;

    #[test]
    fn an_alert_names_what_is_wrong_with_the_client_certificate() {
        for (alert, expected) in [
            (AlertDescription::UnknownCA, "does not trust the client certificate"),
            (AlertDescription::CertificateExpired, "the client certificate: it has expired"),
            (AlertDescription::BadCertificate, "rejects the client certificate"),
            (AlertDescription::CertificateRevoked, "rejects the client certificate"),
            (AlertDescription::CertificateUnknown, "rejects the client certificate"),
            (AlertDescription::CertificateRequired, "it may require a client certificate"),
        ] {
            let error = io::Error::other(TlsError::AlertReceived(alert));
            let text = disagreement("postgresql", &error).unwrap();
            assert!(text.ends_with(expected), "{text}");
        }
    }
}
