//! Replies of a sentinel: the primary that it names, or why it names none.

use std::net::IpAddr;

use redis::{ErrorKind as Kind, RedisError, Value, from_redis_value};

use crate::{
    error::{Error, ErrorKind},
    store::redis::client::{
        failure::rejection,
        sentinel::choice::{Primary, Report, Seen, Server},
    },
};

/// Longest name of a host in the DNS.
const HOST_MAX: usize = 255;

/// Decodes the replies to `SENTINEL MASTER` and `SENTINEL GET-MASTER-ADDR-BY-NAME`. During a
/// failover the first one has the new epoch already and still the old address, the second one the
/// new address.
///
/// # Errors
///
/// `Misconfigured` for anything that a sentinel does not send.
pub(super) fn report(master: Value, address: Value) -> Result<Report, Error> {
    let fields: Vec<(String, String)> = from_redis_value(master).map_err(|_| no_sentinel())?;
    let address: (String, String) = from_redis_value(address).map_err(|_| no_sentinel())?;
    let field =
        |name: &str| fields.iter().find(|(field, _)| field == name).map(|(_, text)| &**text);
    let epoch = field("config-epoch").and_then(|epoch| epoch.parse().ok());
    let flags = field("flags").ok_or_else(no_sentinel)?;
    let server = server(&address.0, &address.1).ok_or_else(no_address)?;
    // The flags are those of the server that the first reply names.
    let is_same = field("ip") == Some(&address.0) && field("port") == Some(&address.1);
    let has = |flag: &str| is_same && flags.split(',').any(|other| other == flag);
    let seen = match () {
        () if has("o_down") => Seen::DownByQuorum,
        () if has("s_down") => Seen::Down,
        () => Seen::Up,
    };
    Ok(Report { primary: Primary { server, epoch: epoch.ok_or_else(no_sentinel)? }, seen })
}

fn server(host: &str, port: &str) -> Option<Server> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let is_host = match host.parse::<IpAddr>() {
        Ok(address) => !address.is_unspecified(),
        Err(_) => !host.is_empty() && host.len() <= HOST_MAX && host.bytes().all(is_name),
    };
    let port = port.parse().ok().filter(|port| *port != 0)?;
    is_host.then(|| Server { host: host.to_owned(), port })
}

/// The error of a call to a sentinel.
pub(super) fn refused(error: RedisError) -> Error {
    let (code, detail) = (error.code().unwrap_or_default(), error.detail().unwrap_or_default());
    let detail = detail.to_ascii_lowercase();
    let says = |text: &str| detail.contains(text);
    let text = match () {
        () if says("no such master") || says("no such primary") => {
            "the sentinels do not know a primary of this name"
        }
        () if code == "NOAUTH" => "the sentinel requires a password",
        () if code == "WRONGPASS"
            || says("invalid password")
            || says("without any password configured") =>
        {
            "the sentinel rejects the user name or password"
        }
        () if code == "NOPERM" => {
            "the user of the sentinel may not run SENTINEL MASTER, SENTINEL \
             GET-MASTER-ADDR-BY-NAME or SUBSCRIBE"
        }
        () if says("unknown command") => return no_sentinel().with_source(error),
        () => return lost(error),
    };
    misconfigured(text).with_source(error)
}

/// An error that is no reply of a sentinel.
fn lost(error: RedisError) -> Error {
    let typed = match (rejection(&error), error.kind()) {
        (Some(words), _) => Error::new(ErrorKind::Misconfigured, format!("the sentinel {words}")),
        (_, Kind::Parse | Kind::UnexpectedReturnType) => no_sentinel(),
        _ => Error::new(ErrorKind::Unavailable, "the sentinel is unavailable"),
    };
    typed.with_source(error)
}

fn misconfigured(text: &'static str) -> Error {
    Error::new(ErrorKind::Misconfigured, text)
}

fn no_sentinel() -> Error {
    misconfigured("the server is not a sentinel")
}

fn no_address() -> Error {
    misconfigured("the sentinel names no usable address of the primary")
}

#[cfg(test)]
mod tests {
    use redis::ServerErrorKind;

    use crate::store::redis::client::sentinel::reply::*;

    fn strings(texts: &[&str]) -> Value {
        let string = |text: &&str| Value::BulkString(text.as_bytes().to_vec());
        Value::Array(texts.iter().map(string).collect())
    }

    fn master(host: &str, flags: &str, epoch: &str) -> Value {
        let known = ["name", "main", "ip", host, "port", "6379", "runid", "", "flags", flags];
        strings(&[&known[..], &["quorum", "2", "config-epoch", epoch]].concat())
    }

    #[test]
    fn the_address_the_epoch_and_the_state_are_taken() {
        for (name, host, flags, address, expected) in [
            ("up", "10.0.0.1", "master", "10.0.0.1", Seen::Up),
            ("down", "10.0.0.1", "s_down,master,disconnected", "10.0.0.1", Seen::Down),
            ("by quorum", "h.example", "s_down,o_down,master", "h.example", Seen::DownByQuorum),
            ("v6", "::1", "master", "::1", Seen::Up),
            ("promoted", "10.0.0.1", "s_down,o_down,master", "10.0.0.2", Seen::Up),
            ("similar flag", "h", "no_s_down,master", "h", Seen::Up),
        ] {
            let read = report(master(host, flags, "7"), strings(&[address, "6379"])).unwrap();
            let server = Server { host: address.to_owned(), port: 6379 };
            let primary = Primary { server, epoch: 7 };
            assert_eq!(read, Report { primary, seen: expected }, "{name}");
        }
    }

    #[test]
    fn what_no_sentinel_sends_is_an_error_and_no_panic() {
        let fine = || master("h", "master", "7");
        let address = || strings(&["h", "6379"]);
        let long = "a".repeat(256);
        let with_host = |host: &str| strings(&[host, "6379"]);
        for (name, master, address) in [
            ("nil", Value::Nil, Value::Nil),
            ("no address", fine(), Value::Nil),
            ("one half", fine(), strings(&["h"])),
            ("three halves", fine(), strings(&["h", "6379", "x"])),
            ("a number", Value::Int(7), address()),
            ("an odd number of fields", strings(&["flags"]), address()),
            ("no fields", strings(&[]), address()),
            ("no flags", strings(&["config-epoch", "7"]), address()),
            ("no epoch", strings(&["flags", "master"]), address()),
            ("an epoch below zero", self::master("h", "master", "-1"), address()),
            ("an endless epoch", self::master("h", "master", &"9".repeat(99)), address()),
            ("no host", fine(), with_host("")),
            ("a long host", fine(), with_host(&long)),
            ("a path", fine(), with_host("h/1")),
            ("another address", fine(), with_host("user@h")),
            ("two lines", fine(), with_host("h\r\nx")),
            ("any address", fine(), with_host("0.0.0.0")),
            ("any address of v6", fine(), with_host("::")),
            ("no port", fine(), strings(&["h", ""])),
            ("port zero", fine(), strings(&["h", "0"])),
            ("a large port", fine(), strings(&["h", "65536"])),
            ("no text", fine(), Value::Array(vec![Value::BulkString(vec![0xff]), Value::Nil])),
            ("a nested array", Value::Array(vec![fine(), fine()]), address()),
        ] {
            let error = report(master, address).expect_err(name);
            assert_eq!(error.kind(), ErrorKind::Misconfigured, "{name}");
        }
    }

    #[test]
    fn each_reason_of_a_refusal_has_its_words() {
        let error = |code: &str, detail: &str| {
            let text = format!("-{code} {detail}\r\n");
            let value = redis::parse_redis_value(text.as_bytes()).unwrap();
            refused(value.extract_error().unwrap_err())
        };
        for (code, detail, words) in [
            ("ERR", "No such master with that name", "do not know a primary"),
            ("ERR", "No such primary with that name", "do not know a primary"),
            ("NOAUTH", "Authentication required.", "requires a password"),
            ("WRONGPASS", "invalid username-password pair", "rejects the user name or password"),
            (
                "ERR",
                "AUTH <password> called without any password configured for the default user",
                "rejects the user name or password",
            ),
            ("NOPERM", "this user has no permissions to run 'sentinel|master'", "may not run"),
            ("ERR", "unknown command `SENTINEL`, with args", "is not a sentinel"),
        ] {
            let error = error(code, detail);
            assert_eq!(error.kind(), ErrorKind::Misconfigured, "{code} {detail}");
            assert!(error.to_string().contains(words), "{code} {detail}: {error}");
        }
        let other = error("LOADING", "the dataset");
        assert_eq!(other.kind(), ErrorKind::Unavailable);
        let closed = RedisError::from((Kind::Server(ServerErrorKind::TryAgain), "later"));
        assert_eq!(refused(closed).kind(), ErrorKind::Unavailable);
    }
}
