use crate::env::config::*;

fn read(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::from_lookup(|name| {
        variables.iter().find(|(found, _)| *found == name).map(|(_, value)| (*value).to_owned())
    })
}

#[test]
fn a_bad_value_names_its_variable_and_its_fault_and_no_secret() {
    let redis = ("SESSION_STORAGE", "redis");
    for (name, variables, setting) in [
        ("storage", &[("SESSION_STORAGE", "mysql")][..], "SESSION_STORAGE"),
        ("no database", &[("SESSION_STORAGE", "database")], "DATABASE_URL"),
        ("silent memory", &[("DATABASE_URL", "sqlite:hunter2.db")], "SESSION_STORAGE"),
        #[cfg(feature = "_database")]
        (
            "no such database",
            &[("SESSION_STORAGE", "database"), ("DATABASE_URL", "mysql://u:hunter2@h")],
            "DATABASE_URL",
        ),
        #[cfg(feature = "_database")]
        ("no such database", &[redis, ("DATABASE_URL", "hunter2")], "DATABASE_URL"),
        ("silent memory", &[("REDIS_URL", "redis://hunter2@h")], "SESSION_STORAGE"),
        (
            "scheme",
            &[redis, ("REDIS_URL", "http://:hunter2@h")],
            "REDIS_URL, REDIS_HOST or REDIS_SSL",
        ),
        (
            "tls unchecked",
            &[redis, ("REDIS_URL", "rediss://:hunter2@h/#insecure")],
            "REDIS_URL, REDIS_HOST or REDIS_SSL",
        ),
        ("said twice", &[redis, ("REDIS_URL", "redis://h"), ("REDIS_PORT", "1")], "REDIS_PORT"),
        ("port", &[redis, ("REDIS_PORT", "65536")], "REDIS_PORT"),
        ("no port", &[redis, ("REDIS_PORT", "0")], "REDIS_PORT"),
        ("database", &[redis, ("REDIS_DB", "-1"), ("REDIS_PASSWORD", "hunter2")], "REDIS_DB"),
        ("switch", &[redis, ("REDIS_SSL", "perhaps")], "REDIS_SSL"),
        ("prefix", &[redis, ("SESSION_KEY_PREFIX", "a*")], "SESSION_KEY_PREFIX"),
        (
            "raw #",
            &[redis, ("REDIS_URL", "redis://:hunter2#@h")],
            "REDIS_URL, REDIS_HOST or REDIS_SSL",
        ),
        ("time", &[redis, ("REDIS_CONNECT_TIMEOUT_MS", "0")], "REDIS_CONNECT_TIMEOUT_MS"),
        ("no key", &[redis, ("REDIS_SSL_CERTFILE", "/c")], "REDIS_SSL_KEYFILE"),
        ("no certificate", &[redis, ("REDIS_SSL_KEYFILE", "/k")], "REDIS_SSL_CERTFILE"),
        ("cookie", &[("SESSION_COOKIE_NAME", "a b")], "SESSION_COOKIE_NAME"),
        ("plain http", &[("SESSION_COOKIE_SECURE", "false")], "SESSION_COOKIE_NAME"),
        ("idle", &[("SESSION_IDLE_TIMEOUT", "1h")], "SESSION_IDLE_TIMEOUT"),
        ("idle zero", &[("SESSION_IDLE_TIMEOUT", "0")], "SESSION_IDLE_TIMEOUT"),
        ("order", &[("SESSION_ABSOLUTE_TIMEOUT", "60")], "SESSION_ABSOLUTE_TIMEOUT"),
        ("nobody may sign in", &[("SESSIONS_PER_USER", "0")], "SESSIONS_PER_USER"),
        ("less than nobody", &[("SESSIONS_PER_USER", "-1")], "SESSIONS_PER_USER"),
        ("tokens of no use", &[("SESSION_CSRF_LIFETIME", "0")], "SESSION_CSRF_LIFETIME"),
        ("devices", &[("SESSION_DEVICES", "some")], "SESSION_DEVICES"),
        ("no devices", &[("SESSION_TRUSTED_PROXIES", "::1")], "SESSION_TRUSTED_PROXIES"),
        (
            "no network",
            &[("SESSION_DEVICES", "true"), ("SESSION_TRUSTED_PROXIES", "10.0.0.0/8,hunter2")],
            "SESSION_TRUSTED_PROXIES",
        ),
        ("budget", &[("SESSION_STORE_BUDGET_MS", "0")], "SESSION_STORE_BUDGET_MS"),
    ] {
        let error = read(variables).expect_err(name);
        assert_eq!(error.setting(), setting, "{name}");
        assert!(!format!("{error}{error:?}").contains("hunter2"), "{name}: {error}");
    }
}

#[test]
fn what_is_right_builds() {
    for (name, storage, variables) in [
        ("nothing set", "memory", &[][..]),
        ("empty is unset", "memory", &[("SESSION_STORAGE", ""), ("REDIS_URL", "")]),
        ("url", "redis", &[("SESSION_STORAGE", "redis"), ("REDIS_URL", "redis://u:p@h:1/2")]),
        (
            "parts",
            "redis",
            &[
                ("SESSION_STORAGE", "redis"),
                ("REDIS_HOST", "h"),
                ("REDIS_PORT", "1"),
                ("REDIS_DB", "2"),
                ("REDIS_PASSWORD", "p"),
                ("REDIS_SSL", "false"),
                ("SESSION_KEY_PREFIX", "shop:"),
            ],
        ),
        (
            "an application's own database",
            "memory",
            &[("SESSION_STORAGE", "memory"), ("DATABASE_URL", "mysql://h")],
        ),
        (
            "plain http",
            "memory",
            &[("SESSION_COOKIE_SECURE", "false"), ("SESSION_COOKIE_NAME", "id")],
        ),
        (
            "devices behind proxies",
            "memory",
            &[
                ("SESSION_DEVICES", "true"),
                ("SESSION_TRUSTED_PROXIES", "10.0.0.0/8, 192.0.2.1,::1"),
                ("SESSIONS_PER_USER", "5"),
                ("SESSION_CSRF_LIFETIME", "600"),
            ],
        ),
    ] {
        let config = read(variables).expect(name);
        assert_eq!(config.storage(), storage, "{name}");
    }
}

#[cfg(feature = "sqlite")]
#[test]
fn a_database_is_a_store_alone_or_behind_redis() {
    let url = ("DATABASE_URL", "sqlite:sessions.db");
    for (storage, name) in [("database", "database"), ("redis", "redis and database")] {
        let variables = [("SESSION_STORAGE", storage), url, ("SESSION_STRICT", "true")];
        assert_eq!(read(&variables).expect(name).storage(), name);
    }
    let unclear = [("SESSION_STORAGE", "redis"), url, ("SESSION_STRICT", "perhaps")];
    assert_eq!(read(&unclear).unwrap_err().setting(), "SESSION_STRICT");
    // Redis alone can promise no such thing.
    let alone = [("SESSION_STORAGE", "redis"), ("SESSION_STRICT", "true")];
    assert_eq!(read(&alone).unwrap_err().setting(), "SESSION_STRICT");
}

#[test]
fn no_secret_is_printed() {
    let variables = [
        ("SESSION_STORAGE", "redis"),
        ("REDIS_URL", "redis://user:hunter2@h"),
        ("REDIS_PASSWORD", "hunter3"),
    ];
    let config = read(&variables).unwrap();
    let printed = format!("{config:?} {:?}", config.layer().unwrap());
    assert!(!printed.contains("hunter"), "{printed}");
}
