//! The value of a record's key: `R`, the record version in 16 hex digits, the envelope. For a
//! session that has moved: `M`, the version, the new id, the time of the move, the envelope. For
//! one that still has to end the one that it replaces, in another slot of a cluster: a mark, which
//! is `P`, the old id, the head of the old record, `u` if that one has a user and else `a`; then
//! the record.

use bytes::{Buf, Bytes};

use crate::{
    clock::timestamp::Timestamp,
    error::{Error, ErrorKind},
    session::{
        record::{Record, Touch, format::ACTIVITY_LEN},
        token::{SessionId, TEXT_LEN},
    },
};

/// `R` and 16 hex digits.
pub(super) const HEAD_LEN: usize = 17;
const RECORD: u8 = b'R';
const MOVED: u8 = b'M';
/// Milliseconds since 1970, in decimal.
const MOVED_AT_LEN: usize = 13;
/// Precedes the activity stored in the database, at the end of a copy.
#[cfg(feature = "_database")]
const STORED: &[u8] = b"TRSa";
/// The same for a copy created from a row that may lag behind.
#[cfg(feature = "_database")]
const STORED_BEHIND: &[u8] = b"TRSr";
#[cfg(feature = "_database")]
const STORED_LEN: usize = 12;
const TOMBSTONE: u8 = b'T';
const PENDING: u8 = b'P';
/// `P`, an id, a head, and a letter.
const MARK_LEN: usize = 1 + TEXT_LEN + HEAD_LEN + 1;
const HEX: &[u8; 16] = b"0123456789abcdef";

/// What a session still has to end before it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) old: SessionId,
    pub(super) version: u64,
    /// Whether the old session has a user.
    pub(super) of_user: bool,
}

impl Mark {
    /// The mark before a record, if there is one.
    pub(super) fn of(value: &[u8]) -> Option<Self> {
        let mark = value.get(..MARK_LEN)?.strip_prefix(&[PENDING])?;
        let (old, rest) = mark.split_at_checked(TEXT_LEN)?;
        let (head, of_user) = rest.split_at_checked(HEAD_LEN)?;
        Some(Self {
            old: std::str::from_utf8(old).ok()?.parse().ok()?,
            version: version(head.strip_prefix(&[RECORD])?)?,
            of_user: of_user != b"a",
        })
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut mark = vec![PENDING];
        mark.extend_from_slice(self.old.to_string().as_bytes());
        mark.extend_from_slice(&head(self.version));
        mark.push(if self.of_user { b'u' } else { b'a' });
        mark
    }
}

/// Whether the session still has to end another one.
pub(super) fn is_pending(value: &[u8]) -> bool {
    value.first() == Some(&PENDING)
}

/// Prefix of a record of that version; of fixed length, so that a script can compare it.
pub(super) fn head(version: u64) -> [u8; HEAD_LEN] {
    let mut head = [RECORD; HEAD_LEN];
    for (place, shift) in head.iter_mut().skip(1).zip((0..16u32).rev()) {
        let nibble = usize::try_from(version >> (shift * 4) & 0xf).unwrap_or(0);
        *place = HEX.get(nibble).copied().unwrap_or(b'0');
    }
    head
}

pub(super) fn encode(record: &Record) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEAD_LEN + record.encoded_len());
    bytes.extend_from_slice(&head(record.version));
    record.append_to(&mut bytes);
    bytes
}

/// The same behind what it still has to end.
pub(super) fn encode_marked(record: &Record, mark: Option<&Mark>) -> Vec<u8> {
    match mark {
        Some(mark) => [mark.encode(), encode(record)].concat(),
        None => encode(record),
    }
}

/// A copy of a database record, with the activity stored in the database, which is updated far less
/// often than the copy. `behind`: it was created from a row that may lack activity that was lost
/// with the previous copy.
#[cfg(feature = "_database")]
pub(super) fn encode_copy(record: &Record, behind: bool) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEAD_LEN + record.encoded_len() + STORED_LEN);
    bytes.extend_from_slice(&head(record.version));
    record.append_to(&mut bytes);
    bytes.extend_from_slice(if behind { STORED_BEHIND } else { STORED });
    bytes.extend_from_slice(&record.last_activity().as_millis().to_be_bytes());
    bytes
}

/// The record, and whether it may lag behind: no activity since it was created from a row that may.
/// Also for a copy without that activity at its end.
#[cfg(feature = "_database")]
pub(super) fn decode_copy(mut bytes: Bytes) -> Result<Option<(Record, bool)>, Error> {
    let end = bytes.len().saturating_sub(STORED_LEN);
    let tail = bytes.slice(end..);
    let behind = tail.starts_with(STORED_BEHIND);
    if behind || tail.starts_with(STORED) {
        bytes.truncate(end);
    }
    let Some(record) = decode(bytes)? else { return Ok(None) };
    let stored = record.last_activity().as_millis().to_be_bytes();
    let behind = behind && tail.ends_with(&stored);
    Ok(Some((record, behind)))
}

/// The record, or `None` for a tombstone.
pub(super) fn decode(bytes: Bytes) -> Result<Option<Record>, Error> {
    decode_by(bytes, Record::from_bytes)
}

/// The same for its first bytes, without the content.
pub(super) fn decode_head(bytes: Bytes) -> Result<Option<Record>, Error> {
    decode_by(bytes, Record::head_from_bytes)
}

fn decode_by(
    mut bytes: Bytes,
    decode: fn(u64, Bytes) -> Result<Record, Error>,
) -> Result<Option<Record>, Error> {
    if is_tombstone(&bytes) {
        return Ok(None);
    }
    if Mark::of(&bytes).is_some() {
        bytes.advance(MARK_LEN);
    }
    let kind = bytes.first().copied();
    let hex = bytes.get(1..HEAD_LEN).filter(|_| matches!(kind, Some(RECORD | MOVED)));
    let version = hex.and_then(version).ok_or_else(corrupt)?;
    bytes.advance(HEAD_LEN);
    if kind == Some(RECORD) {
        return decode(version, bytes).map(Some);
    }
    let (to, at) = moved(&mut bytes).ok_or_else(corrupt)?;
    Ok(Some(decode(version, bytes)?.moved(to, at)))
}

/// `T`, and in a cluster the id for which the session ended.
fn is_tombstone(bytes: &[u8]) -> bool {
    bytes.first() == Some(&TOMBSTONE) && matches!(bytes.len() - 1, 0 | TEXT_LEN)
}

fn moved(bytes: &mut Bytes) -> Option<(SessionId, Timestamp)> {
    if bytes.len() < TEXT_LEN + MOVED_AT_LEN {
        return None;
    }
    let (to, at) = (bytes.split_to(TEXT_LEN), bytes.split_to(MOVED_AT_LEN));
    let to = std::str::from_utf8(&to).ok()?.parse().ok()?;
    let at = std::str::from_utf8(&at).ok()?.parse().ok()?;
    Some((to, Timestamp::from_millis(at)))
}

fn version(hex: &[u8]) -> Option<u64> {
    hex.iter().try_fold(0u64, |version, digit| {
        let nibble = HEX.iter().position(|hex| hex == digit)?;
        Some(version << 4 | u64::try_from(nibble).ok()?)
    })
}

/// The part of the envelope that a touch changes.
pub(super) fn touch_fields(activity: Touch) -> Vec<u8> {
    let mut fields = Vec::with_capacity(ACTIVITY_LEN);
    fields.extend_from_slice(&activity.last_activity.as_millis().to_be_bytes());
    fields.extend_from_slice(&activity.idle_deadline.as_millis().to_be_bytes());
    fields
}

pub(super) fn corrupt() -> Error {
    Error::new(ErrorKind::Corrupt, "the stored value is not a session record")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::store::redis::value::*;

    #[test]
    fn the_head_holds_every_version() {
        for version in [0, 1, 9, 10, 0xdead_beef, u64::MAX] {
            assert_eq!(head(version), format!("R{version:016x}").as_bytes());
            let record = Record { version, ..Record::example() };
            assert_eq!(decode(encode(&record).into()).unwrap(), Some(record));
        }
    }

    #[cfg(feature = "_database")]
    #[test]
    fn a_copy_is_read_with_and_without_the_activity_that_the_database_has() {
        let record = Record::example();
        let (copy, before) = (encode_copy(&record, false), encode(&record));
        assert_eq!(copy.len(), before.len() + STORED_LEN);
        assert_eq!(copy[copy.len() - 8..], record.last_activity().as_millis().to_be_bytes());
        for bytes in [copy.clone(), before] {
            assert_eq!(decode_copy(bytes.into()).unwrap(), Some((record.clone(), false)));
        }
        let mut behind = encode_copy(&record, true);
        assert_eq!(decode_copy(behind.clone().into()).unwrap(), Some((record.clone(), true)));
        let mut active = record.clone();
        active.last_activity = record.last_activity().saturating_add(Duration::from_millis(1));
        let place = HEAD_LEN + crate::session::record::format::ACTIVITY_OFFSET;
        behind[place..place + 8].copy_from_slice(&active.last_activity.as_millis().to_be_bytes());
        assert_eq!(decode_copy(behind.into()).unwrap(), Some((active, false)), "used since");
        let cut = Bytes::copy_from_slice(&copy[..copy.len() - 1]);
        assert_eq!(decode_copy(cut).unwrap_err().kind(), ErrorKind::Corrupt);
    }

    #[test]
    fn a_mark_stands_before_a_record() {
        for (version, of_user) in [(0, false), (7, true), (u64::MAX, false)] {
            let mark = Mark { old: [9; 32].into(), version, of_user };
            let record = Record::example();
            let value = [mark.encode(), encode(&record)].concat();
            assert!(is_pending(&value) && !is_pending(&encode(&record)));
            assert_eq!(mark.encode().len(), MARK_LEN);
            assert_eq!(Mark::of(&value), Some(mark));
            assert_eq!(decode(value.into()).unwrap(), Some(record));
        }
        let heir = Bytes::from(format!("T{}", SessionId::from([9; 32])));
        assert!(decode(heir).unwrap().is_none());
    }

    #[test]
    fn what_is_not_a_record_is_corrupt_and_a_tombstone_is_none() {
        assert!(decode(Bytes::from_static(b"T")).unwrap().is_none());
        let whole = encode(&Record::example());
        let mark = Mark { old: [9; 32].into(), version: 7, of_user: false };
        let marked = [mark.encode(), whole.clone()].concat();
        for (name, bytes) in [
            ("empty", &b""[..]),
            ("longer than a tombstone", b"TT"),
            ("a lease", b"L0123456789abcdef"),
            ("a mark alone", &marked[..MARK_LEN]),
            ("a mark that is cut short", &marked[..MARK_LEN - 1]),
            ("upper case", b"R000000000000000A"),
            ("only a head", &whole[..HEAD_LEN]),
            ("cut short", &whole[..whole.len() - 1]),
        ] {
            let error = decode(Bytes::copy_from_slice(bytes)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{name}");
        }
    }
}
