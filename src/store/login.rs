//! What a sign-in asks a store for.

use std::num::NonZeroU32;

use crate::{
    error::{Error, ErrorKind},
    session::{record::Record, token::SessionId},
};

/// A session that belongs to a user and gets a new id: a sign-in, or a renewal of one.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct LoginWrite<'a> {
    /// The session that ends with it, and the version that it has to have.
    pub old: Option<(&'a SessionId, u64)>,
    /// The id that nobody has used yet.
    pub new: &'a SessionId,
    /// What is stored under it; it has a user.
    pub record: &'a Record,
    /// The user's epoch as it was before the credentials were checked; `None` to ask for none.
    pub epoch: Option<u64>,
    /// The most sessions that the user may have, this one included: those that were signed in to
    /// the longest ago end. `None` for as many as there are.
    pub limit: Option<NonZeroU32>,
}

impl<'a> LoginWrite<'a> {
    /// A sign-in that begins a session and asks for nothing else.
    ///
    /// ```
    /// # use tower_redis_session::{SessionId, store::{LoginWrite, Record}};
    /// # let record = Record::example();
    /// # let id: SessionId = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8".parse().unwrap();
    /// assert!(LoginWrite::new(&id, &record).limit.is_none());
    /// ```
    #[must_use]
    pub const fn new(new: &'a SessionId, record: &'a Record) -> Self {
        Self { old: None, new, record, epoch: None, limit: None }
    }
}

pub(super) fn no_users() -> Error {
    Error::new(ErrorKind::Misconfigured, "the session store keeps no list of a user's sessions")
}
