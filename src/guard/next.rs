//! Validation of `next`, the place after a sign-in: on this site only. Pure.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, utf8_percent_encode};

/// Maximum length of an accepted `next`, in bytes.
const NEXT_MAX: usize = 2_048;

/// Returns `next` if it is a place on this site, for a login page that redirects after the sign-in.
///
/// Such a place is a path, optionally with a query, that starts with exactly one slash under every
/// interpretation: no second slash or backslash that would begin a host, also after dot segments,
/// no control characters, which browsers drop, and none of these percent-encoded. All characters
/// are visible ASCII, as browsers send them, so it can be used in `Location` unchanged.
///
/// ```
/// use tower_redis_session::guard::safe_next;
///
/// assert_eq!(safe_next("/account?tab=keys"), Some("/account?tab=keys"));
/// assert_eq!(safe_next("https://evil.example"), None);
/// for elsewhere in ["//evil.example", "/\\evil.example", "/\t/evil.example"] {
///     assert_eq!(safe_next(elsewhere), None);
/// }
/// ```
#[must_use]
pub fn safe_next(next: &str) -> Option<&str> {
    if next.len() > NEXT_MAX || !next.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    let mut read = next.as_bytes().to_vec();
    // For any number of decodings. Each round shortens it, so the loop ends.
    loop {
        if !is_path(&read) {
            return None;
        }
        let further: Vec<u8> = percent_decode(&read).collect();
        if further == read {
            return Some(next);
        }
        read = further;
    }
}

fn is_path(text: &[u8]) -> bool {
    let [b'/', rest @ ..] = text else { return false };
    // Leading dot segments are removed, and what follows takes their place.
    let dots = rest.iter().take_while(|byte| **byte == b'.').count();
    let other_host = matches!(rest.get(dots), Some(b'/' | b'\\'));
    let odd = |byte: &u8| byte.is_ascii_control() || *byte == b'\\';
    !other_host && !text.iter().any(odd)
}

/// All but the unreserved characters of RFC 3986 section 2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Percent-encodes `path` as a value of a query.
pub(super) fn escaped(path: &str) -> String {
    utf8_percent_encode(path, RESERVED).to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::guard::next::*;

    #[test]
    fn only_places_on_this_site_are_followed() {
        for (next, safe) in [
            ("/", true),
            ("/a/b?c=d&e=%2F%2Fevil.example", true),
            ("/a//b", true),
            ("/caf%C3%A9", true),
            ("/caf\u{e9}", false),
            ("/a b", false),
            ("/100%", true),
            ("/100%25", true),
            ("", false),
            ("a", false),
            ("//evil.example", false),
            ("///evil.example", false),
            ("/\\evil.example", false),
            ("\\/evil.example", false),
            ("/a\\b", false),
            ("https://evil.example", false),
            ("javascript:alert(1)", false),
            (" /a", false),
            ("/\t/evil.example", false),
            ("/\n/evil.example", false),
            ("/a\r\nset-cookie: b=c", false),
            ("/a\0", false),
            ("/.well-known/a", true),
            ("/..a", true),
            ("/.//evil.example", false),
            ("/..//evil.example", false),
            ("/./a", false),
            ("/%252Fevil.example", false),
            ("/%25252fevil.example", false),
            ("/%2Fevil.example", false),
            ("/%2fevil.example", false),
            ("/%5cevil.example", false),
            ("/%09/evil.example", false),
            ("/a%0d%0ab", false),
            ("%2Fa", false),
            ("@evil.example", false),
        ] {
            assert_eq!(safe_next(next).is_some(), safe, "{next:?}");
        }
        let longest = format!("/{}", "a".repeat(NEXT_MAX - 1));
        assert!(safe_next(&longest).is_some() && safe_next(&(longest + "a")).is_none());
    }

    #[test]
    fn only_unreserved_characters_stand_for_themselves_in_a_query() {
        let path = "/a-b._~?c=d&e=%2F+'*\u{e9}";
        assert_eq!(escaped(path), "%2Fa-b._~%3Fc%3Dd%26e%3D%252F%2B%27%2A%C3%A9");
    }

    proptest! {
        /// As a browser reads it: tab and line ends dropped, backslashes taken for slashes.
        #[test]
        fn no_browser_leaves_the_site(next in "[/\\\\a%25fF09dD\t\n\r.:@?# ]{0,12}") {
            if let Some(next) = safe_next(&next) {
                let read: String =
                    next.chars().filter(|letter| !"\t\n\r".contains(*letter)).collect();
                let read = read.replace('\\', "/");
                prop_assert!(read.starts_with('/') && !read.starts_with("//"), "{next:?}");
            }
        }

        /// As the standard reads it that browsers follow.
        #[test]
        fn no_place_that_is_safe_resolves_to_another_site(
            next in "[/\\\\a%25fF09dDeE\t\n.:@?# ]{0,14}|/(/|\\.|%2e|%2f|a|;|@|:|\\\\){0,8}",
        ) {
            if let Some(next) = safe_next(&next) {
                let site = url::Url::parse("https://example.org/a/b?c").unwrap();
                let there = site.join(next).unwrap();
                prop_assert_eq!(there.origin(), site.origin(), "{}", next);
                prop_assert!(http::HeaderValue::from_str(next).is_ok(), "{}", next);
            }
        }

        #[test]
        fn what_was_escaped_decodes_to_what_it_was(path in "\\PC{0,40}") {
            let escaped = escaped(&path);
            prop_assert!(escaped.is_ascii());
            let decoded: Vec<u8> = percent_decode(escaped.as_bytes()).collect();
            prop_assert_eq!(decoded, path.as_bytes());
        }
    }
}
