//! Identifier of a cache entry: pure.

use crate::directory::cached::envelope::Kind;

/// Identifier of an entry of a user.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct EntryId {
    pub(super) kind: Kind,
    pub(super) user: Box<str>,
    /// Platform id, for entries of a platform; otherwise empty.
    pub(super) name: Box<str>,
}
