//! What is stored for a session, and its bytes.

use std::fmt;

use bytes::Bytes;

use crate::{error::Error, expiry::Deadlines, timestamp::Timestamp, values::Values};

mod bytes_format;

#[cfg(feature = "redis")]
pub(crate) use bytes_format::{ACTIVITY_LEN, ACTIVITY_OFFSET};

/// Who wrote a record last: 16 random bytes, new for every write, so that a writer whose answer
/// was lost can tell whether its write happened.
pub(crate) type Mark = [u8; 16];

/// What a store keeps under a [`SessionId`](crate::SessionId): a version, times, user, platform
/// and the values. Opaque but for what a store needs.
///
/// ```
/// use tower_redis_session::Record;
///
/// assert!(Record::from_bytes(1, "not a record".into()).is_err());
/// ```
#[derive(Clone, PartialEq)]
pub struct Record {
    pub(crate) version: u64,
    pub(crate) writer: Mark,
    pub(crate) created: Timestamp,
    pub(crate) last_activity: Timestamp,
    pub(crate) deadlines: Deadlines,
    pub(crate) user: Option<Box<str>>,
    pub(crate) platform: Option<Box<str>>,
    pub(crate) values: Values,
}

/// What a touch changes in a record and nothing else: the two times of [`Store::touch`].
///
/// [`Store::touch`]: crate::Store::touch
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Activity {
    /// When the session was last used.
    pub last_activity: Timestamp,
    /// When it ends without further activity.
    pub idle_deadline: Timestamp,
    /// When it ends at all: the earlier of the idle and the absolute deadline.
    pub end: Timestamp,
}

impl Record {
    /// Reads the bytes that [`to_bytes`](Self::to_bytes) made; the record version is kept beside
    /// them, where the store can compare it.
    ///
    /// # Errors
    ///
    /// `Unsupported` for bytes of a newer version of this crate, else `Corrupt`. Never panics, and
    /// allocates no more than the user, the platform and a reference to `bytes`.
    ///
    /// ```
    /// # use tower_redis_session::{ErrorKind, Record};
    /// let error = Record::from_bytes(1, "TRS\u{7}...".into()).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Unsupported);
    /// ```
    pub fn from_bytes(version: u64, bytes: Bytes) -> Result<Self, Error> {
        bytes_format::decode(version, bytes)
    }

    /// The versioned envelope: all of the record but its version.
    ///
    /// ```
    /// # use tower_redis_session::Record;
    /// # let record = Record::example();
    /// let again = Record::from_bytes(record.version(), record.to_bytes().into())?;
    /// assert_eq!(again, record);
    /// # Ok::<(), tower_redis_session::Error>(())
    /// ```
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.encoded_len());
        self.append_to(&mut bytes);
        bytes
    }

    /// The record version: 1 at creation, one more at every stored change.
    ///
    /// ```
    /// # let record = tower_redis_session::Record::example();
    /// assert_eq!(record.version(), 1);
    /// ```
    pub fn version(&self) -> u64 {
        self.version
    }

    /// When the session ends if nothing happens: a store may forget the record then.
    ///
    /// ```
    /// # let record = tower_redis_session::Record::example();
    /// assert!(record.end() > record.last_activity());
    /// ```
    pub fn end(&self) -> Timestamp {
        self.deadlines.end()
    }

    /// When the session was last used, as far as it was written down.
    ///
    /// ```
    /// # let record = tower_redis_session::Record::example();
    /// assert_eq!(record.last_activity().as_millis(), 1_704_067_200_000);
    /// ```
    pub fn last_activity(&self) -> Timestamp {
        self.last_activity
    }

    /// The user that signed in, for stores that keep an index.
    ///
    /// ```
    /// # let record = tower_redis_session::Record::example();
    /// assert_eq!(record.user(), Some("alice"));
    /// ```
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// Writes a touch down: what [`Store::touch`](crate::Store::touch) has to do to its record.
    /// Answers false, and changes nothing, if the record is as recent already.
    ///
    /// ```
    /// # use tower_redis_session::{Activity, Record, Timestamp};
    /// # let mut record = Record::example();
    /// let later = Timestamp::from_millis(record.end().as_millis() + 1);
    /// let activity = Activity { last_activity: later, idle_deadline: later, end: later };
    /// assert!(record.touch(activity));
    /// assert!(!record.touch(activity));
    /// ```
    pub fn touch(&mut self, activity: Activity) -> bool {
        let newer = self.deadlines.idle_deadline < activity.idle_deadline;
        if newer {
            self.last_activity = activity.last_activity;
            self.deadlines.idle_deadline = activity.idle_deadline;
        }
        newer
    }

    /// A signed-in session of 2024-01-01, for examples and for tests of stores.
    ///
    /// ```
    /// let record = tower_redis_session::Record::example();
    /// assert_eq!(record.created().to_string(), "2024-01-01T00:00:00Z");
    /// ```
    #[doc(hidden)]
    pub fn example() -> Self {
        use std::time::Duration;
        let now = crate::ManualClock::new().clock().now();
        let expiry = crate::SessionExpiry::new(Duration::from_secs(3600));
        Self {
            version: 1,
            writer: [7; 16],
            created: now,
            last_activity: now,
            deadlines: Deadlines::start(expiry, now, Duration::from_secs(60)),
            user: Some("alice".into()),
            platform: None,
            values: Values::default(),
        }
    }

    /// When the session was created: its first write, or its last login.
    ///
    /// ```
    /// # let record = tower_redis_session::Record::example();
    /// assert!(record.created() <= record.last_activity());
    /// ```
    pub fn created(&self) -> Timestamp {
        self.created
    }

    /// Whether nothing is left that anybody could ask for.
    pub(crate) fn is_vacant(&self) -> bool {
        self.user.is_none() && self.platform.is_none() && self.values.is_empty()
    }

    /// Whether a handler could not tell the two apart; the slide of the idle deadline aside.
    pub(crate) fn says_the_same_as(&self, base: &Self) -> bool {
        self.user == base.user
            && self.platform == base.platform
            && self.values == base.values
            && self.deadlines.idle == base.deadlines.idle
            && self.deadlines.absolute_deadline == base.deadlines.absolute_deadline
    }

    pub(crate) fn append_to(&self, bytes: &mut Vec<u8>) {
        bytes_format::encode(self, bytes);
    }

    pub(crate) fn encoded_len(&self) -> usize {
        bytes_format::len(self)
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
