//! The value of a session that names its user.

use serde_json::Value;
use tower_redis_session::{Error, ErrorKind};

use crate::bridge::Values;

/// The name of a value, and names inside of it.
#[derive(Clone, Debug)]
pub(crate) struct UserPath {
    name: String,
    rest: Vec<String>,
}

impl UserPath {
    /// `None` for an empty path.
    pub(crate) fn new(path: impl IntoIterator<Item = impl Into<String>>) -> Option<Self> {
        let mut path = path.into_iter().map(Into::into);
        Some(Self { name: path.next()?, rest: path.collect() })
    }

    /// Whether the value that holds the user differs: an equal user with another password hash is
    /// a sign-in too.
    pub(crate) fn differs(&self, before: &Values, after: &Values) -> bool {
        before.get(&self.name) != after.get(&self.name)
    }

    /// The user; `None` for a visitor.
    ///
    /// # Errors
    ///
    /// `Invalid` if it is neither a text nor an integer.
    pub(crate) fn user(&self, values: &Values) -> Result<Option<String>, Error> {
        let Some(value) = values.get(&self.name) else { return Ok(None) };
        match self.rest.iter().try_fold(value, |value, name| value.get(name)) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(Value::Number(number)) if number.is_i64() || number.is_u64() => {
                Ok(Some(number.to_string()))
            }
            Some(_) => {
                let text = "the user is neither a text nor an integer";
                Err(Error::new(ErrorKind::Invalid, text))
            }
        }
    }
}
