use std::sync::Arc;

use bytes::Bytes;

use crate::{
    clock::timestamp::Timestamp,
    encryption::records::*,
    session::{device::Device, values::Values},
};

fn filled() -> Record {
    let edits = [("card".into(), Some(Bytes::from_static(b"\"4111 1111\"")))].into();
    let device = Device::stored(Some("192.0.2.1".into()), None, None);
    let (platform, values) = (Some("mastodon".into()), Values::default().edited(&edits));
    Record { device, platform, values, ..Record::example() }
}

/// A record under the id of `token`, as a store keeps and gives it.
fn stored(token: &Token, record: &Record) -> Record {
    let bytes = seal(token, &token.id(), record).unwrap().to_bytes();
    Record::from_bytes(record.version, bytes.into()).unwrap()
}

fn refused(token: &Token, id: &SessionId, record: Record) -> bool {
    open(token, id, record).is_err_and(|error| error.kind() == ErrorKind::Corrupt)
}

#[test]
fn what_was_sealed_opens_and_cannot_be_read_before() {
    let (token, record) = (Token::generate().unwrap(), filled());
    let sealed = stored(&token, &record);
    let bytes = sealed.to_bytes();
    for text in ["4111", "card", "mastodon"] {
        assert!(!bytes.windows(text.len()).any(|part| part == text.as_bytes()), "{text}");
    }
    assert_eq!((sealed.platform.as_deref(), sealed.values.is_empty()), (None, true));
    assert_eq!(sealed.user(), Some("alice"));
    assert_eq!(bytes.len(), record.to_bytes().len() + NONCE_LEN + 16);
    assert_eq!(open(&token, &token.id(), sealed).unwrap(), record);
}

#[test]
fn the_same_record_is_never_sealed_alike() {
    let (token, record) = (Token::generate().unwrap(), filled());
    assert_ne!(stored(&token, &record).sealed, stored(&token, &record).sealed);
}

#[test]
fn a_plain_record_is_as_it_is() {
    let token = Token::generate().unwrap();
    assert_eq!(open(&token, &token.id(), filled()).unwrap(), filled());
}

#[test]
fn another_session_opens_nothing() {
    let (token, other) = (Token::generate().unwrap(), Token::generate().unwrap());
    let sealed = stored(&token, &filled());
    assert!(refused(&other, &other.id(), sealed.clone()), "moved to another session");
    assert!(refused(&token, &other.id(), sealed.clone()), "under another id");
    assert!(refused(&other, &token.id(), sealed), "by another token");
}

#[test]
fn no_bit_of_it_can_be_another() {
    let token = Token::generate().unwrap();
    let sealed = stored(&token, &filled());
    let whole = sealed.sealed.clone().unwrap();
    for bit in 0..whole.len() * 8 {
        let mut bytes = whole.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let flipped = Record { sealed: Some(bytes.into()), ..sealed.clone() };
        assert!(refused(&token, &token.id(), flipped), "bit {bit}");
    }
    for len in 0..whole.len() {
        let cut = Record { sealed: Some(whole[..len].into()), ..sealed.clone() };
        assert!(refused(&token, &token.id(), cut), "cut to {len} bytes");
    }
}

#[test]
fn nor_what_stands_open_beside_it() {
    let token = Token::generate().unwrap();
    let sealed = stored(&token, &filled());
    let later = Timestamp::from_millis(u64::MAX / 2);
    let mut deadlines = sealed.deadlines;
    deadlines.absolute_deadline = Some(later);
    let mut idle = sealed.deadlines;
    idle.idle *= 2;
    let device = Some(Arc::new(Device::default()));
    for (name, changed) in [
        ("version", Record { version: 2, ..sealed.clone() }),
        ("user", Record { user: Some("mallory".into()), ..sealed.clone() }),
        ("no user", Record { user: None, ..sealed.clone() }),
        ("created", Record { created: later, ..sealed.clone() }),
        ("absolute end", Record { deadlines, ..sealed.clone() }),
        ("idle timeout", Record { deadlines: idle, ..sealed.clone() }),
        ("authenticated", Record { authenticated: Some(later), ..sealed.clone() }),
        ("device", Record { device, ..sealed.clone() }),
        ("writer", Record { writer: [0; 16], ..sealed.clone() }),
    ] {
        assert!(refused(&token, &token.id(), changed), "{name}");
    }
}

#[test]
fn a_touch_leaves_it_sealed() {
    let (token, record) = (Token::generate().unwrap(), filled());
    let mut sealed = stored(&token, &record);
    let later = record.end().saturating_add(std::time::Duration::from_secs(9));
    let activity = crate::store::Touch { last_activity: later, idle_deadline: later, end: later };
    assert!(sealed.touch(activity));
    let opened = open(&token, &token.id(), sealed).unwrap();
    assert_eq!((opened.values, opened.last_activity), (record.values, later));
}
