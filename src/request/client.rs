//! Device recording: the stored data of a client, and the proxies trusted for its address.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use http::{
    Extensions, HeaderMap, HeaderValue,
    header::{HeaderName, USER_AGENT},
};
use ipnet::IpNet;

use crate::{error::ConfigError, session::device::Device};

mod forwarded;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The peer address of the connection, for the request's extensions. The server inserts it if its
/// framework has no such type of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAddress(pub SocketAddr);

/// What is recorded of a session's device, for the list that its user sees: the client's address
/// and its `User-Agent`, at creation, at each sign-in and at each renewal.
///
/// The address is that of the connection, from the [`PeerAddress`] in the request's extensions. A
/// header is trusted only if the connection comes from a configured proxy.
///
/// ```
/// use tower_redis_session::{MemoryStore, RedisSessionLayer, layer::DeviceConfig};
///
/// let devices = DeviceConfig::new().trusted_proxies(["10.0.0.0/8"])?;
/// let layer = RedisSessionLayer::builder(MemoryStore::new()).devices(devices).build()?;
/// # Ok::<(), tower_redis_session::ConfigError>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct DeviceConfig {
    trusted: Vec<IpNet>,
    peer: Arc<PeerOf>,
}

type PeerOf = dyn Fn(&Extensions) -> Option<IpAddr> + Send + Sync;

impl DeviceConfig {
    /// Records the peer address of connections; trusts no proxy.
    ///
    /// ```
    /// # use tower_redis_session::layer::DeviceConfig;
    /// assert_eq!(format!("{:?}", DeviceConfig::new()), "DeviceConfig { trusted: [], .. }");
    /// ```
    pub fn new() -> Self {
        let peer = |extensions: &Extensions| Some(extensions.get::<PeerAddress>()?.0.ip());
        Self { trusted: Vec::new(), peer: Arc::new(peer) }
    }

    /// Networks of the proxies in front of the service, as address and prefix length (CIDR, RFC
    /// 4632 section 3.1) or as one address. If a connection comes from one of them,
    /// `X-Forwarded-For` is read from its end to the first address that is not trusted: the client
    /// itself can write anything before that. Defaults to none.
    ///
    /// # Errors
    ///
    /// The first entry that is neither.
    ///
    /// ```
    /// # use tower_redis_session::layer::DeviceConfig;
    /// let devices = DeviceConfig::new().trusted_proxies(["192.0.2.7", "2001:db8::/32"])?;
    /// assert!(devices.trusted_proxies(["192.0.2.0/33"]).is_err());
    /// # Ok::<(), tower_redis_session::ConfigError>(())
    /// ```
    pub fn trusted_proxies<N: AsRef<str>>(
        mut self,
        networks: impl IntoIterator<Item = N>,
    ) -> Result<Self, ConfigError> {
        let network = |(place, text): (usize, N)| {
            let text = text.as_ref().trim();
            let parsed = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
            let fault = format!("entry {} is not a network", place + 1);
            parsed.map_err(|_| ConfigError::new("trusted proxies", fault))
        };
        self.trusted = networks.into_iter().enumerate().map(network).collect::<Result<_, _>>()?;
        Ok(self)
    }

    /// Where to find the peer address, for frameworks with a type of their own, such as axum's
    /// `ConnectInfo`. Defaults to [`PeerAddress`].
    ///
    /// ```
    /// use std::net::SocketAddr;
    /// # use tower_redis_session::layer::DeviceConfig;
    /// use axum::extract::ConnectInfo; // with `into_make_service_with_connect_info`
    ///
    /// let devices = DeviceConfig::new()
    ///     .peer_address(|extensions| Some(extensions.get::<ConnectInfo<SocketAddr>>()?.0.ip()));
    /// ```
    pub fn peer_address<F>(mut self, peer: F) -> Self
    where
        F: Fn(&Extensions) -> Option<IpAddr> + Send + Sync + 'static,
    {
        self.peer = Arc::new(peer);
        self
    }

    /// The client's address, if the request's extensions have that of the connection.
    ///
    /// ```
    /// # use tower_redis_session::layer::{DeviceConfig, PeerAddress};
    /// let mut request = http::Request::new(());
    /// request.extensions_mut().insert(PeerAddress("10.0.0.2:4711".parse()?));
    /// request.headers_mut().insert("x-forwarded-for", "203.0.113.9".parse()?);
    /// let devices = DeviceConfig::new().trusted_proxies(["10.0.0.0/8"])?;
    /// let address = devices.address(request.headers(), request.extensions());
    /// assert_eq!(address, Some("203.0.113.9".parse()?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn address(&self, headers: &HeaderMap, extensions: &Extensions) -> Option<IpAddr> {
        let peer = (self.peer)(extensions)?;
        let lines = headers.get_all(FORWARDED_FOR).iter().map(HeaderValue::as_bytes);
        Some(forwarded::client(peer, lines, &self.trusted))
    }

    /// The parts of a request that a later sign-in may need.
    pub(crate) fn capture(&self, headers: &HeaderMap, extensions: &Extensions) -> ClientHead {
        let peer = (self.peer)(extensions);
        let forwarded = match peer {
            Some(peer) if forwarded::is_in(&self.trusted, peer) => {
                headers.get_all(FORWARDED_FOR).iter().cloned().collect()
            }
            _ => Vec::new(),
        };
        ClientHead { peer, forwarded, user_agent: headers.get(USER_AGENT).cloned() }
    }

    pub(crate) fn device(&self, client_head: &ClientHead) -> Option<Arc<Device>> {
        let ClientHead { peer, forwarded, user_agent } = client_head;
        let lines = forwarded.iter().map(HeaderValue::as_bytes);
        let client = peer.map(|peer| forwarded::client(peer, lines, &self.trusted));
        Device::seen(client, user_agent.as_ref().map(HeaderValue::as_bytes))
    }
}

/// The parts of a request that identify its device.
pub(crate) struct ClientHead {
    peer: Option<IpAddr>,
    forwarded: Vec<HeaderValue>,
    user_agent: Option<HeaderValue>,
}

impl Default for DeviceConfig {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for DeviceConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceConfig").field("trusted", &self.trusted).finish_non_exhaustive()
    }
}
