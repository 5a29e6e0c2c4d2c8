//! Classification of errors of the client library and the server.

use redis::{ErrorKind as Kind, RedisError};

use crate::{
    error::{Error, ErrorKind},
    store::redis::client::answer::{Refusal, Then, refusal},
    telemetry::instruments::Fault,
};

/// The consequences of an error.
#[derive(Debug)]
pub(in crate::store::redis) struct Failure {
    pub(in crate::store::redis) error: Error,
    /// The connection is unusable.
    pub(in crate::store::redis) broken: bool,
    /// An error reply of the server; the command did not run.
    pub(in crate::store::redis) reply: bool,
    /// The command may have run all the same.
    pub(in crate::store::redis) unknown: bool,
    /// The server does not have the script; nothing ran.
    pub(in crate::store::redis) no_script: bool,
    /// The server does not support scripts by hash; nothing ran.
    pub(in crate::store::redis) no_hashes: bool,
    /// The connection is lost, or leads to an unusable server: a new one may succeed at once, but
    /// no other open one.
    pub(in crate::store::redis) lost: bool,
    /// The server reports that the command did not run, and may accept a retry.
    pub(in crate::store::redis) again: bool,
}

impl Failure {
    pub(in crate::store::redis) fn of(error: RedisError) -> Self {
        let error = first(error);
        let answered = is_answer(&error);
        let timed_out = error.is_timeout();
        let (code, detail) = (error.code().unwrap_or_default(), error.detail().unwrap_or_default());
        let refusal = answered.then(|| refusal(code, detail)).flatten();
        let then = refusal.map_or(Then::Tell, |refusal| refusal.then);
        Self {
            broken: !answered || matches!(then, Then::Close | Then::Elsewhere),
            reply: answered,
            unknown: !answered,
            no_script: then == Then::Load,
            no_hashes: answered && is_about_scripts(refusal, detail),
            lost: !answered && !timed_out || then == Then::Elsewhere,
            again: matches!(then, Then::Again | Then::Elsewhere),
            error: typed(error, refusal),
        }
    }
}

impl From<Error> for Failure {
    /// No connection: nothing was sent.
    fn from(error: Error) -> Self {
        Self {
            error,
            broken: false,
            reply: false,
            unknown: false,
            no_script: false,
            no_hashes: false,
            lost: false,
            again: false,
        }
    }
}

/// The first of a pipeline's errors: it causes the rest.
fn first(error: RedisError) -> RedisError {
    let errors = error.clone().into_server_errors();
    match errors.as_deref().and_then(|errors| errors.first()) {
        Some((_, first)) => first.clone().into(),
        None => error,
    }
}

/// The error of a command with its name, where an operator has to know it.
pub(in crate::store::redis) fn named(error: Error, command: &str) -> Error {
    if error.kind() != ErrorKind::Misconfigured {
        return error;
    }
    Error::new(error.kind(), format!("{error} ({command})")).with_source(error)
}

/// Why a call failed, for metrics.
pub(in crate::store::redis) fn fault(error: &RedisError) -> Fault {
    match () {
        () if error.is_timeout() => Fault::Timeout,
        () if is_answer(error) => Fault::Reply,
        () => Fault::Connection,
    }
}

/// An error reply of the server; the command did not run.
fn is_answer(error: &RedisError) -> bool {
    matches!(error.kind(), Kind::Server(_) | Kind::Extension)
}

/// Whether `SCRIPT` or `EVALSHA` itself is unknown or not allowed, as opposed to a command in a
/// script.
fn is_about_scripts(refusal: Option<&Refusal>, detail: &str) -> bool {
    let detail = detail.to_ascii_lowercase();
    let named =
        |name: &str| ["'", "`"].iter().any(|quote| detail.contains(&format!("{quote}{name}")));
    refusal.is_some_and(|refusal| refusal.kind == ErrorKind::Misconfigured)
        && (named("evalsha") || named("script"))
}

const ALERT: &str = "fatal alert";

/// Why the server rejects TLS, by the name of its alert.
fn rejection(text: &str) -> &'static str {
    let alert = text.rsplit_once(ALERT).map_or("", |(_, alert)| alert);
    let is = |name: &str| alert.contains(name);
    match () {
        () if is("UnknownCA") => "the redis server does not trust the client certificate",
        () if is("CertificateExpired") => {
            "the redis server rejects the client certificate: it has expired"
        }
        () if is("BadCertificate") || is("CertificateRevoked") || is("CertificateUnknown") => {
            "the redis server rejects the client certificate"
        }
        () => "the redis server rejects the TLS connection: it may require a client certificate",
    }
}

fn typed(error: RedisError, refusal: Option<&Refusal>) -> Error {
    let misconfigured = |text| Error::new(ErrorKind::Misconfigured, text);
    let text = error.to_string();
    let typed = match (error.kind(), refusal) {
        (_, Some(refusal)) => Error::new(refusal.kind, refusal.text),
        // The library has no kind for it; the text is that of rustls.
        (Kind::Io | Kind::Client, _) if text.contains(ALERT) => misconfigured(rejection(&text)),
        (Kind::Parse | Kind::UnexpectedReturnType, _) => {
            misconfigured("the peer is not a redis server")
        }
        _ => Error::new(ErrorKind::Unavailable, "redis is unavailable"),
    };
    typed.with_source(error)
}

#[cfg(test)]
#[cfg(feature = "tls")]
mod tests {
    use std::io;

    use rustls::{AlertDescription, Error as TlsError};

    use crate::store::redis::client::failure::*;

    #[test]
    fn an_alert_on_an_open_connection_names_what_is_wrong_with_the_client_certificate() {
        for (alert, expected) in [
            (AlertDescription::UnknownCA, "does not trust the client certificate"),
            (AlertDescription::CertificateExpired, "the client certificate: it has expired"),
            (AlertDescription::CertificateRevoked, "rejects the client certificate"),
            (AlertDescription::CertificateRequired, "it may require a client certificate"),
        ] {
            let error = io::Error::other(TlsError::AlertReceived(alert));
            let error = Failure::of(error.into()).error;
            assert_eq!(error.kind(), ErrorKind::Misconfigured, "{error:?}");
            assert!(error.to_string().ends_with(expected), "{error}");
        }
    }
}
