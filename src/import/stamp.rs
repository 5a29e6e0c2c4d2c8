//! The rule by which an application names the stamp of an imported session.

use std::{fmt, sync::Arc};

use crate::{
    import::{
        error::{ImportError, ImportErrorKind},
        imported::Imported,
        user::{Function, text_at},
    },
    session::reserved::STAMP_MAX,
};

#[derive(Clone)]
pub(super) enum StampRule {
    /// The name of a value, and names inside of it.
    At(Vec<String>),
    With(Arc<Function>),
}

impl StampRule {
    /// The stamp of a session that has a user.
    pub(super) fn apply(&self, session: &Imported) -> Result<Box<str>, ImportError> {
        let error = |text| ImportError::new(ImportErrorKind::Stamp, text);
        let stamp = match self {
            Self::At(path) => {
                text_at(session, path, || error("the stamp is neither a text nor an integer"))?
            }
            Self::With(rule) => rule(session),
        };
        // Fails closed: without a stamp no password change would end the session.
        let stamp = stamp.ok_or_else(|| error("the session has a user and no stamp"))?;
        if stamp.is_empty() || stamp.len() > STAMP_MAX {
            return Err(error("the stamp is empty or longer than 128 bytes"));
        }
        Ok(stamp.into())
    }
}

impl fmt::Debug for StampRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(path) => f.debug_tuple("At").field(path).finish(),
            Self::With(_) => f.write_str("With(..)"),
        }
    }
}
