//! The connection that was given out last: as long as it has room, the pool need not be asked.

use std::sync::{PoisonError, RwLock};

use crate::store::redis::client::{connection::Connection, connector::Connector};

#[derive(Default)]
pub(super) struct Current(RwLock<Option<Connection>>);

impl Current {
    /// It, if another command may be sent over it.
    pub(super) fn get(&self, connector: &Connector) -> Option<Connection> {
        let current = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let serves = |open: &&Connection| open.has_room() && connector.is_good(open);
        current.as_ref().filter(serves).cloned()
    }

    /// A broken one is closed by the end of its last holder.
    pub(super) fn set(&self, connection: Option<Connection>) {
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *current, connection);
        drop(current);
        drop(before);
    }
}
