//! Validation of a configuration, and what is built of it.

#[cfg(feature = "tls")]
use crate::store::redis::client::tls::Tls;
use crate::{
    error::ConfigError,
    store::redis::client::{
        address::{self, Address, Login},
        authentication::Authentication,
        config::{Place, RedisConfig},
        endpoint::Endpoint,
        limits::Limits,
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

    /// The endpoint, and how connections authenticate.
    pub(in crate::store::redis) fn endpoint(
        &self,
    ) -> Result<(Endpoint, Authentication), ConfigError> {
        let fault = |fault: &'static str| ConfigError::new("redis address", fault);
        let (address, tls, mut login) = match &self.place {
            Place::Url(url) => {
                // The error omits the URL, which may hold the password.
                let url = address::parse(url).map_err(fault)?;
                (url.address, url.tls, url.login)
            }
            Place::Tcp { host, port } => {
                let address = Address::Tcp { host: host.clone(), port: *port };
                (address, false, Login::default())
            }
        };
        login.username = self.username.clone().or(login.username);
        login.password = self.password.clone().or(login.password);
        login.database = self.database.or(login.database);
        if login.database.is_some_and(|database| database < 0) {
            return Err(ConfigError::new("redis database", "is negative"));
        }
        let tls = tls || self.tls;
        if tls && matches!(address, Address::Socket(_)) {
            return Err(fault("is a Unix socket, which has no TLS"));
        }
        if !tls && self.certificates.are_set() {
            return Err(fault("has no TLS, but certificates are configured"));
        }
        let authentication = Authentication::new(login, self.credentials.clone());
        Ok((self.with_tls(address, tls)?, authentication))
    }

    #[cfg(feature = "tls")]
    fn with_tls(&self, address: Address, tls: bool) -> Result<Endpoint, ConfigError> {
        let tls = tls.then(|| Tls::new(self.certificates.clone())).transpose()?;
        Ok(Endpoint { address, tls })
    }

    #[cfg(not(feature = "tls"))]
    fn with_tls(&self, address: Address, tls: bool) -> Result<Endpoint, ConfigError> {
        if tls {
            let fault = "uses TLS, which needs the crate feature `tls`";
            return Err(ConfigError::new("redis address", fault));
        }
        Ok(Endpoint { address })
    }
}
