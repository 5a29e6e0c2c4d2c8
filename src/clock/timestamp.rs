//! Timestamp of records: whole milliseconds since 1970, UTC.

use std::{
    fmt,
    str::FromStr,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::error::{Error, ErrorKind};

/// The end of the year 9999, the last moment that RFC 3339 can print.
const LAST: u64 = 253_402_300_799_999;

/// A point in time, in whole milliseconds since 1970-01-01T00:00:00Z.
///
/// `Display` prints RFC 3339, which `FromStr` and serde read too. Times before 1970 are clamped to
/// 1970, times after the year 9999 to its last millisecond: nothing here can overflow or panic.
///
/// ```
/// use tower_redis_session::Timestamp;
///
/// let time = Timestamp::from_millis(1_700_000_000_123);
/// assert_eq!(time.to_string(), "2023-11-14T22:13:20.123Z");
/// assert_eq!("2023-11-14T23:13:20.123+01:00".parse::<Timestamp>()?, time);
/// # Ok::<(), tower_redis_session::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The time that is `millis` milliseconds after 1970.
    ///
    /// ```
    /// # use tower_redis_session::Timestamp;
    /// assert_eq!(Timestamp::from_millis(5).as_millis(), 5);
    /// ```
    pub const fn from_millis(millis: u64) -> Self {
        Self(if millis > LAST { LAST } else { millis })
    }

    /// Milliseconds since 1970.
    ///
    /// ```
    /// # use tower_redis_session::Timestamp;
    /// assert_eq!(Timestamp::from_millis(7).as_millis(), 7);
    /// ```
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// This time and `duration` more; the end of the year 9999 at the latest.
    ///
    /// ```
    /// # use tower_redis_session::Timestamp;
    /// # use std::time::Duration;
    /// let time = Timestamp::from_millis(1_000).saturating_add(Duration::from_secs(2));
    /// assert_eq!(time.as_millis(), 3_000);
    /// ```
    pub fn saturating_add(self, duration: Duration) -> Self {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self::from_millis(self.0.saturating_add(millis))
    }

    /// How long after `earlier` this is; zero if it is not after it.
    ///
    /// ```
    /// # use tower_redis_session::Timestamp;
    /// # use std::time::Duration;
    /// let (early, late) = (Timestamp::from_millis(1), Timestamp::from_millis(4));
    /// assert_eq!(late.saturating_since(early), Duration::from_millis(3));
    /// assert_eq!(early.saturating_since(late), Duration::ZERO);
    /// ```
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self(0).saturating_add(since)
    }
}

impl From<Timestamp> for SystemTime {
    fn from(time: Timestamp) -> Self {
        Self::UNIX_EPOCH + Duration::from_millis(time.0)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = i128::from(self.0) * 1_000_000;
        let time = OffsetDateTime::from_unix_timestamp_nanos(nanos).map_err(|_| fmt::Error)?;
        f.write_str(&time.format(&Rfc3339).map_err(|_| fmt::Error)?)
    }
}

/// From RFC 3339, with any offset; truncated to milliseconds.
impl FromStr for Timestamp {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let time = OffsetDateTime::parse(text, &Rfc3339);
        let time = time.map_err(|_| Error::new(ErrorKind::Invalid, "not a time of RFC 3339"))?;
        Ok(SystemTime::from(time).into())
    }
}

/// As text, as `Display` prints it.
impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// From the text that `FromStr` parses.
impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use crate::clock::timestamp::*;

    #[test]
    fn the_ends_of_time_print_and_convert() {
        for (name, time, text) in [
            ("first", Timestamp::from_millis(0), "1970-01-01T00:00:00Z"),
            ("last", Timestamp::from_millis(u64::MAX), "9999-12-31T23:59:59.999Z"),
            (
                "sum",
                Timestamp::from_millis(9).saturating_add(Duration::MAX),
                "9999-12-31T23:59:59.999Z",
            ),
        ] {
            assert_eq!(time.to_string(), text, "{name}");
            assert_eq!(Timestamp::from(SystemTime::from(time)), time, "{name}");
        }
        let before = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(Timestamp::from(before).as_millis(), 0);
    }
}
