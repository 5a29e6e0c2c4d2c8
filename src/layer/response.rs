//! Response headers of the layer: Set-Cookie, Vary and Cache-Control.

use std::mem;

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CACHE_CONTROL, SET_COOKIE, VARY},
};

use crate::{
    clock::timestamp::Timestamp,
    request::{
        RequestSession, former_cookie::former_removal, state::CookieChange, take_over::old_removal,
        visitor_cookie::visitor_headers,
    },
};

/// Writes the session's headers into the head, if the session was accessed.
pub(crate) fn decorate(headers: &mut HeaderMap, session: &RequestSession) {
    let (change, visitor, former) = {
        let mut state = session.state();
        let former = former_removal(session, &mut state);
        let old = old_removal(session, &state);
        let change = mem::take(&mut state.cookie);
        let visitor = visitor_headers(session, &mut state, &change);
        (change, visitor, former.into_iter().chain(old))
    };
    let others = visitor.into_iter().flatten().chain(former).map(|value| (SET_COOKIE, value));
    for (name, value) in handed_out(change, session).into_iter().chain(others) {
        let _ = headers.append(name, value);
        forbid_storing(headers);
    }
    vary_by(headers, session.backend.rules.transport.request_header());
}

fn handed_out(change: CookieChange, session: &RequestSession) -> Option<(HeaderName, HeaderValue)> {
    let backend = &session.backend;
    match change {
        CookieChange::Keep => None,
        CookieChange::Set(token) => {
            backend.cookie_echo.gave(session.plain_client);
            let state = session.state();
            let deadlines = state.held.as_ref()?.record.deadlines;
            let rest = |end: Timestamp| end.saturating_since(backend.clock.now()).as_secs();
            let rest = deadlines.absolute_deadline.map(rest);
            backend.rules.transport.set(&token, rest, deadlines.remembered, session.domain)
        }
        CookieChange::Remove => backend.rules.transport.removal(session.domain),
    }
}

/// Headers that override `Cache-Control` for some caches, besides those that end in
/// `CDN-Cache-Control`.
const INSTEAD: [&str; 4] = ["edge-control", "expires", "surrogate-control", "x-accel-expires"];

/// A response with our cookie belongs to one client (RFC 9111 section 5.2.2.5).
fn forbid_storing(headers: &mut HeaderMap) {
    let stricter =
        headers.get_all(CACHE_CONTROL).iter().any(|value| list_has(value.as_bytes(), b"no-store"));
    if !stricter {
        let _ = headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    // Overrides that some caches read in its place: RFC 9213, Edge Architecture, nginx, Akamai.
    let for_one_kind = |name: &&HeaderName| {
        let name = name.as_str();
        name.ends_with("cdn-cache-control") || INSTEAD.contains(&name)
    };
    let targeted: Vec<HeaderName> = headers.keys().filter(for_one_kind).cloned().collect();
    for name in targeted {
        let _ = headers.remove(name);
    }
}

/// A response made from the session must not be served for another cookie (RFC 9110 section
/// 12.5.5).
fn vary_by(headers: &mut HeaderMap, name: &HeaderName) {
    let covers = |list: &[u8]| list_has(list, b"*") || list_has(list, name.as_str().as_bytes());
    if !headers.get_all(VARY).iter().any(|value| covers(value.as_bytes())) {
        let _ = headers.append(VARY, HeaderValue::from(name.clone()));
    }
}

/// Whether a comma-separated list has `item`, in any case.
fn list_has(list: &[u8], item: &[u8]) -> bool {
    list.split(|byte| *byte == b',').any(|found| found.trim_ascii().eq_ignore_ascii_case(item))
}

#[cfg(test)]
mod tests {
    use crate::layer::response::*;

    #[test]
    fn vary_is_merged_into_what_the_app_said() {
        for (name, vary, expected) in [
            ("none", &[][..], &["cookie"][..]),
            ("another", &["Accept"], &["Accept", "cookie"]),
            ("star", &["*"], &["*"]),
            ("there, other case", &["Accept, COOKIE"], &["Accept, COOKIE"]),
            ("a name that only contains it", &["x-cookie"], &["x-cookie", "cookie"]),
        ] {
            let mut headers = HeaderMap::new();
            for value in vary {
                headers.append(VARY, HeaderValue::from_static(value));
            }
            vary_by(&mut headers, &http::header::COOKIE);
            let found: Vec<_> = headers.get_all(VARY).iter().collect();
            assert_eq!(found, expected, "{name}");
        }
    }

    #[test]
    fn a_weaker_cache_control_gives_way() {
        for (name, before, after) in [
            ("none", None, "no-store"),
            ("public", Some("public, max-age=60"), "no-store"),
            ("as strict", Some("private, No-Store"), "private, No-Store"),
        ] {
            let mut headers = HeaderMap::new();
            headers.extend(before.map(|v| (CACHE_CONTROL, HeaderValue::from_static(v))));
            forbid_storing(&mut headers);
            assert_eq!(headers[CACHE_CONTROL], after, "{name}");
        }
    }

    #[test]
    fn no_other_header_tells_a_cache_to_keep_it() {
        for name in [
            "CDN-Cache-Control",
            "Cloudflare-CDN-Cache-Control",
            "Surrogate-Control",
            "Expires",
            "X-Accel-Expires",
            "Edge-Control",
        ] {
            let mut headers = HeaderMap::new();
            let name = HeaderName::try_from(name).unwrap();
            headers.insert(&name, HeaderValue::from_static("public, max-age=600"));
            headers.append(&name, HeaderValue::from_static("max-age=600"));
            headers.insert("cdn-loop", HeaderValue::from_static("a"));
            forbid_storing(&mut headers);
            assert!(!headers.contains_key(&name), "{name}");
            assert_eq!(headers.len(), 2, "{name}");
        }
    }
}
