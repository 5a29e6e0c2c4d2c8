//! Reads the slot map again: in a task of its own, never while a request waits for it but for the
//! first one.

use std::{
    collections::HashSet,
    fmt,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    sync::{Notify, watch},
    task::AbortHandle,
};

use crate::{
    error::Error,
    store::{
        availability::Availability,
        redis::client::{
            cluster::{address::NodeAddress, discovery::read_map, nodes::Nodes},
            limits::Limits,
        },
    },
    telemetry::{events::Events, health::Serving},
};

/// Shortest time between two rounds; twice and four times as long after the second and the third
/// one that brought no change: a node that is lost for long must not cost the others much.
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// Longest time between two rounds, and after one that failed.
const PAUSE_MAX: Duration = Duration::from_secs(10);
const RETRY: Duration = Duration::from_secs(1);
/// Maximum number of nodes that are remembered as doubtful until the next round.
const DOUBTS_MAX: usize = 64;

/// The task, and what requests tell it.
pub(super) struct Refresh {
    rounds: Arc<Rounds>,
    task: Mutex<Option<AbortHandle>>,
    /// How long a request waits for the first map.
    patience: Duration,
}

struct Rounds {
    nodes: Weak<Nodes>,
    /// Of the cluster as a whole, as long as no node of it is known.
    availability: Availability,
    /// How long a node may take to reply.
    limit: Duration,
    wanted: Notify,
    doubted: Mutex<HashSet<NodeAddress>>,
    ended: watch::Sender<Round>,
    is_running: AtomicBool,
    started: AtomicU64,
    changes: AtomicU64,
}

/// The last round.
#[derive(Clone, Default)]
pub(super) struct Round {
    number: u64,
    /// When the map was read last.
    pub(super) read: Option<Instant>,
    /// When a slot had another owner than before.
    pub(super) changed: Option<Instant>,
    pub(super) error: Option<Error>,
}

impl Refresh {
    pub(super) fn new(nodes: &Arc<Nodes>, limits: Limits, events: Option<Events>) -> Self {
        let limit = limits.connect_timeout.saturating_add(limits.command_timeout);
        let rounds = Rounds {
            nodes: Arc::downgrade(nodes),
            availability: Availability::new(Serving::Redis, events),
            limit,
            wanted: Notify::new(),
            doubted: Mutex::default(),
            ended: watch::Sender::default(),
            is_running: AtomicBool::new(false),
            started: AtomicU64::new(0),
            changes: AtomicU64::new(0),
        };
        let patience = limit.saturating_add(PAUSE_MIN);
        Self { rounds: Arc::new(rounds), task: Mutex::default(), patience }
    }

    /// Starts the task, unless it runs.
    pub(super) fn keep(&self) {
        if self.rounds.is_running.load(Ordering::Acquire) {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if self.rounds.is_running.swap(true, Ordering::AcqRel) {
            return;
        }
        let running = Running(Arc::clone(&self.rounds));
        *task = Some(runtime.spawn(run(running)).abort_handle());
    }

    /// The map may be out of date, and `doubted` may be a node with an old one.
    pub(super) fn wanted(&self, doubted: Option<&NodeAddress>) {
        if let Some(address) = doubted {
            let mut doubts = self.rounds.doubted();
            if doubts.len() < DOUBTS_MAX && !doubts.contains(address) {
                let _ = doubts.insert(address.clone());
            }
        }
        self.rounds.wanted.notify_one();
    }

    /// Waits for a map, if there is none.
    ///
    /// # Errors
    ///
    /// No node replies with one.
    pub(super) async fn first_map(&self) -> Result<(), Error> {
        let mut ended = self.rounds.ended.subscribe();
        let seen = ended.borrow_and_update().number;
        self.keep();
        self.wanted(None);
        let has_map = || self.rounds.nodes.upgrade().is_some_and(|nodes| nodes.has_map());
        if has_map() {
            return Ok(());
        }
        let next = ended.wait_for(|round| round.number > seen);
        match tokio::time::timeout(self.patience, next).await {
            _ if has_map() => Ok(()),
            Ok(Ok(round)) => {
                let error = round.error.clone();
                Err(error.unwrap_or_else(|| Error::unavailable("no redis node has a slot map")))
            }
            Ok(Err(_)) | Err(_) => {
                // Its runtime may not be running: the next request starts it in its own.
                self.stop();
                Err(Error::unavailable("no redis node replied with the slot map in time"))
            }
        }
    }

    pub(super) fn last(&self) -> Round {
        self.rounds.ended.borrow().clone()
    }

    /// How often a slot had another owner than at the round before.
    pub(super) fn changes(&self) -> u64 {
        self.rounds.changes.load(Ordering::Relaxed)
    }

    fn stop(&self) {
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            task.abort();
            self.rounds.is_running.store(false, Ordering::Release);
        }
    }
}

impl Drop for Refresh {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The task has ended, also with its runtime.
struct Running(Arc<Rounds>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.is_running.store(false, Ordering::Release);
    }
}

async fn run(running: Running) {
    let rounds = &running.0;
    let mut unchanged = 0_u32;
    loop {
        let Some(nodes) = rounds.nodes.upgrade() else { return };
        let came = rounds.round(nodes).await;
        // One round at a time, with a pause, for any number of notifications.
        unchanged = if matches!(came, Ok(true)) { 0 } else { unchanged.saturating_add(1) };
        tokio::time::sleep(pause_after(unchanged)).await;
        tokio::select! {
            () = tokio::time::sleep(if came.is_ok() { PAUSE_MAX } else { RETRY }) => unchanged = 0,
            () = rounds.wanted.notified() => {}
        }
    }
}

/// The shortest pause, after that number of rounds in a row without a change.
fn pause_after(unchanged: u32) -> Duration {
    PAUSE_MIN * (1 << unchanged.min(3).saturating_sub(1))
}

impl Rounds {
    fn doubted(&self) -> std::sync::MutexGuard<'_, HashSet<NodeAddress>> {
        self.doubted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One round. Whether it brought a change.
    async fn round(&self, nodes: Arc<Nodes>) -> Result<bool, Error> {
        let doubted = std::mem::take(&mut *self.doubted());
        let number = self.started.fetch_add(1, Ordering::Relaxed) + 1;
        let had_map = nodes.has_map();
        let read = read_map(&nodes, &doubted, number, self.limit).await;
        let swapped = read.and_then(|(map, asked)| nodes.replace(&map, &asked));
        let now = Instant::now();
        self.report(&nodes, &swapped);
        drop(nodes);
        let changed = had_map && matches!(swapped, Ok(true));
        let _ = self.changes.fetch_add(u64::from(changed), Ordering::Relaxed);
        self.ended.send_modify(|round| {
            round.number = number;
            round.read = if swapped.is_ok() { Some(now) } else { round.read };
            round.changed = if changed { Some(now) } else { round.changed };
            round.error = swapped.as_ref().err().cloned();
        });
        swapped
    }

    /// One log line for each change.
    fn report(&self, nodes: &Nodes, swapped: &Result<bool, Error>) {
        if swapped.is_ok() {
            self.availability.checked(swapped);
        }
        let failed_before = self.ended.borrow().error.is_some();
        match swapped {
            Ok(true) => {
                let (primaries, uncovered) = {
                    let table = nodes.table();
                    (table.replicas.len(), table.uncovered)
                };
                if uncovered > 0 {
                    tracing::warn!(primaries, uncovered, "redis cluster slots without a primary");
                } else {
                    tracing::info!(primaries, "redis cluster slots assigned");
                }
            }
            Err(error) if !nodes.has_map() => self.availability.trip(error),
            Ok(false) if failed_before => tracing::info!("redis cluster slots read"),
            Ok(false) => {}
            Err(error) if failed_before => tracing::debug!(%error, "redis cluster slots not read"),
            Err(error) => tracing::warn!(%error, "redis cluster slots not read: last map used"),
        }
    }
}

impl fmt::Debug for Refresh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refresh").field("changes", &self.changes()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use crate::store::redis::client::cluster::refresh::*;

    #[test]
    fn rounds_that_bring_no_change_follow_each_other_more_slowly() {
        let pauses = [0, 1, 2, 3, 4, u32::MAX].map(|number| pause_after(number).as_millis());
        assert_eq!(pauses, [100, 100, 200, 400, 400, 400]);
    }
}
