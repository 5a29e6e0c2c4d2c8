use std::collections::HashSet;

use proptest::prelude::*;

use crate::session::token::*;

/// The first 32 numbers, as a token or an id.
const COUNTING: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

#[test]
fn a_token_is_256_bits_in_43_characters() {
    let token = Token::generate().unwrap();
    let text = token.encode();
    assert_eq!(text.len(), TEXT_LEN);
    assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
    assert_eq!(Token::parse(text.as_bytes()).unwrap().0, token.0);
}

#[test]
fn only_the_one_exact_form_is_a_token() {
    let with = |index: usize, byte: u8| {
        let mut text = COUNTING.as_bytes().to_vec();
        text[index] = byte;
        text
    };
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("empty", vec![]),
        ("one character", b"A".to_vec()),
        ("one too few", COUNTING.as_bytes()[..42].to_vec()),
        ("one too many", [COUNTING.as_bytes(), b"A"].concat()),
        ("padded", [COUNTING.as_bytes(), b"="].concat()),
        ("padding for a letter", with(42, b'=')),
        ("standard alphabet, plus", with(0, b'+')),
        ("standard alphabet, slash", with(0, b'/')),
        ("a last letter with bits to spare", with(42, b'9')),
        ("the next last letter with bits to spare", with(42, b'-')),
        ("hex of the bytes", b"00".repeat(32)),
        ("hex of the right length", b"0123456789abcdef0123456789abcdef0123456789.".to_vec()),
        ("NUL", with(7, 0)),
        ("only NUL", vec![0; TEXT_LEN]),
        ("new line", with(7, b'\n')),
        ("CR LF at the end", [&COUNTING.as_bytes()[..41], b"\r\n"].concat()),
        ("space in front", [b" ", &COUNTING.as_bytes()[..42]].concat()),
        ("quotes", [b"\"", &COUNTING.as_bytes()[..41], b"\""].concat()),
        ("path", [b"../../../", &COUNTING.as_bytes()[..34]].concat()),
        ("pattern", vec![b'*'; TEXT_LEN]),
        ("percent", [b"%41", &COUNTING.as_bytes()[..40]].concat()),
        ("not ASCII", vec![0xff; TEXT_LEN]),
        ("full width letters", "\u{ff21}".repeat(15).into_bytes()[..TEXT_LEN].to_vec()),
        ("5,000 bytes", vec![b'A'; 5_000]),
    ];
    for (name, text) in cases {
        assert!(Token::parse(&text).is_none(), "{name}");
        let id = std::str::from_utf8(&text).ok().map(str::parse::<SessionId>);
        assert!(!matches!(id, Some(Ok(_))), "{name}, as an id");
    }
}

#[test]
fn letters_of_the_other_case_are_another_token() {
    let swap = |byte: u8| byte ^ if byte.is_ascii_alphabetic() { 0x20 } else { 0 };
    let token = Token::parse(COUNTING.as_bytes()).unwrap();
    let other: Vec<u8> = COUNTING.bytes().map(swap).collect();
    assert!(Token::parse(&other).is_none_or(|other| other.id() != token.id()));
}

#[test]
fn one_text_in_four_last_letters_is_canonical() {
    let accepted = (0..=u8::MAX).filter(|last| {
        let mut text = COUNTING.as_bytes().to_vec();
        text[42] = *last;
        Token::parse(&text).is_some()
    });
    assert_eq!(accepted.count(), 16);
}

#[test]
fn a_million_tokens_are_distinct_and_every_bit_of_them_is_random() {
    const COUNT: usize = 1_000_000;
    let mut seen = HashSet::with_capacity(COUNT);
    let mut ones = Ones::default();
    for _ in 0..COUNT {
        let token = Token::generate().unwrap();
        ones.add(&token.0);
        assert!(seen.insert(token.0));
    }
    // A fair coin falls 5 deviations off once in two million throws of all: of 256 bits, one does
    // in 7,000 runs. So such a bit gets a second sample, and fails if that is off too.
    let suspects: Vec<usize> =
        (0..LEN * 8).filter(|bit| ones.deviation(*bit, COUNT) > 5.0).collect();
    if suspects.is_empty() {
        return;
    }
    let mut again = Ones::default();
    (0..COUNT).for_each(|_| again.add(&Token::generate().unwrap().0));
    for bit in suspects {
        let (first, second) = (ones.deviation(bit, COUNT), again.deviation(bit, COUNT));
        assert!(second < 5.0, "bit {bit} is {first:.1}, then {second:.1} deviations off");
    }
}

/// How often each bit was set: a counter for each, its digits spread over words.
#[derive(Default)]
struct Ones([[u64; 4]; 20]);

impl Ones {
    fn add(&mut self, token: &[u8; LEN]) {
        for (place, word) in token.chunks_exact(8).enumerate() {
            let mut carry = u64::from_le_bytes(word.try_into().unwrap());
            for digits in &mut self.0 {
                (digits[place], carry) = (digits[place] ^ carry, digits[place] & carry);
                if carry == 0 {
                    break;
                }
            }
        }
    }

    fn count(&self, bit: usize) -> u64 {
        let digits = self.0.iter().enumerate();
        digits.map(|(power, digits)| (digits[bit / 64] >> (bit % 64) & 1) << power).sum()
    }

    /// From half of `throws`, in standard deviations.
    fn deviation(&self, bit: usize, throws: usize) -> f64 {
        let (mean, sigma) = (throws as f64 / 2.0, (throws as f64).sqrt() / 2.0);
        (self.count(bit) as f64 - mean).abs() / sigma
    }
}

#[test]
fn without_randomness_there_is_no_token() {
    let failing = |_: &mut [u8]| Err(getrandom::Error::UNEXPECTED);
    let error = Token::drawn_by(failing).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    // Not even where some bytes came first.
    let half = |bytes: &mut [u8]| {
        bytes[..LEN / 2].fill(0x5a);
        Err(getrandom::Error::UNEXPECTED)
    };
    assert!(Token::drawn_by(half).is_err());
    let whole = |bytes: &mut [u8]| {
        bytes.fill(0x5a);
        Ok(())
    };
    assert_eq!(Token::drawn_by(whole).unwrap().0, [0x5a; LEN], "all of it is random");
}

#[test]
fn the_id_of_a_token_is_fixed_for_all_versions() {
    for (name, token, id) in [
        (
            "zeros",
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "GOmibRiNe8za6S81KEY8GYH0f28zj72dF1rIznipAAA",
        ),
        ("counting", COUNTING, "OAoBsjiQd7BPoJTYa6s1th6pYe-eX2VOkRWNhxOnHh8"),
    ] {
        let token = Token::parse(token.as_bytes()).unwrap();
        let kind = TokenKind::named("__Host-session");
        assert_eq!(kind.id(&token).to_string(), id, "{name}");
    }
}

#[test]
fn a_token_of_another_kind_has_another_id() {
    let token = Token::parse(COUNTING.as_bytes()).unwrap();
    let kinds = ["", "__Host-session", "__Host-sessions", "authorization", "a"];
    let ids: std::collections::BTreeSet<_> =
        kinds.map(|kind| TokenKind::named(kind).id(&token)).into();
    assert_eq!(ids.len(), kinds.len());
}

/// The rest is a hash of the whole token: with another tag it is another session.
#[test]
fn the_tag_of_a_token_is_that_of_its_id() {
    let token = Token::generate().unwrap();
    let tags = [[0, 0], [1, 2], [0xff, 0xff]];
    let ids = tags.map(|tag| token.clone().tagged(tag).id());
    assert_eq!(ids.map(|id| id.tag()), tags);
    assert_eq!(ids.map(|id| id.0[..30].to_vec()).into_iter().collect::<HashSet<_>>().len(), 3);
    assert_eq!(token.id().tag(), token.0[30..]);
    #[cfg(feature = "redis")]
    for id in ids {
        let mut text = String::new();
        push_tag(id.tag(), &mut text);
        assert!(text.len() == 3 && id.to_string().ends_with(&text));
    }
}

#[test]
fn a_token_is_not_printed() {
    let token = Token::generate().unwrap();
    let printed = format!("{token:?} {token:#?}");
    assert_eq!(printed, "Token(..) Token(..)");
}

#[test]
fn an_id_prints_as_it_parses() {
    let id: SessionId = COUNTING.parse().unwrap();
    assert_eq!(id.to_string(), COUNTING);
    assert_eq!(format!("{id:?}"), format!("SessionId({COUNTING})"));
    assert_eq!("x".parse::<SessionId>().unwrap_err().kind(), ErrorKind::Invalid);
    #[cfg(feature = "redis")]
    {
        let mut key = "prefix:".to_owned();
        id.push_key_to(&mut key);
        assert_eq!(key, format!("prefix:{}{{{}}}", &COUNTING[..40], &COUNTING[40..]));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..<_>::default() })]

    #[test]
    fn tokens_and_ids_round_trip(bytes: [u8; LEN]) {
        let text = Token(bytes).encode();
        prop_assert_eq!(Token::parse(text.as_bytes()).unwrap().0, bytes);
        let id = SessionId(bytes);
        prop_assert_eq!(id.to_string(), text);
        prop_assert_eq!(id.to_string().parse::<SessionId>().unwrap(), id);
        prop_assert_eq!(id.as_bytes(), &bytes);
    }

    #[test]
    fn any_bytes_are_a_token_only_if_they_are_its_text(bytes: Vec<u8>) {
        if let Some(token) = Token::parse(&bytes) {
            prop_assert_eq!(token.encode().into_bytes(), bytes);
        }
    }

    #[test]
    fn bytes_of_the_right_length_and_letters_are_a_token_only_if_canonical(
        text in "[A-Za-z0-9_-]{43}",
    ) {
        if let Some(token) = Token::parse(text.as_bytes()) {
            prop_assert_eq!(token.encode(), text);
        }
    }

    #[test]
    fn the_id_gives_nothing_of_the_token(bytes: [u8; LEN]) {
        let id = Token(bytes).id();
        prop_assert_ne!(id.as_bytes(), &bytes);
        let plain: [u8; LEN] = Sha256::digest(bytes).into();
        prop_assert_ne!(id.as_bytes(), &plain);
        let printed = format!("{id} {id:?}");
        prop_assert!(!printed.contains(&Token(bytes).encode()));
    }
}
