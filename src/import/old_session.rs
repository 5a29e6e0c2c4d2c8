//! The id of a session in another library's store, from its cookie.

use std::fmt;

use crate::request::old_library::OldKey;

/// A session of another library: its id, and the key of its bytes in that library's store.
///
/// In these libraries the id is the secret of the cookie. `Debug` does not show it.
///
/// ```
/// use http::HeaderMap;
/// use tower_redis_session::import::{Format, Importer};
///
/// let importer = Importer::builder(Format::FlaskSession).user_at(["user_id"]).build()?;
/// let mut headers = HeaderMap::new();
/// headers.insert("cookie", "session=5Ae2cDN-_EczRcsuPX29Kc8d1-q1uud88Miqq14r-Jk".parse()?);
/// let old = importer.find(&headers, None);
/// assert_eq!(old[0].key(), "session:5Ae2cDN-_EczRcsuPX29Kc8d1-q1uud88Miqq14r-Jk");
/// assert_eq!(format!("{:?}", old[0]), "OldSession(..)");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct OldSession {
    old: OldKey,
}

impl OldSession {
    pub(super) fn of(old: &OldKey) -> Self {
        Self { old: old.clone() }
    }

    pub(super) fn new(prefix: &str, id: String) -> Self {
        let old = OldKey { key: format!("{prefix}{id}").into(), id: id.into() };
        Self { old }
    }

    pub(super) fn into_key(self) -> OldKey {
        self.old
    }

    /// The id, for [`Importer::decode`](crate::import::Importer::decode).
    ///
    /// ```
    /// # use http::HeaderMap;
    /// # use tower_redis_session::import::{Format, Importer};
    /// # let importer = Importer::builder(Format::Django).stored_key("k").no_users().build()?;
    /// # let mut headers = HeaderMap::new();
    /// headers.insert("cookie", "sessionid=vokqboti52lwt0uyx11h83gdegw1oiw1".parse()?);
    /// let old = importer.find(&headers, None);
    /// assert_eq!(old[0].id(), "vokqboti52lwt0uyx11h83gdegw1oiw1");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn id(&self) -> &str {
        &self.old.id
    }

    /// The key in the old Redis: the prefix and the id.
    ///
    /// ```
    /// # use http::HeaderMap;
    /// # use tower_redis_session::import::{Format, Importer};
    /// # let importer = Importer::builder(Format::FlaskSession).no_users().build()?;
    /// # let mut headers = HeaderMap::new();
    /// headers.insert("cookie", "session=5Ae2cDN-_EczRcsuPX29Kc8d1-q1uud88Miqq14r-Jk".parse()?);
    /// assert!(importer.find(&headers, None)[0].key().starts_with("session:"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn key(&self) -> &str {
        &self.old.key
    }
}

impl fmt::Debug for OldSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OldSession(..)")
    }
}
