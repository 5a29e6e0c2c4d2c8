//! Push of committed changes to Redis.
//!
//! Specified in `docs/protocol.md`, section 3.4.

use crate::{
    clock::moment::Moment,
    error::Error,
    session::token::SessionId,
    store::{
        database::Epoch,
        durable::{engine::Engine, journal::Order},
        redis::copies::{Fault, Link},
    },
};

/// Deletions per command.
const ENDS_PER_COMMAND: usize = 256;

impl Engine {
    /// Updates Redis, in the generation and at the server that the database named after the commit.
    /// Returns whether Redis accepted it; if not, this instance distrusts it about `id`.
    pub(super) async fn push(&self, id: &SessionId, order: &Order, epoch: Option<&Epoch>) -> bool {
        self.push_each(std::slice::from_ref(id), order, epoch).await
    }

    /// The same order for several.
    pub(super) async fn push_each(
        &self,
        ids: &[SessionId],
        order: &Order,
        epoch: Option<&Epoch>,
    ) -> bool {
        let mut left = ids;
        while !left.is_empty() {
            let (some, rest) = left.split_at(left.len().min(ENDS_PER_COMMAND));
            self.pass("before-push").await;
            if !self.pushed(some, order, epoch).await {
                let (mut trust, now) = (self.authority.trust(), self.now());
                left.iter().for_each(|id| trust.set_aside(*id, now));
                return false;
            }
            left = rest;
        }
        true
    }

    async fn pushed(&self, ids: &[SessionId], order: &Order, epoch: Option<&Epoch>) -> bool {
        if !self.stores.redis().is_closed() {
            return false;
        }
        let told = self.within_redis(self.tell(ids, order, epoch)).await;
        self.redis_was_told(told.as_ref().err());
        if let Err(Fault { error, .. }) = &told {
            let id = ids.first().map(tracing::field::display);
            tracing::debug!(session.id = id, %error, "change not pushed to redis");
        }
        told.is_ok()
    }

    async fn tell(
        &self,
        ids: &[SessionId],
        order: &Order,
        epoch: Option<&Epoch>,
    ) -> Result<(), Fault> {
        let epoch = match epoch {
            Some(epoch) => epoch.clone(),
            None => self.known_epoch()?,
        };
        match self.tell_once(ids, order, &epoch).await {
            Err(Fault { lost: true, .. }) => self.tell_once(ids, order, &epoch).await,
            result => result,
        }
    }

    async fn tell_once(
        &self,
        ids: &[SessionId],
        order: &Order,
        epoch: &Epoch,
    ) -> Result<(), Fault> {
        let mut link = self.cache.link().await?;
        if *link.peer().incarnation().as_str() != *epoch.incarnation {
            return Err(Error::unavailable("another redis server is the trusted one").into());
        }
        carry_out(&mut link, epoch.generation, ids, order).await
    }

    fn known_epoch(&self) -> Result<Epoch, Error> {
        let known = self.authority.trust().epoch().cloned();
        known.ok_or_else(|| Error::unavailable("no redis server is trusted yet"))
    }

    /// Waits until no other instance can miss the change any longer, if strict.
    pub(super) async fn acknowledge(&self, committed_at: Moment, pushed: bool) {
        if !self.parameters.strict {
            return;
        }
        let settled = self.authority.trust().is_settled(self.now());
        if !(pushed && settled) {
            let waited = committed_at.age(self.now());
            tokio::time::sleep(self.parameters.lease.saturating_sub(waited)).await;
        }
    }
}

/// One order, on one connection.
pub(super) async fn carry_out(
    link: &mut Link,
    generation: u64,
    ids: &[SessionId],
    order: &Order,
) -> Result<(), Fault> {
    let (Order::Put(record), [id]) = (order, ids) else { return link.kill(generation, ids).await };
    match link.put(generation, id, record).await {
        // A full Redis still deletes.
        Err(fault) if fault.refused => link.kill(generation, ids).await,
        result => result,
    }
}
