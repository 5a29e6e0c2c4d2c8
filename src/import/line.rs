//! The neutral form: one JSON object a line.

use std::fmt;

use serde::Deserialize;

use crate::{
    clock::timestamp::Timestamp,
    import::{
        error::ImportError,
        imported::Imported,
        stored::{
            BYTES_MAX,
            json_objects::{Object, of_values},
        },
        user,
    },
};

/// A session in the neutral form: the key of the old cookie, and the content.
///
/// `Debug` shows neither.
#[derive(Clone, PartialEq, Eq)]
pub struct ImportedLine {
    key: Box<str>,
    session: Imported,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    key: String,
    user: Option<String>,
    #[serde(borrow, default)]
    values: Object<'a>,
    expires: Option<Timestamp>,
}

/// Reads a line of an export from any other session system:
///
/// ```json
/// {"key": "<cookie>", "user": "42", "values": {"visits": 3}, "expires": "2030-01-01T00:00:00Z"}
/// ```
///
/// `key` is required: what the old cookie carries, as the old service understood it after it had
/// verified a signature. `user` is absent or `null` for a visitor, `expires` is RFC 3339. Another
/// field is an error, so that a misspelled one does not sign users out.
///
/// ```
/// use tower_redis_session::import::decode_line;
///
/// let line = decode_line(r#"{"key": "8dtevqpe0po9", "user": "42", "values": {"visits": 3}}"#)?;
/// assert_eq!(line.key(), "8dtevqpe0po9");
/// assert_eq!(line.session().user(), Some("42"));
/// assert!(decode_line(r#"{"key": "8dtevqpe0po9", "usr": "42"}"#).is_err());
/// # Ok::<(), tower_redis_session::import::ImportError>(())
/// ```
///
/// # Errors
///
/// `Malformed` for other JSON or an empty key, `TooLarge`, `Value` and `User` as in
/// [`Importer::decode`](crate::import::Importer::decode).
pub fn decode_line(line: &str) -> Result<ImportedLine, ImportError> {
    if line.len() > BYTES_MAX {
        return Err(ImportError::too_large("the line is longer than 1 MiB"));
    }
    let line: Line<'_> = serde_json::from_str(line).map_err(|error| ImportError::json(&error))?;
    if line.key.is_empty() {
        return Err(ImportError::malformed("the key is empty"));
    }
    let mut session = of_values(&line.values)?;
    session.user = line.user.map(user::checked).transpose()?;
    session.expire_at(line.expires);
    Ok(ImportedLine { key: line.key.into(), session })
}

impl ImportedLine {
    /// What the old cookie carries: a secret.
    ///
    /// ```
    /// # use tower_redis_session::import::decode_line;
    /// assert_eq!(decode_line(r#"{ "key": "k" }"#)?.key(), "k");
    /// # Ok::<(), tower_redis_session::import::ImportError>(())
    /// ```
    pub fn key(&self) -> &str {
        &self.key
    }

    /// User, values and expiry.
    ///
    /// ```
    /// # use tower_redis_session::import::decode_line;
    /// assert_eq!(decode_line(r#"{ "key": "k" }"#)?.session().user(), None);
    /// # Ok::<(), tower_redis_session::import::ImportError>(())
    /// ```
    pub fn session(&self) -> &Imported {
        &self.session
    }
}

impl fmt::Debug for ImportedLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ImportedLine(..)")
    }
}
