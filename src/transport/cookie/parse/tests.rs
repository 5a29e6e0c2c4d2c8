use proptest::prelude::*;

use crate::{session::token::TEXT_LEN, transport::cookie::parse::*};

const NAME: &str = "__Host-id";
const ONE: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
const TWO: &str = "AQECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

fn found(lines: &[&[u8]]) -> Vec<String> {
    find(lines.iter().copied(), NAME).iter().map(|token| token.encode()).collect()
}

/// One header line, in which `{1}` and `{2}` stand for tokens.
fn line(text: &str) -> Vec<u8> {
    text.replace("{1}", ONE).replace("{2}", TWO).into_bytes()
}

#[test]
fn our_cookie_is_found_where_browsers_put_it() {
    for (name, text, tokens) in [
        ("alone", "__Host-id={1}", &[ONE][..]),
        ("first", "__Host-id={1}; a=1", &[ONE]),
        ("last", "a=1; __Host-id={1}", &[ONE]),
        ("between", "a=1; __Host-id={1}; b=2", &[ONE]),
        ("no space after the semicolon", "a=1;__Host-id={1};b=2", &[ONE]),
        ("tabs and spaces", "a=1;\t \t__Host-id={1} \t; b=2", &[ONE]),
        ("space around the equals sign", "__Host-id \t=\t {1}", &[ONE]),
        ("empty pairs", ";; ;__Host-id={1};;", &[ONE]),
        ("equals signs in another", "a==b=c; __Host-id={1}", &[ONE]),
        ("both, in their order", "__Host-id={2}; __Host-id={1}", &[TWO, ONE]),
        ("the same twice", "__Host-id={1}; __Host-id={1}", &[ONE, ONE]),
        ("a malformed one beside it", "__Host-id=x; __Host-id={1}", &[ONE]),
        ("ours has the name as a value elsewhere", "a=__Host-id; __Host-id={1}", &[ONE]),
        ("unbalanced quote before", "a=\"1; __Host-id={1}", &[ONE]),
        ("$Version in front", "$Version=1; __Host-id={1}", &[ONE]),
    ] {
        assert_eq!(found(&[&line(text)]), tokens, "{name}");
    }
}

#[test]
fn what_is_not_exactly_our_cookie_is_not_ours() {
    for (name, text) in [
        ("nothing", ""),
        ("another name", "id={1}"),
        ("a longer name", "__Host-id2={1}"),
        ("a shorter name", "__Host-i={1}"),
        ("a name in front", "x__Host-id={1}"),
        ("lower case", "__host-id={1}"),
        ("upper case", "__HOST-ID={1}"),
        ("no name", "{1}"),
        ("only the name", "__Host-id"),
        ("name and nothing", "__Host-id="),
        ("a nameless cookie with our pair as its value", "=__Host-id={1}"),
        ("the same after a space", " =__Host-id={1}"),
        ("inside another's value", "a=__Host-id={1}"),
        ("two equals signs", "__Host-id=={1}"),
        ("comma for semicolon", "a=1, __Host-id={1}"),
        ("quoted", "__Host-id=\"{1}\""),
        ("quoted name", "\"__Host-id\"={1}"),
        ("percent in the name", "__%48ost-id={1}"),
        ("percent for the equals sign", "__Host-id%3D{1}"),
        ("percent in the value", "__Host-id=%41{1}"),
        ("padded", "__Host-id={1}="),
        ("more after the value", "__Host-id={1} x"),
        ("$Version as the name", "$__Host-id={1}"),
        ("$Path after it", "__Host-id={1},$Path=/"),
        ("U+2000 in front", "\u{2000}__Host-id={1}"),
        ("U+2000 after the semicolon", "a=1; \u{2000}__Host-id={1}"),
        ("U+0085 in front", "\u{85}__Host-id={1}"),
        ("U+00A0 in front", "\u{a0}__Host-id={1}"),
        ("U+3000 in front", "\u{3000}__Host-id={1}"),
        ("U+FEFF in front", "\u{feff}__Host-id={1}"),
        ("U+2028 in front", "\u{2028}__Host-id={1}"),
        ("U+2000 behind the name", "__Host-id\u{2000}={1}"),
        ("U+00A0 before the value", "__Host-id=\u{a0}{1}"),
        ("U+00A0 after the value", "__Host-id={1}\u{a0}"),
        ("line feed in front", "\n__Host-id={1}"),
        ("carriage return in front", "a=1;\r__Host-id={1}"),
        ("vertical tab in front", "\u{b}__Host-id={1}"),
        ("form feed in front", "\u{c}__Host-id={1}"),
        ("NUL in front", "\0__Host-id={1}"),
        ("line feed after", "__Host-id={1}\n"),
        ("full width letters", "__\u{ff28}ost-id={1}"),
        ("Kelvin sign and friends", "__Ho\u{17f}t-id={1}"),
        ("white space inside the name", "__Host -id={1}"),
    ] {
        assert!(found(&[&line(text)]).is_empty(), "{name}");
    }
}

#[test]
fn bytes_that_are_no_text_hide_no_cookie() {
    let ours = line("__Host-id={1}");
    for (name, before, after) in [
        ("in front", &b"\xff=1; "[..], &b""[..]),
        ("behind", b"", b"; a=\xff"),
        ("both, and a broken UTF-8 sequence", b"a=\xe2\x80; ", b"; \xc3"),
        ("NUL", b"a=\0; ", b";\0"),
    ] {
        assert_eq!(found(&[&[before, &ours, after].concat()]), [ONE], "{name}");
    }
    for (name, space) in [("\\xa0", &b"\xa0"[..]), ("\\x85", b"\x85"), ("\\xff", b"\xff")] {
        assert!(found(&[&[space, &ours].concat()]).is_empty(), "{name} in front, as a bare byte");
    }
}

#[test]
fn several_header_lines_are_one() {
    let (one, two, other) = (line("__Host-id={1}"), line("__Host-id={2}"), line("a=1; b=2"));
    let broken = b"a=\xff".as_slice();
    for (name, lines, tokens) in [
        ("none", &[][..], &[][..]),
        ("empty", &[b"".as_slice()], &[]),
        ("second", &[other.as_slice(), &one], &[ONE]),
        ("both", &[one.as_slice(), &two], &[ONE, TWO]),
        ("beside one that is no text", &[broken, &one], &[ONE]),
        ("a pair is not continued", &[b"__Host-id=".as_slice(), ONE.as_bytes()], &[]),
    ] {
        assert_eq!(found(lines), tokens, "{name}");
    }
}

#[test]
fn four_well_formed_tokens_are_looked_at() {
    let token = |number: u8| {
        let mut text = ONE.as_bytes().to_vec();
        text[0] = b'A' + number;
        String::from_utf8(text).unwrap()
    };
    let pairs: Vec<String> = (0..6).map(|n| format!("{NAME}=x; {NAME}={}", token(n))).collect();
    let expected: Vec<String> = (0..4).map(token).collect();
    let one_line = pairs.join("; ");
    assert_eq!(found(&[one_line.as_bytes()]), expected);
    let lines: Vec<&[u8]> = pairs.iter().map(String::as_bytes).collect();
    assert_eq!(found(&lines), expected, "over several lines");
    let many = format!("{NAME}=x; ").repeat(1_000) + &format!("{NAME}={ONE}");
    assert_eq!(found(&[many.as_bytes()]), [ONE], "malformed ones do not count");
}

/// What a `Cookie` line may be made of, close to ours and far from it.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let known = vec![
        &b"__Host-id"[..],
        b"__host-id",
        b"__%48ost-id",
        b"$Version",
        b"=",
        b"==",
        b";",
        b"; ",
        b" ",
        b"\t",
        b",",
        b"\"",
        b"\xe2\x80\x80",
        b"\xc2\x85",
        b"\xc2\xa0",
        b"\xff",
        b"\r\n",
        b"\0",
        b"a",
        ONE.as_bytes(),
        TWO.as_bytes(),
    ];
    prop_oneof![
        8 => proptest::sample::select(known).prop_map(<[u8]>::to_vec),
        1 => proptest::collection::vec(any::<u8>(), 0..4),
    ]
}

fn pieces(most: usize) -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(piece(), 0..most).prop_map(|pieces| pieces.concat())
}

/// The rule once more, another way: by a regular language over the bytes of one pair.
fn is_ours(pair: &[u8]) -> bool {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = pair.iter().position(|byte| !blank(byte)).unwrap_or(pair.len());
    let Some(rest) = pair[start..].strip_prefix(NAME.as_bytes()) else { return false };
    let equals = rest.iter().position(|byte| !blank(byte));
    equals.is_some_and(|at| rest[at] == b'=')
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 1_000, ..<_>::default() })]

    #[test]
    fn only_pairs_of_exactly_our_name_give_a_token(lines in proptest::collection::vec(pieces(12), 0..4)) {
        let ours = lines.iter().flat_map(|line| line.split(|byte| *byte == b';'))
            .filter(|pair| is_ours(pair))
            .count();
        let refs: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
        let found = found(&refs);
        prop_assert!(found.len() <= ours.min(TOKENS_MAX));
        for token in &found {
            let sent = |line: &Vec<u8>| line.windows(TEXT_LEN).any(|part| part == token.as_bytes());
            prop_assert!(lines.iter().any(sent));
        }
    }

    #[test]
    fn a_name_that_is_off_by_a_byte_is_not_ours(at in 0..NAME.len(), byte: u8, insert: bool) {
        let mut name = NAME.as_bytes().to_vec();
        if insert {
            // Blanks in front are not part of a name; a separator ends the pair before.
            prop_assume!(!(at == 0 && matches!(byte, b' ' | b'\t' | b';')));
            name.insert(at, byte);
        } else {
            prop_assume!(name[at] != byte);
            name[at] = byte;
        }
        let line = [&name, &b"="[..], ONE.as_bytes()].concat();
        prop_assert!(found(&[&line]).is_empty());
    }

    #[test]
    fn our_cookie_is_found_beside_anything(before in pieces(8), after in pieces(8)) {
        let ours = line("__Host-id={1}");
        let lines = [&before[..], &ours, &after];
        prop_assume!(found(&[&before]).is_empty());
        prop_assert!(found(&lines).contains(&ONE.to_owned()), "in a line of its own");
        let joined = lines.join(&b"; "[..]);
        prop_assert!(found(&[&joined]).contains(&ONE.to_owned()), "in one line");
    }

    #[test]
    fn arbitrary_bytes_never_panic(lines: Vec<Vec<u8>>, name in "[!-~]{0,12}") {
        let _ = find(lines.iter().map(Vec::as_slice), &name);
    }
}
