//! Sentinels of a configuration.

use std::path::PathBuf;

use crate::{
    error::ConfigError,
    store::{
        certificates::{Certificates, Pem},
        redis::client::{
            address::{self, Address},
            config::{Place, RedisConfig},
            endpoint::Security,
            sentinel::{line::Sentinel, open::Deployment},
        },
    },
};

/// More than any deployment has.
const SENTINELS_MAX: usize = 32;

impl RedisConfig {
    /// The primary that Redis Sentinel or Valkey Sentinel names: `name` is that of the deployment
    /// in the sentinels' configuration, `sentinels` their addresses, `redis://host:port` or with
    /// TLS `rediss://host:port`; the port defaults to 26379. 1 to 32 of them; list all.
    ///
    /// Each new connection requests the primary from all sentinels at once, within the connect
    /// timeout, and takes the one of the latest failover; the server has to report that it is a
    /// primary, for which its user needs `+info`. After a failover connections to the old primary
    /// are closed within a second, usually at once. If no sentinel is reachable, open connections
    /// remain in use, and new ones lead to the last known primary. See
    /// [the run-book](https://docs.rs/crate/tower-redis-session/latest/source/docs/run-book.md).
    ///
    /// User, password, database, TLS and certificates of the servers are set by the other methods;
    /// those of the sentinels by the methods that start with `sentinel_`, since they have users of
    /// their own.
    ///
    /// ```
    /// # use tower_redis_session::{RedisConfig, RedisStore};
    /// let config = RedisConfig::sentinel("main", ["redis://s1:26379", "redis://s2", "redis://s3"])
    ///     .sentinel_password("theirs")
    ///     .username("sessions")
    ///     .password("ours");
    /// assert!(RedisStore::new(config).is_ok());
    /// assert!(RedisStore::new(RedisConfig::sentinel("main", ["unix:///socket"])).is_err());
    /// ```
    pub fn sentinel<A: Into<String>>(
        name: impl Into<String>,
        sentinels: impl IntoIterator<Item = A>,
    ) -> Self {
        let sentinels = sentinels.into_iter().map(Into::into).collect();
        Self::with_place(Place::Sentinel { name: name.into(), sentinels })
    }

    /// The ACL user of the sentinels. Defaults to that of a sentinel's URL, else to the default
    /// user.
    ///
    /// ```
    /// # use tower_redis_session::RedisConfig;
    /// let config = RedisConfig::sentinel("main", ["redis://s1"])
    ///     .sentinel_username("sessions")
    ///     .sentinel_password("secret");
    /// # drop(config);
    /// ```
    pub fn sentinel_username(mut self, username: impl Into<String>) -> Self {
        self.sentinel.username = Some(username.into());
        self
    }

    /// The password of the sentinels; redacted in `Debug`. Defaults to that of a sentinel's URL,
    /// else to none; never to that of the servers.
    ///
    /// ```
    /// # use tower_redis_session::RedisConfig;
    /// let config = RedisConfig::sentinel("main", ["redis://s1"]).sentinel_password("secret");
    /// assert!(!format!("{config:?}").contains("secret"));
    /// ```
    pub fn sentinel_password(mut self, password: impl Into<String>) -> Self {
        self.sentinel.password = Some(password.into());
        self
    }

    /// As [`ca_file`](Self::ca_file), for connections to sentinels. Defaults to the authorities of
    /// the servers, if they are set, else to the system's.
    ///
    /// ```
    /// # use tower_redis_session::{RedisConfig, RedisStore};
    /// let config = RedisConfig::sentinel("main", ["rediss://s1"]);
    /// assert!(RedisStore::new(config.sentinel_ca_file("/no/such/file")).is_err());
    /// ```
    pub fn sentinel_ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.sentinel.certificates.authorities = Some(Pem::File(path.into()));
        self
    }

    /// As [`ca_pem`](Self::ca_pem), for connections to sentinels.
    ///
    /// ```
    /// # use tower_redis_session::{RedisConfig, RedisStore};
    /// let config = RedisConfig::sentinel("main", ["rediss://s1"]);
    /// assert!(RedisStore::new(config.sentinel_ca_pem("no certificate")).is_err());
    /// ```
    pub fn sentinel_ca_pem(mut self, text: impl Into<Vec<u8>>) -> Self {
        self.sentinel.certificates.authorities = Some(Pem::Text(text.into().into()));
        self
    }

    /// As [`client_certificate`](Self::client_certificate), for connections to sentinels. Defaults
    /// to the client certificate for the servers, if there is one.
    ///
    /// ```
    /// # use tower_redis_session::{RedisConfig, RedisStore};
    /// let config = RedisConfig::sentinel("main", ["rediss://s1"])
    ///     .sentinel_client_certificate("/no/such/certificate", "/no/such/key");
    /// assert!(RedisStore::new(config).is_err());
    /// ```
    pub fn sentinel_client_certificate(
        mut self,
        certificate: impl Into<PathBuf>,
        key: impl Into<PathBuf>,
    ) -> Self {
        let (certificate, key) = (Pem::File(certificate.into()), Pem::File(key.into()));
        self.sentinel.certificates.identity = Some((certificate, key));
        self
    }

    /// As [`client_certificate_pem`](Self::client_certificate_pem), for connections to sentinels.
    ///
    /// ```
    /// # use tower_redis_session::{RedisConfig, RedisStore};
    /// let config = RedisConfig::sentinel("main", ["rediss://s1"]);
    /// let config = config.sentinel_client_certificate_pem("no certificate", "no key");
    /// assert!(RedisStore::new(config).is_err());
    /// ```
    pub fn sentinel_client_certificate_pem(
        mut self,
        certificate: impl Into<Vec<u8>>,
        key: impl Into<Vec<u8>>,
    ) -> Self {
        let text = |text: Vec<u8>| Pem::Text(text.into());
        self.sentinel.certificates.identity = Some((text(certificate.into()), text(key.into())));
        self
    }

    /// Whether the certificates of the servers, which have no TLS, are those for sentinels.
    pub(super) fn are_certificates_for_sentinels(&self) -> bool {
        let Place::Sentinel { sentinels, .. } = &self.place else { return false };
        let has_tls = |url: &String| address::parse_sentinel(url).is_ok_and(|url| url.tls);
        !self.sentinel.certificates.are_set() && sentinels.iter().any(has_tls)
    }

    /// The sentinels of a primary, whose servers have that security.
    pub(super) fn deployment(
        &self,
        name: &str,
        urls: &[String],
        security: Security,
    ) -> Result<Deployment, ConfigError> {
        // What the configuration of a sentinel allows.
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        if name.is_empty() || !name.bytes().all(is_plain) {
            let fault = "is not one of letters, digits and . - _";
            return Err(ConfigError::new("sentinel name", fault));
        }
        if urls.is_empty() || urls.len() > SENTINELS_MAX {
            return Err(ConfigError::new("sentinel addresses", "are not 1 to 32"));
        }
        let sentinels = urls.iter().map(|url| self.one_sentinel(url)).collect::<Result<_, _>>()?;
        Ok(Deployment { name: name.to_owned(), sentinels, security })
    }

    fn one_sentinel(&self, url: &str) -> Result<Sentinel, ConfigError> {
        let fault = |fault| ConfigError::new("sentinel addresses", fault);
        let url =
            address::parse_sentinel(url).map_err(|what| fault(format!("have one that {what}")))?;
        if matches!(url.address, Address::Socket(_)) {
            return Err(fault("have one that is a Unix socket".into()));
        }
        if url.login.database.is_some() {
            return Err(fault("have one with the number of a database".into()));
        }
        let (own, servers) = (&self.sentinel.certificates, &self.certificates);
        if !url.tls && own.are_set() {
            let what = "have one without TLS, but certificates for sentinels are configured";
            return Err(fault(what.into()));
        }
        let certificates = Certificates {
            authorities: own.authorities.clone().or_else(|| servers.authorities.clone()),
            identity: own.identity.clone().or_else(|| servers.identity.clone()),
        };
        Ok(Sentinel {
            endpoint: Self::security("sentinel", url.tls, certificates)?.at(url.address),
            username: self.sentinel.username.clone().or(url.login.username),
            password: self.sentinel.password.clone().or(url.login.password),
        })
    }
}
