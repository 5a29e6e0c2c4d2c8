//! The name that an identity provider has for a sign-in, as its hash.

use sha2::{Digest as _, Sha256};

use crate::session::token::SessionId;

/// Maximum length of a name, in bytes.
pub(crate) const NAME_MAX: usize = 1_024;
/// Domain separation from the ids of sessions: no token opens what is stored under such a hash.
const DOMAIN: &[u8] = b"tower-redis-session/external-id/";

/// The hash of a name: stored with the session, and the key of the [sign-ins] of the name.
///
/// [sign-ins]: crate::session::sign_ins
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ExternalId(SessionId);

impl ExternalId {
    pub(crate) fn of(name: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(DOMAIN);
        hash.update(name);
        Self(SessionId::from(<[u8; 32]>::from(hash.finalize())))
    }

    /// From the text of [`key`](Self::key).
    pub(crate) fn parse(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }

    /// The id under which a store keeps the sign-ins of the name.
    pub(crate) const fn key(&self) -> &SessionId {
        &self.0
    }
}
