//! Connections to the primary that the sentinels name.

use std::{
    fmt,
    future::Future,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicU64},
    time::Duration,
};

use tokio::task::AbortHandle;

use crate::{
    error::{Error, ErrorKind},
    store::redis::client::{
        address::Address,
        endpoint::{Endpoint, Security},
        health::ConnectionHealth,
        sentinel::{
            choice::Primary,
            known::Known,
            line::Sentinel,
            question::{Group, Replies},
            watch::watch,
        },
    },
};

/// Name of a primary and addresses of its sentinels, as configured.
#[derive(Clone, Debug)]
pub(in crate::store::redis) struct Deployment {
    pub(in crate::store::redis) name: String,
    pub(in crate::store::redis) sentinels: Vec<Sentinel>,
    /// That of the servers.
    pub(in crate::store::redis) security: Security,
}

/// The sentinels in use: finds the primary, and watches it from the first connection on.
pub(in crate::store::redis) struct Sentinels {
    group: Arc<Group>,
    security: Security,
    /// Ends with the connector.
    watch: Mutex<Option<AbortHandle>>,
}

impl Sentinels {
    /// `generation` is that of the connections to the primary.
    pub(in crate::store::redis) fn new(
        deployment: Deployment,
        limit: Duration,
        generation: Arc<AtomicU64>,
    ) -> Self {
        let Deployment { name, sentinels, security } = deployment;
        let group = Arc::new(Group::new(name, sentinels, limit, Known::new(generation)));
        Self { group, security, watch: Mutex::default() }
    }

    /// A connection to the primary: the first candidate for which `open` returns one, and not
    /// `None` for a replica.
    pub(in crate::store::redis) async fn open<T, F>(
        &self,
        open: impl Fn(Endpoint, ConnectionHealth) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<Option<T>, Error>>,
    {
        let mut replies = self.group.ask().await;
        loop {
            let Some(newest) = &replies.choice.newest else {
                return Err(replies.silence.unwrap_or_else(no_primary));
            };
            // Leaves the one in use, even if no other is usable yet.
            let mut is_settled = self.settle(&replies, newest).is_some();
            for candidate in &replies.choice.candidates {
                let Some(health) = self.settle(&replies, candidate) else {
                    is_settled = false;
                    break;
                };
                match open(self.security.at(address(candidate)), health).await {
                    Ok(Some(opened)) => {
                        self.watch();
                        return Ok(opened);
                    }
                    Ok(None) => {}
                    // Without a sentinel the last known one was tried.
                    Err(error) => return Err(replies.silence.unwrap_or(error)),
                }
            }
            let is_down = replies.choice.candidates.is_empty();
            if is_settled && (is_down || !replies.are_reused) {
                return Err(replies.silence.unwrap_or_else(|| none_usable(is_down)));
            }
            replies = self.group.ask_again().await;
        }
    }

    fn settle(&self, replies: &Replies, primary: &Primary) -> Option<ConnectionHealth> {
        self.group.known.settle(primary, replies.name(primary))
    }

    /// Starts the watch if it does not run: it ends with its runtime.
    fn watch(&self) {
        let mut running = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        if running.as_ref().is_none_or(AbortHandle::is_finished) {
            *running = Some(tokio::spawn(watch(Arc::clone(&self.group))).abort_handle());
        }
    }

    /// Address of the primary in use.
    pub(in crate::store::redis) fn primary(&self) -> Option<String> {
        self.group.known.address()
    }

    /// Time since the last switch that was noticed.
    pub(in crate::store::redis) fn switched_ago(&self) -> Option<Duration> {
        self.group.known.switched_ago()
    }
}

fn address(primary: &Primary) -> Address {
    Address::Tcp { host: primary.server.host.clone(), port: primary.server.port }
}

fn no_primary() -> Error {
    Error::new(ErrorKind::Unavailable, "the sentinels name no primary")
}

fn none_usable(is_down: bool) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        match is_down {
            true => "the sentinels report that the redis primary is down",
            false => "the server that the sentinels name as primary is a replica",
        },
    )
}

impl Drop for Sentinels {
    fn drop(&mut self) {
        let running = self.watch.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = running.take() {
            running.abort();
        }
    }
}

impl fmt::Debug for Sentinels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.group.fmt(f)
    }
}
