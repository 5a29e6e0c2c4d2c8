//! Detection of cross-site requests, as far as the browser reports it: pure, from the request head.

use http::{
    HeaderName, HeaderValue,
    header::{HOST, ORIGIN},
    request::Parts,
};

use crate::transport::origin::Origin;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Inserted into the extensions of a request that the CSRF layer has accepted by its own settings
/// and token: inner services need not check again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Judged;

/// Whether the browser explicitly reports a cross-site request.
pub(crate) fn says_cross_site(head: &Parts) -> bool {
    head.headers.get_all(SEC_FETCH_SITE).iter().any(|site| site.as_bytes() == b"cross-site")
}

/// By `Sec-Fetch-Site` if the browser sends it, otherwise by `Origin`. A client that sends neither
/// is an old browser, or no browser.
///
/// `same_site` accepts requests from sibling hosts, `trusted` those of pages of these origins.
pub(crate) fn is_from_elsewhere(head: &Parts, same_site: bool, trusted: &[Origin]) -> bool {
    let origins = || head.headers.get_all(ORIGIN).iter();
    let mut sites = head.headers.get_all(SEC_FETCH_SITE).iter().peekable();
    if sites.peek().is_none() {
        let own = authority(head);
        return !origins().all(|origin| is_welcome(origin, own, trusted));
    }
    let is_own = |site: &HeaderValue| match site.as_bytes() {
        b"same-origin" | b"none" => true,
        b"same-site" => same_site,
        _ => false,
    };
    let welcome = origins().next().is_some() && origins().all(|o| is_welcome(o, None, trusted));
    !sites.all(is_own) && !welcome
}

fn is_welcome(origin: &HeaderValue, own: Option<&str>, trusted: &[Origin]) -> bool {
    Origin::parse(origin.as_bytes())
        .is_some_and(|origin| own.is_some_and(|own| origin.is_of(own)) || trusted.contains(&origin))
}

/// Authority of the request: that of the target takes precedence over `Host` (RFC 9112 section
/// 3.2.2).
fn authority(head: &Parts) -> Option<&str> {
    let host = || head.headers.get(HOST)?.to_str().ok();
    head.uri.authority().map(|authority| authority.as_str()).or_else(host)
}

#[cfg(test)]
mod tests {
    use http::Request;

    use crate::transport::cross_site::*;

    fn head(uri: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::post(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    const HERE: (&str, &str) = ("host", "shop.example");

    #[test]
    fn what_the_browser_says_of_the_site_counts() {
        let site = |site| ("sec-fetch-site", site);
        let evil = ("origin", "https://evil.test");
        for (name, headers, strict, same_site) in [
            ("the same origin", vec![site("same-origin")], false, false),
            ("typed in", vec![site("none")], false, false),
            ("a sibling host", vec![site("same-site")], true, false),
            ("another site", vec![site("cross-site")], true, true),
            ("a word of tomorrow", vec![site("same-party")], true, true),
            ("another case", vec![site("Same-Origin")], true, true),
            ("empty", vec![site("")], true, true),
            ("both", vec![site("same-origin"), site("cross-site")], true, true),
            ("the origin is not asked then", vec![site("same-origin"), evil], false, false),
            (
                "nor does it help",
                vec![site("cross-site"), ("origin", "https://shop.example")],
                true,
                true,
            ),
        ] {
            let head = head("/", &[&[HERE], headers.as_slice()].concat());
            assert_eq!(is_from_elsewhere(&head, false, &[]), strict, "{name}");
            assert_eq!(is_from_elsewhere(&head, true, &[]), same_site, "{name}, same site allowed");
        }
    }

    #[test]
    fn without_it_every_origin_has_to_be_our_own() {
        let origin = |origin| ("origin", origin);
        for (name, uri, headers, elsewhere) in [
            ("no browser", "/", vec![HERE], false),
            ("our own", "/", vec![HERE, origin("https://shop.example")], false),
            ("a sibling host", "/", vec![HERE, origin("https://a.shop.example")], true),
            ("another port", "/", vec![HERE, origin("https://shop.example:8443")], true),
            ("another site", "/", vec![HERE, origin("https://evil.test")], true),
            ("a page that hides it", "/", vec![HERE, origin("null")], true),
            ("no origin at all", "/", vec![HERE, origin("")], true),
            (
                "two",
                "/",
                vec![HERE, origin("https://shop.example"), origin("https://evil.test")],
                true,
            ),
            ("nobody is asked for", "/", vec![origin("https://shop.example")], true),
            (
                "the target counts before the host",
                "https://evil.test/",
                vec![HERE, origin("https://shop.example")],
                true,
            ),
            ("by the target", "https://shop.example/", vec![origin("https://shop.example")], false),
        ] {
            let head = head(uri, &headers);
            for same_site in [false, true] {
                assert_eq!(is_from_elsewhere(&head, same_site, &[]), elsewhere, "{name}");
            }
        }
    }

    #[test]
    fn trusted_origins_are_let_through_and_only_they() {
        let trusted = [Origin::parse(b"https://app.example").unwrap()];
        let site = ("sec-fetch-site", "cross-site");
        let (app, evil) = (("origin", "https://app.example"), ("origin", "https://evil.test"));
        for (name, headers, elsewhere) in [
            ("trusted", vec![site, app], false),
            ("trusted, of an old browser", vec![app], false),
            ("not trusted", vec![site, evil], true),
            ("one of two", vec![site, app, evil], true),
            ("one of two, of an old browser", vec![app, evil], true),
            ("without an origin", vec![site], true),
        ] {
            let head = head("/", &[&[HERE], headers.as_slice()].concat());
            assert_eq!(is_from_elsewhere(&head, false, &trusted), elsewhere, "{name}");
        }
    }
}
