//! What the fuzz targets in `fuzz/` call: every place where bytes of strangers are read. Built only
//! with `--cfg fuzzing`.

use std::time::Duration;

#[cfg(feature = "import")]
use crate::import::{Format, Imported, Importer};
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

/// The reply of a Redis node to `CLUSTER SLOTS`, as it comes over the wire.
#[cfg(feature = "redis")]
pub fn cluster_slots(reply: &[u8]) -> bool {
    crate::store::redis::client::cluster::fuzzed::slots(reply)
}

/// The text of a redirect by a Redis node, behind its code.
#[cfg(feature = "redis")]
pub fn cluster_redirect(detail: &str) -> bool {
    crate::store::redis::client::cluster::fuzzed::redirect(detail)
}

/// The stored bytes of another library's session, of each format; how many could be read.
#[cfg(feature = "import")]
pub fn import_stored(bytes: &[u8]) -> usize {
    // An id that the seeds of tower-sessions have.
    let id = "a9S9AtOiYk9gshRvlk8BGQ";
    let decoded = importers().filter_map(|importer| importer.decode(id, bytes, None).ok());
    decoded.map(|session| assert_json(&session)).count()
}

/// What a signature of Django's protects: it must be bounded also if the key has leaked.
#[cfg(feature = "import")]
pub fn import_django(data: &str) -> bool {
    let Ok(session) = crate::import::decode_django_data(data) else { return false };
    assert_json(&session);
    true
}

/// The `Cookie` line of a request; how many sessions were found.
#[cfg(feature = "import")]
pub fn import_cookie(line: &[u8]) -> usize {
    let Ok(line) = http::HeaderValue::from_bytes(line) else { return 0 };
    let headers = http::HeaderMap::from_iter([(http::header::COOKIE, line)]);
    let found = importers().flat_map(|importer| importer.find(&headers, None));
    found.inspect(|old| assert!(old.id().len() <= 256, "an id is longer than it may be")).count()
}

/// A line of an export.
#[cfg(feature = "import")]
pub fn import_line(line: &str) -> bool {
    let Ok(line) = crate::import::decode_line(line) else { return false };
    assert_json(line.session());
    true
}

#[cfg(feature = "import")]
fn importers() -> impl Iterator<Item = Importer> {
    let key = [7; 64];
    let new = |format| Importer::builder(format).user_at(["user_id"]);
    let all = [
        new(Format::TowerSessions),
        new(Format::TowerSessions).private_cookie(key),
        new(Format::AxumSession),
        new(Format::AxumSession).signed_cookie(key).stored_key(key),
        new(Format::ActixSession).signed_cookie(key),
        new(Format::ExpressSession).signed_cookie(key),
        new(Format::FlaskSession),
        new(Format::FlaskSession).signed_cookie(key),
        new(Format::Django).stored_key(key),
    ];
    all.into_iter().filter_map(|builder| builder.build().ok())
}

/// Every value is JSON that a session can hold.
#[cfg(feature = "import")]
fn assert_json(session: &Imported) {
    for name in session.names() {
        let value = session.get::<serde::de::IgnoredAny>(name);
        assert!(value.is_ok(), "a value is no JSON");
    }
}
