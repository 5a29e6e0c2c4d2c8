use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use crate::{
    csrf::CsrfKey,
    error::ErrorKind,
    session::{
        device::Device,
        record::{format::*, *},
        token::Token,
        values::Edits,
    },
};

/// What the fuzz targets call, so that it cannot fall behind: nothing else builds it here.
#[path = "../../fuzzing.rs"]
#[allow(unreachable_pub, reason = "public where the fuzz targets use it")]
mod fuzzing;

fn times() -> impl Strategy<Value = (Timestamp, Timestamp, Deadlines)> {
    let time = || any::<u64>().prop_map(Timestamp::from_millis);
    let absolute = proptest::option::of((1..=u64::MAX).prop_map(Timestamp::from_millis));
    (time(), time(), any::<u64>(), time(), absolute, any::<bool>()).prop_map(
        |(created, last_activity, idle, idle_deadline, absolute_deadline, remembered)| {
            let idle = Duration::from_millis(idle);
            (
                created,
                last_activity,
                Deadlines { idle, idle_deadline, absolute_deadline, remembered },
            )
        },
    )
}

fn values() -> impl Strategy<Value = Values> {
    let value = proptest::collection::vec(any::<u8>(), 0..20).prop_map(|value| Some(value.into()));
    let entry = (any::<String>().prop_map(String::into_boxed_str), value);
    let edits = proptest::collection::vec(entry, 0..5);
    edits.prop_map(|edits| Values::default().edited(&edits.into_iter().collect()))
}

fn record() -> impl Strategy<Value = Record> {
    let text = || proptest::option::of(any::<String>().prop_map(String::into_boxed_str));
    let sealed = proptest::option::of(proptest::collection::vec(any::<u8>(), 0..90));
    let content = (text(), values(), sealed).prop_map(|(platform, values, sealed)| match sealed {
        Some(sealed) => (None, Values::default(), Some(sealed.into_boxed_slice())),
        None => (platform, values, None),
    });
    let device =
        (text(), text(), text()).prop_map(|(one, two, three)| Device::stored(one, two, three));
    let authenticated = proptest::option::of((1..=u64::MAX).prop_map(Timestamp::from_millis));
    (any::<u64>(), any::<WriteId>(), times(), authenticated, text(), device, content).prop_map(
        |(version, writer, times, authenticated, user, device, content)| {
            let (created, last_activity, deadlines) = times;
            let (platform, values, sealed) = content;
            Record {
                version,
                writer,
                created,
                last_activity,
                deadlines,
                authenticated,
                user,
                device,
                platform,
                values,
                sealed,
                moved: None,
            }
        },
    )
}

fn with_value(name: &str, json: &'static str) -> Record {
    let edits: Edits = [(name.into(), Some(Bytes::from_static(json.as_bytes())))].into();
    Record { values: Values::default().edited(&edits), ..Record::example() }
}

/// Written out by hand, so that a change of the format cannot pass unseen: what an older version
/// of this crate has stored must be read by every later one.
#[test]
fn the_bytes_of_format_1_are_fixed() {
    let bytes = [
        b"TRS\x01".as_slice(),
        &1_704_067_200_000u64.to_be_bytes(),
        &1_704_067_200_000u64.to_be_bytes(),
        &1_704_070_860_000u64.to_be_bytes(),
        &3_600_000u64.to_be_bytes(),
        &0u64.to_be_bytes(),
        &[7; 16],
        &1_704_067_200_000u64.to_be_bytes(),
        b"\x00",
        b"\x00\x05alice",
        b"\x00\x09192.0.2.1",
        b"\xff\xff",
        b"\x00\x05Phone",
        b"\x00",
        b"\x00\x00\x00\x13",
        b"\xff\xff",
        b"\x00\x05\x00\x00\x00\x06theme\"dark\"",
    ]
    .concat();
    let device = Device::stored(Some("192.0.2.1".into()), None, Some("Phone".into()));
    let record = Record { device, ..with_value("theme", "\"dark\"") };
    assert_eq!(record.to_bytes(), bytes);
    assert_eq!(Record::from_bytes(1, bytes.into()).unwrap(), record);
}

#[test]
fn a_touch_overwrites_the_two_fields_at_their_place() {
    let mut record = with_value("theme", "\"dark\"");
    let mut bytes = record.to_bytes();
    let (at, deadline) = (Timestamp::from_millis(1_704_067_300_000), record.end());
    let deadline = deadline.saturating_add(Duration::from_secs(100));
    assert!(record.touch(Touch { last_activity: at, idle_deadline: deadline, end: deadline }));
    let fields = [at.as_millis().to_be_bytes(), deadline.as_millis().to_be_bytes()].concat();
    assert_eq!(fields.len(), ACTIVITY_LEN);
    bytes[ACTIVITY_OFFSET..ACTIVITY_OFFSET + ACTIVITY_LEN].copy_from_slice(&fields);
    assert_eq!(record.to_bytes(), bytes);
}

#[test]
fn a_touch_that_is_not_later_changes_nothing() {
    let record = Record::example();
    for (name, deadline, changes) in [
        ("earlier", record.end().as_millis() - 1, false),
        ("equal", record.end().as_millis(), false),
        ("later", record.end().as_millis() + 1, true),
    ] {
        let mut touched = record.clone();
        let end = Timestamp::from_millis(deadline);
        let activity = Touch { last_activity: end, idle_deadline: end, end };
        assert_eq!(touched.touch(activity), changes, "{name}");
        assert_eq!(touched != record, changes, "{name}");
        assert_eq!(touched.version(), record.version(), "{name}");
    }
}

#[test]
fn bytes_that_cannot_be_read_say_why() {
    let whole = Record::example().to_bytes();
    let with = |index: usize, byte: u8| {
        let mut bytes = whole.clone();
        bytes[index] = byte;
        bytes
    };
    let (corrupt, unsupported) = (ErrorKind::Corrupt, ErrorKind::Unsupported);
    for (name, bytes, kind) in [
        ("empty", vec![], corrupt),
        ("only the magic", b"TRS".to_vec(), corrupt),
        ("another magic", with(0, b'X'), corrupt),
        ("json", b"{\"user\":\"alice\"}".to_vec(), corrupt),
        ("format 0", with(3, 0), unsupported),
        ("format 2", with(3, 2), unsupported),
        ("format 255, and nothing more", b"TRS\xff".to_vec(), unsupported),
        ("the fixed part only", whole[..69].to_vec(), corrupt),
        ("a flag to come", with(68, 2), unsupported),
        ("user is not UTF-8", with(71, 0xff), corrupt),
        ("user longer than all", with(69, 0xfe), corrupt),
        ("a form to come", with(whole.len() - 7, 2), unsupported),
        ("bytes left over", [whole.as_slice(), b"\0"].concat(), corrupt),
    ] {
        let error = Record::from_bytes(1, bytes.into()).unwrap_err();
        assert_eq!(error.kind(), kind, "{name}");
        assert!(!error.to_string().contains("alice"), "{name}");
    }
}

#[test]
fn texts_at_their_bounds_survive() {
    for (name, user, platform) in [
        ("none", None, None),
        ("empty", Some(String::new()), Some(String::new())),
        ("longest that is let in", Some("u".repeat(1_024)), Some("p".repeat(1_024))),
        ("longest that the field holds", Some("u".repeat(65_534)), Some("p".repeat(65_534))),
        ("many bytes a letter", Some("\u{1f980}".repeat(256)), Some("\u{fffd}".into())),
        ("control characters", Some("\0\r\n".into()), Some("\u{7f}".into())),
    ] {
        let user = user.map(String::into_boxed_str);
        let platform = platform.map(String::into_boxed_str);
        let record = Record { user, platform, ..with_value("a", "1") };
        let again = Record::from_bytes(1, record.to_bytes().into()).unwrap();
        assert_eq!(again, record, "{name}");
    }
}

#[test]
fn a_record_prints_no_value_user_or_mark() {
    let record = Record {
        user: Some("canary".into()),
        platform: Some("canary".into()),
        ..with_value("canary", "\"canary\"")
    };
    let printed = format!("{record:?} {record:#?}");
    assert!(!printed.contains("canary"), "{printed}");
}

#[test]
fn the_fuzz_targets_take_what_is_right_and_refuse_what_is_not() {
    let token = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
    let cookie = format!("__Host-session={token}");
    let forged = format!("\u{2000}__Host-session={token}; =__Host-session={token}");
    let name = "__Host-session";
    assert_eq!(fuzzing::cookie_header(&[b"a=\xff", cookie.as_bytes()], name), 1);
    assert_eq!(fuzzing::cookie_header(&[forged.as_bytes()], name), 0);
    assert!(fuzzing::token(token.as_bytes()) && !fuzzing::token(b"x"));
    assert!(fuzzing::session_id_parse(token) && !fuzzing::session_id_parse("x"));
    let record = Record::example().to_bytes();
    #[cfg(feature = "encryption")]
    for (name, made_up) in
        [("made_up", true), ("short", true), ("../record_decode/signed_in", false)]
    {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/seeds/sealed/");
        let seed = std::fs::read(format!("{folder}{name}")).unwrap();
        assert!(fuzzing::record_decode(1, &seed), "{name} is a record");
        assert_eq!(fuzzing::sealed(1, &seed), made_up, "{name}");
    }
    let csrf = CsrfKey::of_visitor(&Token::generate().unwrap()).issue(Timestamp::from_millis(5));
    let csrf = csrf.unwrap();
    assert!(fuzzing::csrf_token(csrf.as_str().as_bytes()) && !fuzzing::csrf_token(b"x"));
    assert!(fuzzing::csrf_form(b"a=1&t=x", "t") && !fuzzing::csrf_form(b"t=1&t=2", "t"));
    assert!(fuzzing::record_decode(1, &record) && !fuzzing::record_decode(1, &record[1..]));
}

#[cfg(feature = "redis")]
#[test]
fn the_fuzz_targets_of_a_cluster_read_their_seeds() {
    let seed = |name: &str| {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/seeds/");
        std::fs::read(format!("{folder}{name}")).unwrap()
    };
    for name in ["two_primaries", "uncovered"] {
        assert!(fuzzing::cluster_slots(&seed(&format!("cluster_slots/{name}"))), "{name}");
    }
    assert!(!fuzzing::cluster_slots(b"*0\r\n") && !fuzzing::cluster_slots(b"+OK\r\n"));
    for name in ["address", "ipv6", "no_host"] {
        let text = String::from_utf8(seed(&format!("cluster_redirect/{name}"))).unwrap();
        assert!(fuzzing::cluster_redirect(&text), "{name}");
    }
    assert!(!fuzzing::cluster_redirect("3999 a b:1"));
}

#[cfg(feature = "import")]
#[test]
fn the_fuzz_targets_of_imports_read_their_seeds() {
    let seed = |name: &str| {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/seeds/");
        std::fs::read(format!("{folder}{name}")).unwrap()
    };
    let text = |name: &str| String::from_utf8(seed(name)).unwrap();
    for format in ["tower_sessions", "axum_session", "actix_session", "express", "flask"] {
        assert!(fuzzing::import_stored(&seed(&format!("import_stored/{format}"))) > 0, "{format}");
    }
    for rejected in ["pickle", "php", "django"] {
        assert_eq!(fuzzing::import_stored(&seed(&format!("import_stored/{rejected}"))), 0);
    }
    assert!(fuzzing::import_django(&text("import_django/compressed")));
    assert!(fuzzing::import_django(&text("import_django/plain")));
    assert!(!fuzzing::import_django(".plain"));
    assert!(fuzzing::import_cookie(&seed("import_cookie/plain")) > 0);
    assert_eq!(fuzzing::import_cookie(&seed("import_cookie/signed")), 0, "another key");
    assert!(fuzzing::import_line(&text("import_line/full")) && !fuzzing::import_line("{}"));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..<_>::default() })]

    #[test]
    fn a_record_reads_as_it_was_written(record in record()) {
        let bytes = record.to_bytes();
        prop_assert_eq!(bytes.len(), record.encoded_len());
        let again = Record::from_bytes(record.version(), bytes.into()).unwrap();
        prop_assert_eq!(again, record);
    }

    #[test]
    fn every_truncation_is_an_error(record in record()) {
        let bytes = Bytes::from(record.to_bytes());
        for len in 0..bytes.len() {
            let cut = Record::from_bytes(record.version(), bytes.slice(..len));
            prop_assert!(cut.is_err(), "cut from {} to {len} bytes", bytes.len());
        }
    }

    #[test]
    fn arbitrary_bytes_are_an_error_or_a_record_that_writes_them(
        head in prop_oneof![Just(&b"TRS\x01"[..]), Just(&b"TRS"[..]), Just(&b""[..])],
        tail: Vec<u8>,
    ) {
        let bytes = Bytes::from([head, &tail].concat());
        if let Ok(record) = Record::from_bytes(1, bytes.clone()) {
            // Times past the year 9999 are read as its end; all else is written as it was read.
            let again = Record::from_bytes(1, record.to_bytes().into()).unwrap();
            prop_assert_eq!(record.encoded_len(), bytes.len());
            prop_assert_eq!(again, record);
        }
    }

    #[test]
    fn a_flipped_byte_never_panics(record in record(), at: prop::sample::Index, bit in 0..8u32) {
        let mut bytes = record.to_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let _ = Record::from_bytes(1, bytes.into());
    }

    #[test]
    fn another_format_is_unsupported_whatever_follows(format: u8, tail: Vec<u8>) {
        prop_assume!(format != 1);
        let bytes = [b"TRS", &[format][..], &tail].concat();
        let error = Record::from_bytes(1, bytes.into()).unwrap_err();
        prop_assert_eq!(error.kind(), ErrorKind::Unsupported);
    }
}

#[test]
fn what_counts_against_the_bound_is_a_record_without_its_device_as_if_it_were_open() {
    let device = Device::stored(Some("192.0.2.1".into()), Some("a browser".into()), None);
    let open = Record { platform: Some("11".into()), ..with_value("theme", "\"dark\"") };
    assert_eq!(open.weight(), open.encoded_len());
    let with_device = Record { device, ..open.clone() };
    assert_eq!(with_device.weight(), open.weight());
    assert!(with_device.encoded_len() > open.weight());
}
