use crate::encryption::key_ring::*;

const A: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
const B: &str = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8";
const PLACE: [&[u8]; 2] = [b"session:d:c:alice", b"12"];
const SECRET: &[u8] = b"an access token";

fn ring(keys: &[(&str, &str)]) -> KeyRing {
    KeyRing::new(keys.iter().copied()).unwrap()
}

#[test]
fn what_was_sealed_opens_in_its_place_and_shows_nothing() {
    let ring = ring(&[("b", B), ("a", A)]);
    let sealed = ring.seal(&PLACE, SECRET).unwrap();
    assert_eq!(ring.open(&PLACE, &sealed).unwrap(), SECRET);
    assert!(!sealed.windows(6).any(|window| SECRET.windows(6).any(|secret| secret == window)));
    assert_eq!(ring.open(&PLACE, &ring.seal(&PLACE, b"").unwrap()).unwrap(), b"");
}

#[test]
fn no_two_seals_are_alike() {
    let ring = ring(&[("a", A)]);
    let one = ring.seal(&PLACE, SECRET).unwrap();
    let other = ring.seal(&PLACE, SECRET).unwrap();
    assert_ne!(one[2..][..NONCE_LEN], other[2..][..NONCE_LEN]);
    assert_ne!(one[2 + NONCE_LEN..], other[2 + NONCE_LEN..]);
}

#[test]
fn a_flipped_bit_anywhere_opens_nothing() {
    let ring = ring(&[("a", A), ("b", B)]);
    let sealed = ring.seal(&PLACE, SECRET).unwrap();
    for at in 0..sealed.len() {
        for bit in 0..8 {
            let mut changed = sealed.clone();
            changed[at] ^= 1 << bit;
            assert!(ring.open(&PLACE, &changed).is_err(), "bit {bit} of byte {at}");
        }
    }
}

#[test]
fn what_is_cut_short_or_too_long_opens_nothing() {
    let ring = ring(&[("a", A)]);
    let mut sealed = ring.seal(&PLACE, SECRET).unwrap();
    for length in 0..sealed.len() {
        assert!(ring.open(&PLACE, &sealed[..length]).is_err(), "{length} bytes");
        let tail = &sealed[sealed.len() - length..];
        assert!(ring.open(&PLACE, tail).is_err(), "the last {length} bytes");
    }
    sealed.push(0);
    assert_eq!(ring.open(&PLACE, &sealed), Err(UnsealError::Refused));
}

#[test]
fn what_was_moved_to_another_place_does_not_open() {
    let ring = ring(&[("a", A)]);
    let sealed = ring.seal(&PLACE, SECRET).unwrap();
    for (name, place) in [
        ("another user", &[&b"session:d:c:bob"[..], b"12"][..]),
        ("another platform", &[b"session:d:c:alice", b"13"]),
        ("another border between the parts", &[b"session:d:c:alice1", b"2"]),
        ("one part", &[b"session:d:c:alice12"]),
        ("one part more", &[b"session:d:c:alice", b"12", b""]),
        ("no place", &[]),
    ] {
        assert_eq!(ring.open(place, &sealed), Err(UnsealError::Refused), "{name}");
    }
}

#[test]
fn the_first_key_seals_and_every_key_of_the_ring_opens() {
    let (old, both, new) = (ring(&[("a", A)]), ring(&[("b", B), ("a", A)]), ring(&[("b", B)]));
    let by_old = old.seal(&PLACE, SECRET).unwrap();
    let by_both = both.seal(&PLACE, SECRET).unwrap();
    assert_eq!(both.open(&PLACE, &by_old).unwrap(), SECRET);
    assert_eq!(new.open(&PLACE, &by_both).unwrap(), SECRET);
    assert_eq!(new.open(&PLACE, &by_old), Err(UnsealError::UnknownKey));
    assert_eq!(old.open(&PLACE, &by_both), Err(UnsealError::UnknownKey));
}

#[test]
fn another_key_of_the_same_id_or_the_same_key_of_another_id_opens_nothing() {
    let sealed = ring(&[("a", A)]).seal(&PLACE, SECRET).unwrap();
    assert_eq!(ring(&[("a", B)]).open(&PLACE, &sealed), Err(UnsealError::Refused));
    let mut renamed = sealed;
    renamed[1] = b'b';
    assert_eq!(ring(&[("b", A)]).open(&PLACE, &renamed), Err(UnsealError::Refused));
}

#[test]
fn a_key_that_cannot_be_used_is_refused_and_never_printed() {
    let short = &A[..42];
    let (long, spare) = (format!("{A}A"), format!("{}9", &A[..42]));
    let padded = format!("{A}=");
    let many = "i".repeat(33);
    for (name, keys, fine) in [
        ("one", vec![("a", A)], true),
        ("padded", vec![("a", &*padded)], true),
        ("no key", vec![], false),
        ("short", vec![("a", short)], false),
        ("long", vec![("a", &*long)], false),
        ("bits to spare", vec![("a", &*spare)], false),
        ("empty", vec![("a", "")], false),
        ("not base64url", vec![("a", "+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/8")], false),
        ("no id", vec![("", A)], false),
        ("an id with a sign of ours", vec![("a:b", A)], false),
        ("a long id", vec![(&*many, A)], false),
        ("twice", vec![("a", A), ("a", B)], false),
        ("the second is wrong", vec![("a", A), ("b", short)], false),
    ] {
        let ring = KeyRing::new(keys.iter().copied());
        assert_eq!(ring.is_ok(), fine, "{name}: {ring:?}");
        let told = format!("{ring:?}");
        for (_, key) in keys.iter().filter(|(_, key)| key.len() > 8) {
            assert!(!told.contains(&key[..8]), "{name}: {told}");
        }
        if let Err(error) = ring {
            assert_eq!(error.setting(), "key ring", "{name}");
        }
    }
}

#[test]
fn a_ring_is_read_from_one_line() {
    let ring: KeyRing = format!("b:{B}, a:{A}").parse().unwrap();
    assert_eq!(format!("{ring:?}"), r#"KeyRing(["b", "a"])"#);
    for (name, line) in [("empty", ""), ("no id", A), ("a comma at the end", "b:B,")] {
        assert!(line.parse::<KeyRing>().is_err(), "{name}");
    }
}

#[test]
fn what_a_cache_has_sealed_does_not_open_for_the_application() {
    let ring = ring(&[("a", A)]);
    let sealed = ring.seal_in(CACHE, &PLACE, SECRET).unwrap();
    assert_eq!(ring.open_in(CACHE, &PLACE, &sealed).unwrap(), SECRET);
    assert_eq!(ring.open(&PLACE, &sealed), Err(UnsealError::Refused));
    let sealed = ring.seal(&PLACE, SECRET).unwrap();
    assert_eq!(ring.open_in(CACHE, &PLACE, &sealed), Err(UnsealError::Refused));
}
