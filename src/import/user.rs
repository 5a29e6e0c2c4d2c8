//! The rule by which an application names the user of an imported session.

use std::{fmt, sync::Arc};

use serde_json::Value;

use crate::import::{
    error::{ImportError, ImportErrorKind},
    imported::Imported,
};

/// Maximum length of a user, as for a login.
const USER_MAX: usize = 1_024;

/// Returns the user, or `None` for a visitor.
pub(super) type Function = dyn Fn(&Imported) -> Option<String> + Send + Sync;

#[derive(Clone)]
pub(super) enum UserRule {
    /// The name of a value, and names inside of it.
    At(Vec<String>),
    With(Arc<Function>),
    /// Sessions of visitors alone.
    None,
}

impl UserRule {
    pub(super) fn apply(&self, session: &Imported) -> Result<Option<Box<str>>, ImportError> {
        let user = match self {
            Self::At(path) => text_at(session, path, || {
                let text = "the user is neither a text nor an integer";
                ImportError::new(ImportErrorKind::User, text)
            })?,
            Self::With(rule) => rule(session),
            Self::None => None,
        };
        let Some(user) = user else { return Ok(None) };
        checked(user).map(Some)
    }
}

/// A user within the bounds of a login.
pub(super) fn checked(user: String) -> Result<Box<str>, ImportError> {
    if user.is_empty() || user.len() > USER_MAX {
        return Err(ImportError::new(ImportErrorKind::User, "the user is empty or too long"));
    }
    Ok(user.into())
}

/// The text or integer at `path`, if there is one; `other` is the error for anything else.
pub(super) fn text_at(
    session: &Imported,
    path: &[String],
    other: impl FnOnce() -> ImportError,
) -> Result<Option<String>, ImportError> {
    let json = path.split_first().and_then(|(name, rest)| Some((session.json(name)?, rest)));
    let Some((json, rest)) = json else { return Ok(None) };
    let value: Value = serde_json::from_str(json).map_err(|error| ImportError::json(&error))?;
    let found = rest.iter().try_fold(&value, |value, name| value.get(name));
    match found {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(Value::Number(number)) if number.is_i64() || number.is_u64() => {
            Ok(Some(number.to_string()))
        }
        Some(_) => Err(other()),
    }
}

impl fmt::Debug for UserRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(path) => f.debug_tuple("At").field(path).finish(),
            Self::With(_) => f.write_str("With(..)"),
            Self::None => f.write_str("None"),
        }
    }
}
