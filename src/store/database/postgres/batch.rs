//! A batch of writes as parameters of the procedure, and its result.

use sqlx::{Row as _, postgres::PgRow};

use crate::{
    error::Error,
    session::token::SessionId,
    store::database::{
        row::{Columns, millis},
        write::{Ended, Fresh, Terms, Write, Written, column_of},
    },
};

/// A batch by columns.
#[derive(Default)]
pub(super) struct Lines {
    pub(super) writes: Vec<i16>,
    pub(super) ids: Vec<String>,
    pub(super) others: Vec<Option<String>>,
    pub(super) expected: Vec<Option<i64>>,
    pub(super) versions: Vec<Option<i64>>,
    pub(super) created: Vec<Option<i64>>,
    pub(super) activities: Vec<Option<i64>>,
    pub(super) deadlines: Vec<Option<i64>>,
    pub(super) ends: Vec<Option<i64>>,
    pub(super) users: Vec<Option<String>>,
    pub(super) epochs: Vec<Option<i64>>,
    pub(super) limits: Vec<Option<i64>>,
    pub(super) bodies: Vec<Option<Vec<u8>>>,
}

/// One write; most have only some of the columns.
#[derive(Default)]
struct Line {
    write: i16,
    other: Option<SessionId>,
    expected: Option<u64>,
    fresh: Option<Fresh>,
    user: Option<String>,
    terms: Terms,
}

impl Lines {
    pub(super) fn of(writes: &[Write]) -> Self {
        let mut lines = Self::default();
        for write in writes {
            lines.ids.push(write.id().map(ToString::to_string).unwrap_or_default());
            lines.push(write);
        }
        lines
    }

    fn push(&mut self, write: &Write) {
        let none = Line::default();
        self.push_line(match write {
            Write::Create { record, terms, .. } => {
                Line { fresh: Some(Fresh::of(record)), terms: *terms, ..none }
            }
            Write::Save { expected, record, .. } => {
                let (expected, fresh) = (Some(*expected), Some(Fresh::of(record)));
                Line { write: 1, expected, fresh, ..none }
            }
            Write::Delete { expected, .. } => Line { write: 2, expected: *expected, ..none },
            Write::Begin { expected, new, record, terms, .. } => {
                let (expected, fresh) = (Some(*expected), Some(Fresh::of(record)));
                Line { write: 4, other: Some(*new), expected, fresh, terms: *terms, ..none }
            }
            Write::Finish { expected, new, .. } => {
                Line { write: 5, other: Some(*new), expected: *expected, ..none }
            }
            Write::Abandon { new, .. } => Line { write: 8, other: Some(*new), ..none },
            Write::Touch { version, activity, .. } => {
                let fresh = Fresh {
                    version: version.cast_signed(),
                    created: 0,
                    last_activity: millis(activity.last_activity),
                    idle_deadline: millis(activity.idle_deadline),
                    ends: millis(activity.end),
                    user: None,
                    body: Vec::new(),
                };
                Line { write: 6, fresh: Some(fresh), ..none }
            }
            Write::Revoke { user, keep } => {
                Line { write: 7, other: *keep, user: Some(column_of(user)), ..none }
            }
        });
    }

    fn push_line(&mut self, line: Line) {
        let Line { write, other, expected, fresh, user, terms } = line;
        self.writes.push(write);
        self.others.push(other.map(|id| id.to_string()));
        self.expected.push(expected.map(u64::cast_signed));
        self.versions.push(fresh.as_ref().map(|fresh| fresh.version));
        self.created.push(fresh.as_ref().map(|fresh| fresh.created));
        self.activities.push(fresh.as_ref().map(|fresh| fresh.last_activity));
        self.deadlines.push(fresh.as_ref().map(|fresh| fresh.idle_deadline));
        self.ends.push(fresh.as_ref().map(|fresh| fresh.ends));
        self.epochs.push(terms.epoch.map(u64::cast_signed));
        self.limits.push(terms.limit.map(|limit| limit.get().into()));
        let (theirs, body) = fresh.map_or((None, None), |fresh| (fresh.user, Some(fresh.body)));
        self.users.push(theirs.or(user));
        self.bodies.push(body);
    }
}

/// The procedure's outcomes of `count` writes.
pub(super) fn outcomes(
    row: &PgRow,
    count: usize,
) -> Result<Vec<Result<Written, Error>>, sqlx::Error> {
    let codes: Vec<i16> = row.try_get(0)?;
    let versions: Vec<Option<i64>> = row.try_get(1)?;
    let activities: Vec<Option<i64>> = row.try_get(2)?;
    let deadlines: Vec<Option<i64>> = row.try_get(3)?;
    let bodies: Vec<Option<Vec<u8>>> = row.try_get(4)?;
    if codes.len() != count {
        return Err(sqlx::Error::Protocol("a result for another number of writes".into()));
    }
    let mut ended = ended(row, count)?.into_iter();
    let columns = codes.into_iter().zip(versions).zip(activities).zip(deadlines).zip(bodies);
    let outcomes = columns.map(|((((code, version), last_activity), idle_deadline), body)| {
        let version = version.unwrap_or_default();
        let ended = ended.next().unwrap_or_default();
        match code {
            0 => Ok(Written::Done { version: version.cast_unsigned(), ended }),
            1 => {
                let last_activity = last_activity.unwrap_or_default();
                let idle_deadline = idle_deadline.unwrap_or_default();
                let body = body.unwrap_or_default();
                let columns = Columns::living(version, last_activity, idle_deadline, body);
                Ok(Written::Conflict(columns.row()?.record))
            }
            3 => Ok(Written::Taken),
            4 => Ok(Written::Revoked),
            _ => Ok(Written::Gone),
        }
    });
    Ok(outcomes.collect())
}

/// The other sessions that each write ended.
fn ended(row: &PgRow, count: usize) -> Result<Vec<Vec<Ended>>, sqlx::Error> {
    let ids: Vec<String> = row.try_get(5)?;
    let versions: Vec<Option<i64>> = row.try_get(6)?;
    let numbers: Vec<i32> = row.try_get(7)?;
    let mut ended = vec![Vec::new(); count];
    for ((id, version), number) in ids.into_iter().zip(versions).zip(numbers) {
        let place = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
        if let (Some(place), Ok(id)) = (place.and_then(|place| ended.get_mut(place)), id.parse()) {
            place.push(Ended { id, version: version.map(i64::cast_unsigned) });
        }
    }
    Ok(ended)
}
