//! JSON of values: encoding, decoding, and the limit of nesting.

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    error::{Error, ErrorKind},
    session::json::finite::Finite,
};

mod finite;

/// Maximum nesting of arrays and objects in a value: below the 128 that decoding allows, so that
/// every stored value can be read.
const DEPTH_MAX: usize = 100;

pub(crate) fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Bytes, Error> {
    let json = serde_json::to_vec(value).map_err(Error::value)?;
    let Scan { is_within, has_null } = Scan::of(&json);
    if !is_within {
        let text = format!("the value is nested deeper than {DEPTH_MAX}");
        return Err(Error::new(ErrorKind::TooLarge, text));
    }
    // Only JSON with a `null` can contain one for a non-finite number.
    if has_null && value.serialize(Finite).is_err() {
        let text = "the value contains NaN or an infinity, which JSON cannot represent";
        return Err(Error::new(ErrorKind::Value, text));
    }
    Ok(json.into())
}

pub(crate) fn decode<T: DeserializeOwned>(json: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(json).map_err(Error::value)
}

/// Whether well-formed JSON is nested no deeper than a value may be.
#[cfg(feature = "import")]
pub(crate) fn is_within_depth(json: &[u8]) -> bool {
    Scan::of(json).is_within
}

/// Result of one scan of a serializer's JSON text.
struct Scan {
    /// The nesting is within the limit.
    is_within: bool,
    /// There is a `null` in the scanned part.
    has_null: bool,
}

impl Scan {
    fn of(json: &[u8]) -> Self {
        let (mut depth, mut text, mut escaped, mut has_null) = (0_usize, false, false, false);
        for byte in json {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = text,
                b'"' => text = !text,
                b'[' | b'{' if !text => {
                    depth += 1;
                    if depth > DEPTH_MAX {
                        return Self { is_within: false, has_null };
                    }
                }
                b']' | b'}' if !text => depth = depth.saturating_sub(1),
                b'n' if !text => has_null = true,
                _ => {}
            }
        }
        Self { is_within: true, has_null }
    }
}

#[cfg(test)]
mod tests {
    use crate::session::json::*;

    #[test]
    fn the_bound_is_exact_and_texts_do_not_count() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        let objects = |depth: usize| "{\"a\":".repeat(depth) + "1" + &"}".repeat(depth);
        for (name, json, within) in [
            ("at the bound", nested(DEPTH_MAX), true),
            ("one more", nested(DEPTH_MAX + 1), false),
            ("objects at the bound", objects(DEPTH_MAX), true),
            ("one object more", objects(DEPTH_MAX + 1), false),
            ("wide, not deep", format!("[{}1]", "[],".repeat(1_000)), true),
            ("in a text", format!("\"{}\"", "[".repeat(1_000)), true),
            ("behind a quote in a text", format!("\"\\\"{}\"", "{".repeat(1_000)), true),
            ("ends in a text", format!("[\"]]]\",{}]", nested(DEPTH_MAX)), false),
            ("behind a backslash in a text", format!("[\"\\\\\",{}]", nested(DEPTH_MAX)), false),
        ] {
            assert_eq!(Scan::of(json.as_bytes()).is_within, within, "{name}");
        }
    }

    #[test]
    fn what_is_within_can_be_read_back() {
        let json = "[".repeat(DEPTH_MAX) + &"]".repeat(DEPTH_MAX);
        assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok());
    }

    #[test]
    fn a_number_that_json_has_no_word_for_is_refused_wherever_it_stands() {
        #[derive(Serialize)]
        enum Shape {
            Line(f64),
            Box { width: f32 },
            Pair(f64, f64),
        }
        #[derive(Serialize)]
        struct Point(f64, f64);
        fn refused(value: &impl Serialize) -> bool {
            encode(value).is_err_and(|error| error.kind() == ErrorKind::Value)
        }
        for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let map = std::collections::BTreeMap::from([("a", Some(vec![1.0, odd]))]);
            assert!(refused(&odd) && refused(&Some(odd)) && refused(&[(1, odd)]) && refused(&map));
            assert!(refused(&Shape::Line(odd)) && refused(&Shape::Pair(0.0, odd)));
            assert!(refused(&Shape::Box { width: f32::NAN }) && refused(&Point(odd, 0.0)));
            assert!(refused(&vec![None, Some(Point(0.0, odd))]));
        }
        #[derive(PartialEq, Eq, Hash)]
        struct Key;
        impl Serialize for Key {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_f64(f64::NAN)
            }
        }
        assert!(refused(&std::collections::HashMap::from([(Key, 1)])));
    }

    #[test]
    fn nothing_else_is() {
        for (name, json) in [
            ("nothing", encode(&None::<f64>)),
            ("no value", encode(&())),
            ("a few", encode(&(1.5, None::<u8>, "NaN null", f64::MAX, f32::MIN_POSITIVE))),
            ("a map", encode(&std::collections::BTreeMap::from([("n", None), ("m", Some(1))]))),
            ("any", encode(&serde_json::json!({ "a": [null, 1e300, { "b": null }], "c": "n" }))),
            ("wide", encode(&(None::<u8>, u128::MAX, i128::MIN, 'n', true))),
        ] {
            let json = json.expect(name);
            assert!(decode::<serde_json::Value>(&json).is_ok() || name == "wide", "{name}");
        }
    }
}
