//! Start-up check: reachable, a Redis server, and able to do all that sessions need.

use redis::{Cmd, FromRedisValue as _, Value};

use crate::{
    error::{Error, ErrorKind},
    session::{
        placement::{Tag, tag_text},
        write_id::WriteIds,
    },
    store::redis::client::{
        answer::CLUSTER,
        cluster::{nodes::Owner, router::Router, slot::Slot},
        connection::Connection,
        failure::named,
        incarnation::field,
        pool::Connections,
        trial::{Place, Trial},
    },
};

/// The oldest Redis that supports the scripts.
const SERVER_VERSION_MIN: (u32, u32) = (6, 2);

/// Over a separate connection: reads the server's information, sends every command that sessions
/// need once and calls every script, on keys of its own, which are removed again. `records` and
/// `indexes` are the prefixes of the keys of records and of users' lists.
pub(in crate::store::redis) async fn check(
    connections: &Connections,
    records: &str,
    indexes: &str,
) -> Result<(), Error> {
    check_keys(connections, records, indexes, None).await
}

/// The same for each node of a cluster that serves slots; and each slot has a node.
pub(in crate::store::redis) async fn check_cluster(
    router: &Router,
    records: &str,
    indexes: &str,
) -> Result<(), Error> {
    for node in router.primaries().await? {
        let of_node = |tag: &Tag| {
            let owner = router.nodes().owner(Slot::of_tag(tag_text(*tag)));
            matches!(owner, Owner::Node(owner) if std::sync::Arc::ptr_eq(&owner, &node))
        };
        let Some(tag) = (0..=u16::MAX).map(u16::to_be_bytes).find(of_node) else { continue };
        let name = node.address.to_string();
        let of_node = Some((tag, &*name));
        let checked = check_keys(&node.connections, records, indexes, of_node).await;
        checked.map_err(|error| {
            Error::new(error.kind(), format!("{error} (node {})", node.address)).with_source(error)
        })?;
    }
    match router.cluster_status().uncovered {
        0 => Ok(()),
        slots => {
            let text = format!("the redis cluster has {slots} slots that no node serves");
            Err(Error::new(ErrorKind::Unavailable, text))
        }
    }
}

/// With keys of that tag on a node of a cluster, which has that name.
async fn check_keys(
    connections: &Connections,
    records: &str,
    indexes: &str,
    in_cluster: Option<(Tag, &str)>,
) -> Result<(), Error> {
    let mut connection = connections.own().await?;
    match connection.send(&redis::cmd("INFO")).await {
        Ok(info) => {
            let info = String::from_redis_value(info).unwrap_or_default();
            judge(&info, in_cluster.is_some())?;
        }
        // A server that rejects INFO is recognized by the following commands.
        Err(refused) if refused.error.kind() == ErrorKind::Misconfigured && !refused.broken => {
            tracing::debug!(error = %refused.error, "redis INFO rejected");
        }
        Err(failure) => return Err(failure.error),
    }
    let node = in_cluster.map(|(_, name)| name);
    connections.check_confirmation(&mut connection, node).await?;
    if in_cluster.is_some() {
        // Else a missing right is noticed when a slot moves.
        let asked = connection.send(&redis::cmd("ASKING")).await;
        let _ = asked.map_err(|failure| named(failure.error, "ASKING"))?;
    }
    let number = u128::from_be_bytes(WriteIds::default().draw()?);
    let place = Place::new(records, indexes, number, in_cluster.unwrap_or_default().0);
    let tried = try_all(&mut connection, connections, &place).await;
    // Keys of a trial expire within seconds.
    let _ = connection.send(&place.removal()).await;
    tried
}

async fn try_all(
    connection: &mut Connection,
    connections: &Connections,
    place: &Place,
) -> Result<(), Error> {
    let commands = place.commands(connections.scripts());
    let sent: Vec<Cmd> = commands.iter().map(|(_, command)| command.clone()).collect();
    let answers = connection.send_all(&sent).await.map_err(|failure| failure.error)?;
    for ((name, _), answer) in commands.iter().zip(answers) {
        let _ = answer.map_err(|failure| unfit(failure.error, name))?;
    }
    // Called again although the server may have the scripts: it loses them in a restart.
    let first = connections.scripts().first();
    let unknown = match first {
        Some(script) => connection.send(&script.load()).await.err(),
        None => None,
    };
    if let Some(failure) = &unknown
        && !failure.no_hashes
    {
        return Err(named(failure.error.clone(), "SCRIPT LOAD"));
    }
    for trial in place.trials(connections.scripts(), connection) {
        try_script(connection, trial, unknown.is_none()).await?;
    }
    Ok(())
}

async fn try_script(
    connection: &mut Connection,
    Trial { script, call }: Trial,
    by_hash: bool,
) -> Result<(), Error> {
    let answer = match by_hash {
        true => connection.call(&call).await,
        false => connection.send(&call.whole()).await,
    };
    match answer {
        Ok(Value::Int(1)) => Ok(()),
        Ok(Value::Array(parts)) if parts.len() == 1 || parts.contains(&Value::Int(1)) => Ok(()),
        Ok(Value::Int(-1)) => Err(Error::unavailable("redis replied too late for the check")),
        Ok(_) => {
            let text = format!("the script {script} has another result than on redis");
            Err(Error::new(ErrorKind::Misconfigured, text))
        }
        Err(failure) if failure.no_hashes || !by_hash => {
            Err(named(failure.error, "SCRIPT LOAD and EVALSHA, or EVAL"))
        }
        Err(failure) => Err(unfit(failure.error, script)),
    }
}

/// A replica rejects the writes of the check and is reported as unusable.
fn unfit(error: Error, command: &str) -> Error {
    if error.to_string() == REPLICA {
        return misconfigured("the redis server is a replica, which accepts no writes");
    }
    named(error, command)
}

const REPLICA: &str = "the redis server is a replica";

fn misconfigured(text: &'static str) -> Error {
    Error::new(ErrorKind::Misconfigured, text)
}

fn judge(info: &str, in_cluster: bool) -> Result<(), Error> {
    let unfit = |text| Err(misconfigured(text));
    if field(info, "role") == Some("slave") {
        return unfit("the redis server is a replica, which accepts no writes");
    }
    if field(info, "cluster_enabled") == Some("1") && !in_cluster {
        return unfit(CLUSTER);
    }
    if field(info, "redis_version")
        .and_then(version)
        .is_some_and(|version| version < SERVER_VERSION_MIN)
    {
        return unfit("the redis server is older than 6.2");
    }
    let policy = field(info, "maxmemory_policy").unwrap_or("noeviction");
    if policy != "noeviction" && field(info, "maxmemory") != Some("0") {
        tracing::warn!(policy, "redis eviction policy unsafe: sessions may be evicted");
    }
    Ok(())
}

fn version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split('.').map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()??))
}

#[cfg(test)]
mod tests {
    use crate::store::redis::client::check::*;

    #[test]
    fn a_server_that_will_not_do_is_told_why() {
        for (name, info, expected) in [
            ("primary", "redis_version:7.0.15\r\nrole:master\r\n", None),
            ("nothing told", "", None),
            ("replica", "redis_version:7.0.15\r\nrole:slave\r\n", Some("replica")),
            ("old", "redis_version:6.0.16\r\nrole:master\r\n", Some("older")),
            ("cluster", "redis_version:7.2.4\r\ncluster_enabled:1\r\n", Some("cluster")),
        ] {
            let judged = judge(info, false).map_err(|error| error.to_string());
            match expected {
                None => assert_eq!(judged, Ok(()), "{name}"),
                Some(word) => assert!(judged.unwrap_err().contains(word), "{name}"),
            }
        }
    }
}
