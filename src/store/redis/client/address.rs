//! Parser of Redis URLs, strict. Pure.

use std::{fmt, path::PathBuf, str::Split};

/// A parsed URL.
#[cfg_attr(test, derive(Debug, PartialEq, Eq))]
pub(in crate::store::redis) struct Url {
    pub(in crate::store::redis) address: Address,
    pub(in crate::store::redis) tls: bool,
    pub(in crate::store::redis) login: Login,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store::redis) enum Address {
    Tcp { host: String, port: u16 },
    Socket(PathBuf),
}

/// Credentials and database number.
#[derive(Clone, Default)]
#[cfg_attr(test, derive(Debug, PartialEq, Eq))]
pub(in crate::store::redis) struct Login {
    pub(in crate::store::redis) username: Option<String>,
    pub(in crate::store::redis) password: Option<String>,
    pub(in crate::store::redis) database: Option<i64>,
}

/// The fault; never contains a part of the URL, which may be the password.
type Fault = &'static str;

const NO_ADDRESS: Fault = "is not a redis://, rediss:// or unix:// address";

/// Ports of a server and of a sentinel, if a URL has none.
const PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

/// # Errors
///
/// The fault.
pub(in crate::store::redis) fn parse(url: &str) -> Result<Url, Fault> {
    parse_with(url, PORT)
}

/// The URL of a sentinel, which has another default port.
///
/// # Errors
///
/// The fault.
pub(in crate::store::redis) fn parse_sentinel(url: &str) -> Result<Url, Fault> {
    parse_with(url, SENTINEL_PORT)
}

fn parse_with(url: &str, port: u16) -> Result<Url, Fault> {
    let (scheme, rest) = url.split_once("://").ok_or(NO_ADDRESS)?;
    if rest.contains('#') {
        return Err("has a #, which has to be %23 in a password, and means nothing else");
    }
    if rest.chars().any(|one| one.is_whitespace() || one.is_control()) {
        return Err("contains white space");
    }
    let (rest, query) =
        rest.split_once('?').map_or((rest, None), |(rest, query)| (rest, Some(query)));
    let query = query.map(|query| query.split('&'));
    let mut url = match scheme.to_ascii_lowercase().as_str() {
        "redis" | "valkey" => tcp(rest, false, port)?,
        "rediss" | "valkeys" => tcp(rest, true, port)?,
        "unix" | "redis+unix" | "valkey+unix" => socket(rest)?,
        _ => return Err(NO_ADDRESS),
    };
    if let Some(query) = query {
        url.take(query)?;
    }
    Ok(url)
}

fn tcp(rest: &str, tls: bool, port: u16) -> Result<Url, Fault> {
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (user, place) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (username, password) = user.split_once(':').unwrap_or((user, ""));
    let database = match path {
        "" => None,
        path => Some(number(path).ok_or("has a path that is not the number of a database")?),
    };
    let text = |text: &str| Some(text).filter(|text| !text.is_empty()).map(decoded).transpose();
    let login = Login { username: text(username)?, password: text(password)?, database };
    let (host, port) = host_and_port(place, port)?;
    Ok(Url { address: Address::Tcp { host: host.to_owned(), port }, tls, login })
}

fn host_and_port(place: &str, default: u16) -> Result<(&str, u16), Fault> {
    let (host, port) = match place.strip_prefix('[') {
        Some(v6) => {
            let (host, port) = v6.split_once(']').ok_or("has a [ without a ]")?;
            let is_v6 = host.parse::<std::net::Ipv6Addr>().is_ok();
            (Some(host).filter(|_| is_v6), port)
        }
        None => {
            let end = place.find(':').unwrap_or(place.len());
            let (host, port) = place.split_at(end);
            let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
            (Some(host).filter(|host| !host.is_empty() && host.bytes().all(fine)), port)
        }
    };
    let host = host.ok_or("has no valid host")?;
    if matches!(host, "0.0.0.0" | "::") {
        return Err("has an unspecified address as host");
    }
    if port.is_empty() {
        return Ok((host, default));
    }
    let port = port.strip_prefix(':').and_then(number).filter(|port| *port != 0);
    let fault = "has a port that is none, or a password with a / or ? that is not %2F or %3F";
    Ok((host, port.ok_or(fault)?))
}

fn socket(rest: &str) -> Result<Url, Fault> {
    if !rest.starts_with('/') {
        return Err("has no absolute path to a socket");
    }
    let address = Address::Socket(PathBuf::from(decoded(rest)?));
    Ok(Url { address, tls: false, login: Login::default() })
}

impl Url {
    fn take(&mut self, query: Split<'_, char>) -> Result<(), Fault> {
        const TWICE: Fault = "has a parameter twice";
        for part in query {
            let (key, value) = part.split_once('=').ok_or("has a part after ? without =")?;
            let value = decoded(value)?;
            match key {
                "db" => {
                    let database = number(&value).ok_or("has a db that is not a number")?;
                    twice(self.login.database.replace(database), TWICE)?;
                }
                "username" | "user" => twice(self.login.username.replace(value), TWICE)?,
                "password" | "pass" => twice(self.login.password.replace(value), TWICE)?,
                "ssl" => match (value.as_str(), &self.address) {
                    ("true" | "1", Address::Tcp { .. }) => self.tls = true,
                    ("false" | "0", _) if !self.tls => {}
                    _ => return Err("has an ssl parameter that contradicts the scheme"),
                },
                _ => return Err("has a parameter other than db, username, password and ssl"),
            }
        }
        Ok(())
    }
}

fn twice<T>(before: Option<T>, fault: Fault) -> Result<(), Fault> {
    if before.is_some() { Err(fault) } else { Ok(()) }
}

fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    Some(text).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?.parse().ok()
}

fn decoded(text: &str) -> Result<String, Fault> {
    const FAULT: Fault = "has a % that is not followed by two hexadecimal digits of UTF-8";
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (hex, rest) = part.split_at_checked(2).ok_or(FAULT)?;
        let fine = hex.bytes().all(|digit| digit.is_ascii_hexdigit());
        bytes.push(u8::from_str_radix(hex, 16).ok().filter(|_| fine).ok_or(FAULT)?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).map_err(|_| FAULT)
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Socket(path) => write!(f, "{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::store::redis::client::address::*;

    fn url(
        host: &str,
        port: u16,
        (username, password): (&str, &str),
        database: Option<i64>,
        tls: bool,
    ) -> Url {
        let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let address = Address::Tcp { host: host.to_owned(), port };
        let login = Login { username: text(username), password: text(password), database };
        Url { address, tls, login }
    }

    #[test]
    fn what_an_address_says_is_taken() {
        let nobody = ("", "");
        for (text, expected) in [
            ("redis://h", url("h", 6379, nobody, None, false)),
            ("REDIS://h/", url("h", 6379, nobody, None, false)),
            ("valkey://h.example:1/2", url("h.example", 1, nobody, Some(2), false)),
            ("rediss://u:p@127.0.0.1:1/2", url("127.0.0.1", 1, ("u", "p"), Some(2), true)),
            ("redis://:p@[::1]:1", url("::1", 1, ("", "p"), None, false)),
            ("redis://u@h", url("h", 6379, ("u", ""), None, false)),
            ("redis://u%40x:p%23%2F%3f@h", url("h", 6379, ("u@x", "p#/?"), None, false)),
            ("redis://:a@b@h", url("h", 6379, ("", "a@b"), None, false)),
            ("redis://h?db=2", url("h", 6379, nobody, Some(2), false)),
            ("redis://h/?password=p%26&username=u", url("h", 6379, ("u", "p&"), None, false)),
            ("redis://h?ssl=true", url("h", 6379, nobody, None, true)),
            ("rediss://h?ssl=1", url("h", 6379, nobody, None, true)),
            ("redis://h?ssl=false", url("h", 6379, nobody, None, false)),
        ] {
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
        assert_eq!(parse_sentinel("redis://h"), Ok(url("h", 26379, nobody, None, false)));
        assert_eq!(parse_sentinel("rediss://h:1"), Ok(url("h", 1, nobody, None, true)));
        let socket = parse("unix:///run/a%20b.sock?db=3&pass=p").unwrap();
        assert_eq!(socket.address, Address::Socket("/run/a b.sock".into()));
        let said = (socket.login.database, socket.login.password.as_deref());
        assert_eq!(said, (Some(3), Some("p")));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for text in [
            "",
            "h",
            "http://h",
            "redis:h",
            "redis://",
            "redis:///1",
            "redis://:6379",
            "redis://h:",
            "redis://h:0",
            "redis://h:65536",
            "redis://h:+1",
            "redis://h:1:2",
            "redis://h,i",
            "redis://[::1",
            "redis://[h]",
            "redis://[::1]1",
            "redis://0.0.0.0",
            "redis://[::]",
            "redis://h/one",
            "redis://h/1/",
            "redis://h/-1",
            "redis://h/+1",
            "redis://h/1/2",
            "redis://h#insecure",
            "rediss://h/#insecure",
            "redis://:a#b@h",
            "redis://:a/b@h",
            "redis://:a?b@h",
            "redis://:a b@h",
            "redis://:a%@h",
            "redis://:a%4@h",
            "redis://:a%zz@h",
            "redis://:%ff@h",
            "redis://:%+1@h",
            "redis://h/1?db=2",
            "redis://h?db=",
            "redis://h?db=x",
            "redis://h?db=1&db=1",
            "redis://:p@h?password=q",
            "redis://h?",
            "redis://h?db",
            "redis://h?ssl=maybe",
            "rediss://h?ssl=false",
            "redis://h?timeout=5",
            "redis://h?protocol=resp3",
            "unix://run/sock",
            "unix:///s?ssl=true",
        ] {
            assert!(parse(text).is_err(), "{text}: {:?}", parse(text));
        }
    }
}
