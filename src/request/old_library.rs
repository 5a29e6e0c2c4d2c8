//! Another library, whose sessions the layer takes over: what the layer needs of it.

use std::{
    fmt,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use http::{Extensions, HeaderMap, HeaderValue};

use crate::{
    clock::timestamp::Timestamp,
    session::{claim::TakeOverKey, values::Edits},
    store::StoreFuture,
};

/// How long a user's bar is kept without an end of the import: longer than any old session lives.
const BAR_LIFE: Duration = Duration::from_secs(3_650 * 86_400);

/// Cookies and store of the other library.
pub(crate) trait OldLibrary: Send + Sync + fmt::Debug {
    /// The name of the format, for events.
    fn format(&self) -> &'static str;

    /// Whether there is a cookie of its name. Allocates nothing.
    fn is_in(&self, lines: &mut dyn Iterator<Item = &[u8]>) -> bool;

    /// What a signature includes besides the cookie; `None` if nothing, or without a cookie.
    fn signed_parts(&self, headers: &HeaderMap, extensions: &Extensions) -> Option<Box<str>>;

    /// The sessions of the cookies whose signatures verify, four at most.
    fn find(
        &self,
        lines: &mut dyn Iterator<Item = &[u8]>,
        signed_parts: Option<&str>,
    ) -> Vec<OldKey>;

    /// The header that removes the cookie.
    fn removal(&self) -> Option<HeaderValue>;

    /// What the old store has under a key.
    fn load<'a>(&'a self, old: &'a OldKey) -> StoreFuture<'a, Stored>;

    /// Deletes the old session.
    fn delete<'a>(&'a self, old: &'a OldKey) -> StoreFuture<'a, ()>;
}

/// Where an old session is stored. The key is a secret.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct OldKey {
    pub(crate) id: Box<str>,
    pub(crate) key: Box<str>,
}

/// What an old store has under a key.
#[allow(clippy::large_enum_variant, reason = "lives for a moment")]
pub(crate) enum Stored {
    Nothing,
    Session(OldContent),
    /// It cannot be decoded, with the reason.
    Unreadable(String),
}

/// User, values and expiry of an old session.
pub(crate) struct OldContent {
    pub(crate) user: Option<Box<str>>,
    /// Compared after a password change.
    pub(crate) stamp: Option<Box<str>>,
    pub(crate) values: Edits,
    pub(crate) expires: Option<Timestamp>,
}

impl OldContent {
    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}

/// How sessions of another library are taken over.
#[derive(Debug)]
pub(crate) struct TakeOverRules {
    pub(crate) library: Arc<dyn OldLibrary>,
    /// The current key first.
    pub(crate) keys: Vec<TakeOverKey>,
    /// How long the old cookie opens the session that was taken over.
    pub(crate) grace: Duration,
    pub(crate) keep_claims: Duration,
    /// From when on old cookies are ignored.
    pub(crate) until: Option<Timestamp>,
    /// The last deletion of an old session failed.
    pub(crate) deletions_fail: Arc<AtomicBool>,
}

impl TakeOverRules {
    /// Whether old cookies are read at all.
    pub(crate) fn is_open(&self, now: Timestamp) -> bool {
        self.until.is_none_or(|until| now < until)
    }

    /// How long a claim of `now` is kept: as long as old cookies are read.
    pub(crate) fn life(&self, now: Timestamp) -> Duration {
        let rest = self.until.map(|until| until.saturating_since(now));
        self.keep_claims.max(rest.unwrap_or_default())
    }

    /// How long a user's bar of `now` is kept: an old session of any age may come.
    pub(crate) fn bar_life(&self, now: Timestamp) -> Duration {
        self.until.map_or(BAR_LIFE, |_| self.life(now))
    }
}

impl fmt::Debug for OldKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OldKey(..)")
    }
}
