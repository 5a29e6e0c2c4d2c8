//! Cookie jar of a test client, by the rules of browsers (RFC 6265 section 5, and RFC 6265bis for
//! the prefixes).

use std::time::Duration;

use crate::clock::timestamp::Timestamp;

/// Target of a request.
pub(super) struct Place<'a> {
    pub(super) host: &'a str,
    pub(super) path: &'a str,
    pub(super) tls: bool,
    pub(super) initiator: Initiator,
}

/// Origin of the page that makes a request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Initiator {
    OwnSite,
    /// Another site, by a link.
    Link,
    /// Another site, by a form or a script.
    CrossSite,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SameSite {
    Strict,
    Lax,
    None,
}

#[derive(Debug)]
struct Cookie {
    name: String,
    value: String,
    host: String,
    /// Whether it is sent to subdomains too.
    subdomains: bool,
    path: String,
    /// Whether `Set-Cookie` named it.
    has_path: bool,
    secure: bool,
    same_site: SameSite,
    expires: Option<Timestamp>,
}

#[derive(Debug, Default)]
pub(super) struct CookieJar(Vec<Cookie>);

impl CookieJar {
    /// Stores, replaces or removes a cookie as `line` of `Set-Cookie` defines; ignores what a
    /// browser ignores.
    pub(super) fn set(&mut self, line: &str, place: &Place<'_>, now: Timestamp) {
        let Some(cookie) = Cookie::parse(line, place, now) else { return };
        self.0.retain(|held| {
            (&held.name, &held.host, &held.path) != (&cookie.name, &cookie.host, &cookie.path)
        });
        if cookie.is_alive(now) {
            self.0.push(cookie);
        }
    }

    /// The `Cookie` header of a request; longer paths come first (RFC 6265 section 5.4).
    pub(super) fn header(&self, place: &Place<'_>, now: Timestamp) -> Option<String> {
        let sent = |cookie: &&Cookie| cookie.is_alive(now) && cookie.is_for(place);
        let mut cookies: Vec<_> = self.0.iter().filter(sent).collect();
        cookies.sort_by_key(|cookie| std::cmp::Reverse(cookie.path.len()));
        let pairs = cookies.iter().map(|cookie| format!("{}={}", cookie.name, cookie.value));
        let pairs: Vec<_> = pairs.collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }

    /// The value of the cookie of that name that was set last.
    pub(super) fn value(&self, name: &str, now: Timestamp) -> Option<String> {
        let mut held = self.0.iter().rev();
        held.find(|cookie| cookie.name == name && cookie.is_alive(now)).map(|c| c.value.clone())
    }

    /// Restarts the browser: only persistent cookies are kept.
    pub(super) fn end_browser(&mut self) {
        self.0.retain(|cookie| cookie.expires.is_some());
    }
}

impl Cookie {
    fn parse(line: &str, place: &Place<'_>, now: Timestamp) -> Option<Self> {
        let mut parts = line.split(';').map(str::trim);
        let (name, value) = parts.next()?.split_once('=')?;
        let mut cookie = Self {
            name: name.trim().to_owned(),
            value: value.trim().to_owned(),
            host: place.host.to_ascii_lowercase(),
            subdomains: false,
            path: default_path(place.path).to_owned(),
            has_path: false,
            secure: false,
            // The browsers' default.
            same_site: SameSite::Lax,
            expires: None,
        };
        let mut age = None;
        for part in parts {
            let (attribute, value) = part.split_once('=').unwrap_or((part, ""));
            let (attribute, value) = (attribute.trim().to_ascii_lowercase(), value.trim());
            match attribute.as_str() {
                "max-age" => age = value.parse::<i64>().ok(),
                _ => cookie.set_attribute(&attribute, value),
            }
        }
        // `Max-Age` has precedence over `Expires` (RFC 6265 section 5.3).
        if let Some(age) = age {
            let seconds = u64::try_from(age).unwrap_or(0);
            let end = now.saturating_add(Duration::from_secs(seconds));
            cookie.expires = Some(if seconds == 0 { Timestamp::from_millis(0) } else { end });
        }
        cookie.is_accepted(place).then_some(cookie)
    }

    fn set_attribute(&mut self, name: &str, value: &str) {
        match name {
            "secure" => self.secure = true,
            "path" if value.starts_with('/') => {
                self.path = value.to_owned();
                self.has_path = true;
            }
            "domain" if !value.is_empty() => {
                self.host = value.trim_start_matches('.').to_ascii_lowercase();
                self.subdomains = true;
            }
            "samesite" if value.eq_ignore_ascii_case("strict") => {
                self.same_site = SameSite::Strict;
            }
            "samesite" if value.eq_ignore_ascii_case("none") => self.same_site = SameSite::None,
            "expires" => self.expires = http_date(value).or(self.expires),
            _ => {}
        }
    }

    fn is_accepted(&self, place: &Place<'_>) -> bool {
        self.is_for_host(place.host)
            && (place.tls || !self.secure)
            && (self.same_site != SameSite::None || self.secure)
            && self.keeps_prefix()
    }

    /// RFC 6265bis section 4.1.3: the requirements of its prefix.
    fn keeps_prefix(&self) -> bool {
        let has = |prefix: &str| {
            self.name.get(..prefix.len()).is_some_and(|name| name.eq_ignore_ascii_case(prefix))
        };
        (!has("__Secure-") || self.secure)
            && (!has("__Host-")
                || self.secure && self.has_path && self.path == "/" && !self.subdomains)
    }

    fn is_alive(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|end| now < end)
    }

    fn is_for(&self, place: &Place<'_>) -> bool {
        let below = place.path.strip_prefix(&self.path);
        let in_path = below.is_some_and(|rest| {
            rest.is_empty() || self.path.ends_with('/') || rest.starts_with('/')
        });
        let sent = match place.initiator {
            Initiator::OwnSite => true,
            Initiator::Link => self.same_site != SameSite::Strict,
            Initiator::CrossSite => self.same_site == SameSite::None,
        };
        in_path && sent && self.is_for_host(place.host) && (place.tls || !self.secure)
    }

    fn is_for_host(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        let below = host.strip_suffix(&self.host);
        host == self.host || self.subdomains && below.is_some_and(|rest| rest.ends_with('.'))
    }
}

/// RFC 6265 section 5.1.4: the directory of the request's path.
fn default_path(path: &str) -> &str {
    match path.rfind('/') {
        Some(0) | None => "/",
        Some(end) => path.get(..end).unwrap_or("/"),
    }
}

/// The date of `Expires`, in the one form that servers send (RFC 9110 section 5.6.7).
fn http_date(text: &str) -> Option<Timestamp> {
    const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
    let (_, date) = text.split_once(',')?;
    let mut fields = date.split([' ', '-', ':']).filter(|field| !field.is_empty());
    let day: u64 = fields.next()?.parse().ok()?;
    let month = (MONTHS.find(fields.next()?)? / 3) as u64;
    let year: u64 = fields.next()?.parse().ok()?;
    let mut time = || fields.next()?.parse::<u64>().ok();
    let seconds = time()? * 3_600 + time()? * 60 + time()?;
    // Days from 1 March of the year 0, as if each year began there.
    let (year, month) = if month < 2 { (year - 1, month + 10) } else { (year, month - 2) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1;
    let days = days.saturating_sub(719_468);
    Some(Timestamp::from_millis((days * 86_400 + seconds).saturating_mul(1_000)))
}
