//! TLS of a configuration.

use std::path::PathBuf;

use crate::store::{certificates::Pem, database::config::DatabaseConfig};

impl DatabaseConfig {
    /// Trusts the authorities whose certificates are in this file (PEM), besides the system's.
    /// Connects with `sslmode=verify-full`: the certificate must be for the host of the address.
    /// Needs the crate feature `tls`. PostgreSQL only. Read when the store is built and again for
    /// each new connection, so that it can be replaced. Defaults to `sslrootcert` in the address,
    /// else to the variable `PGSSLROOTCERT`.
    ///
    /// ```
    /// # use tower_redis_session::{DatabaseConfig, DatabaseStore};
    /// let config = DatabaseConfig::new("postgres://db.example/shop").ca_file("/no/such/file");
    /// assert!(DatabaseStore::new(config).is_err());
    /// ```
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.certificates.authorities = Some(Pem::File(path.into()));
        self
    }

    /// The same authorities by value, as PEM text, for a service that receives them from elsewhere
    /// than a file.
    ///
    /// ```
    /// # use tower_redis_session::{DatabaseConfig, DatabaseStore};
    /// let config = DatabaseConfig::new("postgres://db.example/shop").ca_pem("no certificate");
    /// assert!(DatabaseStore::new(config).is_err());
    /// ```
    pub fn ca_pem(mut self, text: impl Into<Vec<u8>>) -> Self {
        self.certificates.authorities = Some(Pem::Text(text.into().into()));
        self
    }

    /// Client certificate with its chain, and its private key, for a server that requires one; both
    /// are PEM files. The mode of TLS is that of [`ca_file`](Self::ca_file), and they are read like
    /// it. Defaults to `sslcert` and `sslkey` in the address, else to the variables `PGSSLCERT` and
    /// `PGSSLKEY`.
    ///
    /// ```
    /// # use tower_redis_session::{DatabaseConfig, DatabaseStore};
    /// let config = DatabaseConfig::new("postgres://db.example/shop")
    ///     .client_certificate("/no/such/certificate", "/no/such/key");
    /// assert!(DatabaseStore::new(config).is_err());
    /// ```
    pub fn client_certificate(
        mut self,
        certificate: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Self {
        let (certificate, key) = (Pem::File(certificate.into()), Pem::File(key.into()));
        self.certificates.identity = Some((certificate, key));
        self
    }

    /// The same by value, as PEM texts. The key is redacted in `Debug`.
    ///
    /// ```
    /// # use tower_redis_session::{DatabaseConfig, DatabaseStore};
    /// let config = DatabaseConfig::new("postgres://db.example/shop");
    /// let config = config.client_certificate_pem("no certificate", "no key");
    /// assert!(DatabaseStore::new(config).is_err());
    /// ```
    pub fn client_certificate_pem(
        mut self,
        certificate: impl Into<Vec<u8>>,
        key: impl Into<Vec<u8>>,
    ) -> Self {
        let text = |text: Vec<u8>| Pem::Text(text.into());
        self.certificates.identity = Some((text(certificate.into()), text(key.into())));
        self
    }
}
