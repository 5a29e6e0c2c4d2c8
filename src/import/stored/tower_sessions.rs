//! tower-sessions: an array of the id's 16 bytes, the values, and the expiry as nine numbers.

use std::time::SystemTime;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use time::{Date, OffsetDateTime, Time, UtcOffset};

use crate::{
    clock::timestamp::Timestamp,
    import::{
        error::ImportError,
        imported::Imported,
        stored::message_pack::{Item, Reader},
    },
};

pub(crate) fn decode(id: &str, stored: &[u8]) -> Result<Imported, ImportError> {
    let mut reader = Reader::new(stored);
    let (Item::Array(3), Item::Bytes(bytes)) = (reader.item()?, reader.item()?) else {
        return Err(malformed());
    };
    // A number of 128 bits: big endian here, little endian in the cookie.
    let reversed: Vec<u8> = bytes.iter().rev().copied().collect();
    if URL_SAFE_NO_PAD.decode(id).ok() != Some(reversed) {
        return Err(ImportError::malformed("the bytes are of another session"));
    }
    let mut session = reader.session()?;
    session.expire_at(Some(expiry(&mut reader)?));
    reader.end()?;
    Ok(session)
}

/// Year, day of the year, hour, minute, second, nanosecond, and the offset from UTC in hours,
/// minutes and seconds.
fn expiry(reader: &mut Reader<'_>) -> Result<Timestamp, ImportError> {
    let Item::Array(9) = reader.item()? else { return Err(malformed()) };
    let mut numbers = [0; 9];
    for number in &mut numbers {
        let Item::Int(found) = reader.item()? else { return Err(malformed()) };
        *number = found;
    }
    time(numbers).map(|time| SystemTime::from(time).into()).ok_or_else(malformed)
}

fn time(numbers: [i128; 9]) -> Option<OffsetDateTime> {
    let [year, day, hour, minute, second, nano, offset @ ..] = numbers;
    let date = Date::from_ordinal_date(year.try_into().ok()?, day.try_into().ok()?).ok()?;
    let (hour, minute) = (hour.try_into().ok()?, minute.try_into().ok()?);
    let (second, nano) = (second.try_into().ok()?, nano.try_into().ok()?);
    let time = Time::from_hms_nano(hour, minute, second, nano).ok()?;
    let [hours, minutes, seconds] = offset.map(i8::try_from);
    let offset = UtcOffset::from_hms(hours.ok()?, minutes.ok()?, seconds.ok()?).ok()?;
    // The difference is checked: the year 9999 with a negative offset has no time in UTC.
    let local = date.with_time(time).assume_utc();
    local.checked_sub(time::Duration::seconds(offset.whole_seconds().into()))
}

fn malformed() -> ImportError {
    ImportError::malformed("not the array of tower-sessions")
}
