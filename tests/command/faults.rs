//! What is wrong, by exit code; and no secret in what is printed.
//!
//! To see these fail: print the address as it was given; map `Misconfigured` to 3; let `check`
//! ignore warnings; unwrap a write to a closed pipe.

use std::process::Stdio;

use test_support::{DURABLE, PASSWORD, PostgresServer, RedisServer, Sentinels, leak_monitor};

use crate::places::{Place, run, variables};

/// In addresses that are wrong in some way.
const SECRET: &str = "a-secret-of-an-address";

#[tokio::test]
async fn a_wrong_variable_or_argument_is_named_with_its_exit_code() {
    leak_monitor::start();
    leak_monitor::secret(SECRET);
    let address = |scheme: &str| format!("{scheme}://alice:{SECRET}@127.0.0.1:1/0");
    let redis = |url: &str| variables(&[("SESSION_STORAGE", "redis"), ("REDIS_URL", url)]);
    let database =
        |url: &str| variables(&[("SESSION_STORAGE", "database"), ("SESSION_DATABASE_URL", url)]);
    for (set, arguments, code, said) in [
        (vec![], &["check"][..], 4, "SESSION_STORAGE"),
        (variables(&[("SESSION_STORAGE", "paper")]), &["check"], 4, "SESSION_STORAGE"),
        (variables(&[("REDIS_URL", &address("redis"))]), &["check"], 4, "SESSION_STORAGE"),
        (redis(&address("http")), &["sessions", "count"], 4, "REDIS_URL"),
        (database(&address("mysql")), &["schema"], 4, "SESSION_DATABASE_URL"),
        (database(&format!("{}?sslmod=x", address("postgres"))), &["check"], 4, "parameter"),
        (redis(&address("redis")), &["check"], 3, "unavailable"),
        (redis(&address("redis")), &["status"], 3, "unavailable"),
        (redis(&address("redis")), &["sessions", "list"], 3, "unavailable"),
        (database(&address("postgres")), &["check"], 3, "unavailable"),
        (database(&address("postgres")), &["schema", "--apply"], 3, "unavailable"),
        (database("sqlite:/no/such/folder/x.db"), &["sessions", "count"], 5, "does not exist"),
        (database("sqlite:/no/such/folder/x.db"), &["schema", "--apply"], 5, "cannot be created"),
        (vec![], &["sessions", "show", "not-an-id"], 2, "not a session id"),
        (vec![], &["sessions", "revoke-user", ""], 2, "value"),
        (vec![], &["sessions", "revoke-all"], 2, "--yes"),
        (vec![], &["destroy"], 2, "destroy"),
        (vec![], &[], 2, "Usage"),
        (vec![], &["--help"], 0, "Exit codes"),
        (vec![], &["sessions", "--help"], 0, "revoke-user"),
    ] {
        let ran = run(&set, arguments).await.expect(code);
        let text = format!("{}{}", ran.out, ran.err);
        assert!(text.contains(said), "{arguments:?}: {text}");
        assert!(!text.contains(SECRET), "{arguments:?}: {text}");
        if code > 2 && arguments[0] == "sessions" {
            let ran = run(&set, &[arguments, &["--json"]].concat()).await.expect(code);
            let error: serde_json::Value = serde_json::from_str(&ran.err).expect(&ran.err);
            assert!(error["error"]["text"].is_string() && ran.out.is_empty(), "{ran:?}");
        }
    }
    leak_monitor::check();
}

#[tokio::test]
async fn a_primary_behind_sentinels_is_found_by_its_variables() {
    let sentinels = Sentinels::start().await;
    let addresses: Vec<_> = sentinels.addrs().iter().map(ToString::to_string).collect();
    let set = |of: &str| {
        variables(&[
            ("SESSION_STORAGE", "redis"),
            ("REDIS_SENTINEL", of),
            ("REDIS_USERNAME", DURABLE),
            ("REDIS_PASSWORD", PASSWORD),
        ])
    };
    let good = set(&format!("main@{}", addresses.join(",")));
    let _ = run(&good, &["check"]).await.expect(0);
    let status = run(&good, &["status", "--json"]).await.expect(0).json();
    assert_eq!(status["redis"]["primary"], sentinels.server(0).addr().to_string(), "{status}");
    let address = status["redis"]["address"].as_str().unwrap();
    assert!(address.starts_with(&format!("main by sentinels {}", addresses[0])), "{address}");
    for (of, code, said) in [
        (format!("other@{}", addresses[1]), 5, "do not know a primary of this name"),
        (format!("main@{}", sentinels.server(0).addr()), 5, "is not a sentinel"),
        ("main@127.0.0.1:1".to_owned(), 3, "no sentinel replied"),
    ] {
        let ran = run(&set(&of), &["check"]).await.expect(code);
        assert!(format!("{}{}", ran.out, ran.err).contains(said), "{of}: {ran:?}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_fit_is_named_with_its_exit_code() {
    let redis = RedisServer::start().await;
    // A service's own user may not enumerate keys.
    redis.is_tampered_with();
    let set = |url: String| variables(&[("SESSION_STORAGE", "redis"), ("REDIS_URL", &url)]);
    run(&set(redis.url()), &["check"]).await.expect(0);
    let refused = run(&set(redis.url()), &["sessions", "count"]).await.expect(5);
    assert!(refused.err.contains("SCAN"), "{refused:?}");
    let wrong = set(redis.url_as("sessions", "another-password", redis.port()));
    for command in ["check", "purge"] {
        let code = if command == "check" { 5 } else { 0 };
        let ran = run(&wrong, &[command]).await.expect(code);
        assert!(!format!("{ran:?}").contains("another-password"));
    }
    redis.hang();
    let late = run(&set(redis.url()), &["check", "--json"]).await.expect(3).json();
    assert_eq!((&late["ok"], &late["checks"][0]["kind"]), (&false.into(), &"unavailable".into()));
    redis.resume();

    let place = Place::postgres().await;
    let missing = place.run(&["check"]).await.expect(5);
    assert!(missing.out.contains("schema --apply"), "{missing:?}");
    place.run(&["sessions", "count"]).await.expect(5);
    let server = PostgresServer::builder().password(SECRET).start().await;
    let url = server.database().await.url().replace(SECRET, "a-wrong-password");
    let set = variables(&[("SESSION_STORAGE", "database"), ("SESSION_DATABASE_URL", &url)]);
    let wrong = run(&set, &["check"]).await.expect(5);
    assert!(!format!("{wrong:?}").contains("a-wrong-password"));
}

/// The default user of a server that evicts: usable, and nothing for production.
#[tokio::test]
async fn a_warning_of_the_library_is_a_finding_of_the_check() {
    let redis = RedisServer::builder()
        .arg("--maxmemory", "64mb")
        .arg("--maxmemory-policy", "allkeys-lru")
        .start()
        .await;
    let mut set = variables(&[("SESSION_STORAGE", "redis"), ("REDIS_URL", &redis.durable_url())]);
    let ran = run(&set, &["check", "--json"]).await.expect(1);
    let found = ran.json();
    assert_eq!((&found["ok"], &found["checks"][0]["ok"]), (&false.into(), &true.into()));
    assert!(found["warnings"][0].as_str().unwrap().contains("eviction policy"), "{found}");
    let warning: serde_json::Value = serde_json::from_str(&ran.err).expect(&ran.err);
    assert_eq!(warning["warning"], found["warnings"][0]);
    set.push(("SESSION_IDLE_TIMOUT".to_owned(), "60".to_owned()));
    let ran = run(&set, &["sessions", "count", "--user", "alice"]).await.expect(0);
    assert!(ran.err.contains("SESSION_IDLE_TIMEOUT"), "{ran:?}");
    let status = run(&set, &["status", "--json"]).await.expect(0).json();
    let redis = &status["redis"];
    assert_eq!(
        (&redis["available"], &redis["eviction_policy"]),
        (&true.into(), &"allkeys-lru".into())
    );
    assert!(!status.to_string().contains(PASSWORD));
}

#[tokio::test]
async fn a_reader_that_closes_the_pipe_is_no_error_and_a_full_disk_is_one() {
    let place = Place::redis().await;
    let command = |out: Stdio| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tower-redis-session"));
        command.env_clear().envs(place.variables.iter().cloned());
        command.args(["sessions", "list"]).stdout(out).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    let mut child = command(Stdio::piped());
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let output = command(full.into()).wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stderr.starts_with(b"error: "), "{output:?}");
}
