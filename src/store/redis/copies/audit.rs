//! All keys in Redis, and connections that are cut on purpose: for the command `validate`.

use crate::{
    error::Error,
    session::token::SessionId,
    store::{
        audit::{Kind, Suspicion},
        cursor::Cursor,
        redis::{
            copies::{Cache, Fault, Found},
            keys::{self, Class},
        },
    },
};

/// Keys per page.
const PAGE: usize = 500;

/// Keys that exist, without an end or with one.
pub(crate) struct Keys {
    /// Keys without an end.
    pub(crate) suspicions: Vec<Suspicion>,
    /// Sessions with a key in the requested generation, and the key.
    pub(crate) sessions: Vec<(SessionId, Vec<u8>)>,
}

impl Cache {
    /// The keys of a page, and the cursor of the next one.
    pub(crate) async fn scan(
        &self,
        after: Option<&Cursor>,
    ) -> Result<(Option<Cursor>, Vec<Vec<u8>>), Error> {
        keys::scan(&self.connections, &self.keys.prefix, after, PAGE).await
    }

    /// Examines keys, and finds those of copies of that generation.
    pub(crate) async fn examine(&self, found: &[Vec<u8>], generation: u64) -> Result<Keys, Error> {
        let ttls: Vec<_> = found.iter().map(|key| keys::pttl(key)).collect();
        let ttls = keys::send_all(&self.connections, &ttls).await?;
        let mut examined = Keys { suspicions: Vec::new(), sessions: Vec::new() };
        for (key, ttl) in found.iter().zip(ttls) {
            let class = keys::class(&self.keys.prefix, key);
            if keys::never_expires(&ttl?) {
                let place = key.clone();
                let subject = class.subject();
                let kind = Kind::KeyWithoutTtl;
                examined.suspicions.push(Suspicion { kind, subject, seen: 0, place });
            }
            if let Class::Copy(of, id) = class
                && of == generation
            {
                examined.sessions.push((id, key.clone()));
            }
        }
        Ok(examined)
    }

    /// The values under the keys of these sessions.
    pub(crate) async fn read_copies(
        &self,
        generation: u64,
        ids: &[SessionId],
    ) -> Result<Vec<Found>, Error> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut link = self.link().await?;
        link.get_many(generation, ids).await.map_err(|fault: Fault| fault.error)
    }

    /// Deletes the copies of these sessions.
    pub(crate) async fn delete(&self, generation: u64, ids: &[SessionId]) -> Result<(), Error> {
        let mut link = self.link().await?;
        link.kill(generation, ids).await.map_err(|fault| fault.error)
    }

    /// Closes all connections and opens no other ones, or does so again.
    pub(crate) fn cut(&self, cut: bool) {
        self.connections.cut(cut);
    }
}
