use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::transport::cookie::*;

const TEXT: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

fn token() -> Token {
    Token::parse(TEXT.as_bytes()).unwrap()
}

fn set(cookie: &CookieConfig, max_age: Option<u64>) -> String {
    cookie.set(&token(), max_age, false).unwrap().to_str().unwrap().to_owned()
}

fn removal(cookie: &CookieConfig) -> String {
    cookie.removal().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn the_headers_are_as_documented() {
    let default = CookieConfig::default();
    let shop = CookieConfig::new("__Secure-shop")
        .domain("shop.example")
        .path("/app")
        .same_site(SameSite::None)
        .partitioned()
        .persistent();
    let plain = CookieConfig::new("id").insecure_allow_plain_http().insecure_allow_scripts();
    for (name, header, expected) in [
        (
            "default",
            set(&default, Some(60)),
            format!("__Host-session={TEXT}; HttpOnly; SameSite=Lax; Secure; Path=/"),
        ),
        (
            "default, removed",
            removal(&default),
            "__Host-session=; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=0; \
             Expires=Thu, 01 Jan 1970 00:00:00 GMT"
                .into(),
        ),
        (
            "everything",
            set(&shop, Some(60)),
            format!(
                "__Secure-shop={TEXT}; HttpOnly; SameSite=None; Partitioned; Secure; Path=/app; \
                 Domain=shop.example; Max-Age=60"
            ),
        ),
        ("weakened", set(&plain, None), format!("id={TEXT}; SameSite=Lax; Path=/")),
    ] {
        assert_eq!(attributes(&header), attributes(&expected), "{name}");
        let (got, wanted) = (header.split("; ").next(), expected.split("; ").next());
        assert_eq!(got, wanted, "{name}");
        assert_eq!(header.len(), expected.len(), "{name}: {header}");
    }
}

#[test]
fn the_header_is_marked_as_secret() {
    let cookie = CookieConfig::default();
    assert!(cookie.set(&token(), None, false).unwrap().is_sensitive());
    assert!(!format!("{:?}", cookie.set(&token(), None, false)).contains(TEXT));
}

#[test]
fn max_age_has_whole_seconds_from_1_to_400_days() {
    let cookie = CookieConfig::default().persistent();
    for (name, rest, expected) in [
        ("no end", None, 34_560_000),
        ("over", Some(0), 1),
        ("a second", Some(1), 1),
        ("a day", Some(86_400), 86_400),
        ("400 days", Some(34_560_000), 34_560_000),
        ("above", Some(34_560_001), 34_560_000),
        ("no overflow", Some(u64::MAX), 34_560_000),
    ] {
        assert_eq!(attributes(&set(&cookie, rest))["max-age"], expected.to_string(), "{name}");
        let session = CookieConfig::default();
        assert!(!attributes(&set(&session, rest)).contains_key("max-age"), "{name}");
    }
}

#[test]
fn what_contradicts_itself_or_is_malformed_does_not_build() {
    let new = |name: &str| CookieConfig::new(name);
    let (name, path, domain) = ("cookie name", "cookie path", "cookie domain");
    let mut cases = vec![
        ("__Host- with domain", new("__Host-a").domain("a.example"), domain),
        ("__Host- without Secure", new("__Host-a").insecure_allow_plain_http(), name),
        ("__Host- with path", new("__Host-a").path("/a"), path),
        ("__HOST- with domain", new("__HOST-a").domain("a.example"), domain),
        ("__host- without Secure", new("__host-a").insecure_allow_plain_http(), name),
        ("__hOsT- with path", new("__hOsT-a").path("/a"), path),
        ("only __Host-", new("__Host-").path("/a"), path),
        ("__Secure- without Secure", new("__Secure-a").insecure_allow_plain_http(), name),
        ("__SECURE- without Secure", new("__SECURE-a").insecure_allow_plain_http(), name),
        ("__Http- without Secure", new("__Http-a").insecure_allow_plain_http(), name),
        ("__Http- without HttpOnly", new("__Http-a").insecure_allow_scripts(), name),
        ("__http- without HttpOnly", new("__http-a").insecure_allow_scripts(), name),
        ("__Host-Http- without HttpOnly", new("__Host-Http-a").insecure_allow_scripts(), name),
        ("__Host-Http- with domain", new("__Host-Http-a").domain("a.example"), domain),
        (
            "SameSite=None without Secure",
            new("a").same_site(SameSite::None).insecure_allow_plain_http(),
            "cookie same-site",
        ),
        (
            "Partitioned without Secure",
            new("a").partitioned().insecure_allow_plain_http(),
            "cookie partitioned",
        ),
        ("no name", new(""), name),
        ("name over 4096 bytes with its value", new(&"n".repeat(4_096 - 42)), name),
        ("no path", new("a").path(""), path),
        ("path without a slash", new("a").path("a"), path),
        ("path over 1024 bytes", new("a").path("/".repeat(1_025)), path),
        ("no domain", new("a").domain(""), domain),
        ("leading dot", new("a").domain(".a.example"), domain),
        ("trailing dot", new("a").domain("a.example."), domain),
        ("empty label", new("a").domain("a..example"), domain),
        ("label of hyphens", new("a").domain("-a.example"), domain),
        ("underscore", new("a").domain("a_b.example"), domain),
        ("port", new("a").domain("a.example:80"), domain),
        ("wildcard", new("a").domain("*.example"), domain),
        ("domain over 253 bytes", new("a").domain("a.".repeat(127) + "a"), domain),
    ];
    for bad in [" ", ";", "\"", ",", "\t", "\r\n", "\0", "\u{7f}", "\u{e9}", "\u{2000}"] {
        cases.push(("a bad character in the path", new("a").path(format!("/a{bad}")), path));
        cases.push(("in the domain", new("a").domain(format!("a{bad}.example")), domain));
        cases.push(("in the name", new(&format!("a{bad}")), name));
    }
    for bad in ["=", "(", ")", "/", ":", "<", ">", "?", "@", "[", "\\", "]", "{", "}"] {
        cases.push(("a separator in the name", new(&format!("a{bad}b")), name));
    }
    // Quotes and commas break no path attribute; browsers take them.
    cases.retain(|(case, cookie, _)| {
        *case != "a bad character in the path" || !cookie.path.contains(['"', ','])
    });
    for (case, cookie, setting) in cases {
        let error = cookie.check().err();
        assert_eq!(error.as_ref().map(ConfigError::setting), Some(setting), "{case}: {cookie:?}");
    }
}

#[test]
fn what_browsers_take_builds() {
    let new = |name: &str| CookieConfig::new(name);
    let domain_of_253 = "a.".repeat(126) + "a";
    for (case, cookie) in [
        ("default", CookieConfig::default()),
        ("longest name", new(&"n".repeat(4_096 - 43))),
        ("every letter of a token", new("!#$%&'*+-.^_`|~09azAZ")),
        ("__Host-", new("__Host-a")),
        ("__Host- that scripts read", new("__Host-a").insecure_allow_scripts()),
        ("__Secure- with domain and path", new("__Secure-a").domain("a.example").path("/a")),
        ("__Http-", new("__Http-a").domain("a.example").path("/a")),
        ("__Host-Http-", new("__Host-Http-a")),
        ("a prefix that is none", new("__Hos-a").insecure_allow_plain_http().path("/a")),
        ("SameSite=None", new("a").same_site(SameSite::None)),
        ("Partitioned", CookieConfig::default().partitioned()),
        ("longest path", new("a").path("/".repeat(1_024))),
        ("longest domain", new("a").domain(domain_of_253)),
        ("one label", new("a").domain("localhost")),
        ("plain", new("a").insecure_allow_plain_http().insecure_allow_scripts()),
    ] {
        assert_eq!(cookie.check(), Ok(()), "{case}");
    }
}

/// Reads a `Set-Cookie` line as RFC 6265bis section 5.6 has browsers do it: every attribute by its
/// name in lower case, the pair under `name` and `value`.
fn attributes(header: &str) -> BTreeMap<String, String> {
    let blank = [' ', '\t'];
    let mut parts = header.split(';').map(|part| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        (name.trim_matches(blank), value.trim_matches(blank).to_owned())
    });
    let (name, value) = parts.next().unwrap();
    let pair = [("name".to_owned(), name.to_owned()), ("value".to_owned(), value)];
    let mut seen: BTreeMap<String, String> = pair.into();
    for (name, value) in parts {
        assert!(seen.insert(name.to_ascii_lowercase(), value).is_none(), "{name} comes twice");
    }
    seen
}

/// What a cookie of that configuration has to say.
fn expected(cookie: &CookieConfig) -> BTreeMap<String, String> {
    let same_site = format!("{:?}", cookie.same_site);
    let flag = |name: &'static str, on: bool| on.then(|| (name, String::new()));
    let all = [
        Some(("name", cookie.name.clone())),
        Some(("path", cookie.path.clone())),
        Some(("samesite", same_site)),
        cookie.domain.clone().map(|domain| ("domain", domain)),
        flag("secure", cookie.secure),
        flag("httponly", cookie.http_only),
        flag("partitioned", cookie.partitioned),
    ];
    all.into_iter().flatten().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn any_config() -> impl Strategy<Value = CookieConfig> {
    let name = prop_oneof![
        4 => "(__Host-|__Secure-|__Http-|__Host-Http-|__hOST-|)[a-zA-Z0-9!#$%&'*+.^_`|~-]{1,12}",
        1 => "(__Host-)?\\PC{0,12}",
        1 => "[ -~]{0,12}",
    ];
    let domain = proptest::option::of(prop_oneof![
        4 => "[a-zA-Z0-9]([a-z0-9-]{0,4}[a-z0-9])?(\\.[a-z0-9]{1,6}){0,3}",
        1 => "\\PC{0,12}",
        1 => "[ -~]{0,12}",
    ]);
    let path = prop_oneof![3 => Just("/".to_owned()), 3 => "/[!-~]{0,12}", 1 => "/?\\PC{0,12}"];
    let same_site = proptest::sample::select(vec![SameSite::Strict, SameSite::Lax, SameSite::None]);
    let secure = proptest::bool::weighted(0.8);
    let flags = (secure, any::<bool>(), any::<bool>(), any::<bool>());
    (name, domain, path, same_site, flags).prop_map(
        |(name, domain, path, same_site, (secure, http_only, partitioned, persistent))| {
            CookieConfig {
                name,
                domain,
                path,
                same_site,
                secure,
                http_only,
                partitioned,
                persistent,
                ..CookieConfig::default()
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 1_000, ..<_>::default() })]

    #[test]
    fn what_builds_says_the_same_to_a_browser(
        cookie in any_config(),
        age: Option<u64>,
    ) {
        if cookie.check().is_err() {
            return Ok(());
        }
        let expected = expected(&cookie);
        let mut set = attributes(&set(&cookie, age));
        prop_assert_eq!(set.remove("value").unwrap(), TEXT);
        let max_age = set.remove("max-age");
        prop_assert_eq!(max_age.is_some(), cookie.persistent);
        prop_assert_eq!(&set, &expected);

        let mut removal = attributes(&removal(&cookie));
        prop_assert_eq!(removal.remove("value").unwrap(), "");
        prop_assert_eq!(removal.remove("max-age").unwrap(), "0");
        prop_assert_eq!(removal.remove("expires").unwrap(), "Thu, 01 Jan 1970 00:00:00 GMT");
        prop_assert_eq!(&removal, &expected);
    }

    #[test]
    fn a_cookie_that_was_set_is_found_again(cookie in any_config()) {
        if cookie.check().is_err() {
            return Ok(());
        }
        let header = set(&cookie, None);
        let pair = header.split(';').next().unwrap();
        let found = find([pair.as_bytes()].into_iter(), cookie.name());
        prop_assert_eq!(found.iter().map(|token| token.encode()).collect::<Vec<_>>(), [TEXT]);
    }
}
