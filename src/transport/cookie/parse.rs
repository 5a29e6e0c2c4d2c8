//! Parser of the `Cookie` headers of a request, byte by byte.
//!
//! A library's cookie parser is too lenient here: one that trims Unicode white space or decodes
//! names reads cookies as `__Host-session` to which the browser did not apply that prefix.

use crate::session::token::Token;

/// Maximum number of well-formed tokens checked per request. A conforming browser sends one.
pub(crate) const TOKENS_MAX: usize = 4;

/// The well-formed tokens of our cookie, in order, four at most. Treats all `Cookie` header lines
/// as one (RFC 9113 section 8.2.3).
pub(crate) fn find<'a>(lines: impl Iterator<Item = &'a [u8]>, name: &str) -> Vec<Token> {
    let pairs = lines.flat_map(|line| line.split(|byte| *byte == b';'));
    pairs.filter_map(|pair| token(pair, name.as_bytes())).take(TOKENS_MAX).collect()
}

/// The values of another cookie, in order, four at most.
#[cfg(feature = "import")]
pub(crate) fn values<'a>(
    lines: impl Iterator<Item = &'a [u8]>,
    name: &str,
) -> impl Iterator<Item = &'a [u8]> {
    let pairs = lines.flat_map(|line| line.split(|byte| *byte == b';'));
    pairs.filter_map(|pair| value(pair, name.as_bytes())).take(TOKENS_MAX)
}

fn token(pair: &[u8], name: &[u8]) -> Option<Token> {
    Token::parse(value(pair, name)?)
}

fn value<'a>(pair: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let rest = trim(pair).strip_prefix(name)?;
    // White space before the `=` belongs to neither side (RFC 6265bis section 5.6).
    trim(rest).strip_prefix(b"=").map(trim)
}

/// Trims space and horizontal tab, and nothing else, from both ends.
fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

#[cfg(test)]
#[path = "parse/tests.rs"]
mod tests;
