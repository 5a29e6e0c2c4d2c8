//! Names of all variables, and detection of misspelt ones.

/// Every variable that is read.
pub(super) const NAMES: [&str; 36] = [
    "DATABASE_URL",
    "REDIS_CLUSTER",
    "REDIS_CONFIRM_REPLICAS",
    "REDIS_CONNECT_TIMEOUT_MS",
    "REDIS_DB",
    "REDIS_HOST",
    "REDIS_PASSWORD",
    "REDIS_PORT",
    "REDIS_SENTINEL",
    "REDIS_SENTINEL_PASSWORD",
    "REDIS_SENTINEL_SSL",
    "REDIS_SENTINEL_SSL_CA_CERTS",
    "REDIS_SENTINEL_SSL_CERTFILE",
    "REDIS_SENTINEL_SSL_KEYFILE",
    "REDIS_SENTINEL_USERNAME",
    "REDIS_SSL",
    "REDIS_SSL_CA_CERTS",
    "REDIS_SSL_CERTFILE",
    "REDIS_SSL_KEYFILE",
    "REDIS_URL",
    "REDIS_USERNAME",
    "SESSIONS_PER_USER",
    "SESSION_ABSOLUTE_TIMEOUT",
    "SESSION_COOKIE_NAME",
    "SESSION_COOKIE_SECURE",
    "SESSION_CSRF_LIFETIME",
    "SESSION_DATABASE_URL",
    "SESSION_DEVICES",
    "SESSION_IDLE_TIMEOUT",
    "SESSION_INSECURE_HTTP",
    "SESSION_KEY_PREFIX",
    "SESSION_STORAGE",
    "SESSION_STORE_BUDGET_MS",
    "SESSION_STRICT",
    "SESSION_TOUCH_INTERVAL",
    "SESSION_TRUSTED_PROXIES",
];

/// Synonyms of settings, too far from their names to be typing errors.
const SYNONYMS: [(&str, &str); 13] = [
    ("REDIS_DATABASE", "REDIS_DB"),
    ("REDIS_PASS", "REDIS_PASSWORD"),
    ("REDIS_SENTINEL_TLS", "REDIS_SENTINEL_SSL"),
    ("REDIS_SENTINEL_USER", "REDIS_SENTINEL_USERNAME"),
    ("REDIS_TLS", "REDIS_SSL"),
    ("REDIS_TLS_CA", "REDIS_SSL_CA_CERTS"),
    ("REDIS_TLS_CERT", "REDIS_SSL_CERTFILE"),
    ("REDIS_TLS_KEY", "REDIS_SSL_KEYFILE"),
    ("REDIS_USER", "REDIS_USERNAME"),
    ("SESSION_PREFIX", "SESSION_KEY_PREFIX"),
    ("SESSION_TIMEOUT", "SESSION_IDLE_TIMEOUT"),
    ("SESSION_TRUSTED_PROXY", "SESSION_TRUSTED_PROXIES"),
    ("SESSION_TTL", "SESSION_IDLE_TIMEOUT"),
];

/// Values that Kubernetes, and Docker before it, sets for a service named `redis`.
const LINKS: [&str; 3] = ["tcp://", "udp://", "sctp://"];

/// Whether the value is the address of a service of the cluster, whatever its name.
pub(super) fn is_link(value: &str) -> bool {
    LINKS.iter().any(|scheme| value.starts_with(scheme))
}

/// Unknown variables whose names resemble known ones, each with the likely name. Without those
/// whose likely name is set too: they belong to another program.
pub(super) fn misspelt(variables: &[(String, String)]) -> Vec<(&str, &'static str)> {
    let is_set = |name: &str| variables.iter().any(|(set, value)| set == name && !value.is_empty());
    let mut storage = variables.iter().filter(|(name, _)| name == "SESSION_STORAGE");
    let storage = storage.next().map(|(_, value)| value.as_str());
    let without_redis = matches!(storage, Some("memory" | "database"));
    variables
        .iter()
        .filter(|(name, value)| !is_link(value) && !is_of_a_service(name))
        .filter_map(|(name, _)| Some((name.as_str(), likely(name)?)))
        .filter(|(_, meant)| !(is_set(meant) || without_redis && meant.starts_with("REDIS")))
        .collect()
}

/// `REDIS_SERVICE_HOST`, `REDIS_PORT_6379_TCP_ADDR` and the like.
fn is_of_a_service(name: &str) -> bool {
    let port = |rest: &str| rest.starts_with(|first: char| first.is_ascii_digit());
    name.contains("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || name.split("_PORT_").skip(1).any(port)
}

fn likely(name: &str) -> Option<&'static str> {
    // A name similar to `DATABASE_URL` belongs to the application.
    let ours = NAMES.into_iter().filter(|ours| *ours != "DATABASE_URL");
    if NAMES.contains(&name) {
        return None;
    }
    let upper = name.to_ascii_uppercase();
    let synonym = SYNONYMS.iter().find(|(other, _)| *other == upper).map(|(_, meant)| *meant);
    let near = ours.map(|ours| (distance(upper.as_bytes(), ours.as_bytes()), ours)).min();
    // Two errors in a long name, one in a short one: other programs have `REDIS_DSN`.
    let near = near.filter(|(slips, ours)| *slips <= if ours.len() > 12 { 2 } else { 1 });
    synonym.or(near.map(|(_, ours)| ours))
}

/// Letters missing, added, wrong or swapped: the optimal string alignment distance.
fn distance(one: &[u8], other: &[u8]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for (row, letter) in one.iter().enumerate() {
        let mut line = vec![row + 1];
        for (column, wanted) in other.iter().enumerate() {
            let at =
                |line: &[usize], column: usize| line.get(column).copied().unwrap_or(usize::MAX);
            let changed = at(&last, column) + usize::from(letter != wanted);
            let one_more = at(&last, column + 1).min(at(&line, column)) + 1;
            let is_swapped = row > 0
                && column > 0
                && one.get(row - 1) == Some(wanted)
                && other.get(column - 1) == Some(letter);
            let swapped =
                if is_swapped { at(&before, column - 1).saturating_add(1) } else { usize::MAX };
            line.push(changed.min(one_more).min(swapped));
        }
        before = std::mem::replace(&mut last, line);
    }
    last.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use crate::env::names::*;

    fn warned(variables: &[(&str, &str)]) -> Vec<(String, &'static str)> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let variables: Vec<_> = variables.iter().map(owned).collect();
        misspelt(&variables).into_iter().map(|(name, meant)| (name.to_owned(), meant)).collect()
    }

    #[test]
    fn a_slip_is_told_with_the_name_that_was_meant() {
        for (name, meant) in [
            ("SESSION_STROAGE", "SESSION_STORAGE"),
            ("SESION_STORAGE", "SESSION_STORAGE"),
            ("SESSION_STORE", "SESSION_STORAGE"),
            ("session_storage", "SESSION_STORAGE"),
            ("SESSION_PER_USER", "SESSIONS_PER_USER"),
            ("SESSION_IDLE_TIMOUT", "SESSION_IDLE_TIMEOUT"),
            ("SESSION_TIMEOUT", "SESSION_IDLE_TIMEOUT"),
            ("SESSION_TRUSTED_PROXY", "SESSION_TRUSTED_PROXIES"),
            ("SESSION_DATABASE_URI", "SESSION_DATABASE_URL"),
            ("REDIS_URI", "REDIS_URL"),
            ("REDIS_PASSWROD", "REDIS_PASSWORD"),
            ("REDIS_TLS", "REDIS_SSL"),
            ("REDIS_TLS_CA", "REDIS_SSL_CA_CERTS"),
            ("REDIS_TLS_KEY", "REDIS_SSL_KEYFILE"),
            ("REDIS_USER", "REDIS_USERNAME"),
            ("REDIS_SENTINELS", "REDIS_SENTINEL"),
            ("REDIS_SENTINEL_TLS", "REDIS_SENTINEL_SSL"),
        ] {
            assert_eq!(warned(&[(name, "x")]), [(name.to_owned(), meant)], "{name}");
        }
    }

    #[test]
    fn nobody_is_warned_of_names_of_others() {
        for (name, value) in [
            ("SESSION_MANAGER", "local/host:@/tmp/.ICE-unix/1"),
            ("SESSION_SECRET", "x"),
            ("SESSION_DRIVER", "file"),
            ("SESSION_COOKIE_DOMAIN", "example.org"),
            ("XDG_SESSION_ID", "1"),
            ("REDIS_PORT_6379_TCP", "tcp://10.0.0.1:6379"),
            ("REDIS_PORT_6379_TCP_PORT", "6379"),
            ("REDIS_PORT_6379_TCP_ADDR", "10.0.0.1"),
            ("REDIS_SERVICE_HOST", "10.0.0.1"),
            ("REDIS_SERVICE_PORT", "6379"),
            ("REDIS_SERVICE_PORT_REDIS", "6379"),
            ("REDIS2_PORT", "tcp://10.0.0.1:6379"),
            ("REDIS_DSN", "x"),
            ("REDIS_CACHE_URL", "redis://h"),
            ("REDIS_TLS_URL", "rediss://h"),
            ("REDIS_SENTINEL_HOST", "h"),
            ("DATABASE_URI", "mysql://h"),
        ] {
            assert_eq!(warned(&[(name, value)]), [], "{name}");
        }
        assert_eq!(warned(&[("REDIS_URI", "x"), ("REDIS_URL", "redis://h")]), []);
        assert_eq!(warned(&[("REDIS_URI", "x"), ("SESSION_STORAGE", "memory")]), []);
        for name in NAMES {
            assert_eq!(warned(&[(name, "x")]), [], "{name}");
        }
    }
}
