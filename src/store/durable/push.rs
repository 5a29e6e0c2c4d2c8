//! Telling Redis of a change that the database has.

use super::{inner::Inner, journal::Order};
use crate::{
    error::Error,
    moment::Moment,
    store::{
        database::Epoch,
        redis::cache::{Fault, Link},
    },
    token::SessionId,
};

impl Inner {
    /// Tells Redis, in the generation and at the server that the database named after the commit.
    /// Answers whether Redis took it; if not, this instance believes it no longer about `id`.
    pub(super) async fn push(&self, id: &SessionId, order: &Order, epoch: Option<&Epoch>) -> bool {
        self.pass("before-push").await;
        let answers = self.stores.redis().is_closed();
        let pushed = if answers {
            let pushed = self.within_redis(self.tell(id, order, epoch)).await;
            self.redis_was_told(pushed.as_ref().err());
            pushed
        } else {
            Err(Error::unavailable("redis is away").into())
        };
        let Err(Fault { error, .. }) = pushed else { return true };
        tracing::debug!(session.id = %id, %error, "redis was not told of a change");
        self.authority.trust().set_aside(*id, self.now());
        false
    }

    async fn tell(
        &self,
        id: &SessionId,
        order: &Order,
        epoch: Option<&Epoch>,
    ) -> Result<(), Fault> {
        let epoch = match epoch {
            Some(epoch) => epoch.clone(),
            None => self.known_epoch()?,
        };
        match self.tell_once(id, order, &epoch).await {
            Err(Fault { lost: true, .. }) => self.tell_once(id, order, &epoch).await,
            result => result,
        }
    }

    async fn tell_once(&self, id: &SessionId, order: &Order, epoch: &Epoch) -> Result<(), Fault> {
        let mut link = self.cache.link().await?;
        if *link.peer().incarnation().as_str() != *epoch.incarnation {
            return Err(Error::unavailable("another redis server is vouched for").into());
        }
        carry_out(&mut link, epoch.generation, id, order).await
    }

    fn known_epoch(&self) -> Result<Epoch, Error> {
        let known = self.authority.trust().epoch().cloned();
        known.ok_or_else(|| Error::unavailable("no redis server is vouched for yet"))
    }

    /// Waits until no other instance can miss the change any longer, if that is asked for.
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

/// One order, over one connection.
pub(super) async fn carry_out(
    link: &mut Link,
    generation: u64,
    id: &SessionId,
    order: &Order,
) -> Result<(), Fault> {
    let Order::Put(record) = order else { return link.kill(generation, id).await };
    match link.put(generation, id, record).await {
        // A full Redis still forgets.
        Err(fault) if fault.refused => link.kill(generation, id).await,
        result => result,
    }
}
