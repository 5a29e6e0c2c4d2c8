//! What all requests of one layer share: the store, its clock, the rules, and the commits in
//! progress.

use std::{borrow::Cow, fmt, future::Future, num::NonZeroU32, sync::Arc, time::Duration};

use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::field::display;

#[cfg(feature = "encryption")]
use crate::encryption::records::{self, UnsealedRecords};
use crate::{
    clock::Clock,
    error::{Causes, Error, ErrorKind},
    request::{
        client::DeviceConfig, cookie_echo::CookieEcho, old_library::TakeOverRules,
        success::Success, watched::Watches, write_queue::WriteQueues,
    },
    session::{
        changes::plan::Policy,
        record::Record,
        token::{SessionId, Token, TokenKind},
        write_id::WriteIds,
    },
    store::UserStore,
    sync::{keyed_lock::KeyedLock, one_at_a_time::OneAtATime},
    telemetry::{
        events::Events,
        instruments::{self, StoreName},
    },
    transport::Transport,
};

/// The builder's settings, validated.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) transport: Transport,
    /// The kind of tokens that open a session here.
    pub(crate) tokens: TokenKind,
    pub(crate) policy: Policy,
    pub(crate) budget: Duration,
    /// Which responses commit what the handler changed.
    pub(crate) success: Success,
    pub(crate) sessions_per_user: Option<NonZeroU32>,
    pub(crate) devices: Option<DeviceConfig>,
    pub(crate) csrf_lifetime: Duration,
    /// How long the record from before a move is readable under its old id.
    pub(crate) renewal_grace: Duration,
    /// Interval at which the store is polled for watched sessions.
    pub(crate) watch_interval: Duration,
    /// How sessions of another library are taken over.
    pub(crate) take_over: Option<TakeOverRules>,
    #[cfg(feature = "encryption")]
    pub(crate) seal: Option<UnsealedRecords>,
}

pub(crate) struct Backend {
    pub(crate) store: Box<dyn UserStore>,
    pub(crate) clock: Clock,
    pub(crate) rules: Rules,
    /// Extra time for a write that only waits for its acknowledgement.
    pub(crate) acknowledgement: Duration,
    /// Commits and touches that have started; `shutdown` waits for them.
    pub(crate) tracker: TaskTracker,
    /// What joins the writes in progress.
    pub(crate) writes: Arc<WriteQueues>,
    /// Writers that others have overtaken take turns. Correctness rests on the store's
    /// compare-and-set alone.
    pub(crate) write_locks: KeyedLock<SessionId>,
    /// Concurrent requests store one activity once.
    pub(crate) touching: OneAtATime<SessionId>,
    pub(crate) write_ids: WriteIds,
    pub(crate) events: Events,
    pub(crate) cookie_echo: CookieEcho,
    pub(crate) watches: Watches,
    /// Ends event streams with the layer; the store may outlive it.
    pub(crate) gone: Gone,
    pub(crate) store_name: StoreName,
}

/// Cancelled when dropped.
#[derive(Default)]
pub(crate) struct Gone(CancellationToken);

impl Gone {
    pub(crate) fn token(&self) -> CancellationToken {
        self.0.clone()
    }
}

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl Backend {
    pub(crate) fn new(store: Box<dyn UserStore>, rules: Rules) -> Arc<Self> {
        let (clock, acknowledgement) = (store.clock(), store.ack_delay());
        let events = store.events().of_layer();
        let store_name = StoreName::of(&store.health());
        instruments::describe();
        let cookie_echo = CookieEcho::new(rules.transport.needs_tls());
        Arc::new(Self {
            store,
            clock,
            rules,
            acknowledgement,
            tracker: TaskTracker::new(),
            writes: Arc::default(),
            write_locks: KeyedLock::default(),
            touching: OneAtATime::default(),
            write_ids: WriteIds::default(),
            events,
            cookie_echo,
            watches: Watches::default(),
            gone: Gone::default(),
            store_name,
        })
    }

    /// The token of a new session of `user`, where the store keeps those of a user together. One
    /// without a user that moves from `old` stays where it is.
    pub(crate) fn placed(
        &self,
        token: Token,
        user: Option<&str>,
        old: Option<&SessionId>,
    ) -> Token {
        let Some(placement) = self.store.placement() else { return token };
        let tag = user.map(|user| placement.tag(user)).or_else(|| old.map(SessionId::tag));
        tag.map_or_else(|| token.clone(), |tag| token.clone().tagged(tag))
    }

    /// The record found under `id`, with its content opened.
    #[cfg(feature = "encryption")]
    pub(crate) fn open(
        &self,
        token: &Token,
        id: &SessionId,
        record: Record,
    ) -> Result<Record, Error> {
        // Fails closed: a forged record in the store would be an unsealed one.
        if record.sealed.is_none() && self.rules.seal == Some(UnsealedRecords::Reject) {
            return Err(Error::new(ErrorKind::Corrupt, "the record is not sealed"));
        }
        records::open(token, id, record)
    }

    #[cfg(not(feature = "encryption"))]
    pub(crate) fn open(&self, _: &Token, _: &SessionId, record: Record) -> Result<Record, Error> {
        match record.sealed {
            Some(_) => Err(Error::new(ErrorKind::Unsupported, "the record is sealed")),
            None => Ok(record),
        }
    }

    /// `record` in its stored form.
    #[cfg(feature = "encryption")]
    pub(crate) fn closed<'a>(
        &self,
        token: &Token,
        id: &SessionId,
        record: &'a Record,
    ) -> Result<Cow<'a, Record>, Error> {
        match self.rules.seal {
            Some(_) => records::seal(token, id, record).map(Cow::Owned),
            None => Ok(Cow::Borrowed(record)),
        }
    }

    #[cfg(not(feature = "encryption"))]
    pub(crate) fn closed<'a>(
        &self,
        _: &Token,
        _: &SessionId,
        record: &'a Record,
    ) -> Result<Cow<'a, Record>, Error> {
        Ok(Cow::Borrowed(record))
    }

    /// Logs that an operation of a request failed: as `what`, of the session `id`.
    pub(crate) fn log_failure(&self, what: &str, id: Option<&SessionId>, error: &Error) {
        let (id, cause) = (id.map(display), display(Causes(error)));
        match error.kind() {
            ErrorKind::Unavailable | ErrorKind::Misconfigured
                if self.store_name.logs_its_state() =>
            {
                tracing::debug!(session.id = id, error = cause, "{what}");
            }
            _ => tracing::warn!(session.id = id, error = cause, "{what}"),
        }
    }

    /// Waits for a store operation within `budget`.
    ///
    /// Cancellation safety: past the budget the work is dropped, and may or may not have happened.
    pub(crate) async fn within<T>(
        &self,
        budget: Duration,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        match tokio::time::timeout(budget, work).await {
            Ok(result) => result,
            Err(_) => Err(Error::unavailable(format!("no reply within {budget:?}"))),
        }
    }
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backend").field("rules", &self.rules).finish_non_exhaustive()
    }
}
