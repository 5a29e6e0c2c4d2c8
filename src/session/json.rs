//! JSON of values: encoding, decoding, and the limit of nesting.

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use crate::error::{Error, ErrorKind};

/// Arrays and objects within each other that a value may have: some less than the 128 that reading
/// a value back allows, so that nothing is stored that could not be read.
const DEPTH_MAX: usize = 100;

pub(crate) fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Bytes, Error> {
    let json = serde_json::to_vec(value).map_err(Error::value)?;
    if !is_within(&json) {
        let text = format!("the value is nested deeper than {DEPTH_MAX}");
        return Err(Error::new(ErrorKind::TooLarge, text));
    }
    Ok(json.into())
}

pub(crate) fn decode<T: DeserializeOwned>(json: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(json).map_err(Error::value)
}

/// Whether `json`, which a serializer wrote, is nested no deeper than that.
fn is_within(json: &[u8]) -> bool {
    let (mut depth, mut text, mut escaped) = (0_usize, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = text,
            b'"' => text = !text,
            b'[' | b'{' if !text => {
                depth += 1;
                if depth > DEPTH_MAX {
                    return false;
                }
            }
            b']' | b'}' if !text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    true
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
            assert_eq!(is_within(json.as_bytes()), within, "{name}");
        }
    }

    #[test]
    fn what_is_within_can_be_read_back() {
        let json = "[".repeat(DEPTH_MAX) + &"]".repeat(DEPTH_MAX);
        assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok());
    }
}
