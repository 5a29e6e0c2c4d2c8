//! Signatures of cookies: the `cookie` crate's, express', itsdangerous'.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;
use sha2::Sha256;

/// HMAC-SHA-256 as padded base64.
const DIGEST_TEXT_LEN: usize = 44;
/// The salt of Flask-Session's signer.
const FLASK_SALT: &[u8] = b"flask-session";

/// The id behind its MAC, as the `cookie` crate signs it: by the first half of the key. `bound` is
/// what axum_session appends to the id before it signs.
pub(crate) fn cookie_crate<'a>(value: &'a str, bound: &str, key: &[u8]) -> Option<&'a str> {
    let (mac, id) = value.split_at_checked(DIGEST_TEXT_LEN)?;
    let mac = STANDARD.decode(mac).ok()?;
    verify_sha256(key.get(..32)?, &[id.as_bytes(), bound.as_bytes()], &mac).then_some(id)
}

/// The id of `s:<id>.<MAC>`.
pub(crate) fn express<'a>(value: &'a str, secret: &[u8]) -> Option<&'a str> {
    let (id, mac) = value.strip_prefix("s:")?.rsplit_once('.')?;
    let mac = STANDARD_NO_PAD.decode(mac).ok()?;
    verify_sha256(secret, &[id.as_bytes()], &mac).then_some(id)
}

/// The id of `<id>.<MAC>`, as itsdangerous' `Signer` signs it for Flask-Session: HMAC-SHA-1 under
/// a key that is HMAC-SHA-1 of the salt.
pub(crate) fn flask<'a>(value: &'a str, secret: &[u8]) -> Option<&'a str> {
    let (id, mac) = value.rsplit_once('.')?;
    let mac = URL_SAFE_NO_PAD.decode(mac).ok()?;
    let key = sha1(secret, FLASK_SALT)?.finalize().into_bytes();
    sha1(&key, id.as_bytes())?.verify_slice(&mac).ok()?;
    Some(id)
}

/// Compares in constant time.
pub(crate) fn verify_sha256(key: &[u8], parts: &[&[u8]], mac: &[u8]) -> bool {
    let Ok(mut hmac) = Hmac::<Sha256>::new_from_slice(key) else { return false };
    for part in parts {
        hmac.update(part);
    }
    hmac.verify_slice(mac).is_ok()
}

fn sha1(key: &[u8], message: &[u8]) -> Option<Hmac<Sha1>> {
    let mut hmac = Hmac::<Sha1>::new_from_slice(key).ok()?;
    hmac.update(message);
    Some(hmac)
}
