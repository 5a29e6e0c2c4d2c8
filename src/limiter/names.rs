//! Keys of the counters: hashes of accounts and networks.

use std::net::IpAddr;

use hmac::{Hmac, KeyInit as _, Mac as _};
use ipnet::IpNet;
use sha2::Sha256;

use crate::store::attempts::{AttemptKey, TAG_LEN};

/// The key of HMAC without one of the application.
const PUBLIC_KEY: &[u8] = b"tower-redis-session/limiter";

/// Derives keys; holds the hash with its key and the scope in it.
#[derive(Clone)]
pub(super) struct Names {
    started: Hmac<Sha256>,
    buckets: u32,
}

/// The names of one attempt.
#[derive(Clone, Copy, Debug)]
pub(super) struct Named {
    pub(super) site: AttemptKey,
    pub(super) network: AttemptKey,
    pub(super) pair: AttemptKey,
    pub(super) account: AttemptKey,
    pub(super) known: AttemptKey,
}

/// Which counter a key is of.
#[derive(Clone, Copy)]
enum Kind {
    Site = 0,
    Network = 1,
    Pair = 2,
    Account = 3,
    Known = 4,
}

impl Names {
    pub(super) fn new(key: Option<[u8; 32]>, scope: &str, buckets: u32) -> Self {
        let key = key.as_ref().map_or(PUBLIC_KEY, |key| key.as_slice());
        let mut started = keyed(key);
        started.update(&u64::try_from(scope.len()).unwrap_or(u64::MAX).to_be_bytes());
        started.update(scope.as_bytes());
        Self { started, buckets }
    }

    pub(super) fn of(&self, account: &str, address: IpAddr) -> Named {
        let network = bytes(network_of(address));
        let account = account.as_bytes();
        Named {
            site: self.site(address),
            network: self.network(address),
            pair: self.key(Kind::Pair, &[&network, account]),
            account: self.account(account),
            known: self.key(Kind::Known, &[&network, account]),
        }
    }

    pub(super) fn site(&self, address: IpAddr) -> AttemptKey {
        self.key(Kind::Site, &[&bytes(within(address, 24, 48))])
    }

    pub(super) fn network(&self, address: IpAddr) -> AttemptKey {
        self.key(Kind::Network, &[&bytes(network_of(address))])
    }

    pub(super) fn account(&self, account: &[u8]) -> AttemptKey {
        self.key(Kind::Account, &[account])
    }

    fn key(&self, kind: Kind, parts: &[&[u8]]) -> AttemptKey {
        let mut mac = self.started.clone();
        mac.update(&[kind as u8]);
        for part in parts {
            mac.update(part);
        }
        let mut tag = [0; TAG_LEN];
        let mut place = [0; 4];
        let hash = mac.finalize().into_bytes();
        for (to, from) in tag.iter_mut().chain(&mut place).zip(hash) {
            *to = from;
        }
        let bucket = u32::from_be_bytes(place) % self.buckets;
        // Known networks have buckets of their own: failures displace none of them.
        let first = if matches!(kind, Kind::Known) { self.buckets } else { 0 };
        AttemptKey { bucket: first + bucket, tag }
    }
}

/// A key of at most one block of the hash, as HMAC fills it up (RFC 2104 section 2).
fn keyed(key: &[u8]) -> Hmac<Sha256> {
    let mut block = [0; 64];
    for (to, from) in block.iter_mut().zip(key) {
        *to = *from;
    }
    Hmac::new(&block.into())
}

/// The network of a client: its IPv4 address, or its IPv6 /64.
pub(super) fn network_of(address: IpAddr) -> IpNet {
    within(address, 32, 64)
}

fn within(address: IpAddr, v4: u8, v6: u8) -> IpNet {
    let address = address.to_canonical();
    let prefix = if address.is_ipv4() { v4 } else { v6 };
    IpNet::new(address, prefix).map_or_else(|_| address.into(), |network| network.trunc())
}

/// Begins with its length, so that no account can continue it.
fn bytes(network: IpNet) -> Vec<u8> {
    let octets = match network.network() {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let head = [u8::try_from(octets.len()).unwrap_or(u8::MAX), network.prefix_len()];
    [head.as_slice(), &octets].concat()
}

/// A tag as 32 hexadecimal digits, for events.
pub(super) fn hexadecimal(key: &AttemptKey) -> String {
    key.tag.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use crate::limiter::names::*;

    #[test]
    fn an_attacker_cannot_make_up_networks_within_a_64_nor_sites_within_a_48() {
        let names = Names::new(None, "sign-in", 4_096);
        for (name, one, other, network, site) in [
            ("one /64", "2001:db8::1", "2001:db8::ffff:1", true, true),
            ("one /48", "2001:db8::1", "2001:db8:0:1::1", false, true),
            ("two /48", "2001:db8::1", "2001:db8:1::1", false, false),
            ("one address", "192.0.2.1", "::ffff:192.0.2.1", true, true),
            ("one /24", "192.0.2.1", "192.0.2.2", false, true),
            ("two /24", "192.0.2.1", "192.0.3.1", false, false),
        ] {
            let [one, other] = [one, other].map(|text| names.of("alice", text.parse().unwrap()));
            assert_eq!(one.network == other.network, network, "{name}");
            assert_eq!((one.pair == other.pair, one.known == other.known), (network, network));
            assert_eq!(one.site == other.site, site, "{name}");
            assert_eq!(one.account, other.account, "{name}");
        }
    }

    #[test]
    fn accounts_kinds_scopes_and_keys_have_keys_of_their_own() {
        let address = "192.0.2.1".parse().unwrap();
        let sign_in = Names::new(None, "sign-in", 4_096).of("alice", address);
        let mut seen = std::collections::HashSet::new();
        for named in [
            sign_in,
            Names::new(None, "reset", 4_096).of("alice", address),
            Names::new(Some([1; 32]), "sign-in", 4_096).of("alice", address),
        ] {
            let Named { site, network, pair, account, known } = named;
            for key in [site, network, pair, account, known] {
                assert!(seen.insert(key.tag));
                assert_eq!(key.bucket >= 4_096, key == known);
            }
        }
        assert_ne!(Names::new(None, "sign-in", 4_096).of("bob", address).pair, sign_in.pair);
    }
}
