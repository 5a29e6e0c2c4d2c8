//! Connection for notifications of other processes.

use std::time::Instant;

use sqlx::postgres::PgListener;

/// The connection that listens, while there is one.
#[derive(Default)]
pub(super) struct Listener(pub(super) Option<Open>);

pub(super) struct Open {
    pub(super) connection: PgListener,
    pub(super) made: Instant,
    /// Time of its last message.
    pub(super) heard: Instant,
}
