//! Encryption keys for data at rest, and their rotation.

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};

use crate::error::{ConfigError, Error};

/// Bytes in a key.
const KEY_LEN: usize = 32;
/// Bytes in a nonce: enough for random nonces without a limit on messages.
const NONCE_LEN: usize = 24;
/// Longest id of a key, in bytes.
const ID_MAX: usize = 32;
/// Domain of what the crate seals in its caches, apart from all else sealed with the same key.
#[cfg(any(test, feature = "redis"))]
pub(crate) const CACHE: &[u8] = b"tower-redis-session/key-ring/1";
/// Domain of what the application seals.
const APPLICATION: &[u8] = b"tower-redis-session/key-ring/application/1";

/// Encryption keys for data at rest: the first one seals, all of them open. For the credentials in
/// a `CachedDirectory`, and for the application's own, in its database.
///
/// The cipher is XChaCha20-Poly1305 with a random nonce each time; the ciphertext is bound to the
/// place where it is stored. A key has 32 bytes from a random source, as base64url (RFC 4648
/// section 5), with or without its one padding character: `openssl rand -base64 32 | tr '+/' '-_'`.
///
/// To rotate the key: add the new one behind the old on every instance, then move it to the front
/// on every instance, then remove the old one: for a cache one time to live later, for the
/// application's own data once every row was opened and sealed again. A cache entry sealed under a
/// key that an instance does not have is loaded from the source instead, without an error.
///
/// ```
/// use tower_redis_session::encryption::KeyRing;
///
/// let ring: KeyRing = "2026b:ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8,\
///                      2026a:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
///     .parse()?;
/// assert_eq!(format!("{ring:?}"), r#"KeyRing(["2026b", "2026a"])"#);
/// # Ok::<(), tower_redis_session::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct KeyRing(Vec<Key>);

#[derive(Clone)]
struct Key {
    id: Box<str>,
    cipher: XChaCha20Poly1305,
}

/// Why opening failed; see [`KeyRing::open`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnsealError {
    /// It is not in the format of [`KeyRing::seal`].
    Malformed,
    /// Sealed under a key that is not on the ring.
    UnknownKey,
    /// Modified, moved from another place, or sealed under another key with the same id.
    Refused,
}

impl KeyRing {
    /// Keys with their ids; the first one seals. An id has 1 to 32 printable ASCII characters
    /// without space, `:` and `,`, and is stored with what its key sealed.
    ///
    /// # Errors
    ///
    /// An invalid key or id, a duplicate id, or no key at all; the text never contains a key.
    ///
    /// ```
    /// # use tower_redis_session::encryption::KeyRing;
    /// assert!(KeyRing::new([("a", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8")]).is_ok());
    /// assert!(KeyRing::new([("a", "too short")]).is_err());
    /// ```
    pub fn new<I, K>(keys: impl IntoIterator<Item = (I, K)>) -> Result<Self, ConfigError>
    where
        I: AsRef<str>,
        K: AsRef<str>,
    {
        let fault = |fault: &'static str| ConfigError::new("key ring", fault);
        let mut ring = Self(Vec::new());
        for (id, key) in keys {
            let id = id.as_ref();
            let fine = |byte: u8| byte.is_ascii_graphic() && !b":,".contains(&byte);
            if id.is_empty() || id.len() > ID_MAX || !id.bytes().all(fine) {
                return Err(fault("the id of a key is not 1 to 32 printable characters"));
            }
            if ring.key(id.as_bytes()).is_some() {
                return Err(fault("two keys have the same id"));
            }
            let bytes = decode(key.as_ref());
            let bytes = bytes.ok_or_else(|| fault("a key is not 32 bytes in base64url"))?;
            ring.0.push(Key { id: id.into(), cipher: XChaCha20Poly1305::new(&bytes.into()) });
        }
        if ring.0.is_empty() { Err(fault("there is no key")) } else { Ok(ring) }
    }

    /// Seals for a place named by its parts, such as a table, a column and a row's id: a ciphertext
    /// moved to another place does not open there. Returns the length of the key's id (1 byte), the
    /// id, the nonce (24 bytes), the ciphertext and its tag (16 bytes more than `plain`).
    ///
    /// # Errors
    ///
    /// `Unavailable` if the operating system's random source fails.
    ///
    /// ```
    /// # use tower_redis_session::encryption::KeyRing;
    /// let ring = KeyRing::new([("a", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8")])?;
    /// let sealed = ring.seal(&[b"platforms.token", b"7"], b"an access token")?;
    /// assert_eq!(ring.open(&[b"platforms.token", b"7"], &sealed)?, b"an access token");
    /// assert!(ring.open(&[b"platforms.token", b"8"], &sealed).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn seal(&self, place: &[&[u8]], plain: &[u8]) -> Result<Vec<u8>, Error> {
        self.seal_in(APPLICATION, place, plain)
    }

    /// Opens what [`seal`](Self::seal) has sealed for that place, under any key of the ring.
    ///
    /// # Errors
    ///
    /// The cause; no part of the plain text is returned then.
    ///
    /// ```
    /// # use tower_redis_session::encryption::{KeyRing, UnsealError};
    /// let old = KeyRing::new([("a", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8")])?;
    /// let new = KeyRing::new([("b", "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8")])?;
    /// let sealed = old.seal(&[b"here"], b"a secret")?;
    /// assert_eq!(new.open(&[b"here"], &sealed), Err(UnsealError::UnknownKey));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open(&self, place: &[&[u8]], sealed: &[u8]) -> Result<Vec<u8>, UnsealError> {
        self.open_in(APPLICATION, place, sealed)
    }

    pub(crate) fn seal_in(
        &self,
        domain: &[u8],
        place: &[&[u8]],
        plain: &[u8],
    ) -> Result<Vec<u8>, Error> {
        let Some(key) = self.0.first() else {
            return Err(Error::unavailable("no key to seal with"));
        };
        let mut nonce = [0; NONCE_LEN];
        // Fails closed: without randomness nothing is sealed.
        getrandom::fill(&mut nonce).map_err(Error::random_source)?;
        let associated = associated(domain, &key.id, place);
        let payload = Payload { msg: plain, aad: &associated };
        let sealed = key.cipher.encrypt(&XNonce::from(nonce), payload);
        let sealed = sealed.map_err(|_| Error::unavailable("too much to seal"))?;
        let length = u8::try_from(key.id.len()).unwrap_or(u8::MAX);
        Ok([&[length][..], key.id.as_bytes(), &nonce, &sealed].concat())
    }

    pub(crate) fn open_in(
        &self,
        domain: &[u8],
        place: &[&[u8]],
        sealed: &[u8],
    ) -> Result<Vec<u8>, UnsealError> {
        let (length, rest) = sealed.split_first().ok_or(UnsealError::Malformed)?;
        let (id, rest) = rest.split_at_checked((*length).into()).ok_or(UnsealError::Malformed)?;
        let (nonce, rest) = rest.split_first_chunk::<NONCE_LEN>().ok_or(UnsealError::Malformed)?;
        let key = self.key(id).ok_or(UnsealError::UnknownKey)?;
        let associated = associated(domain, &key.id, place);
        let payload = Payload { msg: rest, aad: &associated };
        key.cipher.decrypt(&XNonce::from(*nonce), payload).map_err(|_| UnsealError::Refused)
    }

    fn key(&self, id: &[u8]) -> Option<&Key> {
        self.0.iter().find(|key| key.id.as_bytes() == id)
    }
}

/// `id:key,id:key`, as in an environment variable.
impl FromStr for KeyRing {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let pairs = text.split(',').map(|pair| pair.trim().split_once(':'));
        let pairs: Option<Vec<_>> = pairs.collect();
        Self::new(pairs.ok_or_else(|| ConfigError::new("key ring", "is not of the form id:key"))?)
    }
}

fn decode(text: &str) -> Option<[u8; KEY_LEN]> {
    let mut bytes = [0; KEY_LEN];
    let text = text.strip_suffix('=').unwrap_or(text);
    let length = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?;
    (length == KEY_LEN).then_some(bytes)
}

/// Each part with its length, so that no two lists of parts encode the same.
fn associated(domain: &[u8], id: &str, place: &[&[u8]]) -> Vec<u8> {
    let mut associated = Vec::new();
    for part in [domain, id.as_bytes()].iter().chain(place) {
        let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
        associated.extend_from_slice(&length.to_be_bytes());
        associated.extend_from_slice(part);
    }
    associated
}

impl fmt::Display for UnsealError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "what is sealed is cut short",
            Self::UnknownKey => "sealed under a key that is not on the ring",
            Self::Refused => "changed, moved or sealed under another key",
        })
    }
}

impl std::error::Error for UnsealError {}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<_> = self.0.iter().map(|key| &key.id).collect();
        f.debug_tuple("KeyRing").field(&ids).finish()
    }
}

#[cfg(test)]
#[path = "key_ring/tests.rs"]
mod tests;
