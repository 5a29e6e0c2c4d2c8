//! Read path for several sessions: the copies in one round trip, the others one by one.

use futures_util::future::join_all;

use crate::{
    error::Error,
    session::{record::Record, token::SessionId},
    store::{
        durable::engine::Engine,
        redis::{
            client::incarnation::Peer,
            copies::{Fault, Found},
        },
    },
};

impl Engine {
    pub(super) async fn load_many(
        &self,
        ids: &[SessionId],
    ) -> Result<Vec<Result<Option<Record>, Error>>, Error> {
        let copies = self.copies(ids).await;
        // At once: each waits for what it needs, and as many as may read the database.
        let loads = ids.iter().zip(copies).map(async |(id, copy)| match copy {
            Some(record) => Ok(Some(record)),
            None => self.load(id).await,
        });
        Ok(join_all(loads).await)
    }

    /// The copies that may be trusted and are not over; nothing is said of the others.
    async fn copies(&self, ids: &[SessionId]) -> Vec<Option<Record>> {
        let asked = async {
            let mut copies = vec![None; ids.len()];
            let mut link = self.cache.link().await?;
            let vouched = self.vouched(ids, link.peer());
            // Those of another generation ask for themselves.
            let Some(generation) = vouched.iter().flatten().next().copied() else {
                return Ok::<_, Fault>(copies);
            };
            let found = link.get_many(generation, ids).await?;
            let places = copies.iter_mut().zip(vouched).zip(found);
            for ((copy, _), found) in
                places.filter(|((_, vouched), _)| *vouched == Some(generation))
            {
                if let Found::Copy { record, .. } = found
                    && !record.deadlines.is_over(self.clock().now())
                {
                    *copy = Some(record);
                }
            }
            Ok(copies)
        };
        if !self.stores.redis().is_closed() {
            return vec![None; ids.len()];
        }
        match self.within_redis(asked).await {
            Ok(copies) => {
                self.redis_said(None);
                copies
            }
            Err(fault) => {
                self.redis_said(Some(&fault.error));
                vec![None; ids.len()]
            }
        }
    }

    /// The generation that the copy of each may be trusted in, if any.
    fn vouched(&self, ids: &[SessionId], peer: &Peer) -> Vec<Option<u64>> {
        let (now, trust) = (self.now(), self.authority.trust());
        ids.iter().map(|id| trust.vouched(id, peer, now)).collect()
    }
}
