//! Limits, and bytes of strangers.

use proptest::prelude::*;

use crate::import::tests::*;

fn flask() -> Importer {
    Importer::builder(Format::FlaskSession).user_at(["u"]).build().unwrap()
}

fn kind(bytes: &[u8]) -> Option<ImportErrorKind> {
    flask().decode("id", bytes, None).err().map(|error| error.kind())
}

/// A map of one name with these bytes as its value.
fn named(value: &[u8]) -> Vec<u8> {
    [b"\x81\xa1v", value].concat()
}

#[test]
fn each_limit_is_exact() {
    use ImportErrorKind::{TooLarge, Value};
    let nested = |depth: usize| named(&[vec![0x91; depth], vec![0xc0]].concat());
    let json = |depth: usize| format!("{{\"v\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    let elements = |count: u32| {
        // The map, the name and the array are elements, too.
        let mut bytes = [b"\xdd".as_slice(), &(count - 3).to_be_bytes()].concat();
        bytes.resize(bytes.len() + usize::try_from(count - 3).unwrap(), 0xc0);
        named(&bytes)
    };
    let names = |count: u16| {
        let mut bytes = [b"\xde".as_slice(), &count.to_be_bytes()].concat();
        for at in 0..count {
            bytes.extend([b"\xa4".as_slice(), format!("{at:04}").as_bytes(), b"\xc0"].concat());
        }
        bytes
    };
    let long = |len: usize| {
        let text = u32::try_from(len - 8).unwrap().to_be_bytes();
        named(&[b"\xdb".as_slice(), &text, &vec![b'a'; len - 8]].concat())
    };
    for (name, bytes, expected) in [
        ("nesting", nested(100), None),
        ("deeper", nested(101), Some(TooLarge)),
        ("far deeper", nested(60_000), Some(TooLarge)),
        ("nesting of JSON", json(100).into(), None),
        ("deeper JSON", json(101).into(), Some(TooLarge)),
        ("far deeper JSON", json(400_000).into(), Some(TooLarge)),
        ("elements", elements(65_536), None),
        ("more elements", elements(65_537), Some(TooLarge)),
        ("names", names(1_024), None),
        ("more names", names(1_025), Some(TooLarge)),
        ("bytes", long(1 << 20), None),
        ("more bytes", long((1 << 20) + 1), Some(TooLarge)),
        ("an empty name", b"\x81\xa0\xc0".to_vec(), Some(Value)),
        ("a reserved name", b"\x81\xa6\0stamp\xc0".to_vec(), Some(Value)),
    ] {
        assert_eq!(kind(&bytes), expected, "{name}");
    }
}

#[test]
fn a_claimed_length_allocates_nothing() {
    let most = u32::MAX.to_be_bytes();
    for marker in [0xdb, 0xc6, 0xc9, 0xdd, 0xdf] {
        let claim = [[marker].as_slice(), &most, &b"\xa1a".repeat(32)].concat();
        for bytes in [named(&claim), claim] {
            assert_eq!(kind(&bytes), Some(ImportErrorKind::Malformed), "{marker:x}");
        }
    }
}

/// 8 MiB in 8 KiB, signed as Django signs.
#[test]
fn decompression_ends_at_the_limit() {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    use hmac::{Hmac, KeyInit as _, Mac as _};
    use sha2::Digest as _;

    let signed = |json: &[u8]| {
        let data = miniz_oxide::deflate::compress_to_vec_zlib(json, 9);
        let text = format!(".{}:1xXiyq", URL_SAFE_NO_PAD.encode(data));
        let salted = "django.contrib.sessions.SessionStoresignerk";
        let key = sha2::Sha256::digest(salted);
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&key).unwrap();
        mac.update(text.as_bytes());
        format!("{text}:{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
    };
    let importer = Importer::builder(Format::Django).stored_key("k").no_users().build().unwrap();
    let decode = |json: &[u8]| importer.decode("id", signed(json).as_bytes(), None);
    assert!(decode(br#"{"a":1}"#).is_ok());
    let long = |len: usize| format!("{{\"a\":\"{}\"}}", "a".repeat(len - 8));
    assert!(decode(long(1 << 20).as_bytes()).is_ok());
    let error = decode(long(8 << 20).as_bytes()).unwrap_err();
    assert_eq!(error.kind(), ImportErrorKind::TooLarge);
    // PickleSerializer, which Django had before 5.0.
    let pickled = decode(&sample("Django cache").bytes()).unwrap_err();
    assert_eq!(pickled.kind(), ImportErrorKind::Executable);
}

fn importers() -> Vec<Importer> {
    samples().iter().filter(|sample| !sample.is_executable()).map(Sample::importer).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..<_>::default() })]

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..256), id in "\\PC{0,40}") {
        for importer in importers() {
            let _ = importer.decode(&id, &bytes, None);
            if let Some(headers) = headers(&bytes) {
                let _ = importer.find(&headers, None);
            }
        }
        let _ = decode_line(&String::from_utf8_lossy(&bytes));
    }

    /// Mutations reach what random bytes do not.
    #[test]
    fn no_changed_sample_panics(
        sample in 0_usize..19,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let sample = samples().into_iter().filter(|one| !one.is_executable()).nth(sample).unwrap();
        let (id, mut bytes) = (sample.id(), sample.bytes());
        let mut cookie = sample.cookie.clone().into_bytes();
        for (place, byte) in changes {
            let at = place.index(bytes.len());
            bytes[at] = byte;
            let at = place.index(cookie.len());
            cookie[at] = byte;
        }
        let _ = sample.importer().decode(&id, &bytes, None);
        if let Some(headers) = headers(&cookie) {
            let _ = sample.importer().find(&headers, None);
        }
    }
}
