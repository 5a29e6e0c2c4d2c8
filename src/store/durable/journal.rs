//! Orders from journal rows: pure.
//!
//! A row marks a change that the database has and Redis may lack. The instance that finds it
//! updates Redis from the session's row, and only then deletes it.
//!
//! Specified in `docs/protocol.md`, section 3.11.

use std::collections::HashMap;

use crate::{
    error::Error,
    session::{record::Record, token::SessionId},
    store::database::row::Row,
};

/// The update that Redis needs for a session.
#[derive(Debug)]
pub(super) enum Order {
    /// Replace the record.
    Put(Box<Record>),
    /// Delete the copy.
    Kill,
}

/// Changes that this instance has not pushed itself. A row pushed and not yet cleared is no reason
/// to distrust a session.
pub(super) fn unpushed(journal: &[(SessionId, u64)], told: &[(SessionId, u64)]) -> Vec<SessionId> {
    let mut newest: HashMap<&SessionId, u64> = HashMap::with_capacity(told.len());
    for (id, version) in told {
        let newest = newest.entry(id).or_default();
        *newest = (*newest).max(*version);
    }
    let waits =
        |(id, version): &&(SessionId, u64)| newest.get(id).is_none_or(|told| told < version);
    journal.iter().filter(waits).map(|(id, _)| *id).collect()
}

/// The order for a session with this row, and the version up to which the journal can then be
/// cleared.
pub(super) fn order(row: Option<Result<Row, Error>>, journalled: u64) -> (Order, u64) {
    match row {
        Some(Ok(Row { record, alive: true, replaces: None })) => {
            let version = record.version();
            (Order::Put(Box::new(record)), version)
        }
        Some(Ok(row)) => (Order::Kill, row.record.version()),
        // Unreadable, or purged: no copy of it may stay.
        Some(Err(_)) | None => (Order::Kill, journalled),
    }
}

#[cfg(test)]
mod tests {
    use crate::store::durable::journal::*;

    fn id(last: char) -> SessionId {
        format!("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdH{last}8").parse().unwrap()
    }

    #[test]
    fn only_what_was_told_up_to_that_version_is_left_out() {
        let journal = [(id('a'), 3), (id('b'), 3), (id('c'), 3)];
        let told = [(id('a'), 3), (id('b'), 2), (id('a'), 1)];
        assert_eq!(unpushed(&journal, &told), [id('b'), id('c')]);
        assert_eq!(unpushed(&journal, &[]).len(), 3);
    }

    #[test]
    fn a_dead_an_unreadable_and_a_missing_row_are_killed_and_a_live_one_is_put() {
        let row = |alive, replaces| Row { record: Record::example(), alive, replaces };
        for (name, row, put, cleared) in [
            ("alive", Some(Ok(row(true, None))), true, 1),
            ("dead", Some(Ok(row(false, None))), false, 1),
            ("half renewed", Some(Ok(row(true, Some(id('a'))))), false, 1),
            ("unreadable", Some(Err(Error::absent())), false, 7),
            ("purged", None, false, 7),
        ] {
            let (order, version) = order(row, 7);
            assert_eq!((matches!(order, Order::Put(_)), version), (put, cleared), "{name}");
        }
    }
}
