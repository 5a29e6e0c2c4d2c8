//! The envelope: magic, format version, fixed fields, strings, values. Integers are big-endian.
//!
//! ```text
//! 0   "TRS" and the format version 1
//! 4   created              u64, milliseconds since 1970
//! 12  last activity        u64
//! 20  idle deadline        u64
//! 28  idle timeout         u64, milliseconds
//! 36  absolute deadline    u64, 0 for none
//! 44  mark of the writer   16 bytes
//! 60  user, platform       u16 length (65535 for none) and UTF-8, each
//!     values               u32 length and as many bytes, to the end; see `values`
//! ```
//!
//! The two fields that a touch changes stand side by side at a fixed place, so that a store can
//! overwrite them where they are.

use std::time::Duration;

use bytes::{Buf, Bytes};

use super::Record;
use crate::{
    error::{Error, ErrorKind},
    expiry::Deadlines,
    timestamp::Timestamp,
    values::Values,
};

const MAGIC: &[u8] = b"TRS";
const FORMAT: u8 = 1;
/// Length of all fields in front of the strings.
const FIXED: usize = 60;
const NO_TEXT: u16 = u16::MAX;

/// Where last activity and idle deadline stand in the envelope, and their length.
#[cfg(feature = "redis")]
pub(crate) const ACTIVITY_OFFSET: usize = 12;
#[cfg(feature = "redis")]
pub(crate) const ACTIVITY_LEN: usize = 16;

pub(super) fn len(record: &Record) -> usize {
    let text = |text: &Option<Box<str>>| 2 + text.as_ref().map_or(0, |text| text.len());
    FIXED + text(&record.user) + text(&record.platform) + 4 + record.values.encoded_len()
}

pub(super) fn encode(record: &Record, out: &mut Vec<u8>) {
    let absolute = record.deadlines.absolute_deadline.map_or(0, Timestamp::as_millis);
    let idle = u64::try_from(record.deadlines.idle.as_millis()).unwrap_or(u64::MAX);
    out.extend_from_slice(MAGIC);
    out.push(FORMAT);
    for field in [
        record.created.as_millis(),
        record.last_activity.as_millis(),
        record.deadlines.idle_deadline.as_millis(),
        idle,
        absolute,
    ] {
        out.extend_from_slice(&field.to_be_bytes());
    }
    out.extend_from_slice(&record.writer);
    for text in [&record.user, &record.platform] {
        let bytes = text.as_deref().map(str::as_bytes);
        // Lengths are checked where a user or platform comes in, far below this bound.
        let len = bytes.map_or(NO_TEXT, |bytes| u16::try_from(bytes.len()).unwrap_or(NO_TEXT));
        out.extend_from_slice(&len.to_be_bytes());
        out.extend_from_slice(bytes.unwrap_or_default());
    }
    // Records are bounded far below this when they are made.
    let len = u32::try_from(record.values.encoded_len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&len.to_be_bytes());
    record.values.encode(out);
}

pub(super) fn decode(version: u64, mut bytes: Bytes) -> Result<Record, Error> {
    match bytes.strip_prefix(MAGIC).and_then(|rest| rest.first()) {
        Some(&FORMAT) => {}
        Some(_) => return Err(unsupported()),
        None => return Err(corrupt("the record does not start as one")),
    }
    if bytes.len() < FIXED {
        return Err(corrupt("the record is cut short"));
    }
    bytes.advance(MAGIC.len() + 1);
    let created = Timestamp::from_millis(bytes.get_u64());
    let last_activity = Timestamp::from_millis(bytes.get_u64());
    let idle_deadline = Timestamp::from_millis(bytes.get_u64());
    let idle = Duration::from_millis(bytes.get_u64());
    let absolute = bytes.get_u64();
    let mut writer = [0; 16];
    bytes.copy_to_slice(&mut writer);
    let user = text(&mut bytes)?;
    let platform = text(&mut bytes)?;
    let absolute_deadline = (absolute > 0).then(|| Timestamp::from_millis(absolute));
    let deadlines = Deadlines { idle, idle_deadline, absolute_deadline };
    // Without their length, bytes cut off between two values would not be missed.
    let len = bytes.try_get_u32().map_err(|_| corrupt("the record is cut short"))?;
    if usize::try_from(len) != Ok(bytes.len()) {
        return Err(corrupt("the record is cut short"));
    }
    let values = Values::decode(bytes).ok_or_else(|| corrupt("the values cannot be read"))?;
    Ok(Record { version, writer, created, last_activity, deadlines, user, platform, values })
}

fn text(bytes: &mut Bytes) -> Result<Option<Box<str>>, Error> {
    let len = bytes.try_get_u16().map_err(|_| corrupt("the record is cut short"))?;
    if len == NO_TEXT {
        return Ok(None);
    }
    let text = bytes.get(..usize::from(len)).ok_or_else(|| corrupt("the record is cut short"))?;
    let text = std::str::from_utf8(text).map_err(|_| corrupt("a name is not UTF-8"))?.into();
    bytes.advance(usize::from(len));
    Ok(Some(text))
}

fn corrupt(text: &'static str) -> Error {
    Error::new(ErrorKind::Corrupt, text)
}

fn unsupported() -> Error {
    Error::new(ErrorKind::Unsupported, "the record is of a newer version of this crate")
}
