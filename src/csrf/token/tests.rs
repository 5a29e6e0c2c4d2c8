use proptest::prelude::*;

use crate::csrf::token::*;

const HOUR: Duration = Duration::from_secs(3600);
const MILLI: Duration = Duration::from_millis(1);
const NOW: Timestamp = Timestamp::from_millis(1_704_067_200_000);

fn key() -> CsrfKey {
    CsrfKey::of_session(&Token::generate().unwrap())
}

fn verify(key: &CsrfKey, text: &[u8], now: Timestamp) -> Result<(), CsrfErrorKind> {
    key.verify(&Claim::parse(text)?, now, HOUR)
}

/// A token that was issued `ahead` of now.
fn issued_ahead(key: &CsrfKey, ahead: Duration) -> CsrfToken {
    key.issue(NOW.saturating_add(ahead)).unwrap()
}

#[test]
fn a_token_is_valid_with_its_key_and_as_long_as_documented() {
    let key = key();
    let token = key.issue(NOW).unwrap();
    assert_eq!(token.as_str().len(), TEXT_LEN);
    assert!(token.as_str().bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)));
    assert_eq!(verify(&key, token.as_str().as_bytes(), NOW), Ok(()));
    assert_eq!(token.to_string(), token.as_str());
}

#[test]
fn the_bytes_are_as_documented() {
    let token = Token::parse(b"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8").unwrap();
    let issued = CsrfKey::of_session(&token).issue(NOW).unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(issued.as_str()).unwrap();
    assert_eq!(bytes[..8], 1_704_067_200_000_u64.to_be_bytes());
    // HMAC spelled out (RFC 2104 section 2), so that an instance of another version agrees.
    use sha2::Digest as _;
    let key = token.derive(b"tower-redis-session/csrf");
    let padded = |pad: u8| -> Vec<u8> {
        (0..64).map(|i| pad ^ key.get(i).copied().unwrap_or_default()).collect()
    };
    let text = [b"tower-redis-session/csrf-token".as_slice(), &bytes[..24]].concat();
    let inner = Sha256::digest([padded(0x36), text].concat());
    let outer = Sha256::digest([padded(0x5c), inner.to_vec()].concat());
    assert_eq!(bytes[24..], *outer);
}

#[test]
fn no_two_tokens_are_alike() {
    let key = key();
    let tokens: std::collections::HashSet<_> =
        (0..100).map(|_| key.issue(NOW).unwrap().as_str().to_owned()).collect();
    assert_eq!(tokens.len(), 100);
    // Nor do they begin alike, but for the time, which the first 11 characters tell.
    let starts: std::collections::HashSet<_> = tokens.iter().map(|text| &text[11..20]).collect();
    assert_eq!(starts.len(), 100);
}

#[test]
fn no_bit_of_it_can_be_another() {
    let key = key();
    let token = key.issue(NOW).unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(token.as_str()).unwrap();
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let text = URL_SAFE_NO_PAD.encode(&flipped);
        assert_eq!(verify(&key, text.as_bytes(), NOW), Err(CsrfErrorKind::Foreign), "bit {bit}");
    }
}

#[test]
fn what_is_cut_or_longer_or_written_otherwise_is_malformed() {
    let key = key();
    let text = key.issue(NOW).unwrap().as_str().to_owned();
    assert_eq!(verify(&key, b"", NOW), Err(CsrfErrorKind::Missing));
    for len in 1..text.len() {
        let cut = &text.as_bytes()[..len];
        assert_eq!(verify(&key, cut, NOW), Err(CsrfErrorKind::Malformed), "cut to {len}");
    }
    let with = |index: usize, byte: u8| {
        let mut text = text.clone().into_bytes();
        text[index] = byte;
        text
    };
    for (name, text) in [
        ("one too many", format!("{text}A").into_bytes()),
        ("padded", format!("{text}=").into_bytes()),
        ("padding for a letter", with(74, b'=')),
        ("standard alphabet, plus", with(0, b'+')),
        ("standard alphabet, slash", with(0, b'/')),
        ("a last letter with bits to spare", with(74, b'9')),
        ("space in front", format!(" {}", &text[..74]).into_bytes()),
        ("NUL", with(7, 0)),
        ("not ASCII", vec![0xff; TEXT_LEN]),
        ("a session's token", b"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8".to_vec()),
        ("100,000 bytes", vec![b'A'; 100_000]),
    ] {
        assert_eq!(verify(&key, &text, NOW), Err(CsrfErrorKind::Malformed), "{name}");
    }
}

#[test]
fn another_key_is_foreign_and_a_visitor_is_no_session() {
    let token = Token::generate().unwrap();
    let (session, visitor) = (CsrfKey::of_session(&token), CsrfKey::of_visitor(&token));
    let issued = session.issue(NOW).unwrap();
    for (name, other) in [("another session", key()), ("the same secret, as a visitor's", visitor)]
    {
        let found = verify(&other, issued.as_str().as_bytes(), NOW);
        assert_eq!(found, Err(CsrfErrorKind::Foreign), "{name}");
    }
}

#[test]
fn what_is_foreign_is_never_called_expired() {
    let issued = key().issue(NOW).unwrap();
    let late = NOW.saturating_add(HOUR * 24);
    assert_eq!(verify(&key(), issued.as_str().as_bytes(), late), Err(CsrfErrorKind::Foreign));
}

#[test]
fn a_token_lives_to_the_millisecond_and_clocks_may_differ_by_a_minute() {
    let key = key();
    let minute = CLOCK_SKEW;
    for (name, ahead, now, expected) in [
        ("new", Duration::ZERO, NOW, Ok(())),
        ("about to expire", Duration::ZERO, NOW.saturating_add(HOUR - MILLI), Ok(())),
        ("expired", Duration::ZERO, NOW.saturating_add(HOUR), Err(CsrfErrorKind::Expired)),
        ("for ever", Duration::ZERO, Timestamp::from_millis(u64::MAX), Err(CsrfErrorKind::Expired)),
        ("a minute ahead", minute, NOW, Ok(())),
        ("more than that", minute + MILLI, NOW, Err(CsrfErrorKind::Foreign)),
        ("the end of time", Duration::from_millis(u64::MAX), NOW, Err(CsrfErrorKind::Foreign)),
    ] {
        let token = issued_ahead(&key, ahead);
        assert_eq!(verify(&key, token.as_str().as_bytes(), now), expected, "{name}");
    }
}

#[test]
fn nothing_is_shown_of_secrets() {
    let key = key();
    let token = key.issue(NOW).unwrap();
    let claim = Claim::parse(token.as_str().as_bytes()).unwrap();
    assert_eq!(format!("{key:?} {token:?} {claim:?}"), "CsrfKey(..) CsrfToken(..) Claim(..)");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..<_>::default() })]

    #[test]
    fn any_bytes_are_refused_without_a_panic(text in proptest::collection::vec(any::<u8>(), 0..160)) {
        prop_assert!(verify(&key(), &text, NOW).is_err());
    }

    #[test]
    fn well_formed_bytes_of_a_stranger_are_foreign(
        bytes in proptest::array::uniform28(any::<u16>()), now in any::<u64>(),
    ) {
        let bytes: Vec<u8> = bytes.iter().flat_map(|two| two.to_be_bytes()).collect();
        let text = URL_SAFE_NO_PAD.encode(&bytes);
        let now = Timestamp::from_millis(now);
        prop_assert_eq!(verify(&key(), text.as_bytes(), now), Err(CsrfErrorKind::Foreign));
    }
}
