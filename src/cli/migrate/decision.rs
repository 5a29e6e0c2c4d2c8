//! What a session of the source needs in the target. Pure.

use crate::{
    session::{record::Record, token::SessionId},
    store::maintenance::Stored,
};

/// What is to be done in the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Both are equal.
    Nothing,
    /// The target does not have it.
    Create,
    /// The same as the renewal of this session, which is unfinished in the source.
    Renew(SessionId),
    /// The target has an earlier version, this one.
    Save(u64),
    /// The target lacks activity.
    Touch,
    /// The renewal is finished in the source.
    Finish,
    /// The target has a later version, later activity, or another record of the same version: it
    /// was used there.
    Keep,
}

pub(super) fn need(source: &Stored, target: Option<&Stored>) -> Need {
    let Some(target) = target else {
        return source.replaces.map_or(Need::Create, Need::Renew);
    };
    if target.replaces.is_some() && source.replaces.is_none() {
        return Need::Finish;
    }
    let (source, target) = (&source.record, &target.record);
    if source == target {
        Need::Nothing
    } else if source.version() > target.version() {
        Need::Save(target.version())
    } else if source.version() == target.version() && is_earlier(target, source) {
        Need::Touch
    } else {
        Need::Keep
    }
}

/// Whether the two differ in activity alone, and that of `one` is earlier.
fn is_earlier(one: &Record, other: &Record) -> bool {
    let mut touched = one.clone();
    touched.touch(other.activity()) && touched == *other
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::{
        cli::migrate::decision::*,
        store::{Touch, maintenance::Stored},
    };

    fn stored(version: u64, active_after: u64, writer: u8) -> Stored {
        let mut record = Record { version, writer: [writer; 16], ..Record::example() };
        let end = |record: &Record| record.end().saturating_add(Duration::from_secs(active_after));
        if active_after > 0 {
            let at = record.last_activity().saturating_add(Duration::from_secs(active_after));
            assert!(record.touch(Touch::new(at, end(&record), end(&record))));
        }
        Stored { record, replaces: None }
    }

    #[test]
    fn the_target_gets_what_it_lacks_and_keeps_what_it_has_more() {
        let old = SessionId::from([1; 32]);
        let pending = |stored: Stored| Stored { replaces: Some(old), ..stored };
        let now = || stored(3, 10, 1);
        for (name, source, target, wanted) in [
            ("absent", now(), None, Need::Create),
            ("absent, and half renewed", pending(now()), None, Need::Renew(old)),
            ("equal", now(), Some(now()), Need::Nothing),
            ("equal, and half renewed", pending(now()), Some(pending(now())), Need::Nothing),
            ("renewed since", now(), Some(pending(now())), Need::Finish),
            ("renewed and changed since", stored(4, 20, 2), Some(pending(now())), Need::Finish),
            ("changed since", stored(4, 10, 2), Some(now()), Need::Save(3)),
            ("changed twice, without activity", stored(5, 0, 2), Some(now()), Need::Save(3)),
            ("used since", stored(3, 11, 1), Some(now()), Need::Touch),
            ("used in the target", now(), Some(stored(3, 11, 1)), Need::Keep),
            ("changed in the target", now(), Some(stored(4, 10, 2)), Need::Keep),
            ("another of that version", stored(3, 10, 2), Some(now()), Need::Keep),
            ("another, and used", stored(3, 11, 2), Some(now()), Need::Keep),
        ] {
            assert_eq!(need(&source, target.as_ref()), wanted, "{name}");
        }
    }
}
