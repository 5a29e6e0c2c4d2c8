//! Parameters of a sign-in.

use std::num::NonZeroU32;

use crate::session::{record::Record, token::SessionId};

/// A session that belongs to a user and gets a new id: a sign-in, or a renewal of one.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct LoginWrite<'a> {
    /// The session that it replaces, and its expected version.
    pub old: Option<(&'a SessionId, u64)>,
    /// The new, unused id.
    pub new: &'a SessionId,
    /// The record to store under it; it has a user.
    pub record: &'a Record,
    /// The user's epoch as read before the credentials were checked; `None` skips the check.
    pub epoch: Option<u64>,
    /// Whether the old session has another user. In a store that ends it in a step of its own the
    /// new session then ends with it.
    pub replaces_user: bool,
    /// Maximum number of the user's sessions, this one included: the oldest sign-ins end. `None`
    /// for no limit.
    pub limit: Option<NonZeroU32>,
}

impl<'a> LoginWrite<'a> {
    /// A sign-in that begins a session, without an old one, an epoch or a limit.
    ///
    /// ```
    /// # use tower_redis_session::{SessionId, store::{LoginWrite, Record}};
    /// # let record = Record::example();
    /// # let id: SessionId = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8".parse().unwrap();
    /// assert!(LoginWrite::new(&id, &record).limit.is_none());
    /// ```
    #[must_use]
    pub const fn new(new: &'a SessionId, record: &'a Record) -> Self {
        Self { old: None, new, record, epoch: None, replaces_user: false, limit: None }
    }
}
