//! Libraries that store one JSON object: axum_session, actix-session, express-session.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    clock::timestamp::Timestamp,
    import::{error::ImportError, imported::Imported},
};

/// Name to value. Of a name that occurs twice the last value counts, as in these libraries.
pub(crate) type Object<'a> = BTreeMap<String, &'a RawValue>;

/// axum_session: `{"data": {name: JSON as a text}, "longterm": bool}`.
#[derive(Deserialize)]
struct AxumSession {
    data: BTreeMap<String, String>,
    #[serde(rename = "longterm")]
    _longterm: bool,
}

/// The part of express' `cookie` that has a meaning here.
#[derive(Deserialize)]
struct ExpressCookie {
    expires: Option<Timestamp>,
}

pub(crate) fn axum_session(stored: &[u8]) -> Result<Imported, ImportError> {
    let session: AxumSession =
        serde_json::from_slice(stored).map_err(|error| ImportError::json(&error))?;
    of_texts(session.data)
}

/// `{name: JSON as a text}`.
pub(crate) fn actix_session(stored: &[u8]) -> Result<Imported, ImportError> {
    of_texts(serde_json::from_slice(stored).map_err(|error| ImportError::json(&error))?)
}

/// `{"cookie": {"expires": RFC 3339 or null, ..}, name: value}`.
pub(crate) fn express_session(stored: &[u8]) -> Result<Imported, ImportError> {
    let mut session = object(stored)?;
    let cookie = session.remove("cookie");
    let cookie = cookie.ok_or_else(|| ImportError::malformed("the session has no cookie"))?;
    let cookie: ExpressCookie =
        serde_json::from_str(&cookie).map_err(|error| ImportError::json(&error))?;
    session.expire_at(cookie.expires);
    Ok(session)
}

/// `{name: value}`.
pub(crate) fn object(stored: &[u8]) -> Result<Imported, ImportError> {
    let object: Object<'_> =
        serde_json::from_slice(stored).map_err(|error| ImportError::json(&error))?;
    of_values(&object)
}

pub(crate) fn of_values(object: &Object<'_>) -> Result<Imported, ImportError> {
    let mut session = Imported::default();
    for (name, value) in object {
        session.insert(name, value.get())?;
    }
    Ok(session)
}

/// Values that are encoded twice.
fn of_texts(texts: BTreeMap<String, String>) -> Result<Imported, ImportError> {
    let mut session = Imported::default();
    for (name, text) in texts {
        let value: &RawValue =
            serde_json::from_str(&text).map_err(|error| ImportError::json(&error))?;
        session.insert(&name, value.get())?;
    }
    Ok(session)
}
