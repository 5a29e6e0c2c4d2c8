//! Addresses of nodes, as configured and as the cluster announces them. Pure.

use std::{fmt, sync::Arc};

/// Longest host name, in bytes.
const HOST_MAX: usize = 255;

/// Where connections to a node lead.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(in crate::store::redis) struct NodeAddress {
    pub(in crate::store::redis) host: Arc<str>,
    pub(in crate::store::redis) port: u16,
}

/// An address in a reply. Without a host it is that of the node that replied.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::store::redis) struct Announced {
    pub(in crate::store::redis) host: Option<Box<str>>,
    pub(in crate::store::redis) port: u16,
}

impl NodeAddress {
    pub(in crate::store::redis) fn new(host: impl Into<Arc<str>>, port: u16) -> Self {
        Self { host: host.into(), port }
    }
}

impl Announced {
    /// `None` for a host that is no host name or address, and for port 0.
    pub(in crate::store::redis) fn new(host: &str, port: u16) -> Option<Self> {
        let known = Some(host).filter(|host| !matches!(*host, "" | "?"));
        let host = known.map(|host| host_of(host).map(Box::from));
        // Fails closed: such a text could not be looked up either.
        let host = host.map_or(Some(None), |host| host.map(Some))?;
        (port != 0).then_some(Self { host, port })
    }

    /// From `host:port`, where an IPv6 address may have no brackets.
    pub(in crate::store::redis) fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        Self::new(host, is_number.then(|| port.parse().ok())??)
    }
}

fn host_of(host: &str) -> Option<&str> {
    let inner = host.strip_prefix('[').map_or(Some(host), |host| host.strip_suffix(']'))?;
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:%".contains(&byte);
    let is_host = !inner.is_empty() && inner.len() <= HOST_MAX && inner.bytes().all(fine);
    is_host.then_some(inner)
}

impl fmt::Display for NodeAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

impl fmt::Debug for NodeAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use crate::store::redis::client::cluster::address::*;

    #[test]
    fn an_address_in_a_reply_is_read_or_rejected() {
        for (text, expected) in [
            ("127.0.0.1:6381", Some((Some("127.0.0.1"), 6381))),
            ("2001:db8::1:6381", Some((Some("2001:db8::1"), 6381))),
            ("[2001:db8::1]:6381", Some((Some("2001:db8::1"), 6381))),
            ("node-1.example:6381", Some((Some("node-1.example"), 6381))),
            (":6381", Some((None, 6381))),
            ("?:6381", Some((None, 6381))),
            ("127.0.0.1", None),
            ("127.0.0.1:", None),
            ("127.0.0.1:0", None),
            ("127.0.0.1:+1", None),
            ("127.0.0.1:65536", None),
            ("a b:1", None),
            ("a/b:1", None),
            ("[::1:1", None),
            ("[]:1", None),
            ("", None),
        ] {
            let parsed = Announced::parse(text);
            let parsed = parsed.as_ref().map(|parsed| (parsed.host.as_deref(), parsed.port));
            assert_eq!(parsed, expected, "{text}");
        }
        assert_eq!(Announced::new(&"a".repeat(HOST_MAX + 1), 1), None);
        assert_eq!(NodeAddress::new("::1", 1).to_string(), "[::1]:1");
    }
}
