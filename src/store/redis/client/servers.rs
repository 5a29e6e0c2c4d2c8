//! Servers: one primary, or the nodes of a cluster, of which the key of a command decides.

use std::{sync::Arc, time::Duration};

use redis::{Cmd, Value};

use crate::{
    clock::compared::Compared,
    error::{ConfigError, Error},
    store::{
        availability::Availability,
        redis::client::{
            check,
            cluster::{
                decision::Follow,
                nodes::Owner,
                router::Router,
                sending::{Read, Sending, TOO_LATE, Write},
                slot::Slot,
            },
            config::RedisConfig,
            confirmed::{Ends, Repeat},
            connection::{Answer, Connection},
            failure::Failure,
            pool::Connections,
            script::{self, Call},
        },
    },
    telemetry::{
        events::Events,
        health::{BackendHealth, Serving},
    },
};

/// Where sessions or entries of a directory are.
#[derive(Clone, Debug)]
pub(in crate::store::redis) enum Servers {
    One(Connections),
    Cluster(Router),
}

/// What an end of sessions came to.
#[derive(Debug)]
pub(in crate::store::redis) struct Ended {
    /// The last reply, which replicas have confirmed; or the error that leaves the outcome unknown.
    pub(in crate::store::redis) answer: Answer,
    /// The reply before that, if it was not confirmed.
    pub(in crate::store::redis) first: Option<Value>,
    /// Whether replicas have to confirm it.
    pub(in crate::store::redis) is_awaited: bool,
}

impl Servers {
    /// Opens no connection.
    pub(in crate::store::redis) fn new(
        config: &RedisConfig,
        events: &Events,
    ) -> Result<Self, ConfigError> {
        let compared = Compared::default();
        if let Some(cluster) = config.seeds()? {
            let events = Some(events.clone());
            return Router::new(cluster, script::CLUSTERED, compared, events).map(Self::Cluster);
        }
        let availability = Availability::new(Serving::Redis, events.clone());
        let availability = Some(Arc::new(availability));
        Connections::with_confirmation(config, script::RECORDS, compared, availability)
            .map(Self::One)
    }

    /// For entries of a directory: no replica confirms what is removed.
    pub(in crate::store::redis) fn of_entries(config: &RedisConfig) -> Result<Self, ConfigError> {
        let (config, compared) = (config.clone().confirm(0, Duration::ZERO), Compared::default());
        if let Some(cluster) = config.seeds()? {
            let scripts = script::CLUSTERED_ENTRIES;
            return Router::new(cluster, scripts, compared, None).map(Self::Cluster);
        }
        Connections::new(&config, script::ENTRIES, None, compared, None).map(Self::One)
    }

    pub(in crate::store::redis) fn are_a_cluster(&self) -> bool {
        matches!(self, Self::Cluster(_))
    }

    /// The connections to the only server; `None` for a cluster.
    #[cfg(feature = "cli")]
    pub(in crate::store::redis) fn one(&self) -> Option<&Connections> {
        match self {
            Self::One(connections) => Some(connections),
            Self::Cluster(_) => None,
        }
    }

    /// The name of the node that serves a key; `None` for the only server, and while no node does.
    pub(in crate::store::redis) fn node_of(&self, key: &str) -> Option<Arc<str>> {
        let Self::Cluster(router) = self else { return None };
        match router.nodes().owner(slot(key)) {
            Owner::Node(node) => Some(Arc::clone(&node.name)),
            Owner::Nobody | Owner::Unknown => None,
        }
    }

    /// The names of the nodes that serve keys; none for the only server.
    pub(in crate::store::redis) fn nodes(&self) -> Vec<Arc<str>> {
        let Self::Cluster(router) = self else { return Vec::new() };
        router.nodes().primaries().iter().map(|node| Arc::clone(&node.name)).collect()
    }

    /// Sends a command of this key that is safe to run twice.
    pub(in crate::store::redis) async fn read(
        &self,
        key: &str,
        command: &Cmd,
    ) -> Result<Value, Error> {
        match self {
            Self::One(connections) => connections.read(command).await,
            Self::Cluster(router) => router.read(slot(key), command).await,
        }
    }

    /// Calls a script on this key, built for the connection that it is sent over; again only if the
    /// server reports that it did not run.
    pub(in crate::store::redis) async fn call(
        &self,
        key: &str,
        follow: Follow,
        build: impl Fn(&Connection) -> Result<Call, Error> + Sync,
    ) -> Result<Answer, Error> {
        match self {
            Self::One(connections) => {
                let connection = connections.get().await?;
                let answer = connections.write_over(connection.clone(), &build(&connection)?).await;
                if matches!(&answer, Ok(Ok(Value::Int(TOO_LATE)))) {
                    // The measured server clock is off: the next connection measures it again.
                    connection.distrust_clocks();
                }
                answer
            }
            Self::Cluster(router) => router.call(slot(key), follow, build).await,
        }
    }

    /// Calls a script that is safe to run twice.
    pub(in crate::store::redis) async fn repeatable(
        &self,
        key: &str,
        follow: Follow,
        call: &Call,
    ) -> Result<Value, Error> {
        match self {
            Self::One(connections) => connections.repeatable(call).await,
            Self::Cluster(router) => {
                router.repeatable(slot(key), follow, |_| Ok(call.clone())).await
            }
        }
    }

    /// Calls a script that ends sessions: replicas confirm it where there are any.
    pub(in crate::store::redis) async fn end(
        &self,
        key: &str,
        follow: Follow,
        repeat: Repeat,
        build: impl Fn(&Connection) -> Result<Call, Error> + Sync,
    ) -> Result<Ended, Error> {
        let ends = Ends::new(repeat);
        let sending = Write { follow, build, repeatable: false, ends: Some(&ends) };
        let sent = self.send(key, &sending).await;
        drop(sending);
        let (is_awaited, first) = ends.came_to();
        let answer = match sent {
            Ok(value) => Ok(value),
            Err(failure) if failure.unknown || first.is_some() => Err(failure.error),
            Err(failure) => return Err(failure.error),
        };
        Ok(Ended { answer, first, is_awaited })
    }

    /// Sends a command of this key that changes nothing: replicas confirm what it finds where there
    /// are any.
    pub(in crate::store::redis) async fn read_confirmed(
        &self,
        key: &str,
        command: &Cmd,
    ) -> Result<Value, Error> {
        let ends = Ends::new(Repeat::Unconfirmed);
        let sending = Read { command, doubt: Duration::ZERO, ends: Some(&ends) };
        self.send(key, &sending).await.map_err(|failure| failure.error)
    }

    async fn send(&self, key: &str, sending: &impl Sending) -> Result<Value, Failure> {
        match self {
            Self::One(connections) => send_to_one(connections, sending).await,
            Self::Cluster(router) => router.send(slot(key), sending).await,
        }
    }

    /// Comparison of this process' clock with the servers'.
    pub(in crate::store::redis) fn compared(&self) -> &Compared {
        match self {
            Self::One(connections) => connections.compared(),
            Self::Cluster(router) => router.compared(),
        }
    }

    pub(in crate::store::redis) fn status(&self) -> BackendHealth {
        match self {
            Self::One(connections) => connections.status(),
            Self::Cluster(router) => router.status(),
        }
    }

    /// Start-up check of every server.
    pub(in crate::store::redis) async fn check(
        &self,
        records: &str,
        indexes: &str,
    ) -> Result<(), Error> {
        match self {
            Self::One(connections) => {
                let checked = check::check(connections, records, indexes).await;
                connections.checked(&checked);
                checked
            }
            Self::Cluster(router) => check::check_cluster(router, records, indexes).await,
        }
    }
}

/// Once more if the server did not run it, and if it may run twice.
async fn send_to_one(connections: &Connections, sending: &impl Sending) -> Result<Value, Failure> {
    let request = connections.request();
    let (mut retries, mut repeats) = (1, 1);
    let result = loop {
        let result = sending.over(connections, false).await;
        let left = match &result {
            Err(failure) if failure.again => &mut retries,
            Err(failure) if failure.unknown && sending.repeats(failure) => &mut repeats,
            _ => break result,
        };
        if *left == 0 {
            break result;
        }
        *left -= 1;
    };
    match &result {
        Ok(_) => request.accepted(),
        Err(failure) if failure.unconfirmed.is_some() => request.accepted(),
        Err(failure) if failure.reply => request.rejected(&failure.error),
        Err(failure) => request.ended(Some(&failure.error)),
    }
    result
}

fn slot(key: &str) -> Slot {
    Slot::of_key(key.as_bytes())
}
