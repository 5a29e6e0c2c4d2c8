//! Django's table: `django.core.signing.dumps` of the values, compressed if that is shorter.
//!
//! ```text
//! [.]<base64url of JSON, behind a dot of zlib of JSON>:<time in base 62>:<base64url of the MAC>
//! ```
//!
//! The MAC is HMAC-SHA-256 under the SHA-256 of a salt and the SECRET_KEY.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use miniz_oxide::inflate::{TINFLStatus, decompress_to_vec_zlib_with_limit};
use sha2::{Digest as _, Sha256};

use crate::import::{
    cookie::signature::verify_sha256,
    error::{ImportError, ImportErrorKind},
    imported::Imported,
    stored::{BYTES_MAX, executable, json_objects},
};

/// Django's salt for sessions, and what its signer appends.
const SALT: &[u8] = b"django.contrib.sessions.SessionStoresigner";

/// `keys` are the SECRET_KEY and its fallbacks.
pub(crate) fn decode<'a>(
    stored: &[u8],
    mut keys: impl Iterator<Item = &'a [u8]>,
) -> Result<Imported, ImportError> {
    let text = std::str::from_utf8(stored).map_err(|_| malformed())?;
    let (signed, mac) = text.rsplit_once(':').ok_or_else(malformed)?;
    let mac = URL_SAFE_NO_PAD.decode(mac).map_err(|_| malformed())?;
    let is_signed_by = |key: &[u8]| {
        let key = Sha256::new().chain_update(SALT).chain_update(key).finalize();
        verify_sha256(&key, &[signed.as_bytes()], &mac)
    };
    // Fails closed: nothing is decoded that Django did not sign.
    if !keys.any(is_signed_by) {
        let text = "no SECRET_KEY verifies the signature";
        return Err(ImportError::new(ImportErrorKind::Unverified, text));
    }
    let (data, _time) = signed.rsplit_once(':').ok_or_else(malformed)?;
    content(data)
}

/// The values, in what a signature has verified.
pub(crate) fn content(data: &str) -> Result<Imported, ImportError> {
    let compressed = data.strip_prefix('.');
    let bytes = URL_SAFE_NO_PAD.decode(compressed.unwrap_or(data)).map_err(|_| malformed())?;
    let bytes = if compressed.is_some() { inflate(&bytes)? } else { bytes };
    executable::reject(&bytes)?;
    json_objects::object(&bytes)
}

fn inflate(bytes: &[u8]) -> Result<Vec<u8>, ImportError> {
    decompress_to_vec_zlib_with_limit(bytes, BYTES_MAX).map_err(|error| match error.status {
        TINFLStatus::HasMoreOutput => ImportError::too_large("more than 1 MiB when decompressed"),
        _ => ImportError::malformed("not zlib"),
    })
}

fn malformed() -> ImportError {
    ImportError::malformed("not the signed text of Django")
}
