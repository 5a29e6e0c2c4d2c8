//! Origin of a page, as in the `Origin` header (RFC 6454 section 6.2).

/// Scheme, host and port in lower case, without the scheme's default port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    scheme: Box<str>,
    host: Box<str>,
}

impl Origin {
    /// Parses `scheme://host` or `scheme://host:port`; rejects `null` and lists.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let (scheme, host) = std::str::from_utf8(text).ok()?.split_once("://")?;
        let in_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        let in_host = |byte: u8| byte.is_ascii_graphic() && !b"/?#@\\,".contains(&byte);
        let fits = !scheme.is_empty() && scheme.bytes().all(in_scheme);
        if !fits || host.is_empty() || !host.bytes().all(in_host) {
            return None;
        }
        let scheme = scheme.to_ascii_lowercase().into_boxed_str();
        let host = without_usual_port(host, &scheme);
        Some(Self { scheme, host })
    }

    /// Whether a page of this origin belongs to the server named by `authority` (RFC 9110 section
    /// 7.2). The scheme is not compared; a TLS site keeps plain-HTTP pages out by HSTS.
    pub(crate) fn is_of(&self, authority: &str) -> bool {
        let web = matches!(&*self.scheme, "http" | "https");
        web && without_usual_port(authority, &self.scheme) == self.host
    }
}

fn without_usual_port(host: &str, scheme: &str) -> Box<str> {
    let usual = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => "",
    };
    host.strip_suffix(usual).unwrap_or(host).to_ascii_lowercase().into()
}

#[cfg(test)]
mod tests {
    use crate::transport::origin::*;

    #[test]
    fn an_origin_is_of_the_server_with_its_host_and_port() {
        for (origin, authority, same) in [
            ("https://example.org", "example.org", true),
            ("https://example.org", "example.org:443", true),
            ("https://example.org:443", "example.org", true),
            ("http://example.org", "example.org:80", true),
            ("HTTPS://EXAMPLE.org", "Example.Org", true),
            ("http://127.0.0.1:3000", "127.0.0.1:3000", true),
            ("http://[::1]:3000", "[::1]:3000", true),
            ("https://[::1]", "[::1]:443", true),
            ("http://example.org", "example.org:443", false),
            ("https://example.org", "example.org:80", false),
            ("https://example.org:8443", "example.org", false),
            ("https://example.org", "example.org:8443", false),
            ("https://example.org.", "example.org", false),
            ("https://a.example.org", "example.org", false),
            ("https://example.org", "a.example.org", false),
            ("https://example.org.evil.test", "example.org", false),
            ("https://evilexample.org", "example.org", false),
            ("https://example.org", "evil@example.org", false),
            ("chrome-extension://example.org", "example.org", false),
            ("https://example.org", "", false),
        ] {
            let origin = Origin::parse(origin.as_bytes()).unwrap();
            assert_eq!(origin.is_of(authority), same, "{origin:?} and {authority}");
        }
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        for text in [
            "",
            "null",
            "example.org",
            "https://",
            "://example.org",
            "https:example.org",
            "https://example.org/",
            "https://example.org?x",
            "https://user@example.org",
            "https://example.org https://evil.test",
            "https://example.org,https://evil.test",
            "https://evil.test\\example.org",
            "https://ex\u{e4}mple.org",
            "ht tp://example.org",
            "data:text/html,x",
        ] {
            assert_eq!(Origin::parse(text.as_bytes()), None, "{text}");
        }
        assert_eq!(Origin::parse(b"https://\xff"), None);
    }
}
