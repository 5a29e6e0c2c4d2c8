//! A client that keeps cookies as a browser does.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::Method;

use super::http_client::{Client, Reply};

/// A [`Client`] with a cookie jar, as on a trustworthy origin: `Secure` cookies are kept and sent.
#[derive(Debug)]
pub struct Browser {
    client: Client,
    jar: BTreeMap<String, String>,
    last_set_cookies: Vec<String>,
}

impl Browser {
    pub async fn new(addr: SocketAddr) -> Self {
        Self {
            client: Client::connect(addr).await,
            jar: BTreeMap::new(),
            last_set_cookies: Vec::new(),
        }
    }

    /// A second tab, or a second server of the same site: the same cookies on another connection.
    pub async fn on(&self, addr: SocketAddr) -> Self {
        Self {
            client: Client::connect(addr).await,
            jar: self.jar.clone(),
            last_set_cookies: Vec::new(),
        }
    }

    pub fn addr(&self) -> SocketAddr {
        self.client.addr()
    }

    /// [`Browser::on`] the same server.
    pub async fn tab(&self) -> Self {
        self.on(self.client.addr()).await
    }

    pub async fn get(&mut self, path: &str) -> Reply {
        self.send(Method::GET, path, &[], "").await
    }

    /// As [`Browser::get`], where the server may close the connection in the place of an answer.
    pub async fn try_get(&mut self, path: &str) -> Result<Reply, hyper::Error> {
        let cookie = self.cookie_header();
        let headers: &[(&str, &[u8])] = &[("cookie", cookie.as_bytes())];
        let headers = if cookie.is_empty() { &[] } else { headers };
        let reply = self.client.try_send(Method::GET, path, headers, "").await?;
        self.keep(&reply);
        Ok(reply)
    }

    pub async fn post(&mut self, path: &str, body: impl Into<Bytes>) -> Reply {
        self.send(Method::POST, path, &[], body).await
    }

    pub async fn send(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &[u8])],
        body: impl Into<Bytes>,
    ) -> Reply {
        let cookie = self.cookie_header();
        let mut headers = headers.to_vec();
        if !cookie.is_empty() {
            headers.push(("cookie", cookie.as_bytes()));
        }
        let reply = self.client.send(method, path, &headers, body).await;
        self.keep(&reply);
        reply
    }

    /// Takes over the cookies of an answer that came by another way.
    pub fn keep(&mut self, reply: &Reply) {
        self.last_set_cookies = reply.set_cookies();
        for line in &self.last_set_cookies {
            let (pair, attributes) = line.split_once(';').unwrap_or((line, ""));
            let (name, value) = pair.split_once('=').unwrap_or(("", pair));
            if is_over(attributes) {
                self.jar.remove(name.trim());
            } else {
                self.jar.insert(name.trim().to_owned(), value.trim().to_owned());
            }
        }
    }

    /// What the next request sends: `a=1; b=2`, or nothing.
    pub fn cookie_header(&self) -> String {
        let pairs: Vec<_> =
            self.jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
        pairs.join("; ")
    }

    pub fn cookie(&self, name: &str) -> Option<&str> {
        self.jar.get(name).map(String::as_str)
    }

    pub fn set_cookie(&mut self, name: &str, value: &str) {
        self.jar.insert(name.to_owned(), value.to_owned());
    }

    pub fn forget(&mut self) {
        self.jar.clear();
    }

    /// The `Set-Cookie` lines of the last answer, as they came.
    pub fn last_set_cookies(&self) -> &[String] {
        &self.last_set_cookies
    }
}

/// RFC 6265bis 5.7: `Max-Age` wins over `Expires`; both are believed only where they parse.
fn is_over(attributes: &str) -> bool {
    let mut max_age = None;
    let mut expires = None;
    for attribute in attributes.split(';') {
        let (name, value) = attribute.split_once('=').unwrap_or((attribute, ""));
        match name.trim().to_ascii_lowercase().as_str() {
            "max-age" => max_age = value.trim().parse::<i64>().ok().or(max_age),
            "expires" => expires = unix_seconds(value.trim()).or(expires),
            _ => {}
        }
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    match (max_age, expires) {
        (Some(age), _) => age <= 0,
        (None, Some(end)) => end <= now,
        (None, None) => false,
    }
}

/// Reads `Thu, 01 Jan 1970 00:00:00 GMT`, with hyphens for spaces or not.
fn unix_seconds(date: &str) -> Option<i64> {
    const MONTHS: [&str; 12] =
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let words: Vec<_> = date.split([' ', '-', ',']).filter(|word| !word.is_empty()).collect();
    let [_, day, month, year, time, "GMT"] = words.as_slice() else { return None };
    let month = month.to_ascii_lowercase();
    let month = MONTHS.iter().position(|name| **name == month)? as i64 + 1;
    let (day, year): (i64, i64) = (day.parse().ok()?, year.parse().ok()?);
    let mut clock = time.split(':').map(|part| part.parse::<i64>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    // Days since 1970 in a calendar whose year begins in March, so that leap days come last.
    let shifted = if month <= 2 { year - 1 } else { year };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let era =
        365 * shifted + shifted.div_euclid(4) - shifted.div_euclid(100) + shifted.div_euclid(400);
    Some((era + of_year - 719_468) * 86_400 + hour * 3_600 + minute * 60 + second)
}
