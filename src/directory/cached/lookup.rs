//! Read-through lookup.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::time::Instant;

use crate::{
    directory::{
        Directory,
        cached::{Inner, entry_id::EntryId, lease::Lease, part::Part, sealing::Unreadable},
    },
    error::Error,
    store::redis::entries::Filler,
    sync::backoff::Backoff,
};

/// Pauses between polls for another loader's result.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(5), Duration::from_millis(80));

/// Result of a lookup in Redis.
enum Look<V> {
    /// The value, also encoded, and the lease if a refresh is due.
    Found(V, Bytes, Option<Lease>),
    /// No value, and the lease if it was acquired.
    Missing(Option<Lease>),
}

impl<D: Directory + 'static> Inner<D> {
    /// Cancellation safety: if the loading caller is dropped, the next in line loads.
    pub(super) async fn get<P: Part<D>>(
        self: &Arc<Self>,
        user: &str,
        name: &str,
    ) -> Result<P::Value, Error> {
        let entry_id = EntryId { kind: P::KIND, user: user.into(), name: name.into() };
        let mut own = None;
        let shared = self.loaders.load(entry_id.clone(), async {
            let (value, payload) = self.find::<P>(&entry_id).await?;
            own = Some(value);
            Ok(payload)
        });
        let shared = shared.await?;
        if let Some(value) = own {
            return Ok(value);
        }
        match shared.and_then(|payload| P::decode(&payload)) {
            Some(value) => Ok(value),
            // A value that does not survive encoding.
            None => P::ask(&self.source, &entry_id).await,
        }
    }

    async fn find<P: Part<D>>(
        self: &Arc<Self>,
        entry_id: &EntryId,
    ) -> Result<(P::Value, Option<Bytes>), Error> {
        let lease = match self.look::<P>(entry_id).await {
            Look::Found(value, payload, lease) => {
                if let Some(lease) = lease {
                    self.refresh::<P>(entry_id.clone(), lease);
                }
                return Ok((value, Some(payload)));
            }
            Look::Missing(lease) => lease,
        };
        let value = P::ask(&self.source, entry_id).await?;
        let payload = P::encode(&value).map(Bytes::from);
        if let Some(lease) = lease {
            match payload.as_ref().filter(|_| P::is_kept(&value)) {
                Some(payload) => lease.fill(payload).await,
                None => lease.clear().await,
            }
        }
        Ok((value, payload))
    }

    /// One round trip; more only while it waits for another loader, or if an entry is unreadable.
    async fn look<P: Part<D>>(&self, entry_id: &EntryId) -> Look<P::Value> {
        let cache = &self.cache;
        let key = cache.key(entry_id.kind, &entry_id.user);
        if !cache.serves(entry_id, &key) {
            return Look::Missing(None);
        }
        let start = Instant::now();
        let (mut ahead, mut backoff) = (cache.times.refresh_ahead, BACKOFF);
        loop {
            let Ok(mark) = cache.write_ids.draw() else { return Look::Missing(None) };
            let mut lease = Lease::new(cache, entry_id, &key, mark);
            let Some(taken) = lease.take(ahead).await else { return Look::Missing(None) };
            let lease = (taken.filler == Filler::Ours).then_some(lease);
            if let Some((value, payload)) = self.read::<P>(entry_id, &key, taken.value) {
                return Look::Found(value, payload, lease);
            }
            match taken.filler {
                Filler::Ours | Filler::Full => return Look::Missing(lease),
                // An unreadable entry is due at once; otherwise no caller would fill it before it
                // expires.
                Filler::Nobody => ahead = Duration::MAX,
                Filler::Theirs if start.elapsed() >= cache.times.loader_wait => {
                    return Look::Missing(None);
                }
                Filler::Theirs => backoff.pause().await,
            }
        }
    }

    fn read<P: Part<D>>(
        &self,
        entry_id: &EntryId,
        key: &str,
        entry: Option<Vec<u8>>,
    ) -> Option<(P::Value, Bytes)> {
        let entry = entry?;
        let read = self.cache.unpack(entry_id, key, &entry).and_then(|payload| {
            let value = P::decode(&payload).ok_or(Unreadable::Payload)?;
            Ok((value, Bytes::from(payload.into_owned())))
        });
        read.inspect_err(|fault| {
            tracing::warn!(kind = ?entry_id.kind, cause = %fault, "directory entry unreadable");
        })
        .ok()
    }

    /// Refreshes an entry in the background; until then the old value is returned.
    fn refresh<P: Part<D>>(self: &Arc<Self>, entry_id: EntryId, lease: Lease) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let inner = Arc::clone(self);
        drop(runtime.spawn(async move {
            let limit = inner.cache.times.loader_lease;
            match tokio::time::timeout(limit, P::ask(&inner.source, &entry_id)).await {
                Ok(Ok(value)) => match P::encode(&value).filter(|_| P::is_kept(&value)) {
                    Some(payload) => lease.fill(&payload).await,
                    None => lease.clear().await,
                },
                // The next attempt is by the first caller after the lease has expired.
                Ok(Err(error)) => {
                    tracing::warn!(kind = ?entry_id.kind, %error, "directory entry not refreshed");
                    lease.keep();
                }
                Err(_) => lease.keep(),
            }
        }));
    }
}
