//! Validation of a configuration, and what is built of it.

#[cfg(feature = "tls")]
use std::sync::Arc;

#[cfg(feature = "tls")]
use crate::store::redis::client::tls::Tls;
use crate::{
    error::ConfigError,
    store::{
        certificates::Certificates,
        redis::client::{
            address::{self, Address, Login},
            authentication::Authentication,
            cluster::address::NodeAddress,
            config::{Place, RedisConfig},
            endpoint::Security,
            limits::Limits,
            target::Target,
        },
    },
};

impl RedisConfig {
    pub(in crate::store::redis) fn limits(&self) -> Result<Limits, ConfigError> {
        self.limits.checked()
    }

    pub(in crate::store::redis) fn checked_prefix(&self) -> Result<&str, ConfigError> {
        let fine = |byte: u8| byte.is_ascii_graphic() && !b"*?[]{}\\".contains(&byte);
        let prefix = &self.key_prefix;
        if prefix.is_empty() || prefix.len() > 64 || !prefix.bytes().all(fine) {
            let fault = "is not 1 to 64 printable characters without space and * ? [ ] { } \\";
            return Err(ConfigError::new("redis key prefix", fault));
        }
        Ok(prefix)
    }

    /// Where connections lead, and how they authenticate.
    pub(in crate::store::redis) fn target(&self) -> Result<(Target, Authentication), ConfigError> {
        let fault = |fault: &'static str| ConfigError::new("redis address", fault);
        let (address, tls, mut login) = self.location()?;
        if self.host_map.is_some() {
            return Err(ConfigError::new("redis host map", "is for a cluster"));
        }
        login.username = self.username.clone().or(login.username);
        login.password = self.password.clone().or(login.password);
        login.database = self.database.or(login.database);
        if login.database.is_some_and(|database| database < 0) {
            return Err(ConfigError::new("redis database", "is negative"));
        }
        let tls = tls || self.tls;
        if tls && matches!(address, Some(Address::Socket(_))) {
            return Err(fault("is a Unix socket, which has no TLS"));
        }
        let authentication = Authentication::new(login, self.credentials.clone());
        Ok((self.target_at(address, tls)?, authentication))
    }

    fn target_at(&self, address: Option<Address>, tls: bool) -> Result<Target, ConfigError> {
        if !tls && self.certificates.are_set() && !self.are_certificates_for_sentinels() {
            let fault = "has no TLS, but certificates are configured";
            return Err(ConfigError::new("redis address", fault));
        }
        let security = Self::security("redis", tls, self.certificates.clone())?;
        match (&self.place, address) {
            (Place::Sentinel { name, sentinels }, _) => {
                let deployment = self.deployment(name, sentinels, security)?;
                Ok(Target::Sentinel(Box::new(deployment)))
            }
            (_, Some(address)) if !self.sentinel.are_set() => {
                Ok(Target::Server(security.at(address)))
            }
            _ => {
                let fault = "are none, but credentials or certificates for them are configured";
                Err(ConfigError::new("sentinel addresses", fault))
            }
        }
    }

    /// The address, unless sentinels name it; whether it has TLS, and the URL's credentials.
    fn location(&self) -> Result<(Option<Address>, bool, Login), ConfigError> {
        let plain = |host: &str, port| {
            let address = Address::Tcp { host: host.to_owned(), port };
            Ok((Some(address), false, Login::default()))
        };
        match &self.place {
            // The error omits the URL, which may hold the password.
            Place::Url(url) => {
                let url = address::parse(url);
                let url = url.map_err(|fault| ConfigError::new("redis address", fault))?;
                Ok((Some(url.address), url.tls, url.login))
            }
            Place::Tcp { host, port } => plain(host, *port),
            Place::Node(NodeAddress { host, port }) => plain(host, *port),
            Place::Sentinel { .. } => Ok((None, false, Login::default())),
            Place::Cluster(_) => {
                let fault = "is not supported with a database or for an import: use one primary";
                Err(ConfigError::new("redis cluster", fault))
            }
        }
    }

    #[cfg(feature = "tls")]
    pub(super) fn security(
        server: &'static str,
        tls: bool,
        certificates: Certificates,
    ) -> Result<Security, ConfigError> {
        let tls = tls.then(|| Tls::new(server, certificates)).transpose()?;
        Ok(Security { tls: tls.map(Arc::new) })
    }

    #[cfg(not(feature = "tls"))]
    pub(super) fn security(
        server: &'static str,
        tls: bool,
        _: Certificates,
    ) -> Result<Security, ConfigError> {
        if tls {
            let fault = "uses TLS, which needs the crate feature `tls`";
            return Err(ConfigError::new(format!("{server} address"), fault));
        }
        Ok(Security {})
    }
}
