//! A session of another library in neutral form: user, values, expiry.

use std::{collections::BTreeMap, fmt};

use serde::de::DeserializeOwned;

use crate::{
    clock::timestamp::Timestamp,
    error::Error,
    import::error::{ImportError, ImportErrorKind},
    session::{json, reserved::is_reserved, values::NAME_MAX},
};

/// Maximum number of values of one session.
const NAMES_MAX: usize = 1_024;

/// What a session of another library held: the user, values by name, and when it ends.
///
/// Values are JSON texts and are decoded when they are read. `Debug` shows none of them.
///
/// ```
/// use tower_redis_session::import::{Format, Importer};
///
/// let importer = Importer::builder(Format::FlaskSession).user_at(["user_id"]).build()?;
/// let stored = b"\x82\xa7user_id*\xa5theme\xa4dark"; // MessagePack
/// let session = importer.decode("id", stored, None)?;
/// assert_eq!(session.user(), Some("42"));
/// assert_eq!(session.get::<String>("theme")?.as_deref(), Some("dark"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Imported {
    pub(super) user: Option<Box<str>>,
    pub(super) stamp: Option<Box<str>>,
    pub(super) values: BTreeMap<Box<str>, Box<str>>,
    pub(super) expires: Option<Timestamp>,
}

impl Imported {
    /// The user, as the rule of the [`ImporterBuilder`](crate::import::ImporterBuilder) found it;
    /// `None` for a visitor.
    ///
    /// ```
    /// # use tower_redis_session::import::decode_line;
    /// let line = decode_line(r#"{ "key": "k", "user": "alice" }"#)?;
    /// assert_eq!(line.session().user(), Some("alice"));
    /// # Ok::<(), tower_redis_session::import::ImportError>(())
    /// ```
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The stamp of the user, as the rule of the
    /// [`ImporterBuilder`](crate::import::ImporterBuilder::stamp_at) found it; `None` for a visitor
    /// and without a rule.
    ///
    /// ```
    /// # use tower_redis_session::import::decode_line;
    /// let line = decode_line(r#"{ "key": "k", "user": "alice" }"#)?;
    /// assert_eq!(line.session().stamp(), None);
    /// # Ok::<(), tower_redis_session::import::ImportError>(())
    /// ```
    pub fn stamp(&self) -> Option<&str> {
        self.stamp.as_deref()
    }

    /// The names of the values in ascending order.
    ///
    /// ```
    /// # use tower_redis_session::import::decode_line;
    /// let line = decode_line(r#"{ "key": "k", "values": { "b": 1, "a": 2 } }"#)?;
    /// assert!(line.session().names().eq(["a", "b"]));
    /// # Ok::<(), tower_redis_session::import::ImportError>(())
    /// ```
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(AsRef::as_ref)
    }

    /// The JSON text of a value, with the digits and escapes that were stored.
    ///
    /// ```
    /// # use tower_redis_session::import::decode_line;
    /// let line = decode_line(r#"{ "key": "k", "values": { "total": 4.50 } }"#)?;
    /// assert_eq!(line.session().json("total"), Some("4.50"));
    /// # Ok::<(), tower_redis_session::import::ImportError>(())
    /// ```
    pub fn json(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(AsRef::as_ref)
    }

    /// A value as a `T`; `None` if there is none of this name.
    ///
    /// # Errors
    ///
    /// `Value` if the JSON is not a `T`.
    ///
    /// ```
    /// # use tower_redis_session::import::decode_line;
    /// let line = decode_line(r#"{ "key": "k", "values": { "visits": 3 } }"#)?;
    /// assert_eq!(line.session().get::<u32>("visits")?, Some(3));
    /// assert!(line.session().get::<bool>("visits").is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Error> {
        let decode = |text: &str| json::decode(text.as_bytes());
        self.json(name).map(decode).transpose().map_err(|error| error.of_key(name))
    }

    /// When the session ends, if the bytes or the store had a time: the earlier of the two. It may
    /// have passed.
    ///
    /// ```
    /// # use tower_redis_session::import::decode_line;
    /// let line = decode_line(r#"{ "key": "k", "expires": "2030-01-01T00:00:00Z" }"#)?;
    /// let expires = line.session().expires().map(|time| time.as_millis());
    /// assert_eq!(expires, Some(1_893_456_000_000));
    /// # Ok::<(), tower_redis_session::import::ImportError>(())
    /// ```
    pub fn expires(&self) -> Option<Timestamp> {
        self.expires
    }

    /// Adds a value; `json` is well-formed.
    pub(super) fn insert(&mut self, name: &str, json: &str) -> Result<(), ImportError> {
        if name.is_empty() || name.len() > NAME_MAX || is_reserved(name) {
            return Err(ImportError::new(ImportErrorKind::Value, "a name is out of range"));
        }
        if !json::is_within_depth(json.as_bytes()) {
            return Err(ImportError::too_large("a value is nested deeper than 100"));
        }
        if self.values.len() >= NAMES_MAX {
            return Err(ImportError::too_large("the session has more than 1,024 values"));
        }
        if self.values.insert(name.into(), json.into()).is_some() {
            return Err(ImportError::malformed("a name occurs twice"));
        }
        Ok(())
    }

    /// Removes a value that the library keeps for itself.
    pub(super) fn remove(&mut self, name: &str) -> Option<Box<str>> {
        self.values.remove(name)
    }

    /// Lowers the expiry to `expires` if it is earlier.
    pub(super) fn expire_at(&mut self, expires: Option<Timestamp>) {
        let times = self.expires.into_iter().chain(expires);
        self.expires = times.min();
    }
}

impl fmt::Debug for Imported {
    /// The number of values and the expiry: users and values are the application's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Imported")
            .field("values", &self.values.len())
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}
