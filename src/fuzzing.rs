//! What the fuzz targets in `fuzz/` call: every place where bytes of strangers are read. Built only
//! with `--cfg fuzzing`.

use std::time::Duration;

use crate::{
    SessionId, Timestamp,
    csrf::{self, Claim, CsrfKey},
    session::{record::Record, token::Token},
    transport::cookie,
};

/// The `Cookie` lines of a request, as a client may have written them; how many tokens came of it.
pub fn cookie_header(lines: &[&[u8]], name: &str) -> usize {
    let found = cookie::find(lines.iter().copied(), name);
    let pairs = lines.iter().flat_map(|line| line.split(|byte| *byte == b';'));
    // A pair of ours has the name's bytes, behind nothing but space and tab.
    let ours = pairs.filter(|pair| {
        let start = pair.iter().position(|byte| !matches!(byte, b' ' | b'\t'));
        start.and_then(|start| pair.get(start..)).is_some_and(|pair| {
            pair.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.contains(&b'='))
        })
    });
    assert!(found.len() <= ours.count(), "a token was found in a pair that is not ours");
    for token in &found {
        let text = token.encode();
        let sent = |line: &&[u8]| line.windows(text.len()).any(|part| part == text.as_bytes());
        assert!(lines.iter().any(sent), "a token was found that was not sent");
    }
    found.len()
}

/// The bytes of a record, as an attacker with write access to the store may have left them.
pub fn record_decode(version: u64, bytes: &[u8]) -> bool {
    let head = Record::head_from_bytes(version, bytes.to_vec().into());
    let Ok(record) = Record::from_bytes(version, bytes.to_vec().into()) else { return false };
    assert!(head.is_ok_and(|head| head.user() == record.user()), "a record has its head");
    let again = record.to_bytes();
    assert_eq!(again.len(), bytes.len(), "every byte that is read is written again");
    let twice = Record::from_bytes(version, again.into());
    assert!(twice.is_ok_and(|twice| twice == record), "a record reads as it was written");
    true
}

/// A record with content forged without the token: it never opens.
#[cfg(feature = "encryption")]
pub fn sealed(version: u64, bytes: &[u8]) -> bool {
    let Some(token) = Token::parse(&[b'A'; 43]) else { return false };
    let Ok(record) = Record::from_bytes(version, bytes.to_vec().into()) else { return false };
    let made_up = record.is_sealed();
    let opened = crate::encryption::records::open(&token, &token.id(), record);
    assert!(!made_up || opened.is_err(), "a forged record was opened");
    made_up
}

/// The text of a session's id, as it may come from a form or a path.
pub fn session_id_parse(text: &str) -> bool {
    let Ok(id) = text.parse::<SessionId>() else { return false };
    assert_eq!(id.to_string(), text, "an id has one text");
    true
}

/// The text of a token, as it may come in a cookie.
pub fn token(text: &[u8]) -> bool {
    let Some(token) = Token::parse(text) else { return false };
    assert_eq!(token.encode().as_bytes(), text, "a token has one text");
    true
}

/// The text of a CSRF token, from a header or a form.
pub fn csrf_token(text: &[u8]) -> bool {
    let Ok(claim) = Claim::parse(text) else { return false };
    let (now, lifetime) = (Timestamp::from_millis(0), Duration::MAX);
    let key = Token::generate().map(|token| CsrfKey::of_session(&token));
    let verified = key.is_ok_and(|key| key.verify(&claim, now, lifetime).is_ok());
    assert!(!verified, "a token was made up");
    true
}

/// The body of a form, in which one field is looked for.
pub fn csrf_form(form: &[u8], name: &str) -> bool {
    let Ok(value) = csrf::field(form, name) else { return false };
    assert!(value.len() <= form.len(), "more came out than went in");
    true
}
