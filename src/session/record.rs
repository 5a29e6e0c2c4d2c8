//! Record of a session.

use std::{fmt, sync::Arc, time::Duration};

use crate::{
    clock::timestamp::Timestamp,
    session::{
        device::Device, expiry::Deadlines, external_id::ExternalId, moved::Moved, token::SessionId,
        values::Values, write_id::WriteId,
    },
};

pub(crate) mod codec;
pub(crate) mod format;

/// What a store keeps under a [`SessionId`](crate::SessionId): a version, times, user, platform and
/// the values. Opaque except for what a store needs.
///
/// ```
/// use tower_redis_session::store::Record;
///
/// assert!(Record::from_bytes(1, "not a record".into()).is_err());
/// ```
#[derive(Clone, PartialEq)]
pub struct Record {
    pub(crate) version: u64,
    pub(crate) writer: WriteId,
    pub(crate) created: Timestamp,
    pub(crate) last_activity: Timestamp,
    pub(crate) deadlines: Deadlines,
    /// When the user authenticated; `None` without a user.
    pub(crate) authenticated: Option<Timestamp>,
    pub(crate) user: Option<Box<str>>,
    /// The device at creation, sign-in or renewal.
    pub(crate) device: Option<Arc<Device>>,
    pub(crate) platform: Option<Box<str>>,
    pub(crate) values: Values,
    /// The content, if it is sealed: platform and values are empty then.
    pub(crate) sealed: Option<Box<[u8]>>,
    /// The new id, if this is the record from before a move. Stored beside the bytes.
    pub(crate) moved: Option<Box<Moved>>,
}

/// The part of a record that a touch changes: the two times of [`Store::touch`].
///
/// [`Store::touch`]: crate::store::Store::touch
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Touch {
    /// Time of the last activity.
    pub last_activity: Timestamp,
    /// Time of expiry without further activity.
    pub idle_deadline: Timestamp,
    /// Time of expiry: the earlier of the idle and the absolute deadline.
    pub end: Timestamp,
}

impl Touch {
    /// The activity of a session at `last_activity`, for the tests of a store.
    ///
    /// ```
    /// # use tower_redis_session::{Timestamp, store::Touch};
    /// let at = Timestamp::from_millis;
    /// let activity = Touch::new(at(1_000), at(61_000), at(61_000));
    /// assert!(activity.end >= activity.last_activity);
    /// ```
    #[must_use]
    pub const fn new(last_activity: Timestamp, idle_deadline: Timestamp, end: Timestamp) -> Self {
        Self { last_activity, idle_deadline, end }
    }

    /// The idle timeout, as the difference of the two times.
    #[cfg(feature = "redis")]
    pub(crate) fn idle(&self) -> Duration {
        self.idle_deadline.saturating_since(self.last_activity)
    }
}

impl Record {
    /// The record version: 1 at creation, one more at every stored change.
    ///
    /// ```
    /// # let record = tower_redis_session::store::Record::example();
    /// assert_eq!(record.version(), 1);
    /// ```
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Time of expiry without further activity: a store may delete the record after it.
    ///
    /// ```
    /// # let record = tower_redis_session::store::Record::example();
    /// assert!(record.end() > record.last_activity());
    /// ```
    pub fn end(&self) -> Timestamp {
        self.deadlines.end()
    }

    /// Time of the last stored activity.
    ///
    /// ```
    /// # let record = tower_redis_session::store::Record::example();
    /// assert_eq!(record.last_activity().as_millis(), 1_704_067_200_000);
    /// ```
    pub fn last_activity(&self) -> Timestamp {
        self.last_activity
    }

    /// The user that signed in, for stores that keep an index.
    ///
    /// ```
    /// # let record = tower_redis_session::store::Record::example();
    /// assert_eq!(record.user(), Some("alice"));
    /// ```
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The external id of the sign-in.
    pub(crate) fn external_id(&self) -> Option<ExternalId> {
        self.device.as_deref()?.external_id()
    }

    /// Last activity and expiry.
    #[cfg(feature = "redis")]
    pub(crate) fn activity(&self) -> Touch {
        let Self { last_activity, deadlines, .. } = self;
        let (last_activity, idle_deadline) = (*last_activity, deadlines.idle_deadline);
        Touch { last_activity, idle_deadline, end: deadlines.end() }
    }

    /// Applies a touch, as [`Store::touch`](crate::store::Store::touch) has to. Returns false, and
    /// changes nothing, if the record is as recent already.
    ///
    /// ```
    /// # use tower_redis_session::{Timestamp, store::{Record, Touch}};
    /// # let mut record = Record::example();
    /// let later = Timestamp::from_millis(record.end().as_millis() + 1);
    /// let activity = Touch::new(later, later, later);
    /// assert!(record.touch(activity));
    /// assert!(!record.touch(activity));
    /// ```
    pub fn touch(&mut self, activity: Touch) -> bool {
        let newer = self.deadlines.idle_deadline < activity.idle_deadline;
        if newer {
            self.last_activity = activity.last_activity;
            self.deadlines.idle_deadline = activity.idle_deadline;
        }
        newer
    }

    /// The record that a store keeps under the old id of a moved session: unchanged, with the new
    /// id and the time of the move.
    ///
    /// ```
    /// # use tower_redis_session::{SessionId, store::Record};
    /// # let id: SessionId = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8".parse().unwrap();
    /// let record = Record::example();
    /// let at = record.last_activity();
    /// assert_eq!(record.moved(id, at).moved_to(), Some(&id));
    /// ```
    #[must_use]
    pub fn moved(self, to: SessionId, at: Timestamp) -> Self {
        Self { moved: Some(Box::new(Moved { to, at })), ..self }
    }

    /// The session's current id, if this is the record that a renewal or a sign-in left under the
    /// old one. Such a record does not open a session.
    ///
    /// ```
    /// assert!(tower_redis_session::store::Record::example().moved_to().is_none());
    /// ```
    pub fn moved_to(&self) -> Option<&SessionId> {
        self.moved.as_deref().map(|moved| &moved.to)
    }

    /// Whether this is the record of a session that moved at most `within` ago.
    pub(crate) fn moved_within(&self, within: Duration, now: Timestamp) -> bool {
        self.moved.as_ref().is_some_and(|moved| moved.is_within(within, now))
    }

    /// When the session was created: its first write, or its last login.
    ///
    /// ```
    /// # let record = tower_redis_session::store::Record::example();
    /// assert!(record.created() <= record.last_activity());
    /// ```
    pub fn created(&self) -> Timestamp {
        self.created
    }

    /// Whether it is a session, and no [claim](crate::session::claim) on a session of another
    /// library nor the [sign-ins](crate::session::sign_ins) of an external id. Known from its head:
    /// of what has no user, only a claim has a time of authentication, and only sign-ins an
    /// external id.
    #[cfg_attr(not(any(test, feature = "cli")), allow(dead_code, reason = "for the command line"))]
    pub(crate) fn is_session(&self) -> bool {
        self.user.is_some() || (self.authenticated.is_none() && self.external_id().is_none())
    }

    #[cfg(all(feature = "encryption", any(test, fuzzing)))]
    pub(crate) fn is_sealed(&self) -> bool {
        self.sealed.is_some()
    }

    /// Whether no readable content is left.
    pub(crate) fn is_vacant(&self) -> bool {
        self.sealed.is_none()
            && self.user.is_none()
            && self.platform.is_none()
            && self.values.is_empty()
    }

    /// Whether the two are the same to a handler; the idle deadline is ignored.
    pub(crate) fn says_the_same_as(&self, base: &Self) -> bool {
        self.user == base.user
            && self.platform == base.platform
            && self.authenticated == base.authenticated
            && self.device == base.device
            && self.values == base.values
            && self.deadlines.idle == base.deadlines.idle
            && self.deadlines.absolute_deadline == base.deadlines.absolute_deadline
            && self.deadlines.remembered == base.deadlines.remembered
    }

    /// The same record with its content sealed.
    #[cfg(feature = "encryption")]
    pub(crate) fn closed(&self, sealed: Box<[u8]>) -> Self {
        let (platform, values) = (None, Values::default());
        let (user, device) = (self.user.clone(), self.device.clone());
        let moved = None;
        Self { sealed: Some(sealed), platform, values, user, device, moved, ..*self }
    }
}

impl fmt::Debug for Record {
    /// Times and sizes; no value, since values may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("version", &self.version)
            .field("created", &self.created)
            .field("last_activity", &self.last_activity)
            .field("deadlines", &self.deadlines)
            .field("bytes", &self.encoded_len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "record/tests.rs"]
mod tests;
