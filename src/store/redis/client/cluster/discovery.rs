//! Reads the slot map: of the nodes that are known, then of the seeds.

use std::{collections::HashSet, sync::Arc, time::Duration};

use redis::{Cmd, Value};
use tokio::{task::JoinSet, time::timeout};

use crate::{
    error::{Error, ErrorKind},
    store::redis::client::{
        cluster::{
            address::NodeAddress,
            map::{Fault, Map},
            node::Node,
            nodes::Nodes,
        },
        failure::named,
    },
};

/// Number of nodes that are requested side by side.
const AT_ONCE: usize = 3;
/// Time without a whole map after which one more is requested.
const STAGGER: Duration = Duration::from_millis(200);

/// A map, and the node that replied with it.
pub(super) type Read = (Map, NodeAddress);

/// The first whole map, else the most complete one.
///
/// # Errors
///
/// No node replies with one: the cause that an operator has to see.
pub(super) async fn read_map(
    nodes: &Nodes,
    doubted: &HashSet<NodeAddress>,
    turn: u64,
    limit: Duration,
) -> Result<Read, Error> {
    let mut waiting = candidates(nodes, doubted, turn).into_iter();
    let mut replies = JoinSet::new();
    let (mut best, mut failed): (Option<Read>, _) = (None, None);
    let mut spare = AT_ONCE;
    loop {
        while spare > 0 {
            spare -= 1;
            let Some(address) = waiting.next() else { break };
            match nodes.at(&address) {
                Ok(node) => drop(replies.spawn(slots_in_time(node, limit))),
                Err(error) => failed = Some(worse(failed, error)),
            }
        }
        let next = match timeout(STAGGER, replies.join_next()).await {
            // None is requested any more.
            Ok(None) if waiting.len() == 0 => break,
            Ok(Some(Ok(reply))) => Some(reply),
            Ok(_) | Err(_) => None,
        };
        spare += 1;
        match next {
            Some((Ok(map), address)) if map.uncovered() == 0 => return Ok((map, address)),
            Some((Ok(map), address)) => {
                let fewer = |(best, _): &Read| map.uncovered() < best.uncovered();
                if best.as_ref().is_none_or(fewer) {
                    best = Some((map, address));
                }
            }
            Some((Err(error), _)) => failed = Some(worse(failed, error)),
            None => {}
        }
    }
    best.ok_or_else(|| failed.unwrap_or_else(|| Error::unavailable("no redis node replied")))
}

/// A few of the known nodes, others at each turn, and doubtful ones only if there are no others.
/// Then the seeds.
fn candidates(nodes: &Nodes, doubted: &HashSet<NodeAddress>, turn: u64) -> Vec<NodeAddress> {
    let mut known = addresses(nodes.primaries().iter().map(|node| &node.address), turn);
    known.sort_by_key(|address| doubted.contains(address));
    known.truncate(AT_ONCE);
    let seeds = addresses(nodes.seeds().iter(), turn);
    let others = seeds.into_iter().filter(|seed| !known.contains(seed)).collect();
    [known, others].concat()
}

/// Another one comes first at each turn.
fn addresses<'a>(all: impl Iterator<Item = &'a NodeAddress>, turn: u64) -> Vec<NodeAddress> {
    let mut all: Vec<_> = all.cloned().collect();
    let length = u64::try_from(all.len()).unwrap_or(u64::MAX).max(1);
    all.rotate_left(usize::try_from(turn % length).unwrap_or_default());
    all
}

async fn slots_in_time(node: Arc<Node>, limit: Duration) -> (Result<Map, Error>, NodeAddress) {
    let request = node.connections.request();
    let read = timeout(limit, slots_of(&node)).await;
    let read = read.unwrap_or_else(|_| {
        Err(Error::unavailable("redis did not reply to CLUSTER SLOTS in time"))
    });
    request.ended(read.as_ref().err());
    (read.and_then(|reply| Map::parse(&reply).map_err(strange)), node.address.clone())
}

async fn slots_of(node: &Node) -> Result<Value, Error> {
    let mut command = Cmd::new();
    let _ = command.arg("CLUSTER").arg("SLOTS");
    let mut connection = node.connections.get().await?;
    let read = connection.send(&command).await;
    read.map_err(|failure| named(failure.error, "CLUSTER SLOTS"))
}

fn strange(fault: Fault) -> Error {
    let text = format!("the reply of a redis node to CLUSTER SLOTS {fault}");
    Error::new(ErrorKind::Unavailable, text)
}

/// A setting that is wrong, else the last one.
fn worse(before: Option<Error>, error: Error) -> Error {
    match before {
        Some(before) if before.kind() == ErrorKind::Misconfigured => before,
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        clock::compared::Compared,
        store::redis::{RedisConfig, client::cluster::discovery::*},
    };

    #[test]
    fn other_nodes_come_first_at_each_turn_and_doubtful_ones_last_and_then_the_seeds() {
        let cluster = RedisConfig::cluster(["redis://a:1", "redis://seed:2"]).seeds();
        let cluster = cluster.unwrap().unwrap();
        let nodes = Nodes::new(cluster, &[], Compared::default(), None).unwrap();
        let named = |doubted: &[&str], turn| {
            let doubted = doubted.iter().map(|host| NodeAddress::new(*host, 1)).collect();
            let all = candidates(&nodes, &doubted, turn);
            all.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(named(&[], 0), "a:1 seed:2");
        assert_eq!(named(&[], 1), "seed:2 a:1");
        let ranges = ["a", "b", "c", "d"].into_iter().zip(0..).map(|(host, slot)| {
            let node = vec![Value::BulkString(host.into()), Value::Int(1)];
            Value::Array(vec![Value::Int(slot), Value::Int(slot), Value::Array(node)])
        });
        let map = Map::parse(&Value::Array(ranges.collect())).unwrap();
        let _ = nodes.replace(&map, &NodeAddress::new("a", 1)).unwrap();
        assert_eq!(named(&[], 0), "a:1 b:1 c:1 seed:2");
        assert_eq!(named(&[], 3), "d:1 a:1 b:1 seed:2");
        assert_eq!(named(&["a", "b"], 0), "c:1 d:1 a:1 seed:2");
    }
}
