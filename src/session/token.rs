//! The secret in the cookie, and the public id derived from it.

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};

#[cfg(feature = "redis")]
use crate::session::placement::push_tag;
use crate::{
    error::{Error, ErrorKind},
    session::placement::Tag,
};

/// Bytes in a token and in an id.
const LEN: usize = 32;
/// The same as unpadded base64url.
pub(crate) const TEXT_LEN: usize = 43;
/// Domain separation of ids from other hashes of a token.
const ID_DOMAIN: &[u8] = b"tower-redis-session/id/";
/// Length of the hash of a kind's name: with the token it fits one block of the hash.
const KIND_LEN: usize = 23;

/// The secret that a cookie carries. It is never stored, printed or compared, except for its last
/// two bytes.
#[derive(Clone)]
pub(crate) struct Token([u8; LEN]);

impl Token {
    /// 256 bits from the operating system's random source.
    pub(crate) fn generate() -> Result<Self, Error> {
        Self::drawn_by(getrandom::fill)
    }

    fn drawn_by(
        fill: impl FnOnce(&mut [u8]) -> Result<(), getrandom::Error>,
    ) -> Result<Self, Error> {
        let mut bytes = [0; LEN];
        // Fails closed: without randomness there is no token, never a weak one.
        fill(&mut bytes).map_err(Error::random_source)?;
        Ok(Self(bytes))
    }

    /// The same with the tag of a placement in its last bytes.
    pub(crate) fn tagged(mut self, tag: Tag) -> Self {
        let [.., high, low] = &mut self.0;
        [*high, *low] = tag;
        self
    }

    /// From a keyed hash, where two requests have to send the same token.
    pub(crate) const fn of_mac(mac: [u8; LEN]) -> Self {
        Self(mac)
    }

    /// Parses the only accepted form: 43 characters of canonical, unpadded base64url.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        decode(text).map(Self)
    }

    /// The text for the cookie.
    pub(crate) fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// An id that no layer derives from this token.
    #[cfg(any(test, fuzzing, feature = "testing"))]
    pub(crate) fn id(&self) -> SessionId {
        TokenKind::named("").id(self)
    }

    /// A secret or an id for each `domain`; none reveals the token or another.
    pub(crate) fn derive(&self, domain: &[u8]) -> [u8; LEN] {
        let mut hash = Sha256::new();
        hash.update(domain);
        hash.update(self.0);
        hash.finalize().into()
    }
}

/// The kind of a layer's tokens: a token of another kind opens no session there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TokenKind([u8; KIND_LEN]);

impl TokenKind {
    pub(crate) fn named(name: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(ID_DOMAIN);
        hash.update(name);
        let mut kind = [0; KIND_LEN];
        for (place, byte) in kind.iter_mut().zip(hash.finalize()) {
            *place = byte;
        }
        Self(kind)
    }

    /// The public id of the session that `token` opens: a hash of the token, and in the last two
    /// bytes those of the token, by which a [`Placement`](crate::store::Placement) finds
    /// it.
    pub(crate) fn id(&self, token: &Token) -> SessionId {
        let mut id = token.derive(&self.0);
        let ([.., high, low], [.., a, b]) = (&mut id, token.0);
        [*high, *low] = [a, b];
        SessionId(id)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// The public id of a session: its key in the store, in logs and in lists of devices.
///
/// A hash of the secret in the cookie, so it may be shown: it cannot be used to sign in. Formatted
/// as 43 characters of unpadded base64url (RFC 4648 section 5), and parsed from them.
///
/// ```
/// use tower_redis_session::SessionId;
///
/// let text = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
/// let id: SessionId = text.parse()?;
/// assert_eq!(id.to_string(), text);
/// assert!("not an id".parse::<SessionId>().is_err());
/// # Ok::<(), tower_redis_session::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId([u8; LEN]);

impl SessionId {
    /// The 32 bytes of the id, for stores that keep binary keys.
    ///
    /// ```
    /// # use tower_redis_session::SessionId;
    /// let id: SessionId = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8".parse()?;
    /// assert_eq!(id.as_bytes()[31], 31);
    /// # Ok::<(), tower_redis_session::Error>(())
    /// ```
    pub const fn as_bytes(&self) -> &[u8; LEN] {
        &self.0
    }

    /// The last two bytes, which are those of the token: for the sessions of a user the tag of a
    /// placement.
    pub(crate) fn tag(&self) -> Tag {
        let [.., high, low] = self.0;
        [high, low]
    }

    /// Appends the 43 characters, the last three of them in braces, without an allocation of their
    /// own.
    #[cfg(feature = "redis")]
    pub(crate) fn push_key_to(&self, text: &mut String) {
        let [start @ .., high, low] = &self.0;
        URL_SAFE_NO_PAD.encode_string(start, text);
        text.push('{');
        push_tag([*high, *low], text);
        text.push('}');
    }
}

impl FromStr for SessionId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        decode(text.as_bytes())
            .map(Self)
            .ok_or_else(|| Error::new(ErrorKind::Invalid, "not a session id"))
    }
}

/// From the bytes that [`as_bytes`](SessionId::as_bytes) returned.
///
/// ```
/// # use tower_redis_session::SessionId;
/// let id = SessionId::from([7; 32]);
/// assert_eq!(SessionId::from(*id.as_bytes()), id);
/// ```
impl From<[u8; LEN]> for SessionId {
    fn from(bytes: [u8; LEN]) -> Self {
        Self(bytes)
    }
}

/// From a column of bytes; `Invalid` if there are not 32.
///
/// ```
/// # use tower_redis_session::SessionId;
/// assert!(SessionId::try_from([7; 32].as_slice()).is_ok());
/// assert!(SessionId::try_from([7; 16].as_slice()).is_err());
/// ```
impl TryFrom<&[u8]> for SessionId {
    type Error = Error;

    fn try_from(bytes: &[u8]) -> Result<Self, Error> {
        let bytes = <[u8; LEN]>::try_from(bytes);
        bytes.map(Self).map_err(|_| Error::new(ErrorKind::Invalid, "not the bytes of a session id"))
    }
}

impl AsRef<[u8]> for SessionId {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; TEXT_LEN];
        let len = URL_SAFE_NO_PAD.encode_slice(self.0, &mut text).map_err(|_| fmt::Error)?;
        let text = text.get(..len).and_then(|text| std::str::from_utf8(text).ok());
        f.write_str(text.ok_or(fmt::Error)?)
    }
}

/// As text, as `Display` prints it.
impl Serialize for SessionId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// From the text that `FromStr` parses.
impl<'de> Deserialize<'de> for SessionId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({self})")
    }
}

fn decode(text: &[u8]) -> Option<[u8; LEN]> {
    if text.len() != TEXT_LEN {
        return None;
    }
    let mut bytes = [0; LEN];
    // The engine rejects padding, foreign characters and non-zero trailing bits.
    let len = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?;
    (len == LEN).then_some(bytes)
}

#[cfg(test)]
#[path = "token/tests.rs"]
mod tests;
