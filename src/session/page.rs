//! Pagination of a list of sessions: its order, and a cursor.

use std::{cmp::Reverse, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{
    clock::timestamp::Timestamp,
    error::{Error, ErrorKind},
    session::{info::SessionInfo, record::Record, token::SessionId},
};

/// A part of the list of a user's sessions, the latest sign-in first.
///
/// ```
/// # tower_redis_session::testing::handle(|session| async move {
/// session.login("alice").await?;
/// session.save().await?;
/// let page = session.sessions_page(None, 20).await?;
/// assert_eq!((page.sessions.len(), page.next), (1, None));
/// # Ok(()) });
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SessionPage {
    /// At most the requested number; fewer if the store still holds expired ones.
    pub sessions: Vec<SessionInfo>,
    /// Cursor of the next page; `None` at the end of the list.
    pub next: Option<SessionCursor>,
}

/// Cursor in the list of a user's sessions: the position after one session. Its text is URL-safe.
///
/// ```
/// use tower_redis_session::context::SessionCursor;
///
/// let text = "1704067200000.AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
/// let cursor: SessionCursor = text.parse()?;
/// assert_eq!(cursor.to_string(), text);
/// assert!("1704067200000".parse::<SessionCursor>().is_err());
/// # Ok::<(), tower_redis_session::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionCursor {
    created: Timestamp,
    id: SessionId,
}

impl SessionCursor {
    /// A cursor after this session.
    ///
    /// ```
    /// # use tower_redis_session::{SessionId, context::SessionCursor, store::Record};
    /// # let id: SessionId = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8".parse()?;
    /// # let record = Record::example();
    /// assert_eq!(*SessionCursor::new(record.created(), id).id(), id);
    /// # Ok::<(), tower_redis_session::Error>(())
    /// ```
    #[must_use]
    pub const fn new(created: Timestamp, id: SessionId) -> Self {
        Self { created, id }
    }

    /// When that session was signed in to.
    ///
    /// ```
    /// # use tower_redis_session::context::SessionCursor;
    /// let cursor: SessionCursor = "7.AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8".parse()?;
    /// assert_eq!(cursor.created().as_millis(), 7);
    /// # Ok::<(), tower_redis_session::Error>(())
    /// ```
    #[must_use]
    pub const fn created(&self) -> Timestamp {
        self.created
    }

    /// Its public id. Among sessions of the same millisecond the smaller text sorts first, byte by
    /// byte.
    ///
    /// ```
    /// # use tower_redis_session::context::SessionCursor;
    /// let cursor: SessionCursor = "7.AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8".parse()?;
    /// assert_eq!(cursor.id().as_bytes()[1], 1);
    /// # Ok::<(), tower_redis_session::Error>(())
    /// ```
    #[must_use]
    pub const fn id(&self) -> &SessionId {
        &self.id
    }

    /// Sort key of the list.
    pub(crate) fn order(&self) -> (Reverse<Timestamp>, String) {
        (Reverse(self.created), self.id.to_string())
    }
}

/// Sorts `all`, and keeps the page after `after`.
pub(crate) fn cut(all: &mut Vec<(SessionId, Record)>, after: Option<&SessionCursor>, limit: usize) {
    let order =
        |(id, record): &(SessionId, Record)| SessionCursor::new(record.created, *id).order();
    all.sort_by_cached_key(order);
    if let Some(after) = after.map(SessionCursor::order) {
        all.retain(|session| order(session) > after);
    }
    all.truncate(limit);
}

impl fmt::Display for SessionCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.created.as_millis(), self.id)
    }
}

impl FromStr for SessionCursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let none = || Error::new(ErrorKind::Invalid, "not a cursor of a list of sessions");
        let (created, id) = text.split_once('.').ok_or_else(none)?;
        let digits = created.bytes().all(|byte| byte.is_ascii_digit());
        let millis = created.parse().ok().filter(|_| digits).ok_or_else(none)?;
        Ok(Self { created: Timestamp::from_millis(millis), id: id.parse().map_err(|_| none())? })
    }
}

/// As text, as `Display` prints it.
impl Serialize for SessionCursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// From the text that `FromStr` parses.
impl<'de> Deserialize<'de> for SessionCursor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}
