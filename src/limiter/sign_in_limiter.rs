//! The limiter.

use std::{fmt, net::IpAddr, sync::Arc};

use http::{Extensions, HeaderMap};

use crate::{
    error::{Error, ErrorKind},
    limiter::{
        attempt::Attempt,
        counting::{Inner, Limits, Source},
        error::AttemptError,
        names::{Named, Names, hexadecimal, network_of},
        refusals::Refusals,
    },
    request::client::DeviceConfig,
    store::attempts::{Action, Counter},
};

/// Limits failed sign-ins by account and by network; see [the module](crate::limiter). Clones share
/// one state.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use tower_redis_session::{MemoryStore, limiter::SignInLimiter};
///
/// let limiter = SignInLimiter::builder(MemoryStore::new()).build()?;
/// let attempt = limiter.begin("alice", "192.0.2.1".parse()?).await?;
/// // The password is checked here.
/// attempt.succeeded().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SignInLimiter(Arc<Inner>);

impl SignInLimiter {
    pub(super) fn new(source: Source, names: Names, limits: Limits, devices: DeviceConfig) -> Self {
        let events = match &source {
            Source::Store(store) => store.events(),
            Source::Layer(backend) => backend.events.clone(),
        };
        let (clock, refusals) = (source.store().clock(), Refusals::default());
        Self(Arc::new(Inner { source, names, limits, devices, clock, refusals, events }))
    }

    /// Counts an attempt to sign in to `account` from `address`, before the credentials are
    /// checked. Does not depend on whether the account exists: pass what the visitor typed, in the
    /// spelling of the look-up. One call to the store.
    ///
    /// # Errors
    ///
    /// [`Throttled`](AttemptError::Throttled) if it has to wait: nothing was counted.
    /// [`Store`](AttemptError::Store) while the store is unavailable: it may have been counted.
    /// Either way the credentials must not be checked.
    ///
    /// Cancellation safety: dropped before it returns, the attempt may be counted as failed.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use tower_redis_session::{MemoryStore, limiter::SignInLimiter};
    /// let limiter = SignInLimiter::builder(MemoryStore::new()).build()?;
    /// let attempt = limiter.begin("alice", "2001:db8::7".parse()?).await?;
    /// attempt.failed();
    /// # Ok(())
    /// # }
    /// ```
    pub async fn begin(&self, account: &str, address: IpAddr) -> Result<Attempt, AttemptError> {
        let named = self.0.names.of(account, address);
        let write = self.0.for_account(&named);
        self.0.count(&write, address).await?;
        let network = network_of(address).to_string();
        Ok(Attempt::new(Arc::clone(&self.0), write, hexadecimal(&named.account), network))
    }

    /// Counts an attempt by its network alone: for registrations, password resets and the like.
    /// [`NetworkLimitLayer`](crate::limiter::NetworkLimitLayer) calls it. One call to the store.
    ///
    /// # Errors
    ///
    /// Those of [`begin`](Self::begin).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use tower_redis_session::{MemoryStore, limiter::SignInLimiter};
    /// let resets = SignInLimiter::builder(MemoryStore::new()).scope("password reset").build()?;
    /// resets.count("192.0.2.1".parse()?).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn count(&self, address: IpAddr) -> Result<(), AttemptError> {
        let (site, network) = (self.0.names.site(address), self.0.names.network(address));
        let write = self.0.write_of(Action::Begin, self.0.for_network(site, network), None);
        self.0.count(&write, address).await
    }

    /// Forgets the failures of `account` from all networks, and those of the account from `address`
    /// if one is given: after a password reset, or at a user's request to support. Failures of
    /// networks stay.
    ///
    /// # Errors
    ///
    /// `Unavailable`: they may be forgotten or not. To repeat is safe.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use tower_redis_session::{MemoryStore, limiter::SignInLimiter};
    /// let limiter = SignInLimiter::builder(MemoryStore::new()).build()?;
    /// let home = "192.0.2.1".parse()?;
    /// for _ in 0..5 {
    ///     limiter.begin("alice", home).await?.failed();
    /// }
    /// assert!(limiter.begin("alice", home).await.is_err());
    /// limiter.forgive("alice", Some(home)).await?;
    /// assert!(limiter.begin("alice", home).await.is_ok());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn forgive(&self, account: &str, address: Option<IpAddr>) -> Result<(), Error> {
        let rule = self.0.limits.account;
        let key = self.0.names.account(account.as_bytes());
        let mut counters = vec![Counter { key, rule }];
        if let Some(address) = address {
            let Named { pair, .. } = self.0.names.of(account, address);
            counters.push(Counter { key: pair, rule: self.0.limits.pair });
            self.0.refusals.forget(&pair);
        }
        let _ = self.0.write(&self.0.write_of(Action::Forgive, counters, None)).await?;
        Ok(())
    }

    /// The address of a request's client, as
    /// [`devices`](crate::limiter::SignInLimiterBuilder::devices) says: the connection's, or behind
    /// trusted proxies the one in `X-Forwarded-For`.
    ///
    /// # Errors
    ///
    /// `Misconfigured` if the request's extensions have no address: fails closed.
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, layer::PeerAddress, limiter::SignInLimiter};
    /// let limiter = SignInLimiter::builder(MemoryStore::new()).build()?;
    /// let mut request = http::Request::new(());
    /// assert!(limiter.address(request.headers(), request.extensions()).is_err());
    /// request.extensions_mut().insert(PeerAddress("192.0.2.1:4711".parse()?));
    /// let address = limiter.address(request.headers(), request.extensions())?;
    /// assert_eq!(address.to_string(), "192.0.2.1");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn address(&self, headers: &HeaderMap, extensions: &Extensions) -> Result<IpAddr, Error> {
        let address = self.0.devices.address(headers, extensions);
        // Fails closed: without addresses all clients would share one limit, or have none.
        address.ok_or_else(|| {
            let text = "the request has no peer address";
            Error::new(ErrorKind::Misconfigured, text)
        })
    }

    /// The hash under which events name an account.
    ///
    /// ```
    /// # use tower_redis_session::{MemoryStore, limiter::SignInLimiter};
    /// let limiter = SignInLimiter::builder(MemoryStore::new()).build()?;
    /// assert_eq!(limiter.account_hash("alice").len(), 32);
    /// # Ok::<(), tower_redis_session::ConfigError>(())
    /// ```
    #[must_use]
    pub fn account_hash(&self, account: &str) -> String {
        hexadecimal(&self.0.names.account(account.as_bytes()))
    }
}

impl fmt::Debug for SignInLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignInLimiter").field("limits", &self.0.limits).finish_non_exhaustive()
    }
}
