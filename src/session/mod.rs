//! Room.

pub(crate) mod changes;
pub(crate) mod device;
pub(crate) mod expiry;
pub(crate) mod info;
pub(crate) mod json;
pub(crate) mod record;
pub(crate) mod token;
pub(crate) mod values;
pub(crate) mod write_id;
