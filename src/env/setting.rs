//! An invalid setting, named after its variable.

use crate::error::ConfigError;

/// The same error, named after the variable that set it.
pub(super) fn by_variable(error: ConfigError) -> ConfigError {
    let variable = match error.setting() {
        "cookie name" => "SESSION_COOKIE_NAME",
        "idle timeout" => "SESSION_IDLE_TIMEOUT",
        "absolute timeout" => "SESSION_ABSOLUTE_TIMEOUT",
        "sessions per user" => "SESSIONS_PER_USER",
        "csrf lifetime" => "SESSION_CSRF_LIFETIME",
        "budget" => "SESSION_STORE_BUDGET_MS",
        "redis key prefix" => "SESSION_KEY_PREFIX",
        "redis address" => "REDIS_URL, REDIS_HOST or REDIS_SSL",
        "redis cluster" => "REDIS_CLUSTER",
        "redis database" => "REDIS_DB",
        "redis ca file" => "REDIS_SSL_CA_CERTS",
        "redis client certificate" => "REDIS_SSL_CERTFILE or REDIS_SSL_KEYFILE",
        "sentinel name" | "sentinel addresses" => "REDIS_SENTINEL",
        "sentinel address" => "REDIS_SENTINEL_SSL",
        "sentinel ca file" => "REDIS_SENTINEL_SSL_CA_CERTS",
        "sentinel client certificate" => {
            "REDIS_SENTINEL_SSL_CERTFILE or REDIS_SENTINEL_SSL_KEYFILE"
        }
        "redis confirm" => "REDIS_CONFIRM_REPLICAS",
        "redis connect timeout" => "REDIS_CONNECT_TIMEOUT_MS",
        "database address"
        | "database timeout"
        | "database ca file"
        | "database client certificate" => "SESSION_DATABASE_URL or DATABASE_URL",
        _ => return error,
    };
    error.named(variable)
}
