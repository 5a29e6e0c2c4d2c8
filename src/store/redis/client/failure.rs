//! Classification of errors of the client library and the server.

use redis::{ErrorKind as Kind, RedisError, Value};

use crate::{
    error::{Error, ErrorKind},
    store::redis::client::{
        answer::{Refusal, Then, refusal},
        cluster::node_error::NodeError,
    },
    telemetry::instruments::Fault,
};

/// The consequences of an error.
#[derive(Clone, Debug)]
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
    /// The node of a cluster did not run the command, since of the key's slot.
    pub(in crate::store::redis) node_error: Option<Box<NodeError>>,
    /// The reply to an end of sessions that too few replicas have confirmed.
    pub(in crate::store::redis) unconfirmed: Option<Box<Value>>,
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
            node_error: answered.then(|| NodeError::parse(code, detail)).flatten().map(Box::new),
            unconfirmed: None,
            error: typed(error, refusal),
        }
    }

    /// The same for a node of a configured cluster: a redirect says nothing against its connection.
    pub(in crate::store::redis) fn in_cluster(self) -> Self {
        match self.node_error.as_deref() {
            Some(NodeError::Moved(..) | NodeError::Ask(..)) => Self {
                error: Error::new(ErrorKind::Unavailable, MOVING).with_source(self.error),
                broken: false,
                lost: false,
                again: false,
                ..self
            },
            _ => self,
        }
    }

    /// A script has found that the slot of its keys is moving, and changed nothing.
    pub(in crate::store::redis) fn moving() -> Self {
        let node_error = Some(Box::new(NodeError::Moving));
        let error = Error::new(ErrorKind::Unavailable, MOVING);
        Self { reply: true, node_error, ..Self::from(error) }
    }

    /// Too few replicas have confirmed what has run.
    pub(in crate::store::redis) fn unconfirmed(value: Value) -> Self {
        let text = "no redis replica confirmed the end of the session in time";
        let error = Error::new(ErrorKind::Unavailable, text);
        Self { unknown: true, unconfirmed: Some(Box::new(value)), ..Self::from(error) }
    }

    /// The connection broke before the command was sent.
    pub(in crate::store::redis) fn unsent() -> Self {
        let error = Error::unavailable("the redis connection broke before the command was sent");
        Self { again: true, ..Self::from(error) }
    }

    /// No reply over a connection that was idle; the command may have run.
    pub(in crate::store::redis) fn silent() -> Self {
        let error = Error::unavailable("no reply over an idle connection");
        Self { broken: true, unknown: true, lost: true, ..Self::from(error) }
    }
}

const MOVING: &str = "redis moves the slot of the session between nodes";

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
            node_error: None,
            unconfirmed: None,
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

/// Why a server rejects TLS, by the name of its alert, as the words behind the server's name. The
/// library has no kind for it; the text is that of rustls.
pub(in crate::store::redis) fn rejection(error: &RedisError) -> Option<&'static str> {
    if !matches!(error.kind(), Kind::Io | Kind::Client) {
        return None;
    }
    let text = error.to_string();
    let (_, alert) = text.rsplit_once(ALERT)?;
    let is = |name: &str| alert.contains(name);
    Some(match () {
        () if is("UnknownCA") => "does not trust the client certificate",
        () if is("CertificateExpired") => "rejects the client certificate: it has expired",
        () if is("BadCertificate") || is("CertificateRevoked") || is("CertificateUnknown") => {
            "rejects the client certificate"
        }
        () => "rejects the TLS connection: it may require a client certificate",
    })
}

fn typed(error: RedisError, refusal: Option<&Refusal>) -> Error {
    let typed = match (error.kind(), refusal, rejection(&error)) {
        (_, Some(refusal), _) => Error::new(refusal.kind, refusal.text),
        (_, _, Some(words)) => {
            Error::new(ErrorKind::Misconfigured, format!("the redis server {words}"))
        }
        (Kind::Parse | Kind::UnexpectedReturnType, _, _) => {
            Error::new(ErrorKind::Misconfigured, "the peer is not a redis server")
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
