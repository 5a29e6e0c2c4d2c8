//! The faults of a Redis server that a test can ask for, and its other versions, tested.

use redis::aio::MultiplexedConnection;
use redis::{IntoConnectionInfo, RedisResult, cmd};
use test_support::{RedisServer, SESSIONS};

async fn set(connection: &mut MultiplexedConnection) -> RedisResult<()> {
    cmd("SET").arg("name").arg("value").query_async(connection).await
}

async fn get(connection: &mut MultiplexedConnection) -> RedisResult<Option<String>> {
    cmd("GET").arg("name").query_async(connection).await
}

async fn code_of(result: RedisResult<()>) -> String {
    result.unwrap_err().code().unwrap_or_default().to_owned()
}

async fn every_fault_of(server: &RedisServer) {
    let mut connection = server.connection().await;
    set(&mut connection).await.unwrap();

    server.fill_up().await;
    assert_eq!(code_of(set(&mut connection).await).await, "OOM");
    assert_eq!(get(&mut connection).await.unwrap().unwrap(), "value");
    server.make_room().await;
    set(&mut connection).await.unwrap();

    server.fail_to_save().await;
    assert_eq!(code_of(set(&mut connection).await).await, "MISCONF");
    assert_eq!(get(&mut connection).await.unwrap().unwrap(), "value");
    server.save_again().await;
    set(&mut connection).await.unwrap();

    server.acl_set_user("app", "on >secret ~* +@all -info").await;
    let open = |user: &str| {
        let url = server.url_as(user, "secret", server.port());
        async move { redis::Client::open(url)?.get_multiplexed_async_connection().await }
    };
    let mut app = open("app").await.unwrap();
    set(&mut app).await.unwrap();
    assert_eq!(code_of(cmd("INFO").exec_async(&mut app).await).await, "NOPERM");
    server.acl_set_user("app", "-set").await;
    assert_eq!(code_of(set(&mut app).await).await, "NOPERM");
    assert!(open("stranger").await.is_err());
}

async fn every_restart_of(server: &RedisServer) {
    let mut connection = server.connection().await;
    set(&mut connection).await.unwrap();
    let snapshot = server.snapshot().await;
    let () = cmd("DEL").arg("name").query_async(&mut connection).await.unwrap();
    server.restart_from(&snapshot).await;
    let mut connection = server.connection().await;
    assert_eq!(get(&mut connection).await.unwrap().unwrap(), "value");

    server.restart_loading().await;
    let loading = redis::Client::open(server.admin_url()).unwrap();
    let mut loading = loading.get_multiplexed_async_connection().await.unwrap();
    assert_eq!(code_of(set(&mut loading).await).await, "LOADING");
    assert_eq!(code_of(cmd("PING").exec_async(&mut loading).await).await, "LOADING");
    server.finish_loading().await;
    assert_eq!(get(&mut loading).await.unwrap().unwrap(), "value");
    assert_eq!(server.keys().await.len(), 1);
    server.restart().await;
    assert!(server.keys().await.is_empty());
}

#[tokio::test]
async fn a_server_refuses_in_every_way_on_demand() {
    every_fault_of(&RedisServer::start().await).await;
}

#[tokio::test]
async fn a_server_restarts_from_a_snapshot_and_while_loading() {
    every_restart_of(&RedisServer::start().await).await;
}

#[tokio::test]
async fn fetched_servers_of_other_versions_do_the_same() {
    for (name, version) in [
        ("redis-6.2", "redis_version:6.2."),
        ("valkey-8.1", "valkey_version:8.1."),
        ("valkey-9.1", "valkey_version:9.1."),
    ] {
        let server = RedisServer::start_version(name).await;
        let mut connection = server.connection().await;
        let info: String = cmd("INFO").arg("server").query_async(&mut connection).await.unwrap();
        assert!(info.contains(version), "{name}: {info}");
        every_fault_of(&server).await;
        every_restart_of(&server).await;
    }
}

/// A connection that asks for nothing by itself.
async fn silent(url: &str) -> MultiplexedConnection {
    let info = url.into_connection_info().unwrap();
    let settings = info.redis_settings().clone().set_skip_set_lib_name();
    let client = redis::Client::open(info.set_redis_settings(settings)).unwrap();
    client.get_multiplexed_async_connection().await.unwrap()
}

/// What the last look at `server` says: the panic of its drop.
async fn teardown_checks(server: RedisServer) -> String {
    let dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(server)));
    let panic = dropped.err().map(|panic| *panic.downcast::<String>().unwrap());
    panic.unwrap_or_default()
}

#[tokio::test]
async fn a_server_ends_with_a_last_look_at_what_was_asked_and_what_is_left() {
    for (name, words, expected) in [
        ("a command", ["KEYS", "*", ""], "sessions was refused the command keys"),
        ("a key", ["GET", "other", ""], "sessions was refused the key other"),
        ("the optional one", ["INFO", "", ""], ""),
        ("a key without an end", ["SET", "session:a", "1"], "session:a has no end"),
        ("what is not ours", ["SET", "other", "1"], ""),
    ] {
        for version in ["", "redis-6.2", "valkey-8.1", "valkey-9.1"] {
            let server = match version {
                "" => RedisServer::start().await,
                version => RedisServer::start_version(version).await,
            };
            let url = if words[0] == "SET" { server.admin_url() } else { server.url() };
            let mut theirs = silent(&url).await;
            let words = words.iter().filter(|word| !word.is_empty());
            let mut command = redis::Cmd::new();
            words.for_each(|word| _ = command.arg(word));
            let _ = command.exec_async(&mut theirs).await;
            let said = teardown_checks(server).await;
            assert_eq!(said.is_empty(), expected.is_empty(), "{name}, {version}: {said}");
            assert!(said.contains(expected), "{name}, {version}: {said}");
        }
    }
    let server = RedisServer::start().await;
    server.acl_set_user(SESSIONS, "-get").await;
    let mut refused = silent(&server.url()).await;
    assert!(cmd("GET").arg("session:a").exec_async(&mut refused).await.is_err());
    assert_eq!(teardown_checks(server).await, "", "its test wanted that");
}
