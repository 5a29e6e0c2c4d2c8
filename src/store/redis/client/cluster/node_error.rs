//! Error replies of a cluster's node: it did not run the command, since of the key's slot. Pure.

use crate::store::redis::client::cluster::{address::Announced, slot::Slot};

/// Why a node did not run a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store::redis) enum NodeError {
    /// The slot belongs to another node.
    Moved(Slot, Announced),
    /// The key is on the node to which the slot is moving, for this one command.
    Ask(Slot, Announced),
    /// The slot is moving, and the command's keys are not all on one node.
    Moving,
    /// The cluster is down, or the node is not a primary with its data.
    Down,
}

impl NodeError {
    /// By the code of an error reply and the rest of its text; `None` for any other error.
    pub(in crate::store::redis) fn parse(code: &str, detail: &str) -> Option<Self> {
        let redirect = |to: fn(Slot, Announced) -> Self| {
            // Fails closed: what cannot be read leads nowhere, and the map is read again.
            target(detail).map_or(Self::Down, |(slot, address)| to(slot, address))
        };
        match code {
            "MOVED" => Some(redirect(Self::Moved)),
            "ASK" => Some(redirect(Self::Ask)),
            "TRYAGAIN" => Some(Self::Moving),
            "CLUSTERDOWN" | "LOADING" | "MASTERDOWN" | "READONLY" => Some(Self::Down),
            _ => None,
        }
    }
}

/// Parses `3999 127.0.0.1:6381`.
fn target(detail: &str) -> Option<(Slot, Announced)> {
    let (slot, address) = detail.trim().split_once(' ')?;
    let is_number = slot.bytes().all(|byte| byte.is_ascii_digit());
    let slot = is_number.then(|| slot.parse().ok())??;
    Some((Slot::new(slot)?, Announced::parse(address)?))
}

#[cfg(test)]
mod tests {
    use crate::store::redis::client::cluster::node_error::*;

    #[test]
    fn a_redirect_is_read_or_leads_nowhere() {
        let to = |slot, text: &str| (Slot::new(slot).unwrap(), Announced::parse(text).unwrap());
        let moved = |slot, text| {
            let (slot, address) = to(slot, text);
            Some(NodeError::Moved(slot, address))
        };
        for (code, detail, expected) in [
            ("MOVED", "3999 127.0.0.1:6381", moved(3999, "127.0.0.1:6381")),
            ("MOVED", "0 :6381", moved(0, ":6381")),
            ("MOVED", "16383 ?:6381", moved(16_383, ":6381")),
            ("MOVED", "1 2001:db8::1:6381 ", moved(1, "2001:db8::1:6381")),
            ("MOVED", "16384 127.0.0.1:6381", Some(NodeError::Down)),
            ("MOVED", "+1 127.0.0.1:6381", Some(NodeError::Down)),
            ("MOVED", "3999", Some(NodeError::Down)),
            ("MOVED", "3999 127.0.0.1", Some(NodeError::Down)),
            ("MOVED", "3999 127.0.0.1:6381 more", Some(NodeError::Down)),
            ("ASK", "", Some(NodeError::Down)),
            ("TRYAGAIN", "Multiple keys request during rehashing of slot", Some(NodeError::Moving)),
            ("CLUSTERDOWN", "Hash slot not served", Some(NodeError::Down)),
            ("LOADING", "Redis is loading the dataset in memory", Some(NodeError::Down)),
            ("MASTERDOWN", "", Some(NodeError::Down)),
            ("READONLY", "", Some(NodeError::Down)),
            ("ERR", "MOVED 3999 127.0.0.1:6381", None),
            ("OOM", "command not allowed", None),
        ] {
            assert_eq!(NodeError::parse(code, detail), expected, "{code} {detail}");
        }
        let (slot, address) = to(7, "a.example:1");
        assert_eq!(NodeError::parse("ASK", "7 a.example:1"), Some(NodeError::Ask(slot, address)));
    }
}
