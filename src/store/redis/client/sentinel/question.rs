//! The same question to all sentinels at once.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    task::JoinSet,
    time::{Instant, timeout, timeout_at},
};

use crate::{
    error::{Error, ErrorKind},
    store::redis::client::sentinel::{
        choice::{Choice, Primary, Report},
        known::Known,
        line::{Line, Sentinel},
    },
};

/// How long replies are reused: while there is no primary, each request may start an attempt to
/// connect, and sentinels have other work then.
const REUSED: Duration = Duration::from_millis(100);

/// The sentinels of one primary, and what they have named so far.
pub(super) struct Group {
    name: String,
    pub(super) sentinels: Vec<Sentinel>,
    /// Timeout of a connection to the primary, the question included.
    pub(super) limit: Duration,
    pub(super) known: Known,
    last: Mutex<Option<Asked>>,
}

/// The replies of those that replied in time.
#[derive(Clone)]
struct Asked {
    at: Instant,
    reports: Vec<Report>,
    silence: Option<Error>,
}

/// The same, and the choice among them.
pub(super) struct Replies {
    reports: Vec<Report>,
    pub(super) choice: Choice,
    /// Why there is no report at all.
    pub(super) silence: Option<Error>,
    /// Whether they are of an earlier question.
    pub(super) are_reused: bool,
}

impl Group {
    pub(super) fn new(
        name: String,
        sentinels: Vec<Sentinel>,
        limit: Duration,
        known: Known,
    ) -> Self {
        Self { name, sentinels, limit, known, last: Mutex::default() }
    }

    /// Sends it to all of them, unless there are recent replies.
    pub(super) async fn ask(self: &Arc<Self>) -> Replies {
        let last = self.last().clone().filter(|last| last.at.elapsed() < REUSED);
        match last {
            Some(asked) => Replies { are_reused: true, ..self.choose(asked) },
            None => self.ask_again().await,
        }
    }

    /// Sends it to all of them. Half of the limit is left for the primary; those that are slower
    /// than a majority are not waited for.
    pub(super) async fn ask_again(self: &Arc<Self>) -> Replies {
        let (start, all) = (Instant::now(), self.sentinels.len());
        let mut asked = JoinSet::new();
        for (at, sentinel) in self.sentinels.iter().enumerate() {
            let (group, sentinel) = (Arc::clone(self), sentinel.clone());
            let _ = asked.spawn(async move { (at, group.ask_once(&sentinel).await) });
        }
        let mut results: Vec<(usize, Result<Report, Error>)> = Vec::with_capacity(all);
        loop {
            let replied = results.iter().filter(|(_, result)| result.is_ok()).count();
            let part = if replied * 2 > all { 4 } else { 2 };
            match timeout_at(start + self.limit / part, asked.join_next()).await {
                Ok(Some(Ok(result))) => results.push(result),
                // A task does not panic; at the end of a runtime it is dropped.
                Ok(Some(Err(_))) => {}
                Ok(None) | Err(_) => break,
            }
        }
        results.sort_by_key(|(at, _)| *at);
        let (mut reports, mut errors) = (Vec::with_capacity(all), Vec::new());
        for (_, result) in results {
            match result {
                Ok(report) => reports.push(report),
                Err(error) => errors.push(error),
            }
        }
        let silence = reports.is_empty().then(|| silence(errors));
        let asked = Asked { at: Instant::now(), reports, silence };
        *self.last() = Some(asked.clone());
        self.choose(asked)
    }

    fn choose(&self, asked: Asked) -> Replies {
        let Asked { reports, silence, .. } = asked;
        let choice = self.known.choose(&reports, self.sentinels.len());
        Replies { reports, choice, silence, are_reused: false }
    }

    fn last(&self) -> MutexGuard<'_, Option<Asked>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends it to one of them over a connection of its own.
    async fn ask_once(&self, sentinel: &Sentinel) -> Result<Report, Error> {
        sentinel.open(self.limit).await?.ask(&self.name).await
    }

    /// Sends it to one of them over `line`, which is opened if there is none, and closed if that
    /// fails.
    pub(super) async fn ask_over(
        &self,
        sentinel: &Sentinel,
        line: &mut Option<Line>,
    ) -> Result<Report, Error> {
        let asked = async {
            if line.is_none() {
                *line = Some(sentinel.open(self.limit).await?);
            }
            match line {
                Some(line) => line.ask(&self.name).await,
                None => Err(Error::unavailable("no connection to the sentinel")),
            }
        };
        let result = timeout(self.limit, asked).await;
        let result = result.unwrap_or_else(|_| Err(Error::unavailable("no reply in time")));
        if result.is_err() {
            *line = None;
        }
        result
    }
}

impl Replies {
    /// Whether a sentinel names that primary.
    pub(super) fn name(&self, primary: &Primary) -> bool {
        self.reports.iter().any(|report| {
            report.primary.server == primary.server && report.primary.epoch >= primary.epoch
        })
    }
}

/// The error when no sentinel names a primary: what is wrong with the configuration, else that none
/// is reachable.
pub(super) fn silence(errors: Vec<Error>) -> Error {
    let mut errors = errors;
    errors.sort_by_key(|error| error.kind() != ErrorKind::Misconfigured);
    let silent = Error::new(ErrorKind::Unavailable, SILENT);
    match errors.into_iter().next() {
        Some(error) if error.kind() == ErrorKind::Misconfigured => error,
        Some(error) => silent.with_source(error),
        None => silent,
    }
}

const SILENT: &str = "no sentinel replied in time";

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Group");
        debug.field("name", &self.name).field("sentinels", &self.sentinels).finish_non_exhaustive()
    }
}
