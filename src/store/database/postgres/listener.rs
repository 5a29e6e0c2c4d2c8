//! Connection for notifications of other processes.

use std::time::Instant;

use sqlx::postgres::PgListener;

use crate::store::database::postgres::server::LIFE_MAX;

/// The connection that listens, while there is one.
#[derive(Default)]
pub(super) struct Listener(pub(super) Option<Open>);

pub(super) struct Open {
    pub(super) connection: PgListener,
    pub(super) made: Instant,
    /// Time of its last message.
    pub(super) heard: Instant,
}

impl Open {
    /// Like any other connection it is replaced, with the credentials that are current by then.
    pub(super) fn is_old(&self) -> bool {
        self.made.elapsed() > LIFE_MAX
    }
}
