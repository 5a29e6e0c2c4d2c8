//! Options of connections: the address, TLS, and the settings that the server receives with it.

use std::time::Duration;

use sqlx::{
    ConnectOptions as _,
    postgres::{PgConnectOptions, PgSslMode},
};

use crate::{
    error::ConfigError,
    store::{
        certificates::{Certificates, Pem},
        database::config::fault,
    },
};

/// A setting without effect, which shows whether the server received our settings.
const MARK: &str = "trs.direct";

/// The options of an address with these certificates, without our settings; and all certificates
/// that they have.
pub(super) fn of(
    url: &str,
    configured: &Certificates,
) -> Result<(PgConnectOptions, Certificates), ConfigError> {
    // The library's error may contain a part of the address; it is discarded.
    let Ok(options) = url.parse::<PgConnectOptions>() else {
        return fault("is not postgres://user@host:port/database");
    };
    let name = options.get_application_name().unwrap_or("tower-redis-session").to_owned();
    // No value of ours is a floating point number, and some poolers reject that setting.
    let options = options.disable_statement_logging().extra_float_digits(None);
    let options = options.application_name(&name);
    let (options, named) = checked(options, url)?;
    let certificates = Certificates {
        authorities: configured.authorities.clone().or(named.authorities),
        identity: configured.identity.clone().or(named.identity),
    };
    #[cfg(feature = "tls")]
    certificates.check("database")?;
    Ok((with_certificates(options, configured)?, certificates))
}

/// The certificates that the address names, and its mode of TLS in the meaning that PostgreSQL
/// documents: with an authority `require` checks the certificate. The library does not.
///
/// Fails closed: a mode that would not use a certificate is an error.
fn checked(
    options: PgConnectOptions,
    url: &str,
) -> Result<(PgConnectOptions, Certificates), ConfigError> {
    let authorities = named(url, &["sslrootcert", "ssl-root-cert", "ssl-ca"], "PGSSLROOTCERT");
    let certificate = named(url, &["sslcert", "ssl-cert"], "PGSSLCERT");
    let identity = match (certificate, named(url, &["sslkey", "ssl-key"], "PGSSLKEY")) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        _ => return fault("has sslcert or sslkey without the other"),
    };
    let mode = options.get_ssl_mode();
    let options = match (mode, &authorities) {
        (PgSslMode::Require, Some(_)) => options.ssl_mode(PgSslMode::VerifyCa),
        (PgSslMode::Disable | PgSslMode::Allow | PgSslMode::Prefer, Some(_)) => {
            return fault("has sslrootcert, which only sslmode=verify-full or verify-ca uses");
        }
        (PgSslMode::Disable | PgSslMode::Allow, None) if identity.is_some() => {
            return fault("has sslcert, but its sslmode does not use TLS");
        }
        _ => options,
    };
    Ok((options, Certificates { authorities, identity }))
}

/// What a parameter of the address names, or else a variable, in the library's reading.
fn named(url: &str, parameters: &[&str], variable: &str) -> Option<Pem> {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let value = pairs.rfind(|(name, _)| parameters.contains(name));
    if let Some((_, value)) = value {
        return Some(Pem::File(decoded(value).into()));
    }
    let value = std::env::var(variable).ok()?;
    if value.trim().starts_with("-----BEGIN") {
        return Some(Pem::Text(value.into_bytes().into()));
    }
    Some(Pem::File(value.into()))
}

/// A value of a query: `+` is a space, `%2F` a byte.
fn decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let [first, after @ ..] = rest {
        let hex = after.get(..2).filter(|_| *first == b'%');
        let hex = hex.and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(if *first == b'+' { b' ' } else { *first });
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn with_certificates(
    mut options: PgConnectOptions,
    configured: &Certificates,
) -> Result<PgConnectOptions, ConfigError> {
    if !configured.are_set() {
        return Ok(options);
    }
    if cfg!(not(feature = "tls")) {
        let fault = "are configured, which need the crate feature `tls`";
        return Err(ConfigError::new("database certificates", fault));
    }
    options = match options.get_ssl_mode() {
        PgSslMode::Disable | PgSslMode::Allow => {
            return fault("has an sslmode without TLS, but certificates are configured");
        }
        PgSslMode::VerifyCa => options,
        _ => options.ssl_mode(PgSslMode::VerifyFull),
    };
    options = match &configured.authorities {
        Some(Pem::File(path)) => options.ssl_root_cert(path),
        Some(Pem::Text(text)) => options.ssl_root_cert_from_pem(text.to_vec()),
        None => options,
    };
    let Some((certificate, key)) = &configured.identity else { return Ok(options) };
    options = match certificate {
        Pem::File(path) => options.ssl_client_cert(path),
        Pem::Text(text) => options.ssl_client_cert_from_pem(text),
    };
    Ok(match key {
        Pem::File(path) => options.ssl_client_key(path),
        Pem::Text(text) => options.ssl_client_key_from_pem(text),
    })
}

/// Timeouts of a statement and of its wait for a lock, in milliseconds.
pub(super) fn limits(timeout: Duration) -> [u128; 2] {
    // The wait for a lock is shorter, so that the server's error arrives: nothing was stored.
    [timeout.as_millis(), timeout.as_millis() / 2]
}

/// Settings in the address take precedence.
pub(super) fn with_limits(options: PgConnectOptions, timeout: Duration) -> PgConnectOptions {
    let [work, lock] = limits(timeout);
    let theirs = options.get_options().unwrap_or_default().to_owned();
    let ours = [
        (MARK, 1),
        ("statement_timeout", work),
        ("lock_timeout", lock),
        ("idle_in_transaction_session_timeout", work),
        // A client that disappears without closing is detected within two minutes.
        ("tcp_keepalives_idle", 60),
        ("tcp_keepalives_interval", 10),
        ("tcp_keepalives_count", 6),
    ];
    options.options(ours.into_iter().filter(|(name, _)| !theirs.contains(name)))
}
