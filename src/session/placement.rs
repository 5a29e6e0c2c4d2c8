//! Placement: the tag by which all sessions of a user are stored together. Pure.

use std::{fmt, sync::Arc};

#[cfg(feature = "redis")]
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha1::{Digest as _, Sha1};

/// Domain separation of tags from other hashes of a user.
const DOMAIN: &str = "tower-redis-session/place";
/// Characters of a tag in the text of an id: the last ones.
#[cfg(feature = "redis")]
pub(crate) const TAG_TEXT_LEN: usize = 3;

/// The last two bytes of a session's token and id.
pub(crate) type Tag = [u8; 2];

/// Where the sessions of a user are stored: a store with a placement keeps all of them in one
/// place, which it finds by the id.
///
/// The last two bytes of a token, and with them of the id, are the tag of the session's user: the
/// first 16 bits of a SHA-1 of the salt and the user. The other 240 bits stay random. The hash
/// spreads users and keeps no secret: ids with equal tags are probably of one user, and who knows
/// the salt can test a user name with one false positive in 65,536.
///
/// ```
/// use tower_redis_session::store::Placement;
///
/// let placement = Placement::new("session:");
/// assert_eq!(placement.tag("alice"), Placement::new("session:").tag("alice"));
/// assert_ne!(placement.tag("alice"), Placement::new("shop:").tag("alice"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Placement {
    /// The salt, with what comes before and after it.
    salted: Arc<str>,
}

impl Placement {
    /// By a salt, which may not change afterwards: sessions placed by another one are found by
    /// their ids, but not by their user.
    ///
    /// ```
    /// # use tower_redis_session::store::Placement;
    /// let placement = Placement::new("a salt of this site");
    /// # drop(placement);
    /// ```
    pub fn new(salt: &str) -> Self {
        Self { salted: format!("{DOMAIN}\0{salt}\0").into() }
    }

    /// The last two bytes of the tokens and ids of the user's sessions.
    ///
    /// ```
    /// # use tower_redis_session::store::Placement;
    /// let tags: std::collections::BTreeSet<[u8; 2]> =
    ///     (0..1_000).map(|user| Placement::new("session:").tag(&user.to_string())).collect();
    /// assert!(tags.len() > 980);
    /// ```
    pub fn tag(&self, user: &str) -> [u8; 2] {
        let mut hash = Sha1::new();
        hash.update(self.salted.as_bytes());
        hash.update(user.as_bytes());
        let [high, low, ..] = <[u8; 20]>::from(hash.finalize());
        [high, low]
    }

    /// What a script hashes together with a user.
    #[cfg(feature = "redis")]
    pub(crate) fn salted(&self) -> &str {
        &self.salted
    }
}

/// A tag as the last characters of an id: 16 bits and two zeros.
#[cfg(feature = "redis")]
pub(crate) fn tag_text(tag: Tag) -> [u8; TAG_TEXT_LEN] {
    let mut text = [0; TAG_TEXT_LEN];
    // It has that very length.
    let _ = URL_SAFE_NO_PAD.encode_slice(tag, &mut text);
    text
}

#[cfg(feature = "redis")]
pub(crate) fn push_tag(tag: Tag, text: &mut String) {
    text.extend(tag_text(tag).map(char::from));
}

/// The salt may be confidential.
impl fmt::Debug for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Placement(..)")
    }
}

#[cfg(test)]
mod tests {
    use crate::session::placement::*;

    /// A change would move the lists of all users.
    #[test]
    fn tags_are_fixed() {
        let tag = |user| Placement::new("session:").tag(user);
        assert_eq!([tag("alice"), tag("bob"), tag("")], [[100, 144], [247, 20], [29, 57]]);
    }
}
