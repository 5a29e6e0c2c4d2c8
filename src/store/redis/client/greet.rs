//! Identity of the server of a connection, and whether it is trusted.

#![cfg_attr(not(feature = "_database"), allow(dead_code, reason = "for the durable store"))]

use crate::{
    clock::moment::Moment,
    store::{StoreFuture, redis::client::incarnation::Incarnation},
};

/// Decides whether servers are trusted, for a store that keeps copies in Redis.
pub(crate) trait Greeter: Send + Sync + 'static {
    /// Whether a new connection to that server may be used: an error closes it.
    fn greet<'a>(&'a self, server: &'a Incarnation) -> StoreFuture<'a, ()>;

    /// Whether that server is still the trusted one.
    fn vouches(&self, server: &Incarnation) -> bool;

    /// A connection after a time without one: called before its first use.
    fn reconnected(&self);

    /// The clock for the age of connections.
    fn now(&self) -> Moment;
}
