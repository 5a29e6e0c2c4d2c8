//! The connection that hears what other processes announce.

use sqlx::postgres::PgListener;
use tokio::time::Instant;

/// The connection that listens, while there is one, and when it was last heard of.
#[derive(Default)]
pub(super) struct Listener(pub(super) Option<(PgListener, Instant)>);
