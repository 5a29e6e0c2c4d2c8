//! Values: MessagePack as JSON, JSON as it was stored, users, lines.

use proptest::prelude::*;

use crate::import::tests::*;

fn flask() -> ImporterBuilder {
    Importer::builder(Format::FlaskSession)
}

/// The JSON text of a value in MessagePack.
fn json(value: &[u8]) -> Result<String, ImportErrorKind> {
    let bytes = [b"\x81\xa1v", value].concat();
    let session = flask().no_users().build().unwrap().decode("id", &bytes, None);
    session.map(|session| session.json("v").unwrap().to_owned()).map_err(|error| error.kind())
}

#[test]
fn each_type_of_message_pack_has_its_json() {
    let rejected = Err(ImportErrorKind::Value);
    let malformed = Err(ImportErrorKind::Malformed);
    for (name, bytes, expected) in [
        ("nil", b"\xc0".as_slice(), Ok("null")),
        ("true", b"\xc3", Ok("true")),
        ("false", b"\xc2", Ok("false")),
        ("fixint", b"\x7f", Ok("127")),
        ("negative fixint", b"\xe0", Ok("-32")),
        ("u8", b"\xcc\xff", Ok("255")),
        ("u16", b"\xcd\xff\xff", Ok("65535")),
        ("u32", b"\xce\xff\xff\xff\xff", Ok("4294967295")),
        ("u64", b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff", Ok("18446744073709551615")),
        ("i8", b"\xd0\x80", Ok("-128")),
        ("i16", b"\xd1\x80\x00", Ok("-32768")),
        ("i32", b"\xd2\x80\x00\x00\x00", Ok("-2147483648")),
        ("i64", b"\xd3\x80\0\0\0\0\0\0\0", Ok("-9223372036854775808")),
        ("f32", b"\xca\x40\x90\x00\x00", Ok("4.5")),
        ("f64", b"\xcb\x3f\xf0\0\0\0\0\0\0", Ok("1.0")),
        ("f64 with 17 digits", b"\xcb\x3f\xd3\x33\x33\x33\x33\x33\x34", Ok("0.30000000000000004")),
        ("NaN", b"\xcb\x7f\xf8\0\0\0\0\0\0", rejected),
        ("infinity", b"\xca\x7f\x80\0\0", rejected),
        ("str8", b"\xd9\x02hi", Ok("\"hi\"")),
        ("str16", b"\xda\0\x02hi", Ok("\"hi\"")),
        ("str32", b"\xdb\0\0\0\x02hi", Ok("\"hi\"")),
        ("escapes", b"\xa3\"\\\n", Ok(r#""\"\\\n""#)),
        ("not UTF-8", b"\xa1\xff", malformed),
        ("bin8", b"\xc4\x02hi", Ok("\"aGk=\"")),
        ("bin16", b"\xc5\0\x02hi", Ok("\"aGk=\"")),
        ("bin32", b"\xc6\0\0\0\x02hi", Ok("\"aGk=\"")),
        ("array16", b"\xdc\0\x02\x01\x02", Ok("[1,2]")),
        ("array32", b"\xdd\0\0\0\x01\x90", Ok("[[]]")),
        ("map16", b"\xde\0\x01\xa1a\x80", Ok(r#"{"a":{}}"#)),
        ("map32", b"\xdf\0\0\0\x02\xa1a\x01\x05\xc0", Ok(r#"{"a":1,"5":null}"#)),
        ("a map as a key", b"\x81\x80\x01", rejected),
        ("time of 4 bytes", b"\xd6\xff\x65\x92\x00\x80", Ok("\"2024-01-01T00:00:00Z\"")),
        (
            "time of 8 bytes",
            b"\xd7\xff\x77\x35\x94\x00\x65\x92\x00\x80",
            Ok("\"2024-01-01T00:00:00.5Z\""),
        ),
        (
            "time of 12 bytes",
            b"\xc7\x0c\xff\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff",
            Ok("\"1969-12-31T23:59:59Z\""),
        ),
        ("a time of 3 bytes", b"\xc7\x03\xff\0\0\0", malformed),
        ("another extension", b"\xd4\x05\x00", rejected),
        ("the byte without a meaning", b"\xc1", malformed),
    ] {
        assert_eq!(json(bytes), expected.map(str::to_owned), "{name}");
    }
}

#[test]
fn a_name_that_occurs_twice_is_malformed_in_message_pack() {
    let error = flask().no_users().build().unwrap().decode("id", b"\x82\xa1a\x01\xa1a\x02", None);
    assert_eq!(error.unwrap_err().kind(), ImportErrorKind::Malformed);
}

/// A number that a double does not hold is not rounded.
#[test]
fn json_keeps_its_digits() {
    let express = Importer::builder(Format::ExpressSession).signed_cookie("s").no_users();
    let express = express.build().unwrap();
    let stored =
        br#"{"cookie":{},"big":123456789012345678901234567890,"third":0.30000000000000004}"#;
    let session = express.decode("id", stored, None).unwrap();
    assert_eq!(session.json("big"), Some("123456789012345678901234567890"));
    assert_eq!(session.json("third"), Some("0.30000000000000004"));
    assert!(session.names().eq(["big", "third"]), "the cookie is no value");
}

/// Stored at once, so that a handler that fails afterwards has not lost the old session.
#[test]
fn an_applied_session_is_stored_with_its_user_and_digits() {
    crate::testing::handle(|session| async move {
        session.insert("cart", &["tea"]).await?;
        let line = r#"{"key":"k","user":"42","values":{"big":12345678901234567890123456789.50}}"#;
        decode_line(line).unwrap().session().apply(&session).await?;
        assert_eq!(session.loaded_user_id().as_deref(), Some("42"));
        let big: Option<Box<serde_json::value::RawValue>> = session.get("big").await?;
        assert_eq!(big.unwrap().get(), "12345678901234567890123456789.50");
        assert_eq!(session.keys().await?, ["big", "cart"], "as after every login");
        assert!(session.id().await?.is_some(), "it is stored");
        Ok(())
    });
}

#[test]
fn the_user_is_a_text_or_an_integer_where_the_application_says() {
    let decode = |builder: ImporterBuilder, stored: &str| {
        let session = builder.build().unwrap().decode("id", stored.as_bytes(), None);
        session.map(|session| session.user().map(str::to_owned)).map_err(|error| error.kind())
    };
    let user = |user: &str| Ok(Some(user.to_owned()));
    let wrong = Err(ImportErrorKind::User);
    for (name, value, expected) in [
        ("a text", r#""alice""#, user("alice")),
        ("an integer", "42", user("42")),
        ("a negative one", "-1", user("-1")),
        ("the largest", "18446744073709551615", user("18446744073709551615")),
        ("a larger one", "18446744073709551616", wrong.clone()),
        ("a fraction", "4.5", wrong.clone()),
        ("null", "null", Ok(None)),
        ("a list", "[42]", wrong.clone()),
        ("true", "true", wrong.clone()),
        ("empty", r#""""#, wrong.clone()),
        ("too long", &format!("\"{}\"", "u".repeat(1_025)), wrong.clone()),
        ("longest", &format!("\"{}\"", "u".repeat(1_024)), user(&"u".repeat(1_024))),
    ] {
        let stored = format!(r#"{{"u":{value},"user_id":"other"}}"#);
        assert_eq!(decode(flask().user_at(["u"]), &stored), expected, "{name}");
        let inside = format!(r#"{{"a":{{"b":{value}}},"u":"other"}}"#);
        assert_eq!(decode(flask().user_at(["a", "b"]), &inside), expected, "{name}, inside");
        assert_eq!(decode(flask().no_users(), &stored), Ok(None), "{name}");
    }
    assert_eq!(decode(flask().user_at(["missing"]), r#"{"u":1}"#), Ok(None));
    assert_eq!(decode(flask().user_at(["u", "id"]), r#"{"u":1}"#), Ok(None));
    let with = |user: &'static str| flask().user_with(move |_| Some(user.to_owned()));
    assert_eq!(decode(with("bob"), "{}"), user("bob"));
    assert_eq!(decode(with(""), "{}"), wrong);
}

#[test]
fn the_expiry_of_tower_sessions_is_a_time_or_an_error() {
    let plain = sample("tower-sessions set_expiry 30 d");
    let bytes = plain.bytes();
    let start = bytes.len() - 17; // after the marker of the nine
    let with = |numbers: &[u8]| {
        let session = plain.decode(&[&bytes[..start], numbers].concat());
        session.map(|session| session.expires().map(|time| time.to_string()))
    };
    let at = |text: &str| Some(text.to_owned());
    let day = |rest: &[u8]| with(&[b"\xcd\x07\xea\x01", rest].concat());
    assert_eq!(day(b"\x00\x00\x00\x00\x02\x00\x00"), Ok(at("2025-12-31T22:00:00Z")));
    assert_eq!(day(b"\x00\x00\x00\x00\xfe\xe2\x00"), Ok(at("2026-01-01T02:30:00Z")));
    assert_eq!(with(b"\x00\x01\x00\x00\x00\x00\x00\x00\x00"), Ok(at("1970-01-01T00:00:00Z")));
    for (name, numbers) in [
        ("day 0", b"\xcd\x07\xea\x00\x00\x00\x00\x00\x00\x00\x00".as_slice()),
        ("day 366 of 2026", b"\xcd\x07\xea\xcd\x01\x6e\x00\x00\x00\x00\x00\x00\x00"),
        ("hour 24", b"\xcd\x07\xea\x01\x18\x00\x00\x00\x00\x00\x00"),
        ("offset of 26 hours", b"\xcd\x07\xea\x01\x00\x00\x00\x00\x1a\x00\x00"),
        ("year 10000", b"\xcd\x27\x10\x01\x00\x00\x00\x00\x00\x00\x00"),
        ("after 9999", b"\xcd\x27\x0f\xcd\x01\x6d\x17\x00\x00\x00\xff\x00\x00"),
        ("a text", b"\xa1a\x01\x00\x00\x00\x00\x00\x00\x00"),
    ] {
        assert!(with(numbers).is_err(), "{name}");
    }
}

#[test]
fn a_line_has_its_fields_and_no_others() {
    let line = decode_line(
        r#"{"key":"k","user":"7","values":{"a":[1.50]},"expires":"2030-01-01T00:00:00+01:00"}"#,
    );
    let line = line.unwrap();
    assert_eq!((line.key(), line.session().user()), ("k", Some("7")));
    assert_eq!(line.session().json("a"), Some("[1.50]"));
    let expires = line.session().expires().map(|time| time.to_string());
    assert_eq!(expires.as_deref(), Some("2029-12-31T23:00:00Z"));
    assert_eq!(format!("{line:?}"), "ImportedLine(..)");
    use ImportErrorKind::{Malformed, TooLarge, User, Value};
    for (name, line, kind) in [
        ("empty", String::new(), Malformed),
        ("no key", "{}".into(), Malformed),
        ("empty key", r#"{"key":""}"#.into(), Malformed),
        ("key twice", r#"{"key":"a","key":"b"}"#.into(), Malformed),
        ("another field", r#"{"key":"k","usr":"7"}"#.into(), Malformed),
        ("a number as the user", r#"{"key":"k","user":7}"#.into(), Malformed),
        ("an empty user", r#"{"key":"k","user":""}"#.into(), User),
        ("no time", r#"{"key":"k","expires":"soon"}"#.into(), Malformed),
        ("two", r#"{"key":"k"}{"key":"l"}"#.into(), Malformed),
        ("reserved", r#"{"key":"k","values":{"\u0000stamp":1}}"#.into(), Value),
        ("long", format!(r#"{{"key":"{}"}}"#, "k".repeat(1 << 20)), TooLarge),
    ] {
        assert_eq!(decode_line(&line).unwrap_err().kind(), kind, "{name}");
    }
}

/// An encoder that is as short as can be.
fn packed(value: &Value) -> Vec<u8> {
    let text = |text: &str| {
        let len = u32::try_from(text.len()).unwrap().to_be_bytes();
        [b"\xdb".as_slice(), &len, text.as_bytes()].concat()
    };
    let head = |marker: u8, len: usize| {
        [[marker].as_slice(), &u32::try_from(len).unwrap().to_be_bytes()].concat()
    };
    match value {
        Value::Null => vec![0xc0],
        Value::Bool(value) => vec![0xc2 + u8::from(*value)],
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => [b"\xd3".as_slice(), &number.to_be_bytes()].concat(),
            (_, Some(number)) => [b"\xcf".as_slice(), &number.to_be_bytes()].concat(),
            _ => [b"\xcb".as_slice(), &number.as_f64().unwrap().to_be_bytes()].concat(),
        },
        Value::String(value) => text(value),
        Value::Array(values) => {
            let items = values.iter().map(packed).collect::<Vec<_>>().concat();
            [head(0xdd, values.len()), items].concat()
        }
        Value::Object(values) => {
            let items = values.iter().map(|(name, value)| [text(name), packed(value)].concat());
            [head(0xdf, values.len()), items.collect::<Vec<_>>().concat()].concat()
        }
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i32>().prop_map(|number| Value::from(f64::from(number) / 8.0)),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..<_>::default() })]

    #[test]
    fn what_was_packed_is_what_is_read(value in any_value()) {
        let json = json(&packed(&value)).unwrap();
        prop_assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), value);
    }
}
