//! Ended and unknown sessions: their expiry, and their absence cached in Redis.
//!
//! Specified in `docs/protocol.md`, sections 3.2 and 3.8.

use std::time::Duration;

use crate::{
    error::Error,
    session::{record::Record, token::SessionId},
    store::{
        database::{Epoch, Row},
        durable::{engine::Engine, journal::Order, load::Fill},
    },
};

/// How long an absence is cached.
const ABSENT_KEPT: Duration = Duration::from_secs(10);
impl Engine {
    /// Activity is stored in the copy or, if Redis rejects it, in the database: a session expired
    /// by both has expired, with no allowance for unrecorded activity.
    pub(super) async fn load_over(&self, id: &SessionId) -> Result<Option<Record>, Error> {
        let row = self.row(id).await?;
        let now = self.clock().now();
        match &row {
            Some(Row { alive: true, record, .. }) if record.deadlines.is_over(now) => {
                let behind = self.touch_interval(record.activity().idle());
                self.over_ids.note(*id, self.now(), behind);
            }
            // The next caller creates a new copy.
            Some(Row { alive: true, .. }) => {
                let _ = self.push(id, &Order::Kill, None).await;
            }
            _ => self.shows_as_ended(id),
        }
        Ok(row.map(Row::into_record))
    }

    /// Caches an absence for a moment, under the fence of a copy: a request with the cookie of an
    /// ended session costs one command. Awaited: only if the lease was still held can no copy be
    /// created from an earlier read.
    pub(super) async fn nothing_there(&self, fill: Option<Fill>, id: &SessionId) {
        let fill = fill.filter(|_| !self.fresh_ids.may_come(id, self.now()));
        let Some(Fill { mut link, generation, lease }) = fill else {
            return self.shows_as_ended(id);
        };
        self.pass("before-fill").await;
        self.fresh_ids.note(*id, self.now(), ABSENT_KEPT);
        let told = self.within_redis(link.fill_absent(generation, id, lease, ABSENT_KEPT)).await;
        if !matches!(told, Ok(true)) {
            self.shows_as_ended(id);
        }
    }

    /// Removes the cached absence of an id that has been created since.
    pub(super) async fn there_is_something(&self, id: &SessionId, epoch: Option<&Epoch>) {
        let noted = self.fresh_ids.was_noted(id);
        if noted && !self.push(id, &Order::Kill, epoch).await {
            // Redis may still return the cached absence for a while.
            self.authority.trust().set_aside(*id, self.now());
        }
    }

    /// The row has expired, and its copy perhaps not: a session that this instance has returned as
    /// expired is never returned alive again.
    pub(super) fn shows_as_ended(&self, id: &SessionId) {
        self.authority.trust().set_aside(*id, self.now());
    }
}
