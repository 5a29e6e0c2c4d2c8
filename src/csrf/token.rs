//! CSRF token: time of issue, a nonce, and a MAC of both under a key from the session's secret.
//!
//! ```text
//! 0   issued   8 bytes, milliseconds since 1970, big endian
//! 8   nonce    16 bytes, random
//! 24  mac      32 bytes, HMAC-SHA-256 (RFC 2104) of a domain and the 24 bytes before it
//! ```
//!
//! As text 75 characters of unpadded base64url (RFC 4648 section 5). No two tokens are equal, so
//! that the size of a compressed page reveals nothing about its token.

use std::{fmt, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::{
    clock::timestamp::Timestamp, csrf::error::CsrfErrorKind, error::Error, session::token::Token,
};

const HEAD_LEN: usize = 24;
const LEN: usize = HEAD_LEN + 32;
/// Length as unpadded base64url.
const TEXT_LEN: usize = 75;
/// Allowed difference between the clocks of two servers.
const CLOCK_SKEW: Duration = Duration::from_secs(60);

const SESSION_DOMAIN: &[u8] = b"tower-redis-session/csrf";
const VISITOR_DOMAIN: &[u8] = b"tower-redis-session/csrf-visitor";
const MAC_DOMAIN: &[u8] = b"tower-redis-session/csrf-token";

/// Proof that a form or a script belongs to this session's own pages; made by
/// [`SessionContext::csrf_token`](crate::SessionContext::csrf_token).
///
/// 75 letters, digits, `-` and `_`, so it needs no escaping in HTML, in a header or in a form. With
/// it another site can send requests for this one session: put it into pages, never into URLs or
/// logs. `Debug` does not show it.
///
/// ```
/// # tower_redis_session::testing::handle(|session| async move {
/// let token = session.csrf_token().await?;
/// let field = format!(r#"<input type="hidden" name="csrf_token" value="{token}">"#);
/// assert!(field.contains(token.as_str()));
/// assert_eq!(format!("{token:?}"), "CsrfToken(..)");
/// # Ok(()) });
/// ```
#[derive(Clone)]
pub struct CsrfToken(String);

impl CsrfToken {
    /// The text for a header or a form field.
    ///
    /// ```
    /// # tower_redis_session::testing::handle(|session| async move {
    /// assert_eq!(session.csrf_token().await?.as_str().len(), 75);
    /// # Ok(()) });
    /// ```
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CsrfToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for CsrfToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CsrfToken(..)")
    }
}

/// The key of the tokens of one session, or of one visitor without a session.
pub(crate) struct CsrfKey([u8; 32]);

impl CsrfKey {
    pub(crate) fn of_session(token: &Token) -> Self {
        Self(token.derive(SESSION_DOMAIN))
    }

    pub(crate) fn of_visitor(token: &Token) -> Self {
        Self(token.derive(VISITOR_DOMAIN))
    }

    pub(crate) fn issue(&self, now: Timestamp) -> Result<CsrfToken, Error> {
        let mut nonce = [0; HEAD_LEN - 8];
        // Fails closed: without randomness there is no token.
        getrandom::fill(&mut nonce).map_err(Error::random_source)?;
        let mut bytes = [now.as_millis().to_be_bytes().as_slice(), &nonce].concat();
        let mac = self.mac(&bytes).map(|mac| mac.finalize().into_bytes());
        bytes.extend_from_slice(&mac.ok_or_else(|| Error::unavailable("no key for a token"))?);
        Ok(CsrfToken(URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// Verifies that it was issued with this key, less than `lifetime` ago. One from more than a
    /// minute in the future is foreign.
    pub(crate) fn verify(
        &self,
        claim: &Claim,
        now: Timestamp,
        lifetime: Duration,
    ) -> Result<(), CsrfErrorKind> {
        let mac = self.mac(&claim.head).ok_or(CsrfErrorKind::Foreign)?;
        // In constant time, and before the time is checked: only an authentic token can be expired.
        mac.verify_slice(&claim.mac).map_err(|_| CsrfErrorKind::Foreign)?;
        let issued = claim.issued();
        if issued.saturating_since(now) > CLOCK_SKEW {
            return Err(CsrfErrorKind::Foreign);
        }
        if now.saturating_since(issued) >= lifetime { Err(CsrfErrorKind::Expired) } else { Ok(()) }
    }

    fn mac(&self, head: &[u8]) -> Option<Hmac<Sha256>> {
        let mac = Hmac::<Sha256>::new_from_slice(&self.0).ok()?;
        Some(mac.chain_update(MAC_DOMAIN).chain_update(head))
    }
}

/// A received token, well-formed and not verified.
pub(crate) struct Claim {
    head: [u8; HEAD_LEN],
    mac: [u8; LEN - HEAD_LEN],
}

impl Claim {
    /// Reads the one exact form: 75 characters of canonical, unpadded base64url.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, CsrfErrorKind> {
        if text.is_empty() {
            return Err(CsrfErrorKind::Missing);
        }
        let mut bytes = [0; LEN];
        if text.len() != TEXT_LEN
            || URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok() != Some(LEN)
        {
            return Err(CsrfErrorKind::Malformed);
        }
        let (head, mac) = bytes.split_first_chunk().ok_or(CsrfErrorKind::Malformed)?;
        Ok(Self { head: *head, mac: mac.try_into().map_err(|_| CsrfErrorKind::Malformed)? })
    }

    fn issued(&self) -> Timestamp {
        let [a, b, c, d, e, f, g, h, ..] = self.head;
        Timestamp::from_millis(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
    }
}

impl fmt::Debug for CsrfKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CsrfKey(..)")
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Claim(..)")
    }
}

#[cfg(test)]
#[path = "token/tests.rs"]
mod tests;
