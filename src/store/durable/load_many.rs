//! Read path for several sessions: copies in one round trip, the others one by one.

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
        // Concurrently: each waits for its own steps, within the limit of database reads.
        let loads = ids.iter().zip(copies).map(async |(id, copy)| match copy {
            Some(record) => Ok(Some(record)),
            None => self.load(id).await,
        });
        Ok(join_all(loads).await)
    }

    /// The copies that are trusted and have not expired; nothing is known of the others.
    async fn copies(&self, ids: &[SessionId]) -> Vec<Option<Record>> {
        let asked = async {
            let mut copies = vec![None; ids.len()];
            let mut link = self.cache.link().await?;
            let vouched = self.vouched(ids, link.peer());
            // Copies of another generation are loaded one by one.
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

    /// The generation in which the copy of each is trusted, if any.
    fn vouched(&self, ids: &[SessionId], peer: &Peer) -> Vec<Option<u64>> {
        let (now, trust) = (self.now(), self.authority.trust());
        ids.iter().map(|id| trust.vouched(id, peer, now)).collect()
    }
}
