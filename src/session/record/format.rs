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
//! 60  authenticated        u64, 0 for never
//! 68  flags                1: the cookie outlives the browser's end
//! 69  user, address, user agent, label
//!                          u16 length (65535 for none) and UTF-8, each; the head ends here
//!     form                 0: open, 1: sealed
//!     content              u32 length and as many bytes, to the end
//!                          open: the platform, as a text, and the values; see `values`
//!                          sealed: what `seal` has made of that
//! ```
//!
//! The two fields that a touch changes are adjacent, at a fixed offset, so that a store can
//! overwrite them in place. The fields in lists of sessions are in front, and never sealed.

use std::time::Duration;

use bytes::{Buf, Bytes};

use crate::{
    clock::timestamp::Timestamp,
    error::{Error, ErrorKind},
    session::{device::Device, expiry::Deadlines, record::Record, values::Values},
};

const MAGIC: &[u8] = b"TRS";
const FORMAT: u8 = 1;
/// Length of all fields before the strings.
const FIXED: usize = 69;
const REMEMBERED: u8 = 1;
const OPEN: u8 = 0;
const SEALED: u8 = 1;
const NO_TEXT: u16 = u16::MAX;

/// Offset of last activity and idle deadline in the envelope, and their length.
#[cfg(feature = "redis")]
pub(crate) const ACTIVITY_OFFSET: usize = 12;
#[cfg(feature = "redis")]
pub(crate) const ACTIVITY_LEN: usize = 16;

/// Offset of the user.
#[cfg(feature = "redis")]
pub(crate) const USER_OFFSET: usize = FIXED;

/// Maximum length of a record's head, in bytes.
#[cfg(any(feature = "redis", feature = "_database"))]
pub(crate) const HEAD_MAX: usize = 2_048;

pub(super) fn len(record: &Record) -> usize {
    let content = record.sealed.as_ref().map_or_else(|| content_len(record), |sealed| sealed.len());
    FIXED + head_texts(record).map(text_len).iter().sum::<usize>() + 5 + content
}

/// Size without the device, with values of that length.
pub(super) fn weight(user: Option<&str>, platform: Option<&str>, values: usize) -> usize {
    let no_device = 3 * text_len(None);
    FIXED + text_len(user) + no_device + 5 + text_len(platform) + values
}

fn content_len(record: &Record) -> usize {
    text_len(record.platform.as_deref()) + record.values.encoded_len()
}

pub(super) fn encode(record: &Record, out: &mut Vec<u8>) {
    encode_head(record, out);
    let (form, len) = match &record.sealed {
        Some(sealed) => (SEALED, sealed.len()),
        None => (OPEN, content_len(record)),
    };
    out.push(form);
    // Records are bounded far below this when they are created.
    out.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes());
    match &record.sealed {
        Some(sealed) => out.extend_from_slice(sealed),
        None => encode_content(record, out),
    }
}

/// All fields up to the form.
pub(super) fn encode_head(record: &Record, out: &mut Vec<u8>) {
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
    let authenticated = record.authenticated.map_or(0, Timestamp::as_millis);
    out.extend_from_slice(&authenticated.to_be_bytes());
    out.push(if record.deadlines.remembered { REMEMBERED } else { 0 });
    for text in head_texts(record) {
        encode_text(text, out);
    }
}

/// The content, sealed where records are sealed.
pub(super) fn encode_content(record: &Record, out: &mut Vec<u8>) {
    encode_text(record.platform.as_deref(), out);
    record.values.encode(out);
}

fn head_texts(record: &Record) -> [Option<&str>; 4] {
    let device = record.device.as_deref();
    [
        record.user.as_deref(),
        device.and_then(Device::address),
        device.and_then(Device::user_agent),
        device.and_then(Device::stored_label),
    ]
}

fn text_len(text: Option<&str>) -> usize {
    2 + text.map_or(0, str::len)
}

fn encode_text(text: Option<&str>, out: &mut Vec<u8>) {
    let bytes = text.map(str::as_bytes);
    // Lengths are checked on input, far below this bound.
    let len = bytes.map_or(NO_TEXT, |bytes| u16::try_from(bytes.len()).unwrap_or(NO_TEXT));
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(bytes.unwrap_or_default());
}

pub(super) fn decode(version: u64, mut bytes: Bytes) -> Result<Record, Error> {
    let mut record = decode_head(version, &mut bytes)?;
    let form = bytes.try_get_u8().map_err(|_| cut_short())?;
    // Without their length, values truncated between two entries would go unnoticed.
    let len = bytes.try_get_u32().map_err(|_| cut_short())?;
    if usize::try_from(len) != Ok(bytes.len()) {
        return Err(cut_short());
    }
    match form {
        OPEN => decode_content(&mut record, bytes)?,
        SEALED => record.sealed = Some(Vec::from(bytes).into()),
        _ => return Err(unsupported()),
    }
    Ok(record)
}

/// The record without its content, from bytes that may be truncated anywhere after the head.
pub(super) fn decode_head(version: u64, bytes: &mut Bytes) -> Result<Record, Error> {
    match bytes.strip_prefix(MAGIC).and_then(|rest| rest.first()) {
        Some(&FORMAT) => {}
        Some(_) => return Err(unsupported()),
        None => return Err(corrupt("the record has no magic bytes")),
    }
    if bytes.len() < FIXED {
        return Err(cut_short());
    }
    bytes.advance(MAGIC.len() + 1);
    let created = Timestamp::from_millis(bytes.get_u64());
    let last_activity = Timestamp::from_millis(bytes.get_u64());
    let idle_deadline = Timestamp::from_millis(bytes.get_u64());
    let idle = Duration::from_millis(bytes.get_u64());
    let absolute_deadline = time(bytes.get_u64());
    let mut writer = [0; 16];
    bytes.copy_to_slice(&mut writer);
    let authenticated = time(bytes.get_u64());
    let remembered = flags(bytes.get_u8())?;
    let deadlines = Deadlines { idle, idle_deadline, absolute_deadline, remembered };
    let user = text(bytes)?;
    let device = Device::stored(text(bytes)?, text(bytes)?, text(bytes)?);
    Ok(Record {
        version,
        writer,
        created,
        last_activity,
        deadlines,
        authenticated,
        user,
        device,
        platform: None,
        values: Values::default(),
        sealed: None,
        moved: None,
    })
}

/// Whether the cookie is persistent.
fn flags(byte: u8) -> Result<bool, Error> {
    match byte {
        0 => Ok(false),
        REMEMBERED => Ok(true),
        _ => Err(unsupported()),
    }
}

pub(super) fn decode_content(record: &mut Record, mut bytes: Bytes) -> Result<(), Error> {
    record.platform = text(&mut bytes)?;
    record.values = Values::decode(bytes).ok_or_else(|| corrupt("the values cannot be decoded"))?;
    Ok(())
}

fn time(millis: u64) -> Option<Timestamp> {
    (millis > 0).then(|| Timestamp::from_millis(millis))
}

fn text(bytes: &mut Bytes) -> Result<Option<Box<str>>, Error> {
    let len = bytes.try_get_u16().map_err(|_| cut_short())?;
    if len == NO_TEXT {
        return Ok(None);
    }
    let text = bytes.get(..usize::from(len)).ok_or_else(cut_short)?;
    let text = std::str::from_utf8(text).map_err(|_| corrupt("a name is not UTF-8"))?.into();
    bytes.advance(usize::from(len));
    Ok(Some(text))
}

fn corrupt(text: &'static str) -> Error {
    Error::new(ErrorKind::Corrupt, text)
}

fn cut_short() -> Error {
    corrupt("the record is cut short")
}

fn unsupported() -> Error {
    Error::new(ErrorKind::Unsupported, "the record is of a newer version of this crate")
}
