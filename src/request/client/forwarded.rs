//! The client's address behind proxies. Pure.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

/// Whether `address` is in one of `networks`.
pub(crate) fn is_in(networks: &[IpNet], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(&address.to_canonical()))
}

/// The address that the last trusted proxy saw: `lines` are those of `X-Forwarded-For`, each hop
/// appended by the proxy that saw it. Read from the end as long as the author of an entry is
/// trusted. An unreadable entry ends it: then only the proxy's address is known.
pub(crate) fn client<'a>(
    peer: IpAddr,
    lines: impl DoubleEndedIterator<Item = &'a [u8]>,
    trusted: &[IpNet],
) -> IpAddr {
    let mut client = peer;
    for hop in lines.rev().flat_map(|line| line.rsplit(|byte| *byte == b',')) {
        if !is_in(trusted, client) {
            break;
        }
        match parse(hop) {
            Some(address) => client = address,
            None => break,
        }
    }
    client.to_canonical()
}

/// An address as proxies write it: bare, with a port, or in brackets.
fn parse(hop: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(hop).ok()?.trim_matches([' ', '\t']);
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Some(address.ip());
    }
    text.strip_prefix('[')?.strip_suffix(']')?.parse().map(IpAddr::V6).ok()
}

#[cfg(test)]
mod tests {
    use crate::request::client::forwarded::*;

    #[test]
    fn a_header_counts_as_far_as_trusted_proxies_wrote_it() {
        let trusted = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        for (name, peer, lines, expected) in [
            ("no proxy", "192.0.2.1", &["203.0.113.9"][..], "192.0.2.1"),
            ("one proxy", "10.0.0.1", &["203.0.113.9"], "203.0.113.9"),
            ("no header", "10.0.0.1", &[], "10.0.0.1"),
            ("forged in front", "10.0.0.1", &["1.2.3.4, 203.0.113.9"], "203.0.113.9"),
            ("a chain", "10.0.0.1", &["1.2.3.4, 203.0.113.9, 10.9.9.9"], "203.0.113.9"),
            ("two lines", "10.0.0.1", &["1.2.3.4", "203.0.113.9,10.0.0.3"], "203.0.113.9"),
            ("all trusted", "10.0.0.1", &["10.0.0.2, 10.0.0.3"], "10.0.0.2"),
            ("garbage", "10.0.0.1", &["203.0.113.9, unknown, 10.0.0.2"], "10.0.0.2"),
            ("empty hops", "10.0.0.1", &["203.0.113.9,"], "10.0.0.1"),
            ("with a port", "10.0.0.1", &["203.0.113.9:8080"], "203.0.113.9"),
            ("v6", "fd00::1", &["[2001:db8::1]:443"], "2001:db8::1"),
            ("v6 in brackets", "fd00::1", &["[2001:db8::1]"], "2001:db8::1"),
            ("mapped v4", "::ffff:10.0.0.1", &["::ffff:203.0.113.9"], "203.0.113.9"),
            ("not UTF-8", "10.0.0.1", &["\u{fffd}"], "10.0.0.1"),
        ] {
            let lines = lines.iter().map(|line| line.as_bytes());
            let found = client(peer.parse().unwrap(), lines, &trusted);
            assert_eq!(found, expected.parse::<IpAddr>().unwrap(), "{name}");
        }
    }
}
