//! The query of a request for a list of sessions: a page, and for administrators the user.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::{context::authentication::check_name, session::page::SessionCursor};

/// Default page size of the list of sessions.
const PAGE: usize = 100;

/// A page of a list; by default the first.
#[derive(Debug, PartialEq)]
pub(crate) struct Wanted {
    pub(crate) limit: usize,
    pub(crate) after: Option<SessionCursor>,
}

impl Default for Wanted {
    fn default() -> Self {
        Self { limit: PAGE, after: None }
    }
}

/// The user; none where the name is missing, occurs twice, is no text, or is too long.
pub(crate) fn user(query: Option<&str>) -> Option<String> {
    let user = only(query, "user").ok()??;
    check_name("user", &user).ok()?;
    Some(user)
}

/// The page; none where neither part of it is there, an error where one is malformed.
pub(crate) fn page(query: Option<&str>) -> Result<Option<Wanted>, ()> {
    let limit = only(query, "limit")?.map(|limit| limit.parse()).transpose().map_err(drop)?;
    let after = only(query, "after")?.map(|after| after.parse()).transpose().map_err(drop)?;
    if limit.is_none() && after.is_none() {
        return Ok(None);
    }
    Ok(Some(Wanted { limit: limit.unwrap_or(PAGE), after }))
}

/// The value of a name; an error where it has several, or one that is no UTF-8.
// Fails closed: of two values a proxy may have checked the other.
fn only(query: Option<&str>, wanted: &str) -> Result<Option<String>, ()> {
    let pairs = query.unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    let mut values =
        pairs.filter(|(name, _)| decoded(name).is_ok_and(|name| name == wanted)).map(|(_, v)| v);
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => decoded(value).map(Some),
        (Some(_), Some(_)) => Err(()),
    }
}

/// As forms encode it: WHATWG URL, `application/x-www-form-urlencoded`.
fn decoded(text: &str) -> Result<String, ()> {
    let spaced = if text.contains('+') { text.replace('+', " ").into() } else { Cow::from(text) };
    String::from_utf8(percent_decode_str(&spaced).collect()).map_err(drop)
}

#[cfg(test)]
mod tests {
    use crate::session_api::query::*;

    #[test]
    fn a_user_is_any_text_that_occurs_once() {
        let long = format!("user={}", "x".repeat(1_025));
        for (query, found) in [
            (Some("user=alice"), Some("alice")),
            (Some("limit=1&user=alice&after=2"), Some("alice")),
            (Some("user=a%2Fb%2e%2E%20c+d%26e%3D"), Some("a/b.. c d&e=")),
            (Some("us%65r=%C3%A9"), Some("\u{e9}")),
            (Some("user=a=b"), Some("a=b")),
            (Some("user=alice&user=bob"), None),
            (Some("user=alice&us%65r=bob"), None),
            (Some("user=%ff"), None),
            (Some("user="), None),
            (Some("user"), None),
            (Some("users=alice"), None),
            (Some(&long), None),
            (Some(""), None),
            (None, None),
        ] {
            assert_eq!(user(query).as_deref(), found, "{query:?}");
        }
    }

    #[test]
    fn a_page_has_defaults_and_no_malformed_part() {
        let cursor = "7.AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
        assert_eq!(page(Some("user=a")), Ok(None));
        let wanted = page(Some(&format!("after={cursor}"))).unwrap().unwrap();
        assert_eq!(wanted.limit, PAGE);
        let wanted = page(Some(&format!("after={cursor}&limit=20"))).unwrap().unwrap();
        assert_eq!((wanted.limit, wanted.after.unwrap().to_string()), (20, cursor.to_owned()));
        for query in ["limit=", "limit=-1", "limit=1&limit=2", "after=7", "after=%ff"] {
            assert_eq!(page(Some(query)), Err(()), "{query}");
        }
    }
}
