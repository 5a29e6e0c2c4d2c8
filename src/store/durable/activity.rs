//! Activity: written to Redis at the layer's touch interval; to the database seldom, or where Redis
//! has no copy. The copy records when the database last had it, so that no state is kept in memory.
//!
//! Specified in `docs/protocol.md`, section 3.8.

use std::time::Duration;

use crate::{
    clock::timestamp::Timestamp,
    error::Error,
    session::{
        expiry::touch_throttle,
        record::{Record, Touch},
        token::SessionId,
    },
    store::{
        database::{Write, Written},
        durable::engine::Engine,
        redis::{
            client::incarnation::Peer,
            copies::{Fault, Touched},
        },
    },
};

impl Engine {
    pub(super) async fn touch(
        &self,
        id: &SessionId,
        version: u64,
        activity: Touch,
    ) -> Result<bool, Error> {
        let idle = activity.idle_deadline.saturating_since(activity.last_activity);
        let interval = self.touch_interval(idle);
        let touched = self.touch_copy(id, version, (activity, false)).await;
        let in_redis = match &touched {
            Ok(Some(touched)) => {
                let lag = touched.stored.map(|had| activity.last_activity.saturating_since(had));
                if lag.is_some_and(|lag| lag < interval) {
                    return Ok(touched.changed);
                }
                touched.changed
            }
            _ => false,
        };
        let write = Write::Touch { id: *id, version, activity };
        match self.commit(write).await {
            Ok(done) => {
                if let Ok(Some(_)) = touched {
                    // If this fails it is only stored once more.
                    let _ = self.touch_copy(id, version, (activity, true)).await;
                }
                Ok(in_redis || matches!(done.written, Written::Done { .. }))
            }
            // Stored in Redis, and retried with the next activity.
            Err(_) if in_redis => Ok(true),
            Err(fault) => fault.into_outcome()?.confirmed().map(|()| false),
        }
    }

    async fn touch_copy(
        &self,
        id: &SessionId,
        version: u64,
        activity: (Touch, bool),
    ) -> Result<Option<Touched>, Fault> {
        if !self.stores.redis().is_closed() {
            return Ok(None);
        }
        let touched = self.within_redis(async {
            let mut link = self.cache.link().await?;
            let generation = self.generation_to_touch(id, link.peer());
            let Some(generation) = generation else { return Ok(None) };
            link.touch(generation, id, version, activity).await
        });
        let touched: Result<Option<Touched>, Fault> = touched.await;
        let fault = touched.as_ref().err().filter(|fault| !fault.refused);
        self.redis_said(fault.map(|fault| &fault.error));
        touched
    }

    /// The generation of a copy to touch: also of one that is read only because the database is
    /// unreachable.
    fn generation_to_touch(&self, id: &SessionId, peer: &Peer) -> Option<u64> {
        let (now, stretch) = (self.now(), self.parameters.stretch);
        let away = !self.stores.database().is_closed();
        let trust = self.authority.trust();
        let stretched = || trust.stretched(id, peer, now, stretch).filter(|_| away);
        trust.vouched(id, peer, now).or_else(stretched)
    }

    /// How far the database may lag behind, for a session with that idle timeout.
    pub(super) fn touch_interval(&self, idle: Duration) -> Duration {
        touch_throttle(idle, self.parameters.database_touch_interval)
    }
}

impl Record {
    /// A session that has expired by its row may have been used since, for as long as activity may
    /// reach the database late.
    pub(super) fn allow_for_late_activity(
        &mut self,
        now: Timestamp,
        late: impl Fn(Duration) -> Duration,
    ) {
        if self.deadlines.idle_deadline <= now {
            // By the idle timeout of the record, which its lateness is measured by.
            let late = late(self.activity().idle());
            self.deadlines.idle_deadline = self.deadlines.idle_deadline.saturating_add(late);
        }
    }

    /// Whether a lost copy may have had activity that this row lacks: its last activity is so old
    /// that a later one was due to be stored.
    pub(super) fn may_be_behind(&self, now: Timestamp) -> bool {
        let throttle = self.activity().idle().saturating_sub(self.deadlines.idle);
        now.saturating_since(self.last_activity) >= throttle
    }
}
