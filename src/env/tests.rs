use crate::env::config::*;

fn read(variables: &[(&str, &str)]) -> Result<EnvConfig, ConfigError> {
    EnvConfig::from_lookup(|name| {
        variables.iter().find(|(found, _)| *found == name).map(|(_, value)| (*value).to_owned())
    })
}

const SENTINEL: (&str, &str) = ("REDIS_SENTINEL", "main@s1");
const OWN: &str = "SESSION_DATABASE_URL";

#[test]
fn a_bad_value_names_its_variable_and_its_fault_and_no_secret() {
    let redis = ("SESSION_STORAGE", "redis");
    for (name, variables, setting) in [
        ("storage", &[("SESSION_STORAGE", "mysql")][..], "SESSION_STORAGE"),
        ("no database", &[("SESSION_STORAGE", "database")], OWN),
        ("no database", &[("SESSION_STORAGE", "durable")], OWN),
        ("silent memory", &[(OWN, "sqlite:hunter2.db")], "SESSION_STORAGE"),
        (
            "the application's own database",
            &[("SESSION_STORAGE", "database"), ("DATABASE_URL", "mysql://u:hunter2@h")],
            OWN,
        ),
        #[cfg(feature = "_database")]
        ("no such database", &[redis, (OWN, "hunter2")], "SESSION_DATABASE_URL or DATABASE_URL"),
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
        (
            "said twice",
            &[redis, ("REDIS_CLUSTER", "a:1,b:2"), ("REDIS_URL", "redis://:hunter2@h")],
            "REDIS_URL",
        ),
        (
            "no node of a cluster",
            &[redis, ("REDIS_CLUSTER", "a:1,redis://:hunter2@b:c")],
            "REDIS_CLUSTER",
        ),
        #[cfg(feature = "_database")]
        (
            "a cluster before a database",
            &[redis, ("REDIS_CLUSTER", "a:1"), (OWN, "sqlite:hunter2.db")],
            "REDIS_CLUSTER",
        ),
        ("port", &[redis, ("REDIS_PORT", "65536")], "REDIS_PORT"),
        ("no port", &[redis, ("REDIS_PORT", "0")], "REDIS_PORT"),
        ("database", &[redis, ("REDIS_DB", "-1"), ("REDIS_PASSWORD", "hunter2")], "REDIS_DB"),
        ("host and port", &[redis, ("REDIS_HOST", "h:6379")], "REDIS_HOST"),
        ("a whole address", &[redis, ("REDIS_HOST", "redis://hunter2@h")], "REDIS_HOST"),
        ("switch", &[redis, ("REDIS_SSL", "perhaps")], "REDIS_SSL"),
        ("prefix", &[redis, ("SESSION_KEY_PREFIX", "a*")], "SESSION_KEY_PREFIX"),
        (
            "raw #",
            &[redis, ("REDIS_URL", "redis://:hunter2#@h")],
            "REDIS_URL, REDIS_HOST or REDIS_SSL",
        ),
        ("time", &[redis, ("REDIS_CONNECT_TIMEOUT_MS", "0")], "REDIS_CONNECT_TIMEOUT_MS"),
        ("replicas", &[redis, ("REDIS_CONFIRM_REPLICAS", "17")], "REDIS_CONFIRM_REPLICAS"),
        ("no key", &[redis, ("REDIS_SSL_CERTFILE", "/c")], "REDIS_SSL_KEYFILE"),
        ("no certificate", &[redis, ("REDIS_SSL_KEYFILE", "/k")], "REDIS_SSL_CERTFILE"),
        (
            "an address and sentinels",
            &[redis, ("REDIS_SENTINEL", "main@s"), ("REDIS_URL", "redis://hunter2@h")],
            "REDIS_URL",
        ),
        ("a host and sentinels", &[redis, SENTINEL, ("REDIS_HOST", "h")], "REDIS_HOST"),
        ("a port and sentinels", &[redis, SENTINEL, ("REDIS_PORT", "1")], "REDIS_PORT"),
        ("no name", &[redis, ("REDIS_SENTINEL", "@s1:26379")], "REDIS_SENTINEL"),
        ("no name and no @", &[redis, ("REDIS_SENTINEL", "s1:26379")], "REDIS_SENTINEL"),
        ("no sentinel", &[redis, ("REDIS_SENTINEL", "main@")], "REDIS_SENTINEL"),
        ("an empty sentinel", &[redis, ("REDIS_SENTINEL", "main@s1,,s2")], "REDIS_SENTINEL"),
        (
            "a sentinel's URL",
            &[redis, ("REDIS_SENTINEL", "main@redis://hunter2")],
            "REDIS_SENTINEL",
        ),
        ("a sentinel's port", &[redis, ("REDIS_SENTINEL", "main@s1:0")], "REDIS_SENTINEL"),
        ("a strange name", &[redis, ("REDIS_SENTINEL", "ma in@s1")], "REDIS_SENTINEL"),
        (
            "no sentinels for a password",
            &[redis, ("REDIS_SENTINEL_PASSWORD", "hunter2")],
            "REDIS_SENTINEL_PASSWORD",
        ),
        (
            "a sentinel's certificate without its key",
            &[redis, SENTINEL, ("REDIS_SENTINEL_SSL_CERTFILE", "/c")],
            "REDIS_SENTINEL_SSL_KEYFILE",
        ),
        (
            "a sentinel's authority without TLS",
            &[redis, SENTINEL, ("REDIS_SENTINEL_SSL_CA_CERTS", "/c")],
            "REDIS_SENTINEL",
        ),
        ("silent memory", &[SENTINEL], "SESSION_STORAGE"),
        ("cookie", &[("SESSION_COOKIE_NAME", "a b")], "SESSION_COOKIE_NAME"),
        ("plain http", &[("SESSION_COOKIE_SECURE", "false")], "SESSION_COOKIE_NAME"),
        (
            "plain http, and not",
            &[("SESSION_INSECURE_HTTP", "true"), ("SESSION_COOKIE_SECURE", "true")],
            "SESSION_INSECURE_HTTP",
        ),
        (
            "plain http",
            &[("SESSION_INSECURE_HTTP", "true"), ("SESSION_COOKIE_NAME", "__Host-a")],
            "SESSION_COOKIE_NAME",
        ),
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
        ("the same beside nothing", "memory", &[("DATABASE_URL", "postgres://h")]),
        (
            "the same beside redis",
            "redis",
            &[("SESSION_STORAGE", "redis"), ("DATABASE_URL", "postgres://h\n")],
        ),
        ("kubernetes beside nothing", "memory", &[("REDIS_PORT", "tcp://10.0.0.1:6379")]),
        (
            "kubernetes beside a url",
            "redis",
            &[
                ("SESSION_STORAGE", "redis"),
                ("REDIS_URL", "redis://h"),
                ("REDIS_PORT", "tcp://10.0.0.1:6379"),
            ],
        ),
        (
            "kubernetes beside a host",
            "redis",
            &[
                ("SESSION_STORAGE", "redis"),
                ("REDIS_HOST", "redis.default.svc"),
                ("REDIS_PORT", "tcp://10.0.0.1:6379"),
            ],
        ),
        (
            "sentinels",
            "redis",
            &[
                ("SESSION_STORAGE", "redis"),
                ("REDIS_SENTINEL", "main@s1:26379, s2,[::1]:26379"),
                ("REDIS_SENTINEL_USERNAME", "u"),
                ("REDIS_SENTINEL_PASSWORD", "p"),
                ("REDIS_PASSWORD", "q"),
                ("REDIS_DB", "2"),
                ("REDIS_SSL", "false"),
                ("REDIS_PORT", "tcp://10.0.0.1:6379"),
            ],
        ),
        ("a host by address", "redis", &[("SESSION_STORAGE", "redis"), ("REDIS_HOST", "::1")]),
        (
            "some nodes of a cluster",
            "redis",
            &[
                ("SESSION_STORAGE", "redis"),
                ("REDIS_CLUSTER", "a:1,b.example,redis://c:3"),
                ("REDIS_PASSWORD", "p"),
                ("REDIS_SSL", "false"),
                ("REDIS_PORT", "tcp://10.0.0.1:6379"),
            ],
        ),
        ("plain http", "memory", &[("SESSION_INSECURE_HTTP", "true")]),
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
    for (storage, name, url) in [
        ("database", "database", OWN),
        ("database", "database", "DATABASE_URL"),
        ("redis", "redis and database", OWN),
        ("durable", "redis and database", OWN),
        ("durable", "redis and database", "DATABASE_URL"),
    ] {
        let url = (url, "sqlite:sessions.db");
        let variables = [("SESSION_STORAGE", storage), url, ("SESSION_STRICT", "true")];
        assert_eq!(read(&variables).expect(name).storage(), name);
    }
    let url = (OWN, "sqlite:sessions.db");
    let unclear = [("SESSION_STORAGE", "redis"), url, ("SESSION_STRICT", "perhaps")];
    assert_eq!(read(&unclear).unwrap_err().setting(), "SESSION_STRICT");
    // Redis alone can promise no such thing.
    let alone = [("SESSION_STORAGE", "redis"), ("SESSION_STRICT", "true")];
    assert_eq!(read(&alone).unwrap_err().setting(), "SESSION_STRICT");
    // Ours comes first, whatever the application's is.
    let both = [("SESSION_STORAGE", "database"), url, ("DATABASE_URL", "mysql://h")];
    assert_eq!(read(&both).unwrap().storage(), "database");
}

#[test]
fn a_value_is_understood_to_its_last_character_or_refused() {
    let redis = ("SESSION_STORAGE", "redis");
    for (name, values) in [
        ("SESSION_IDLE_TIMEOUT", &["600 ", " 600", "600\r", "+600", "1_000", "6e2", "600s"][..]),
        ("SESSIONS_PER_USER", &["8 ", "0x8", "8.0", "99999999999999999999"]),
        ("SESSION_STORE_BUDGET_MS", &["1,000", "1 000", "\t1"]),
        ("SESSION_DEVICES", &["true ", "\ttrue", "truee", "2", "y"]),
        ("SESSION_STORAGE", &["redis ", "Redis", "redis\n"]),
        ("SESSION_COOKIE_NAME", &["id ", "\u{a0}id"]),
        ("SESSION_DATABASE_URL", &["sqlite:a.db\r", " sqlite:a.db"]),
        ("REDIS_URL", &["redis://h ", "redis://h\n"]),
        ("REDIS_PORT", &["6379 ", "+6379", "tcp", "6379/tcp"]),
        ("REDIS_DB", &["1 ", "+1", "one"]),
        ("SESSION_KEY_PREFIX", &["shop: "]),
    ] {
        for value in values {
            let variables =
                if name == redis.0 { vec![(name, *value)] } else { vec![redis, (name, value)] };
            let error = read(&variables).expect_err(value);
            assert_eq!(error.setting(), name, "{value:?}");
        }
    }
    // What may be anything is taken as it is.
    let secret = [redis, ("REDIS_PASSWORD", " hunter2 "), ("REDIS_USERNAME", "shop ")];
    assert!(read(&secret).is_ok());
}

#[test]
fn every_variable_that_is_read_has_its_name_in_the_list() {
    let read = std::cell::RefCell::new(std::collections::BTreeSet::new());
    for storage in ["redis", "durable", "database", "memory", ""] {
        for (url, sentinels) in [("", ""), ("redis://h", ""), ("", "main@s1")] {
            let _ = EnvConfig::from_lookup(|name| {
                let _ = read.borrow_mut().insert(name);
                match name {
                    "SESSION_STORAGE" => Some(storage.to_owned()),
                    "REDIS_URL" => Some(url.to_owned()),
                    "REDIS_SENTINEL" => Some(sentinels.to_owned()),
                    "SESSION_DEVICES" => Some("true".to_owned()),
                    _ => None,
                }
            });
        }
    }
    let listed: Vec<_> = crate::env::names::NAMES.to_vec();
    assert_eq!(read.into_inner().into_iter().collect::<Vec<_>>(), listed);
}

#[test]
fn what_no_variable_says_is_added_to_the_builder() {
    let config = read(&[("SESSION_IDLE_TIMEOUT", "600")]).unwrap();
    assert!(config.builder().unwrap().max_values(0).build().is_err());
    let layer = config.builder().unwrap().max_values(8).build().unwrap();
    let printed = format!("{layer:?}");
    assert!(printed.contains("max_values: 8") && printed.contains("idle: 600s"), "{printed}");
}

#[test]
fn no_secret_is_printed() {
    let variables = [
        ("SESSION_STORAGE", "redis"),
        ("REDIS_URL", "redis://user:hunter2@h"),
        ("REDIS_PASSWORD", "hunter3"),
    ];
    let sentinels = [
        ("SESSION_STORAGE", "redis"),
        ("REDIS_SENTINEL", "main@s1"),
        ("REDIS_SENTINEL_PASSWORD", "hunter4"),
    ];
    for variables in [&variables[..], &sentinels] {
        let config = read(variables).unwrap();
        let printed = format!("{config:?} {:?}", config.layer().unwrap());
        assert!(!printed.contains("hunter"), "{printed}");
    }
}
