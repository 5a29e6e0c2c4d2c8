//! Endpoint of a server: a socket, with TLS if configured.

#[cfg(feature = "tls")]
use std::sync::Arc;
use std::{io, time::Duration};

use redis::io::tcp::socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
    task::JoinSet,
};

#[cfg(feature = "tls")]
use crate::store::redis::client::tls::Tls;
use crate::{error::Error, store::redis::client::address::Address};

/// Interval of keep-alive probes on an idle connection, and their number before the system closes
/// it; they also keep it alive in firewalls.
const KEEP_ALIVE: Duration = Duration::from_secs(60);
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);

#[derive(Clone, Debug)]
pub(in crate::store::redis) struct Endpoint {
    pub(in crate::store::redis) address: Address,
    #[cfg_attr(not(feature = "tls"), allow(dead_code, reason = "there is none"))]
    security: Security,
}

/// TLS, or none.
#[derive(Clone, Debug)]
pub(in crate::store::redis) struct Security {
    #[cfg(feature = "tls")]
    pub(in crate::store::redis) tls: Option<Arc<Tls>>,
}

/// The byte stream of a connection.
pub(in crate::store::redis) trait Stream:
    AsyncRead + AsyncWrite + Send + Unpin
{
}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Security {
    /// A server that has it.
    pub(in crate::store::redis) fn at(&self, address: Address) -> Endpoint {
        Endpoint { address, security: self.clone() }
    }
}

impl Endpoint {
    pub(in crate::store::redis) async fn connect(&self) -> Result<Box<dyn Stream>, Error> {
        match &self.address {
            Address::Tcp { host, port } => {
                let socket = tcp(host, *port).await.map_err(unreachable)?;
                #[cfg(feature = "tls")]
                if let Some(tls) = &self.security.tls {
                    return Ok(Box::new(tls.connect(host, socket).await?));
                }
                Ok(Box::new(socket))
            }
            #[cfg(unix)]
            Address::Socket(path) => {
                let socket = tokio::net::UnixStream::connect(path).await;
                socket.map(|socket| Box::new(socket) as Box<dyn Stream>).map_err(unreachable)
            }
            #[cfg(not(unix))]
            Address::Socket(_) => Err(unreachable(io::ErrorKind::Unsupported.into())),
        }
    }
}

/// Connects to the first of the host's addresses that accepts: one address family may be
/// unreachable.
async fn tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut attempts = JoinSet::new();
    for address in lookup_host((host, port)).await? {
        let _ = attempts.spawn(TcpStream::connect(address));
    }
    let mut failed = io::Error::from(io::ErrorKind::NotFound);
    while let Some(attempt) = attempts.join_next().await {
        match attempt {
            Ok(Ok(socket)) => {
                socket.set_nodelay(true)?;
                let alive = TcpKeepalive::new().with_time(KEEP_ALIVE);
                #[cfg(not(any(
                    target_os = "openbsd",
                    target_os = "redox",
                    target_os = "solaris"
                )))]
                let alive = alive.with_interval(KEEP_ALIVE_INTERVAL);
                SockRef::from(&socket).set_tcp_keepalive(&alive)?;
                return Ok(socket);
            }
            Ok(Err(error)) => failed = error,
            Err(_) => {}
        }
    }
    Err(failed)
}

fn unreachable(error: io::Error) -> Error {
    Error::unavailable(error)
}
