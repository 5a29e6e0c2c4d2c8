//! Failed attempts to sign in: one call of a procedure.

use std::time::Duration;

use sqlx::{Row as _, postgres::PgRow};

use crate::{
    error::Error,
    store::{
        attempts::{Action, AttemptOutcome, AttemptWrite, Counter, Rule, Verdict},
        database::{
            postgres::{Postgres, options::limits},
            row::corrupt,
        },
    },
};

const CALL: &str = "CALL trs_attempt_1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, \
    NULL, NULL)";

impl Postgres {
    pub(in crate::store::database) async fn attempt(
        &self,
        write: &AttemptWrite,
    ) -> Result<AttemptOutcome, Error> {
        let action: i16 = match write.action {
            Action::Begin => 0,
            Action::Succeed => 1,
            Action::Forgive => 2,
        };
        let buckets: Vec<_> = write.keys().map(|key| i64::from(key.bucket)).collect();
        let tags: Vec<_> = write.keys().map(|key| Some(key.tag.to_vec())).collect();
        let lock_timeout = limits(self.timeout)[1].to_string();
        let each = |number: fn(&Rule) -> u64| -> Vec<i64> {
            let numbers = write.counters.iter().map(|Counter { rule, .. }| number(rule));
            numbers.map(|number| i64::try_from(number).unwrap_or(i64::MAX)).collect()
        };
        let life = i64::try_from(write.known_for.as_millis()).unwrap_or(i64::MAX);
        let call = || {
            self.server
                .lone_statement(CALL)
                .bind(action)
                .bind(i64::from(write.ways))
                .bind(life)
                .bind(&buckets)
                .bind(&tags)
                .bind(each(|rule| rule.free.into()))
                .bind(each(|rule| rule.max.into()))
                .bind(each(|rule| rule.max_known.into()))
                .bind(each(|rule| rule.first_wait))
                .bind(each(|rule| rule.longest_wait))
                .bind(each(|rule| rule.recovery))
                .bind(&lock_timeout)
        };
        let rows = self.tell(&self.requests, call).await.map_err(|failure| failure.error)?;
        outcome(rows.first().ok_or_else(corrupt)?)
    }
}

fn outcome(row: &PgRow) -> Result<AttemptOutcome, Error> {
    let number = |at: usize| row.try_get::<i64, _>(at).map_err(|_| corrupt());
    let (place, wait) = (number(0)?, number(1)?);
    Ok(match usize::try_from(place).ok().and_then(|place| place.checked_sub(1)) {
        None => AttemptOutcome::DONE,
        Some(place) => {
            let wait = Duration::from_millis(wait.cast_unsigned());
            AttemptOutcome(Verdict::Throttled { place, wait })
        }
    })
}
