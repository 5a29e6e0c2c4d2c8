//! Identity of the server of a connection, and whether it is trusted.

#![cfg_attr(not(feature = "_database"), allow(dead_code, reason = "for the durable store"))]

use crate::{
    clock::moment::Moment,
    store::{StoreFuture, redis::client::incarnation::Incarnation},
};

/// Decides about servers, for a store that keeps copies in Redis.
pub(crate) trait Greeter: Send + Sync + 'static {
    /// Whether a new connection to that server may be used at all: an error closes it.
    fn greet<'a>(&'a self, server: &'a Incarnation) -> StoreFuture<'a, ()>;

    /// Whether that server is still the one whose data is trusted.
    fn vouches(&self, server: &Incarnation) -> bool;

    /// There was no connection for a while, and there is one now: called before its first use.
    fn reconnected(&self);

    /// The time by which connections age.
    fn now(&self) -> Moment;
}
