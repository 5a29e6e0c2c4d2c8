//! The question at start: is it there, is it Redis, will it do?

use redis::FromRedisValue as _;

use crate::{
    error::{Error, ErrorKind},
    store::redis::client::{incarnation::field, pool::Connections, script::Script},
};

/// The oldest Redis that has what the scripts use.
const SERVER_VERSION_MIN: (u32, u32) = (6, 2);

/// `probe` is a key of ours that is never written.
pub(in crate::store::redis) async fn check(
    connections: &Connections,
    probe: &str,
) -> Result<(), Error> {
    match connections.read(&redis::cmd("INFO")).await {
        Ok(info) => judge(&String::from_redis_value(info).unwrap_or_default())?,
        // A user that may only run what sessions need may not run INFO. That is no fault.
        Err(error) if error.kind() == ErrorKind::Misconfigured => {
            tracing::debug!(%error, "redis does not tell about itself");
        }
        Err(error) => return Err(error),
    }
    let mut call = Script::Touch.call(&[probe]);
    let _ = call.arg("").arg("").arg(0).arg(0);
    connections.repeatable(&call).await.map(|_| ())
}

fn judge(info: &str) -> Result<(), Error> {
    let unfit = |text| Err(Error::new(ErrorKind::Misconfigured, text));
    if field(info, "role") == Some("slave") {
        return unfit("the redis server is a replica, which takes no writes");
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
        tracing::warn!(policy, "redis may evict sessions when its memory is full");
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
