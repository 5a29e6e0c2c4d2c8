//! The value of a session that names its user.

use std::sync::Once;

use serde_json::Value;
use tower_redis_session::{Error, ErrorKind};

use crate::bridge::Values;

/// The name of a value, and names inside of it.
#[derive(Clone, Debug)]
pub(crate) struct UserPath {
    name: String,
    rest: Vec<String>,
    /// A change of the value is a sign-in, also for an equal user.
    signs_in: bool,
}

impl UserPath {
    /// `None` for an empty path.
    pub(crate) fn new(path: impl IntoIterator<Item = impl Into<String>>) -> Option<Self> {
        let mut path = path.into_iter().map(Into::into);
        Some(Self { name: path.next()?, rest: path.collect(), signs_in: false })
    }

    /// The same, if its value is `name`: only a sign-in writes that one. An equal user with another
    /// password hash has signed in again.
    #[cfg(feature = "axum-login")]
    pub(crate) fn signing_in_at(self, name: &str) -> Self {
        Self { signs_in: self.name == name, ..self }
    }

    /// Whether a change of the value is a sign-in, also for an equal user.
    pub(crate) fn signs_in(&self) -> bool {
        self.signs_in
    }

    /// Whether the value that holds the user differs.
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
            None => {
                self.warn_once(value);
                Ok(None)
            }
            Some(Value::Null) => Ok(None),
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

    /// A path that does not match the program's type would leave every user a visitor.
    fn warn_once(&self, value: &Value) {
        static WARNED: Once = Once::new();
        if value.is_object() {
            let (name, path) = (&self.name, &self.rest);
            WARNED.call_once(|| {
                tracing::warn!(value.name = name, ?path, "user not found: no such member");
            });
        }
    }
}
