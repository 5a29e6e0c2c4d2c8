//! Flask-Session: a map in MessagePack, or in JSON if `SESSION_SERIALIZATION_FORMAT` says so.

use crate::import::{
    error::ImportError,
    imported::Imported,
    stored::{json_objects, message_pack::Reader},
};

/// Flask's own flag: whether the cookie has an expiry.
const PERMANENT: &str = "_permanent";

pub(crate) fn decode(stored: &[u8]) -> Result<Imported, ImportError> {
    // In MessagePack this byte is a number.
    let is_json = stored.first() == Some(&b'{');
    let mut session = if is_json { json_objects::object(stored)? } else { message_pack(stored)? };
    let _ = session.remove(PERMANENT);
    Ok(session)
}

fn message_pack(stored: &[u8]) -> Result<Imported, ImportError> {
    let mut reader = Reader::new(stored);
    let session = reader.session()?;
    reader.end()?;
    Ok(session)
}
