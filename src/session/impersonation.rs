//! Impersonation in a record: the impersonated user, and the values set aside in the meantime.

use bytes::Bytes;

use crate::session::{
    record::Record,
    reserved::{ACTING_AS, PLATFORM_SET_ASIDE, SET_ASIDE},
    values::{Edits, Values},
};

/// The beginning or the end of an impersonation.
#[derive(Clone, Debug)]
pub(crate) enum Switch {
    Begin(Box<str>),
    End,
}

/// The user whom the user of `record` impersonates.
pub(crate) fn acting_as(record: &Record) -> Option<&str> {
    record.values.find_reserved(ACTING_AS).and_then(text)
}

impl Switch {
    /// The user to impersonate.
    pub(crate) fn user(&self) -> Option<&str> {
        match self {
            Self::Begin(user) => Some(user),
            Self::End => None,
        }
    }

    /// The values of `base` after the switch: values of one user are never visible to the other.
    pub(crate) fn values(&self, base: &Record) -> Values {
        match self {
            Self::Begin(user) => begun(base, user),
            Self::End => ended(&base.values),
        }
    }

    /// The platform after the switch.
    pub(crate) fn platform<'a>(&self, base: &'a Record) -> Option<&'a str> {
        match self {
            Self::Begin(_) => None,
            Self::End => base.values.find_reserved(PLATFORM_SET_ASIDE).and_then(text),
        }
    }
}

/// `values` without the platform that is set aside; `None` if there is none.
pub(crate) fn without_platform(values: &Values) -> Option<Values> {
    let _ = values.find_reserved(PLATFORM_SET_ASIDE)?;
    Some(values.edited(&Edits::from([(PLATFORM_SET_ASIDE.into(), None)])))
}

fn begun(base: &Record, user: &str) -> Values {
    let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    let mut edits = Edits::from([(ACTING_AS.into(), Some(bytes(user)))]);
    if acting_as(base).is_none() {
        let own = base.values.without_reserved().unwrap_or_else(|| base.values.clone());
        let mut own_bytes = Vec::new();
        own.encode(&mut own_bytes);
        edits.insert(SET_ASIDE.into(), Some(own_bytes.into()));
        edits.insert(PLATFORM_SET_ASIDE.into(), base.platform.as_deref().map(bytes));
    }
    base.values.reserved().edited(&edits)
}

fn ended(values: &Values) -> Values {
    let own = values.get(SET_ASIDE).and_then(Values::decode).unwrap_or_default();
    let gone = [ACTING_AS, SET_ASIDE, PLATFORM_SET_ASIDE].map(|name| (name.into(), None));
    let mut edits = Edits::from(gone);
    edits.extend(own.iter().map(|(name, value)| (name.into(), Some(own.share(value)))));
    values.reserved().edited(&edits)
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}
