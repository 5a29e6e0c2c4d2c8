//! Claims: records by which a session of another library is taken over once. Specified in
//! `docs/import.md`.
//!
//! A claim is stored under an id that no token has, by the same versioned writes as a session. The
//! token of the new session is derived from it, from the old session's key, and from a key that is
//! in no store: two requests that know all three send the same cookie.

use std::{fmt, time::Duration};

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{
    clock::timestamp::Timestamp,
    error::{Error, ErrorKind},
    session::{
        expiry::{Deadlines, SessionExpiry},
        record::Record,
        reserved::CLAIM,
        token::{SessionId, Token},
        values::{Edits, Values},
        write_id::WriteId,
    },
};

/// Domain separation: of the ids of claims and of bars, and of tokens.
const CLAIM_DOMAIN: &[u8] = b"tower-redis-session/import/claim";
const BAR_DOMAIN: &[u8] = b"tower-redis-session/import/user";
const TOKEN_DOMAIN: &[u8] = b"tower-redis-session/import/token";

/// Who may take an old session over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub(crate) enum Claim {
    /// One request is creating the new session.
    Claimed(Target),
    /// The new session has been created.
    Done(Target),
    /// The old cookie opens nothing. Under a user's id: no old session of the user does.
    Closed,
}

/// The session that a claim is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Target {
    pub(crate) nonce: Nonce,
    pub(crate) id: SessionId,
}

/// Random bytes, another for each attempt to create a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Nonce([u8; 16]);

impl Nonce {
    pub(crate) fn generate() -> Result<Self, Error> {
        let mut bytes = [0; 16];
        // Fails closed: with a known nonce an attempt that was abandoned could be repeated.
        getrandom::fill(&mut bytes).map_err(Error::random_source)?;
        Ok(Self(bytes))
    }
}

/// The id of the claim on the old session under `key`.
pub(crate) fn claim_id(key: &str) -> SessionId {
    hashed(CLAIM_DOMAIN, key)
}

/// The id of the bar of a user: a claim that keeps the user's old sessions closed.
pub(crate) fn bar_id(user: &str) -> SessionId {
    hashed(BAR_DOMAIN, user)
}

fn hashed(domain: &[u8], name: &str) -> SessionId {
    let id: [u8; 32] = Sha256::new().chain_update(domain).chain_update(name).finalize().into();
    id.into()
}

impl Claim {
    /// The claim as a record of `version`, written at `now` and kept for `life`.
    pub(crate) fn record(
        &self,
        version: u64,
        writer: WriteId,
        now: Timestamp,
        life: Duration,
    ) -> Result<Record, Error> {
        let json = serde_json::to_vec(self).map_err(Error::value)?;
        let content = Edits::from([(CLAIM.into(), Some(json.into()))]);
        Ok(Record {
            version,
            writer,
            created: now,
            last_activity: now,
            deadlines: Deadlines::start(SessionExpiry::new(life), now, Duration::ZERO),
            // Distinguishes it from a visitor's session in its head: see `Record::is_session`.
            authenticated: Some(now),
            user: None,
            device: None,
            platform: None,
            values: Values::default().edited(&content),
            sealed: None,
            moved: None,
        })
    }

    /// The claim in a record.
    pub(crate) fn of(record: &Record) -> Result<Self, Error> {
        let json = record.values.find_reserved(CLAIM);
        let claim = json.and_then(|json| serde_json::from_slice(json).ok());
        claim.ok_or_else(|| Error::new(ErrorKind::Corrupt, "the claim of an import is unreadable"))
    }
}

/// A key from the configuration, the same on all instances and in no store.
#[derive(Clone)]
pub(crate) struct TakeOverKey(Box<[u8]>);

impl TakeOverKey {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The token of the session that is created under `nonce` for the old session under `key`.
    pub(crate) fn token(&self, nonce: &Nonce, key: &str) -> Result<Token, Error> {
        // No key is too long or too short for HMAC.
        let mac = Hmac::<Sha256>::new_from_slice(&self.0);
        let mut mac = mac.map_err(|_| Error::unavailable("the take-over key is unusable"))?;
        mac.update(TOKEN_DOMAIN);
        mac.update(&nonce.0);
        mac.update(key.as_bytes());
        Ok(Token::of_mac(mac.finalize().into_bytes().into()))
    }
}

impl fmt::Debug for TakeOverKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TakeOverKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use crate::session::{claim::*, token::TokenKind};

    #[test]
    fn a_claim_is_read_as_it_was_written_and_is_no_session() {
        let now = Timestamp::from_millis(1_704_067_200_000);
        let target = Target { nonce: Nonce([7; 16]), id: claim_id("a") };
        for claim in [Claim::Claimed(target), Claim::Done(target), Claim::Closed] {
            let record = claim.record(3, [1; 16], now, Duration::from_secs(60)).unwrap();
            let bytes = record.to_bytes();
            let read = Record::from_bytes(3, bytes.clone().into()).unwrap();
            assert_eq!(Claim::of(&read).unwrap(), claim);
            let head = Record::head_from_bytes(3, bytes.into()).unwrap();
            assert!(!head.is_session() && head.created() == now);
            assert!(head.end() >= now.saturating_add(Duration::from_secs(60)));
        }
        assert!(Claim::of(&Record::example()).is_err());
        assert!(Record::example().is_session());
    }

    #[test]
    fn each_part_of_a_token_counts() {
        let id = |key: &[u8], nonce, old| {
            let token = TakeOverKey::new(key).token(&Nonce(nonce), old).unwrap();
            TokenKind::named("").id(&token)
        };
        let one = id(b"key", [1; 16], "old");
        assert_eq!(one, id(b"key", [1; 16], "old"));
        let others = [id(b"yek", [1; 16], "old"), id(b"key", [2; 16], "old")];
        assert!(!others.contains(&one) && one != id(b"key", [1; 16], "odl"));
        assert_ne!(claim_id("a"), bar_id("a"));
    }
}
