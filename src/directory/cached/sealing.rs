//! Encryption of cache entries: which are plain and which are ciphertext.

use std::{borrow::Cow, fmt};

use crate::directory::cached::{
    entry_id::EntryId,
    envelope::{self, Fault, Kind},
};
#[cfg(feature = "encryption")]
use crate::encryption::key_ring::{CACHE, KeyRing, UnsealError};

/// Encodes values for Redis, and decodes them.
#[derive(Debug, Default)]
pub(super) struct Sealing {
    #[cfg(feature = "encryption")]
    ring: Option<KeyRing>,
}

/// Why bytes from Redis are not used.
#[derive(Debug)]
pub(super) enum Unreadable {
    Envelope(Fault),
    #[cfg(feature = "encryption")]
    Sealed(UnsealError),
    /// Fails closed: the entry should be sealed, and there is no key ring to open it.
    NoKey,
    /// The payload does not decode to its type.
    Payload,
}

impl Sealing {
    #[cfg(feature = "encryption")]
    pub(super) fn with(ring: KeyRing) -> Self {
        Self { ring: Some(ring) }
    }

    /// Whether entries of this kind may be cached.
    pub(super) fn can_keep(&self, kind: Kind) -> bool {
        match kind {
            Kind::User | Kind::Platforms | Kind::Settings => true,
            Kind::Credentials => self.has_key(),
        }
    }

    /// `None` for a value that may not be cached.
    pub(super) fn pack(&self, entry_id: &EntryId, key: &str, payload: &[u8]) -> Option<Vec<u8>> {
        match entry_id.kind {
            Kind::User | Kind::Platforms | Kind::Settings => envelope::wrap(entry_id.kind, payload),
            Kind::Credentials => self.seal(entry_id, key, payload),
        }
    }

    pub(super) fn unpack<'a>(
        &self,
        entry_id: &EntryId,
        key: &str,
        entry: &'a [u8],
    ) -> Result<Cow<'a, [u8]>, Unreadable> {
        let payload = envelope::unwrap(entry_id.kind, entry).map_err(Unreadable::Envelope)?;
        match entry_id.kind {
            Kind::User | Kind::Platforms | Kind::Settings => Ok(Cow::Borrowed(payload)),
            Kind::Credentials => self.open(entry_id, key, payload).map(Cow::Owned),
        }
    }
}

#[cfg(feature = "encryption")]
impl Sealing {
    fn has_key(&self) -> bool {
        self.ring.is_some()
    }

    fn seal(&self, entry_id: &EntryId, key: &str, payload: &[u8]) -> Option<Vec<u8>> {
        let sealed = self.ring.as_ref()?.seal_in(CACHE, &parts(entry_id, key), payload);
        let sealed =
            sealed.inspect_err(|error| tracing::error!(%error, "directory entry not sealed"));
        envelope::wrap(entry_id.kind, &sealed.ok()?)
    }

    fn open(&self, entry_id: &EntryId, key: &str, sealed: &[u8]) -> Result<Vec<u8>, Unreadable> {
        let ring = self.ring.as_ref().ok_or(Unreadable::NoKey)?;
        ring.open_in(CACHE, &parts(entry_id, key), sealed).map_err(Unreadable::Sealed)
    }
}

/// Associated data: the full key, and the name under it.
#[cfg(feature = "encryption")]
fn parts<'a>(entry_id: &'a EntryId, key: &'a str) -> [&'a [u8]; 2] {
    [key.as_bytes(), entry_id.name.as_bytes()]
}

#[cfg(not(feature = "encryption"))]
#[allow(clippy::unused_self, reason = "the same shape with and without keys")]
impl Sealing {
    fn has_key(&self) -> bool {
        false
    }

    fn seal(&self, _: &EntryId, _: &str, _: &[u8]) -> Option<Vec<u8>> {
        None
    }

    fn open(&self, _: &EntryId, _: &str, _: &[u8]) -> Result<Vec<u8>, Unreadable> {
        Err(Unreadable::NoKey)
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Envelope(fault) => fault.fmt(f),
            #[cfg(feature = "encryption")]
            Self::Sealed(unopened) => unopened.fmt(f),
            Self::NoKey => f.write_str("sealed, and there is no key ring"),
            Self::Payload => f.write_str("not of the requested type"),
        }
    }
}
