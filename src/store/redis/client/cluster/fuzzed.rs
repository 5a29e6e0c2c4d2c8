//! What the fuzz targets call: replies of a server, as they come over the wire.

use crate::store::redis::client::cluster::{
    map::Map,
    node_error::NodeError,
    slot::{SLOTS, Slot},
};

/// The reply to `CLUSTER SLOTS`.
pub(crate) fn slots(reply: &[u8]) -> bool {
    let Ok(reply) = redis::parse_redis_value(reply) else { return false };
    let Ok(map) = Map::parse(&reply) else { return false };
    let mut counted = vec![0; map.primaries().len()];
    for owner in (0..SLOTS).filter_map(Slot::new).filter_map(|slot| map.owner(slot)) {
        assert!(owner < counted.len(), "every owner is one of the primaries");
        counted.iter_mut().skip(owner).take(1).for_each(|count| *count += 1);
    }
    let served: u16 = counted.iter().sum();
    assert_eq!(served + map.uncovered(), SLOTS, "every slot is served or not");
    assert!(map.primaries().iter().map(|primary| primary.slots).eq(counted), "each is counted");
    true
}

/// The text of a redirect, behind its code.
pub(crate) fn redirect(detail: &str) -> bool {
    let parsed = NodeError::parse("MOVED", detail);
    let Some(NodeError::Moved(slot, address)) = parsed else { return false };
    let host = address.host.unwrap_or_default();
    let said = [&*host, &slot.number().to_string(), &address.port.to_string()];
    assert!(said.iter().all(|part| detail.contains(part)), "nothing is made up");
    assert!(!host.contains(char::is_whitespace), "a host can be looked up");
    true
}
