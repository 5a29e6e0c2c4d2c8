//! Sealed records: their content is encrypted under a key derived from the token, which is in no
//! store.
//!
//! ```text
//! 0   nonce        24 bytes, random
//! 24  ciphertext   of the content, and 16 bytes of tag: XChaCha20-Poly1305
//! ```
//!
//! The associated data are the session's id, the record's version, and the head of the record
//! except the two times that a touch changes: a content moved to another session, combined from two
//! versions, or given to another user does not open. An earlier record restored as a whole does: no
//! store can prove that it holds the newest.

use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};

use crate::{
    error::{Error, ErrorKind},
    session::{
        record::Record,
        token::{SessionId, Token},
    },
};

const KEY_DOMAIN: &[u8] = b"tower-redis-session/seal";
const NONCE_LEN: usize = 24;

/// How a layer that seals its records treats an unsealed one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnsealedRecords {
    /// It is read, and sealed at its next write: while there are records from before sealing was
    /// turned on. Until then a party with write access to the store can still forge a session.
    Accept,
    /// It counts as corrupt: no session, and an event is emitted.
    Reject,
}

/// Seals `record` for storage under the id of `token`.
pub(crate) fn seal(token: &Token, id: &SessionId, record: &Record) -> Result<Record, Error> {
    let mut nonce = [0; NONCE_LEN];
    // Fails closed: without randomness nothing is stored.
    getrandom::fill(&mut nonce).map_err(Error::random_source)?;
    let (content, bound) = (record.content(), bound_to(id, record));
    let payload = Payload { msg: &content, aad: &bound };
    let sealed = cipher(token).encrypt(&XNonce::from(nonce), payload);
    // It fails only for contents of many gigabytes, and records are bounded far below that.
    let sealed = sealed.map_err(|_| Error::new(ErrorKind::TooLarge, "too much to be sealed"))?;
    Ok(record.closed([nonce.as_slice(), &sealed].concat().into()))
}

/// Opens the record; returns it unchanged if it was never sealed.
pub(crate) fn open(token: &Token, id: &SessionId, record: Record) -> Result<Record, Error> {
    let Some(sealed) = &record.sealed else { return Ok(record) };
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>().ok_or_else(unopened)?;
    let bound = bound_to(id, &record);
    let payload = Payload { msg: sealed, aad: &bound };
    // Fails closed: what does not open is never used.
    let content = cipher(token).decrypt(&XNonce::from(*nonce), payload).map_err(|_| unopened())?;
    record.opened(content.into())
}

fn cipher(token: &Token) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(&token.derive(KEY_DOMAIN).into())
}

fn bound_to(id: &SessionId, record: &Record) -> Vec<u8> {
    let mut bound = id.as_bytes().to_vec();
    bound.extend_from_slice(&record.version.to_be_bytes());
    record.append_fixed_head_to(&mut bound);
    bound
}

fn unopened() -> Error {
    Error::new(ErrorKind::Corrupt, "the sealed record does not open")
}

#[cfg(test)]
#[path = "records/tests.rs"]
mod tests;
