//! Authority over the copies: what this instance trusts, and new generations when Redis is not
//! trusted.
//!
//! Specified in `docs/protocol.md`, section 3.9.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use crate::{
    clock::{moment::Moment, uptime::Uptime},
    error::Error,
    session::write_id,
    store::{
        StoreFuture,
        database::{Database, Epoch, WriteFault},
        durable::{parameters::Parameters, trust::Trust},
        redis::client::{greet::Greeter, incarnation::Incarnation},
    },
};

pub(super) struct Authority {
    pub(super) database: Database,
    trust: Mutex<Trust>,
    uptime: Uptime,
    /// Notifies callers that wait for the next poll.
    pub(super) awaited: Notify,
    /// Several connections opened at once need one new generation, not one each.
    bumping: tokio::sync::Mutex<()>,
    #[cfg(feature = "_hooks")]
    pub(super) hooks: crate::store::durable::hooks::Hooks,
}

/// Why all copies are discarded.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reason<'a> {
    /// The server holds other data than the one that the generation was created for.
    Server(&'a Incarnation),
    /// More changes are in doubt than are distrusted one by one, as of this generation.
    Overflow(u64),
    /// The database went back in time.
    Restored,
}

impl Authority {
    pub(super) fn new(
        database: Database,
        parameters: &Parameters,
        #[cfg(feature = "_hooks")] hooks: crate::store::durable::hooks::Hooks,
    ) -> Self {
        Self {
            database,
            trust: Mutex::new(Trust::new(parameters.lease)),
            #[cfg(not(feature = "_hooks"))]
            uptime: Uptime::default(),
            #[cfg(feature = "_hooks")]
            uptime: hooks.uptime.clone(),
            awaited: Notify::new(),
            bumping: tokio::sync::Mutex::default(),
            #[cfg(feature = "_hooks")]
            hooks,
        }
    }

    pub(super) fn trust(&self) -> MutexGuard<'_, Trust> {
        // Nothing that can panic runs under this lock.
        self.trust.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Redis became unreachable or reachable again: no copy is trusted until a poll that starts
    /// after this.
    pub(super) fn lost_sight(&self) {
        self.trust().lost_sight(self.now());
        self.awaited.notify_one();
    }

    /// Creates a new generation, which starts without copies, unless another instance has created
    /// one already.
    pub(super) async fn bump(&self, reason: Reason<'_>) -> Result<(), Error> {
        let _turn = self.bumping.lock().await;
        let from = self.database.epoch().await?;
        let now = self.now();
        let to = {
            let mut trust = self.trust();
            if !reason.holds(&from, trust.epoch()) {
                trust.adopt(&from, now);
                return Ok(());
            }
            if !trust.may_bump(now) {
                return Err(stranger());
            }
            trust.bumped(now);
            successor(&from, trust.epoch(), reason)?
        };
        match self.database.bump(&from, &to).await {
            Ok(true) => {
                tracing::warn!(?reason, generation = %format_args!("{:016x}", to.generation),
                    "copies in redis invalidated");
                self.trust().adopt(&to, self.now());
                self.database.announce().await;
                Ok(())
            }
            // Another instance was first: its generation counts, if it is for the same server.
            Ok(false) => self.agree(reason).await,
            // It may have happened: the next caller reads it.
            Err(WriteFault::Refused(error) | WriteFault::Unknown(error)) => Err(error),
        }
    }

    async fn agree(&self, reason: Reason<'_>) -> Result<(), Error> {
        let epoch = self.database.epoch().await?;
        let now = self.now();
        let mut trust = self.trust();
        trust.adopt(&epoch, now);
        match reason {
            Reason::Server(server) if !trust.vouches(server) => Err(stranger()),
            _ => Ok(()),
        }
    }
}

impl Reason<'_> {
    /// Whether the reason still holds for the current epoch: another instance may have acted on it.
    fn holds(&self, there: &Epoch, known: Option<&Epoch>) -> bool {
        match self {
            Self::Server(server) => *there.incarnation != *server.as_str(),
            Self::Overflow(generation) => there.generation == *generation,
            Self::Restored => known.is_none_or(|known| {
                known.seq > there.seq
                    || known.seq == there.seq && known.generation != there.generation
            }),
        }
    }
}

fn successor(from: &Epoch, known: Option<&Epoch>, reason: Reason<'_>) -> Result<Epoch, Error> {
    let incarnation = match (reason, known) {
        (Reason::Server(server), _) => server.as_str().into(),
        // The database may name a server from before a restore.
        (Reason::Restored, Some(known)) => known.incarnation.clone(),
        _ => from.incarnation.clone(),
    };
    // Above any number that an instance may know, also of a restored database.
    let seq = from.seq.max(known.map_or(0, |known| known.seq)).saturating_add(1);
    Ok(Epoch { seq, generation: write_id::random()?, incarnation })
}

impl Greeter for Authority {
    fn greet<'a>(&'a self, server: &'a Incarnation) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            // Known already. The duration of trust does not depend on this connection, and an
            // unreachable database must not keep it closed.
            if self.vouches(server) {
                return Ok(());
            }
            match self.database.epoch().await {
                Ok(epoch) if *epoch.incarnation == *server.as_str() => {
                    self.trust().adopt(&epoch, self.now());
                    // Another server is trusted by a newer epoch than this one.
                    if self.vouches(server) { Ok(()) } else { Err(stranger()) }
                }
                Ok(_) => self.bump(Reason::Server(server)).await,
                Err(error) => Err(error),
            }
        })
    }

    fn vouches(&self, server: &Incarnation) -> bool {
        self.trust().vouches(server)
    }

    fn reconnected(&self) {
        self.lost_sight();
    }

    fn now(&self) -> Moment {
        self.uptime.now()
    }
}

fn stranger() -> Error {
    Error::unavailable("another redis server is the trusted one")
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("trust", &*self.trust()).finish_non_exhaustive()
    }
}
