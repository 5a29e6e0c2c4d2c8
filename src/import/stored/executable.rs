//! Forms that only the language that wrote them can read, by running code that they name.

use crate::import::error::{ImportError, ImportErrorKind::Executable};

const PICKLE: &str = "Python's pickle is not read, since it can run code: export these sessions as \
                      JSON lines, or read Django's table in the place of its cache";
const PHP: &str = "PHP's serialize is not read, since it can run code: export these sessions as \
                   JSON lines";

/// Rejects bytes that are certainly of such a form.
pub(crate) fn reject(bytes: &[u8]) -> Result<(), ImportError> {
    // The opcodes PROTO and STOP. In MessagePack 0x80 is an empty map, behind which nothing is.
    if let [0x80, 2..=5, .., b'.'] = bytes {
        return Err(ImportError::new(Executable, PICKLE));
    }
    if is_php(bytes) { Err(ImportError::new(Executable, PHP)) } else { Ok(()) }
}

/// `name|i:1;`, or one array `a:1:{`.
fn is_php(bytes: &[u8]) -> bool {
    let value = |bytes: &[u8]| match bytes {
        [b'a' | b's' | b'O' | b'C', b':', b'0'..=b'9', ..] => {
            bytes.ends_with(b"}") || bytes.ends_with(b";")
        }
        [b'i' | b'd' | b'b', b':', ..] | [b'N', ..] => bytes.contains(&b';'),
        _ => false,
    };
    let name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    let mut parts = bytes.splitn(2, |byte| *byte == b'|');
    match (parts.next(), parts.next()) {
        (Some(first), Some(rest)) => first.iter().all(name) && value(rest),
        (Some(all), None) => value(all) && all.ends_with(b"}"),
        _ => false,
    }
}
