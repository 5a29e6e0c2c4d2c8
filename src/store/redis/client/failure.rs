//! What an error of the client library or the server means for a session.

use redis::{ErrorKind as Kind, RedisError, ServerErrorKind};

use crate::error::{Error, ErrorKind};

/// What follows from an error.
#[derive(Debug)]
pub(in crate::store::redis) struct Failure {
    pub(in crate::store::redis) error: Error,
    /// The connection is of no further use.
    pub(in crate::store::redis) broken: bool,
    /// The command may have run all the same.
    pub(in crate::store::redis) unknown: bool,
    /// The server has forgotten the script; nothing ran.
    pub(in crate::store::redis) no_script: bool,
    /// The connection was lost, so that another one may do better at once.
    pub(in crate::store::redis) lost: bool,
}

impl Failure {
    pub(in crate::store::redis) fn of(error: RedisError) -> Self {
        let error = first(error);
        let refused = is_answer(&error);
        let timed_out = error.is_timeout();
        let code = code(&error);
        Self {
            broken: !refused || matches!(code, "READONLY" | "NOAUTH"),
            unknown: !refused,
            no_script: code == "NOSCRIPT",
            lost: !refused && !timed_out,
            error: typed(error, code),
        }
    }
}

/// Of a pipeline's errors the first: it is the reason for the rest.
fn first(error: RedisError) -> RedisError {
    let errors = error.clone().into_server_errors();
    match errors.as_deref().and_then(|errors| errors.first()) {
        Some((_, first)) => first.clone().into(),
        None => error,
    }
}

/// The server's own word; it did not do what was asked.
fn is_answer(error: &RedisError) -> bool {
    matches!(error.kind(), Kind::Server(_) | Kind::Extension | Kind::AuthenticationFailed)
}

/// The server's code. A script hands on what a command in it met, older servers inside a text.
fn code(error: &RedisError) -> &'static str {
    const CODES: [&str; 9] = [
        "READONLY",
        "NOAUTH",
        "WRONGPASS",
        "NOPERM",
        "WRONGTYPE",
        "NOSCRIPT",
        "MOVED",
        "ASK",
        "CROSSSLOT",
    ];
    let found = error.code().unwrap_or_default();
    let detail = error.detail().unwrap_or_default();
    let inner = |code: &str| found == "ERR" && detail.contains(&format!("-{code} "));
    CODES.into_iter().find(|code| found == *code || inner(code)).unwrap_or_default()
}

fn typed(error: RedisError, code: &str) -> Error {
    let misconfigured = |text| Error::new(ErrorKind::Misconfigured, text);
    let typed = match (error.kind(), code) {
        (_, "NOAUTH") => misconfigured("redis asks for a password"),
        (Kind::AuthenticationFailed, _) | (_, "WRONGPASS") => {
            misconfigured("redis refuses the user name or password")
        }
        (_, "NOPERM") => misconfigured("the redis user may not run our commands on our keys"),
        (_, "MOVED" | "ASK" | "CROSSSLOT") => {
            misconfigured("the server is a node of a redis cluster, which is not supported yet")
        }
        (_, "WRONGTYPE") => Error::new(ErrorKind::Corrupt, "a session's key holds no string"),
        (_, "READONLY") => Error::new(ErrorKind::Unavailable, "the redis server is a replica"),
        (Kind::Server(ServerErrorKind::ResponseError), _) if is_database(&error) => {
            misconfigured("the redis server does not have that database number")
        }
        // The library has no kind for it; its text is that of rustls.
        (Kind::Io | Kind::Client, _) if error.to_string().contains("peer certificate") => {
            misconfigured("the redis server's certificate is not one to trust")
        }
        (Kind::Parse | Kind::UnexpectedReturnType, _) => {
            misconfigured("what answers is not a redis server")
        }
        (Kind::InvalidClientConfig, _) => misconfigured("the redis address cannot be used"),
        _ => Error::new(ErrorKind::Unavailable, "redis is unavailable"),
    };
    typed.because(error)
}

fn is_database(error: &RedisError) -> bool {
    error.detail().is_some_and(|detail| detail.contains("DB index"))
        || error.to_string().contains("switch database")
}
