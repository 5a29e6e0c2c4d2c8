//! What is wrong with sentinels or behind them is named by the check.

use std::time::{Duration, Instant};

use test_support::{PASSWORD, RedisServer, bounded, replica_of};
use tower_redis_session::{ErrorKind, RedisConfig, RedisStore, store::Store as _};

use super::scripted::{Says, Scripted, primary};
use super::{by, id};

fn says(bytes: &[u8]) -> Says {
    Says::Bytes(bytes.to_vec())
}

#[tokio::test]
async fn the_check_names_what_is_wrong() {
    use ErrorKind::{Misconfigured, Unavailable};
    let server = RedisServer::start().await;
    let replica = replica_of(&server).await;
    let down = |flags| Says::Primary("127.0.0.1".into(), server.port(), flags, 3);
    let sentinel = Scripted::start(Says::Nothing).await;
    for (name, reply, kind, words) in [
        ("gone", Says::Gone, Unavailable, "no sentinel replied"),
        ("silent", Says::Nothing, Unavailable, "no sentinel replied"),
        (
            "another name",
            says(b"-ERR No such master with that name\r\n"),
            Misconfigured,
            "do not know a primary of this name",
        ),
        (
            "no password",
            says(b"-NOAUTH Authentication required.\r\n"),
            Misconfigured,
            "the sentinel requires a password",
        ),
        (
            "another password",
            says(b"-WRONGPASS invalid username-password pair or user is disabled.\r\n"),
            Misconfigured,
            "the sentinel rejects the user name or password",
        ),
        (
            "no right",
            says(b"-NOPERM this user has no permissions to run the 'sentinel|master' command\r\n"),
            Misconfigured,
            "may not run SENTINEL MASTER",
        ),
        ("down", down("s_down,master"), Unavailable, "primary is down"),
        ("down by quorum", down("s_down,o_down,master"), Unavailable, "primary is down"),
        ("a replica", primary(&replica, 3), Unavailable, "is a replica"),
        (
            "no HTTP server",
            says(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
            Misconfigured,
            "not a sentinel",
        ),
        ("a strange reply", says(b"+OK\r\n"), Misconfigured, "not a sentinel"),
        ("a number", says(b":1\r\n"), Misconfigured, "not a sentinel"),
        ("an empty list", says(b"*0\r\n"), Misconfigured, "not a sentinel"),
        (
            "no address",
            Says::Primary("a b".into(), 1, "master", 1),
            Misconfigured,
            "no usable address",
        ),
    ] {
        sentinel.says(reply);
        let config = by(&[&sentinel]).connect_timeout(Duration::from_millis(500));
        let store = RedisStore::new(config).unwrap();
        for error in [store.check().await.unwrap_err(), store.load(&id()).await.unwrap_err()] {
            assert_eq!(error.kind(), kind, "{name}: {error:?}");
            assert!(error.to_string().contains(words), "{name}: {error}");
        }
        let cause = store.health().redis.unwrap().last_cause.unwrap();
        assert!(cause.contains(words), "{name}: {cause}");
    }
    // A server is no sentinel, and its credentials are not those of the sentinels.
    let url = format!("redis://127.0.0.1:{}", server.port());
    let config = RedisConfig::sentinel("main", [url]);
    let error = RedisStore::new(config).unwrap().check().await.unwrap_err();
    assert_eq!(error.to_string(), "the server is not a sentinel");
    sentinel.says(primary(&server, 3));
    let store = RedisStore::new(by(&[&sentinel]).password("another")).unwrap();
    let error = store.check().await.unwrap_err();
    assert_eq!(error.to_string(), "redis rejects the user name or password (AUTH)");
    // Without the right to the role no server is used.
    let store = RedisStore::new(by(&[&sentinel]).username(test_support::SESSIONS)).unwrap();
    let error = store.check().await.unwrap_err();
    assert_eq!(error.kind(), Misconfigured, "{error:?}");
    assert!(error.to_string().ends_with("(INFO)"), "{error}");
    server.is_tampered_with();
    RedisStore::new(by(&[&sentinel])).unwrap().check().await.unwrap();
}

#[tokio::test]
async fn replies_without_end_or_sense_cost_at_most_the_connect_timeout() {
    let server = RedisServer::start().await;
    let good = Scripted::start(primary(&server, 3)).await;
    let bad = Scripted::start(Says::Nothing).await;
    let nested = "*1\r\n".repeat(200).into_bytes();
    for bytes in [
        &b"*-5\r\n"[..],
        b"*4000000000\r\n$2\r\nip\r\n",
        b"$99999999999999999999\r\n",
        b"$-7\r\n",
        b"%1\r\n+a\r\n",
        b"*2\r\n*0\r\n",
        b"\0\0\0\0",
        b"\r\n\r\n",
        &nested,
    ] {
        bad.says(says(bytes));
        let limit = Duration::from_millis(400);
        let alone = RedisStore::new(by(&[&bad]).connect_timeout(limit)).unwrap();
        let start = Instant::now();
        let error = bounded("the check", alone.check()).await.unwrap_err();
        let text = String::from_utf8_lossy(bytes);
        assert!(start.elapsed() < limit * 2, "{text}: {:?}", start.elapsed());
        let is_named = matches!(error.kind(), ErrorKind::Misconfigured | ErrorKind::Unavailable);
        assert!(is_named, "{text}: {error:?}");
        // Another sentinel is enough.
        RedisStore::new(by(&[&bad, &good])).unwrap().check().await.unwrap();
    }
}

#[test]
fn a_configuration_that_cannot_work_makes_no_store() {
    let none: [&str; 0] = [];
    let main = |url: &str| RedisConfig::sentinel("main", [url]);
    for (name, config, setting) in [
        ("no sentinel", RedisConfig::sentinel("main", none), "sentinel addresses"),
        ("too many", RedisConfig::sentinel("main", ["redis://s"; 33]), "sentinel addresses"),
        ("no name", RedisConfig::sentinel("", ["redis://s"]), "sentinel name"),
        ("a name of two words", RedisConfig::sentinel("a b", ["redis://s"]), "sentinel name"),
        ("no URL", main("s:26379"), "sentinel addresses"),
        ("a socket", main("unix:///s"), "sentinel addresses"),
        ("a database", main("redis://s/1"), "sentinel addresses"),
        ("an unknown part", main("redis://:hunter2@s?x=1"), "sentinel addresses"),
        ("a negative database", main("redis://s").database(-1), "redis database"),
        (
            "a certificate without TLS",
            main("redis://s").sentinel_ca_file("/no/such/file"),
            "sentinel addresses",
        ),
        (
            "an authority without TLS anywhere",
            main("redis://s").ca_file("/no/such/file"),
            "redis address",
        ),
        (
            "an authority that is missing",
            main("rediss://s").sentinel_ca_file("/no/such/file"),
            "sentinel ca file",
        ),
        (
            "the servers' authority, for sentinels alone",
            main("rediss://s").ca_file("/no/such/file"),
            "sentinel ca file",
        ),
        (
            "a client certificate that is missing",
            main("rediss://s").sentinel_client_certificate("/no/such/file", "/no/such/file"),
            "sentinel client certificate",
        ),
        (
            "credentials for sentinels, and none",
            RedisConfig::new("redis://h").sentinel_password(PASSWORD),
            "sentinel addresses",
        ),
    ] {
        let error = RedisStore::new(config).expect_err(name);
        assert_eq!(error.setting(), setting, "{name}: {error}");
        assert!(!format!("{error}{error:?}").contains("hunter2"), "{name}: {error}");
    }
    let fine = RedisConfig::sentinel("main", ["redis://:hunter2@s1", "rediss://s2:1"]);
    let printed = format!("{fine:?} {:?}", RedisStore::new(fine.clone()).unwrap());
    assert!(!printed.contains("hunter2"), "{printed}");
}
