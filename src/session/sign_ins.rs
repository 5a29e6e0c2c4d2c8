//! The sign-ins of an external id: which users signed in under it, and whether it was revoked. Kept
//! as a record of its own under the [key](ExternalId::key) of the id, without a user. It never
//! moves, unlike the sessions, which are found among those of its users.

use std::time::Duration;

use bytes::Bytes;

use crate::{
    clock::timestamp::Timestamp,
    error::{Error, ErrorKind},
    session::{
        device::Device,
        expiry::Deadlines,
        external_id::ExternalId,
        record::Record,
        reserved::REVOKED_AT,
        values::{Edits, Values},
        write_id::WriteId,
    },
};

/// How long a revoked id rejects sign-ins: one that is in progress cannot come later.
pub(crate) const REJECTED: Duration = Duration::from_secs(300);
/// How long the record outlives the absolute end of the last session, for clocks that differ.
const MARGIN: Duration = Duration::from_secs(300);
/// Users of one id: more than one only where a provider or an application reuses it.
const USERS_MAX: usize = 16;
/// Before a user's id: it may be any text, even one that is reserved.
const USER: char = 'u';

/// A session that is stored under a new id.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival<'a> {
    pub(crate) name: ExternalId,
    pub(crate) user: &'a str,
    /// The absolute end of the session.
    pub(crate) end: Timestamp,
    /// A sign-in, and not a session that continues.
    pub(crate) begins: bool,
}

/// What a write adds to the record of an id: its time and mark.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp {
    pub(crate) now: Timestamp,
    pub(crate) writer: WriteId,
}

impl Arrival<'_> {
    /// The record with this session in it; `None` if the id was revoked.
    pub(crate) fn entered(
        &self,
        found: Option<&Record>,
        stamp: Stamp,
    ) -> Result<Option<Record>, Error> {
        // One that has expired and is still stored has no content, but its versions count on:
        // another writer may have read an earlier one.
        let valid = found.filter(|found| !found.deadlines.is_over(stamp.now));
        let revoked = valid.and_then(revoked_at);
        // A later sign-in under the same id is a new one: some providers sign a client out only.
        let rejects = |at: Timestamp| !self.begins || stamp.now.saturating_since(at) < REJECTED;
        if revoked.is_some_and(rejects) {
            return Ok(None);
        }
        let user = format!("{USER}{}", self.user).into();
        let edits =
            Edits::from([(REVOKED_AT.into(), None), (user, Some(Bytes::from_static(b"true")))]);
        let values = valid.map_or_else(Values::default, |found| found.values.clone());
        let values = values.edited(&edits);
        if values.count() > USERS_MAX {
            let text = format!("more than {USERS_MAX} users signed in under one external id");
            return Err(Error::new(ErrorKind::Invalid, text));
        }
        Ok(Some(record(self.name, found, values, self.end.saturating_add(MARGIN), stamp)))
    }
}

/// The record after a revocation: no session under the id is stored from then on.
pub(crate) fn revoked(name: ExternalId, found: Option<&Record>, stamp: Stamp) -> Record {
    let at = stamp.now.as_millis().to_string();
    let edits = Edits::from([(REVOKED_AT.into(), Some(at.into()))]);
    let values = found.map_or_else(Values::default, |found| found.values.clone());
    let end = stamp.now.saturating_add(REJECTED);
    record(name, found, values.edited(&edits), end, stamp)
}

/// The users who signed in under the id.
pub(crate) fn users(record: &Record) -> Vec<String> {
    let names = record.values.iter().filter_map(|(name, _)| name.strip_prefix(USER));
    names.map(str::to_owned).collect()
}

fn revoked_at(record: &Record) -> Option<Timestamp> {
    let millis = std::str::from_utf8(record.values.find_reserved(REVOKED_AT)?).ok()?;
    millis.parse().ok().map(Timestamp::from_millis)
}

fn record(
    name: ExternalId,
    found: Option<&Record>,
    values: Values,
    end: Timestamp,
    Stamp { now, writer }: Stamp,
) -> Record {
    let end = found.map_or(end, |found| end.max(found.end()));
    Record {
        version: found.map_or(1, |found| found.version.saturating_add(1)),
        writer,
        created: found.map_or(now, |found| found.created),
        last_activity: now,
        deadlines: Deadlines {
            idle: end.saturating_since(now),
            idle_deadline: end,
            absolute_deadline: Some(end),
            remembered: false,
        },
        authenticated: None,
        user: None,
        device: Device::named(None, None, None, Some(name)),
        platform: None,
        values,
        sealed: None,
        moved: None,
    }
}

#[cfg(test)]
mod tests {
    use crate::session::sign_ins::*;

    const NAME: &str = "https://id.example.org|sid-1";

    fn at(millis: u64) -> Stamp {
        Stamp { now: Timestamp::from_millis(1_000_000 + millis), writer: [7; 16] }
    }

    fn arrival(user: &str, begins: bool) -> Arrival<'_> {
        let (name, end) = (ExternalId::of(NAME), Timestamp::from_millis(90_000_000));
        Arrival { name, user, end, begins }
    }

    #[test]
    fn a_revoked_id_rejects_sign_ins_for_a_time_and_sessions_that_continue_always() {
        let minutes = u64::try_from(REJECTED.as_millis()).unwrap();
        let alive = arrival("alice", true).entered(None, at(0)).unwrap().unwrap();
        assert_eq!((users(&alive), alive.version), (vec!["alice".to_owned()], 1));
        let revoked = revoked(ExternalId::of(NAME), Some(&alive), at(10));
        assert_eq!((users(&revoked), revoked.version), (vec!["alice".to_owned()], 2));
        for (begins, after, enters) in [
            (true, 11, false),
            (true, 9 + minutes, false),
            (true, 10 + minutes, true),
            (false, 11, false),
            (false, 10 + minutes, false),
        ] {
            let entered = arrival("bob", begins).entered(Some(&revoked), at(after)).unwrap();
            assert_eq!(entered.is_some(), enters, "{begins} {after}");
        }
        // Of a clock that is behind.
        assert!(arrival("bob", true).entered(Some(&revoked), at(0)).unwrap().is_none());
        let again = arrival("bob", true).entered(Some(&revoked), at(10 + minutes)).unwrap();
        assert_eq!(users(&again.unwrap()), ["alice", "bob"]);
    }

    #[test]
    fn an_unknown_id_is_revoked_for_a_time_and_users_are_bounded() {
        let name = ExternalId::of(NAME);
        let unknown = revoked(name, None, at(0));
        assert_eq!(unknown.end(), at(0).now.saturating_add(REJECTED));
        assert!(arrival("alice", true).entered(Some(&unknown), at(1)).unwrap().is_none());
        let mut found = None;
        for user in 0..USERS_MAX {
            let user = format!("\0revoked-at {user}");
            found = arrival(&user, true).entered(found.as_ref(), at(2)).unwrap();
        }
        assert!(arrival("one more", true).entered(found.as_ref(), at(2)).is_err());
        assert!(arrival("\0revoked-at 3", true).entered(found.as_ref(), at(2)).unwrap().is_some());
        let later = arrival("alice", true).entered(found.as_ref(), at(200_000_000)).unwrap();
        let later = later.unwrap();
        assert_eq!(users(&later), ["alice"], "the others' sessions are over");
        assert_eq!(later.version, found.unwrap().version + 1, "no version occurs twice");
    }
}
