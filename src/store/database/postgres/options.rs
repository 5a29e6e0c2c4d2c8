//! Options of connections: the address, and the settings that the server receives with it.

use std::time::Duration;

use sqlx::{ConnectOptions as _, postgres::PgConnectOptions};

use crate::{error::ConfigError, store::database::config::fault};

/// A setting without effect, which shows whether the server received our settings.
const MARK: &str = "trs.direct";

/// The options of an address, without our settings.
pub(super) fn of(url: &str) -> Result<PgConnectOptions, ConfigError> {
    // The library's error may contain a part of the address; it is discarded.
    let Ok(options) = url.parse::<PgConnectOptions>() else {
        return fault("is not postgres://user@host:port/database");
    };
    let name = options.get_application_name().unwrap_or("tower-redis-session").to_owned();
    // No value of ours is a floating point number, and some poolers reject that setting.
    let options = options.disable_statement_logging().extra_float_digits(None);
    Ok(options.application_name(&name))
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
