//! TLS of a configuration.

use std::path::PathBuf;

use crate::store::{certificates::Pem, redis::client::config::RedisConfig};

impl RedisConfig {
    /// Encrypts the connection and checks the server's certificate, by default against the system's
    /// authorities; needs the crate feature `tls`. Never falls back to plain text. Defaults to the
    /// URL's scheme.
    ///
    /// ```
    /// # use tower_redis_session::{RedisConfig, RedisStore};
    /// let store = RedisStore::new(RedisConfig::from_host("redis.example", 6380).tls());
    /// assert_eq!(store.is_ok(), cfg!(feature = "tls"));
    /// ```
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// Trusts the authorities whose certificates are in this file (PEM), in place of the system's.
    /// For TLS only. Read when the store is built and again for each new connection, so that it can
    /// be replaced. Defaults to the system's authorities.
    ///
    /// ```
    /// # use tower_redis_session::{RedisConfig, RedisStore};
    /// let config = RedisConfig::new("rediss://redis.example").ca_file("/no/such/file");
    /// assert!(RedisStore::new(config).is_err());
    /// ```
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.certificates.authorities = Some(Pem::File(path.into()));
        self
    }

    /// The same authorities by value, as PEM text, for a service that receives them from elsewhere
    /// than a file.
    ///
    /// ```
    /// # use tower_redis_session::{RedisConfig, RedisStore};
    /// let config = RedisConfig::new("rediss://redis.example").ca_pem("no certificate");
    /// assert!(RedisStore::new(config).is_err());
    /// ```
    pub fn ca_pem(mut self, text: impl Into<Vec<u8>>) -> Self {
        self.certificates.authorities = Some(Pem::Text(text.into().into()));
        self
    }

    /// Client certificate with its chain, and its private key, for a server that requires one; both
    /// are PEM files. For TLS only. Read as [`ca_file`](Self::ca_file) is. Defaults to none.
    ///
    /// ```
    /// # use tower_redis_session::{RedisConfig, RedisStore};
    /// let config = RedisConfig::new("rediss://redis.example")
    ///     .client_certificate("/no/such/certificate", "/no/such/key");
    /// assert!(RedisStore::new(config).is_err());
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
    /// # use tower_redis_session::{RedisConfig, RedisStore};
    /// let config = RedisConfig::new("rediss://redis.example");
    /// let config = config.client_certificate_pem("no certificate", "no key");
    /// assert!(RedisStore::new(config).is_err());
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
