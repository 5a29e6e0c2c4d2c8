//! The other library, as a layer sees it: importer and old store in one.

use std::{collections::BTreeMap, fmt, net::IpAddr, sync::Arc};

use http::{Extensions, HeaderMap, HeaderValue};

use crate::{
    error::ErrorKind,
    import::{
        importer::Importer,
        old_session::OldSession,
        old_sessions::{OldSessions, StoredContent},
    },
    request::old_library::{OldContent, OldKey, OldLibrary, Stored},
    store::StoreFuture,
};

/// Finds the address of the connection's peer.
pub(super) type PeerOf = dyn Fn(&Extensions) -> Option<IpAddr> + Send + Sync;

pub(super) struct Library {
    pub(super) importer: Importer,
    pub(super) sessions: Arc<dyn OldSessions>,
    pub(super) peer: Arc<PeerOf>,
}

impl OldLibrary for Library {
    fn format(&self) -> &'static str {
        self.importer.format().name()
    }

    fn is_in(&self, lines: &mut dyn Iterator<Item = &[u8]>) -> bool {
        self.importer.is_in(lines)
    }

    fn signed_parts(&self, headers: &HeaderMap, extensions: &Extensions) -> Option<Box<str>> {
        if !self.importer.signs_parts() {
            return None;
        }
        let mut lines = headers.get_all(http::header::COOKIE).iter().map(HeaderValue::as_bytes);
        let is_there = self.importer.is_in(&mut lines);
        is_there.then(|| self.importer.bound_to(headers, (self.peer)(extensions)).into())
    }

    fn find(
        &self,
        lines: &mut dyn Iterator<Item = &[u8]>,
        signed_parts: Option<&str>,
    ) -> Vec<OldKey> {
        let found = self.importer.find_in(lines, signed_parts.unwrap_or_default());
        found.map(OldSession::into_key).collect()
    }

    fn removal(&self) -> Option<HeaderValue> {
        self.importer.cookie().removal()
    }

    fn load<'a>(&'a self, old: &'a OldKey) -> StoreFuture<'a, Stored> {
        Box::pin(async move {
            let stored = match self.sessions.load(&OldSession::of(old)).await {
                Ok(None) => return Ok(Stored::Nothing),
                Ok(Some(stored)) => stored,
                Err(error) if error.kind() == ErrorKind::Corrupt => {
                    return Ok(Stored::Unreadable(error.to_string()));
                }
                Err(error) => return Err(error),
            };
            let decoded = match stored.content {
                StoredContent::Bytes(bytes) => {
                    self.importer.decode(&old.id, &bytes, stored.expires)
                }
                StoredContent::Decoded(mut session) => {
                    session.expire_at(stored.expires);
                    self.importer.stamped(session)
                }
            };
            Ok(match decoded {
                Err(error) => Stored::Unreadable(error.to_string()),
                Ok(session) => {
                    let values = session.values.into_iter();
                    let values = values.map(|(name, json)| (name, Some(String::from(json).into())));
                    let values: BTreeMap<_, _> = values.collect();
                    let (user, stamp, expires) = (session.user, session.stamp, session.expires);
                    Stored::Session(OldContent { user, stamp, values, expires })
                }
            })
        })
    }

    fn delete<'a>(&'a self, old: &'a OldKey) -> StoreFuture<'a, ()> {
        Box::pin(async move { self.sessions.delete(&OldSession::of(old)).await })
    }
}

impl fmt::Debug for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Library").field("importer", &self.importer).finish_non_exhaustive()
    }
}
