//! Private cookies of the `cookie` crate, and axum_session's encrypted records: base64 of a nonce
//! of 12 bytes, AES-256-GCM under the second half of the key, and the tag of 16.

use aes_gcm::{
    Aes256Gcm, KeyInit as _,
    aead::{Aead as _, Payload},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};

const NONCE_LEN: usize = 12;

/// The text, bound to `name`: the cookie's name, or the session's id.
pub(crate) fn open(name: &str, sealed: &[u8], key: &[u8]) -> Option<String> {
    let sealed = STANDARD.decode(sealed).ok()?;
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>()?;
    let key: [u8; 32] = key.get(32..64)?.try_into().ok()?;
    let payload = Payload { msg: sealed, aad: name.as_bytes() };
    let text = Aes256Gcm::new(&key.into()).decrypt(&(*nonce).into(), payload).ok()?;
    String::from_utf8(text).ok()
}
