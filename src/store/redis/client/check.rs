//! Start-up check: reachable, a Redis server, and able to do all that sessions need.

use redis::{Cmd, FromRedisValue as _, Value};

use crate::{
    error::{Error, ErrorKind},
    session::write_id::WriteIds,
    store::redis::client::{
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
    let mut connection = connections.own().await?;
    match connection.send(&redis::cmd("INFO")).await {
        Ok(info) => judge(&String::from_redis_value(info).unwrap_or_default())?,
        // A server that rejects INFO is recognized by the following commands.
        Err(refused) if refused.error.kind() == ErrorKind::Misconfigured && !refused.broken => {
            tracing::debug!(error = %refused.error, "redis INFO rejected");
        }
        Err(failure) => return Err(failure.error),
    }
    let number = u128::from_be_bytes(WriteIds::default().draw()?);
    let place = Place::new(
        format!("{records}check-{number:032x}-"),
        format!("{indexes}check-{number:032x}"),
    );
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

fn judge(info: &str) -> Result<(), Error> {
    let unfit = |text| Err(misconfigured(text));
    if field(info, "role") == Some("slave") {
        return unfit("the redis server is a replica, which accepts no writes");
    }
    if field(info, "cluster_enabled") == Some("1") {
        return unfit("the server is a node of a redis cluster, which is not supported yet");
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
            let judged = judge(info).map_err(|error| error.to_string());
            match expected {
                None => assert_eq!(judged, Ok(()), "{name}"),
                Some(word) => assert!(judged.unwrap_err().contains(word), "{name}"),
            }
        }
    }
}
