//! Options of connections: the address, TLS, and the settings that the server receives with it.

use std::time::Duration;

use percent_encoding::percent_decode_str;
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
    let variable = |name: &str| std::env::var(name).ok();
    let (options, certificates) = encrypted(options, url, configured, &variable)?;
    #[cfg(feature = "tls")]
    certificates.check("database")?;
    Ok((options, certificates))
}

/// With the mode of TLS and the certificates of the code, of the address, or else of PostgreSQL's
/// variables; and all certificates.
///
/// Fails closed: a mode that would not use a certificate is an error. So is `verify-ca`: the
/// library trusts the system's authorities too, and any of their certificates would pass.
fn encrypted(
    options: PgConnectOptions,
    url: &str,
    configured: &Certificates,
    variable: Variables<'_>,
) -> Result<(PgConnectOptions, Certificates), ConfigError> {
    let mode = options.get_ssl_mode();
    if matches!(mode, PgSslMode::VerifyCa) {
        return fault(
            "has sslmode=verify-ca, in it or in PGSSLMODE, by which the certificate of any host \
             passes: use verify-full",
        );
    }
    let root = named(url, &["sslrootcert", "ssl-root-cert", "ssl-ca"], "PGSSLROOTCERT", variable);
    let identity = match &configured.identity {
        Some(identity) => Some(identity.clone()),
        None => identity(url, mode, variable)?,
    };
    let options = if configured.are_set() {
        // The mode follows from them.
        options
    } else {
        options.ssl_mode(checked(mode, &root, identity.is_some())?)
    };
    let options = match root {
        // The library would read the file "".
        Named::Empty => options.ssl_root_cert_from_pem(Vec::new()),
        _ => options,
    };
    let authorities = configured.authorities.clone().or(root.pem());
    Ok((with_certificates(options, configured)?, Certificates { authorities, identity }))
}

/// The mode in the meaning that PostgreSQL documents: with an authority `require` checks the
/// certificate. The library does not.
fn checked(mode: PgSslMode, root: &Named, has_identity: bool) -> Result<PgSslMode, ConfigError> {
    match (mode, root) {
        (PgSslMode::Require, Named::Parameter(_) | Named::Variable(_)) => Ok(PgSslMode::VerifyFull),
        (PgSslMode::Disable | PgSslMode::Allow | PgSslMode::Prefer, Named::Parameter(_)) => {
            fault("has sslrootcert, which only sslmode=verify-full uses")
        }
        (PgSslMode::Disable | PgSslMode::Allow | PgSslMode::Prefer, Named::Variable(_)) => {
            fault("lacks sslmode=verify-full, which alone uses PGSSLROOTCERT")
        }
        (PgSslMode::Disable | PgSslMode::Allow, _) if has_identity => {
            fault("has sslcert, or PGSSLCERT is set, but its sslmode does not use TLS")
        }
        _ => Ok(mode),
    }
}

/// The client certificate of the address or of the variables.
fn identity(
    url: &str,
    mode: PgSslMode,
    variable: Variables<'_>,
) -> Result<Option<(Pem, Pem)>, ConfigError> {
    let certificate = named(url, &["sslcert", "ssl-cert"], "PGSSLCERT", variable);
    let key = named(url, &["sslkey", "ssl-key"], "PGSSLKEY", variable);
    let is_encrypted =
        cfg!(feature = "tls") && !matches!(mode, PgSslMode::Disable | PgSslMode::Allow);
    if is_encrypted && matches!((&certificate, &key), (Named::Empty, _) | (_, Named::Empty)) {
        // The library would read the file "", and cannot be kept from it.
        return fault("lacks sslcert or sslkey, and PGSSLCERT or PGSSLKEY is empty: unset both");
    }
    match (certificate.pem(), key.pem()) {
        (Some(certificate), Some(key)) => Ok(Some((certificate, key))),
        (None, None) => Ok(None),
        _ => fault("has sslcert or PGSSLCERT, or else sslkey or PGSSLKEY, without the other"),
    }
}

/// The variables of the environment.
type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What names a certificate.
enum Named {
    Not,
    Parameter(Pem),
    Variable(Pem),
    /// A variable, which PostgreSQL takes for an unset one.
    Empty,
}

impl Named {
    fn pem(self) -> Option<Pem> {
        match self {
            Self::Parameter(pem) | Self::Variable(pem) => Some(pem),
            Self::Not | Self::Empty => None,
        }
    }
}

/// What a parameter of the address names, or else a variable, in the library's reading.
fn named(url: &str, parameters: &[&str], name: &str, variable: Variables<'_>) -> Named {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let value = pairs.rfind(|(name, _)| parameters.contains(name));
    if let Some((_, value)) = value {
        return Named::Parameter(Pem::File(decoded(value).into()));
    }
    let Some(value) = variable(name) else { return Named::Not };
    let text = value.trim();
    if text.is_empty() {
        return Named::Empty;
    }
    if text.starts_with("-----BEGIN") && text.ends_with("-----") {
        return Named::Variable(Pem::Text(value.into_bytes().into()));
    }
    Named::Variable(Pem::File(value.into()))
}

/// A value of a query: `+` is a space, `%2F` a byte.
fn decoded(text: &str) -> String {
    let bytes: Vec<_> = percent_decode_str(&text.replace('+', " ")).collect();
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

#[cfg(test)]
#[cfg(feature = "tls")]
mod tests {
    use crate::store::database::postgres::options::*;

    type Variable = (&'static str, &'static str);

    /// The mode and the authority by which a connection is opened, or the fault.
    fn read(
        query: &str,
        configured: &Certificates,
        (name, value): Variable,
    ) -> Result<(PgSslMode, String), ConfigError> {
        let url = format!("postgres://u@h/d{query}");
        let mut options: PgConnectOptions = url.parse().unwrap();
        // As the library reads the environment, where the address has no parameter.
        if name == "PGSSLROOTCERT" && !query.contains("sslrootcert") {
            options = options.ssl_root_cert(value);
        }
        if name == "PGSSLMODE" {
            options = options.ssl_mode(value.parse().unwrap());
        }
        let variable = |asked: &str| (asked == name).then(|| value.to_owned());
        let (options, _) = encrypted(options, &url, configured, &variable)?;
        let url = options.to_url_lossy();
        let root = url.query_pairs().find(|(name, _)| name == "sslrootcert");
        Ok((options.get_ssl_mode(), root.map(|(_, root)| root.into_owned()).unwrap_or_default()))
    }

    #[test]
    fn an_authority_is_used_with_the_name_of_the_host_or_makes_no_store() {
        let (none, unset) = (Certificates::default(), ("", ""));
        let ours = Some(Pem::File("/ours.pem".into()));
        let ours = Certificates { authorities: ours, identity: None };
        let (root, empty) = (("PGSSLROOTCERT", "/ca.pem"), ("PGSSLROOTCERT", ""));
        let (full, file, our_file) = (PgSslMode::VerifyFull, "file: /ca.pem", "file: /ours.pem");
        for (query, configured, variable, expected) in [
            ("?sslmode=require&sslrootcert=/ca.pem", &none, unset, Some((full, file))),
            ("?sslmode=verify-full&sslrootcert=/ca.pem", &none, unset, Some((full, file))),
            ("?sslmode=verify-full", &none, unset, Some((full, ""))),
            ("?sslmode=require", &none, unset, Some((PgSslMode::Require, ""))),
            ("?sslmode=require", &none, root, Some((full, file))),
            ("?sslmode=verify-ca&sslrootcert=/ca.pem", &none, unset, None),
            ("?sslmode=verify-ca", &none, unset, None),
            ("?sslmode=verify-ca", &ours, unset, None),
            // What the code configures is not weakened or broken by a variable.
            ("", &ours, root, Some((full, our_file))),
            ("?sslmode=require", &ours, root, Some((full, our_file))),
            ("?sslmode=disable", &ours, unset, None),
            // An empty variable is an unset one, and no file is read.
            ("", &none, empty, Some((PgSslMode::Prefer, ""))),
            ("?sslmode=verify-full", &none, empty, Some((full, ""))),
            ("?sslmode=require", &ours, empty, Some((full, our_file))),
        ] {
            let expected = expected.map(|(mode, root)| (mode, root.to_owned()));
            let read = read(query, configured, variable).ok();
            assert_eq!(format!("{read:?}"), format!("{expected:?}"), "{query} {variable:?}");
        }
    }

    #[test]
    fn a_variable_that_is_at_fault_is_named() {
        let none = Certificates::default();
        for (query, variable) in [
            ("", ("PGSSLROOTCERT", "/ca.pem")),
            ("", ("PGSSLMODE", "verify-ca")),
            ("", ("PGSSLCERT", "/c.pem")),
            ("?sslmode=verify-full", ("PGSSLKEY", "")),
        ] {
            let error = read(query, &none, variable).unwrap_err();
            assert!(error.to_string().contains(variable.0), "{error}");
        }
    }
}
