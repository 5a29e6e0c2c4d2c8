//! The id of an entry of the cache: pure.

use crate::directory::cached::envelope::Kind;

/// The id of an entry of a user.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct EntryId {
    pub(super) kind: Kind,
    pub(super) user: Box<str>,
    /// Of a platform, else empty.
    pub(super) name: Box<str>,
}
