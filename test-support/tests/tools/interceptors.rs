//! The proxies that hold one request of many, tested.

use std::net::SocketAddr;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{RedisError, RedisResult, Script, Value, cmd};
use test_support::{
    Database, Gate, Matching, PgProxy, PostgresServer, RedisServer, RespProxy, bounded, eventually,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

async fn connect(addr: SocketAddr, resp3: bool) -> RedisResult<MultiplexedConnection> {
    let quick = redis::AsyncConnectionConfig::new()
        .set_connection_timeout(Some(Duration::from_millis(1_000)))
        .set_response_timeout(Some(Duration::from_millis(1_000)));
    let query = if resp3 { "?protocol=resp3" } else { "" };
    let client = redis::Client::open(format!("redis://{addr}/{query}")).unwrap();
    client.get_multiplexed_async_connection_with_config(&quick).await
}

async fn get(connection: &mut MultiplexedConnection, key: &str) -> RedisResult<Option<String>> {
    cmd("GET").arg(key).query_async(connection).await
}

async fn set(connection: &mut MultiplexedConnection, key: &str, value: &str) -> RedisResult<()> {
    cmd("SET").arg(key).arg(value).query_async(connection).await
}

async fn redis() -> (RedisServer, RespProxy, MultiplexedConnection) {
    let server = RedisServer::start().await;
    let proxy = RespProxy::start(server.addr()).await;
    let direct = server.connection().await;
    (server, proxy, direct)
}

/// Sends in a task, for a test that waits until the proxy has it.
fn sends(
    connection: &MultiplexedConnection,
    key: &str,
    value: &str,
) -> JoinHandle<RedisResult<()>> {
    let (mut connection, key, value) = (connection.clone(), key.to_owned(), value.to_owned());
    tokio::spawn(async move { set(&mut connection, &key, &value).await })
}

#[tokio::test]
async fn every_kind_of_reply_passes() {
    let (_server, proxy, _) = redis().await;
    for resp3 in [false, true] {
        let mut connection = connect(proxy.addr(), resp3).await.unwrap();
        let big = "x".repeat(300_000);
        set(&mut connection, "big", &big).await.unwrap();
        assert_eq!(get(&mut connection, "big").await.unwrap().unwrap(), big);
        assert_eq!(get(&mut connection, "none").await.unwrap(), None);
        let () =
            cmd("HSET").arg("map").arg("a").arg("1").query_async(&mut connection).await.unwrap();
        let () = cmd("SADD").arg("set").arg("a").query_async(&mut connection).await.unwrap();
        for (name, script, reply) in [
            (
                "nested",
                "return {1, {'a', false}, {}}",
                "[int(1), array([bulk-string('\"a\"'), nil])",
            ),
            ("status", "return redis.status_reply('FINE')", "simple-string(\"FINE\")"),
            ("error", "return redis.error_reply('NO way')", "\"NO\": way"),
        ] {
            let answer: RedisResult<Value> =
                cmd("EVAL").arg(script).arg(0).query_async(&mut connection).await;
            let answer =
                answer.map_or_else(|error| error.to_string(), |value| format!("{value:?}"));
            assert!(answer.contains(reply), "{name}: {answer}");
        }
        let map: Value = cmd("HGETALL").arg("map").query_async(&mut connection).await.unwrap();
        assert_eq!(matches!(map, Value::Map(_)), resp3, "{map:?}");
        let members: Vec<String> =
            cmd("SMEMBERS").arg("set").query_async(&mut connection).await.unwrap();
        assert_eq!(members, ["a"]);
        assert_eq!(get(&mut connection, "none").await.unwrap(), None, "in step");
    }
    assert_eq!((proxy.count("hgetall"), proxy.count("EVAL"), proxy.connections()), (2, 6, 2));
    proxy.reset_counts();
    let mut connection = connect(proxy.addr(), false).await.unwrap();
    let before = proxy.trips();
    let () = redis::pipe()
        .set("a", 1)
        .ignore()
        .get("a")
        .ignore()
        .exec_async(&mut connection)
        .await
        .unwrap();
    assert_eq!((proxy.trips() - before, proxy.count("GET")), (1, 1));
}

#[tokio::test]
async fn a_held_command_lands_after_its_sender_has_gone() {
    let (_server, proxy, mut direct) = redis().await;
    let connection = connect(proxy.addr(), false).await.unwrap();
    let held = proxy.hold(Matching::command("set").containing("name").nth(2));
    set(&mut connection.clone(), "name", "one").await.unwrap();
    set(&mut connection.clone(), "other", "passes").await.unwrap();
    let sending = sends(&connection, "name", "two");
    held.reached().await;
    let behind = sends(&connection, "behind", "it");
    assert!(sending.await.unwrap().unwrap_err().is_timeout());
    assert!(behind.await.unwrap().unwrap_err().is_timeout());
    drop(connection);
    assert_eq!(get(&mut direct, "name").await.unwrap().unwrap(), "one");
    held.release().await;
    assert_eq!(get(&mut direct, "name").await.unwrap().unwrap(), "two");
    eventually("what was behind it", async || get(&mut direct, "behind").await.unwrap().is_some())
        .await;
}

#[tokio::test]
async fn a_held_command_outlives_a_partition_and_a_stopped_server() {
    let (server, proxy, mut direct) = redis().await;
    for gate in [Gate::Refuse, Gate::Reset, Gate::BlackHole] {
        proxy.set(Gate::Pass);
        let connection = connect(proxy.addr(), false).await.unwrap();
        let held = proxy.hold(Matching::part("name"));
        let sending = sends(&connection, "name", &format!("{gate:?}"));
        held.reached().await;
        proxy.set(gate);
        assert!(sending.await.unwrap().is_err());
        assert!(connect(proxy.addr(), false).await.is_err());
        held.release().await;
        let value = async || get(&mut direct.clone(), "name").await.unwrap().unwrap();
        assert_eq!(value().await, format!("{gate:?}"));
    }
    proxy.set(Gate::Pass);
    let connection = connect(proxy.addr(), false).await.unwrap();
    let held = proxy.hold(Matching::part("name"));
    let sending = sends(&connection, "name", "stopped");
    held.reached().await;
    sending.abort();
    server.hang();
    let released = tokio::spawn(held.release());
    server.resume();
    bounded("the answer", released).await.unwrap();
    assert_eq!(get(&mut direct, "name").await.unwrap().unwrap(), "stopped");
}

#[tokio::test]
async fn a_black_hole_is_silent_about_the_death_of_the_server() {
    let (server, proxy, _) = redis().await;
    let mut connection = connect(proxy.addr(), false).await.unwrap();
    proxy.set(Gate::BlackHole);
    server.kill();
    assert!(set(&mut connection, "name", "value").await.unwrap_err().is_timeout());
    assert!(connect(proxy.addr(), false).await.unwrap_err().is_timeout());
    proxy.set(Gate::Pass);
    assert!(set(&mut connection, "name", "value").await.unwrap_err().is_io_error());
}

#[tokio::test]
async fn a_dropped_command_is_lost_with_its_connection() {
    let (_server, proxy, mut direct) = redis().await;
    let connection = connect(proxy.addr(), false).await.unwrap();
    let held = proxy.hold(Matching::part("name"));
    let sending = sends(&connection, "name", "lost");
    held.reached().await;
    held.drop_it();
    assert!(sending.await.unwrap().unwrap_err().is_io_error());
    assert_eq!(get(&mut direct, "name").await.unwrap(), None);
    // One that was never reached holds nothing.
    proxy.hold(Matching::part("name")).drop_it();
    let mut connection = connect(proxy.addr(), false).await.unwrap();
    set(&mut connection, "name", "passes").await.unwrap();
}

#[tokio::test]
async fn all_commands_of_a_kind_are_held_on_all_connections_and_land_in_order() {
    let (_server, proxy, mut direct) = redis().await;
    let held = proxy.hold_all(Matching::command("SET"));
    for (nth, value) in ["one", "two"].into_iter().enumerate() {
        let connection = connect(proxy.addr(), false).await.unwrap();
        let sending = sends(&connection, "name", value);
        held.reached(nth as u64 + 1).await;
        sending.abort();
    }
    assert_eq!(get(&mut direct, "name").await.unwrap(), None);
    held.release().await;
    assert_eq!(get(&mut direct, "name").await.unwrap().unwrap(), "two");
    let mut connection = connect(proxy.addr(), false).await.unwrap();
    set(&mut connection, "name", "passes").await.unwrap();
    proxy.hold_all(Matching::command("SET")).drop_them();
    set(&mut connection, "name", "passes").await.unwrap();
}

#[tokio::test]
async fn a_side_tracked_command_is_answered_at_once_and_lands_later() {
    let (_server, proxy, mut direct) = redis().await;
    let mut connection = connect(proxy.addr(), true).await.unwrap();
    let script = Script::new("redis.call('SET', KEYS[1], ARGV[1]) return 7");
    let call = async |value: &str, connection: &mut MultiplexedConnection| -> i64 {
        script.key("name").arg(value).invoke_async(connection).await.unwrap()
    };
    assert_eq!(call("before", &mut connection).await, 7);
    let held = proxy.side_track(Matching::script(script.get_hash()).containing("late"), ":0\r\n");
    let replies: (String, i64, String) = redis::pipe()
        .get("name")
        .cmd("EVALSHA")
        .arg(script.get_hash())
        .arg(1)
        .arg("name")
        .arg("late")
        .get("name")
        .query_async(&mut connection)
        .await
        .unwrap();
    assert_eq!(replies, ("before".to_owned(), 0, "before".to_owned()));
    held.reached().await;
    drop(connection);
    held.release().await;
    assert_eq!(get(&mut direct, "name").await.unwrap().unwrap(), "late");
}

#[tokio::test]
async fn a_cut_reply_is_of_a_command_that_landed() {
    let (_server, proxy, mut direct) = redis().await;
    let connection = connect(proxy.addr(), false).await.unwrap();
    let cut = proxy.cut_reply(Matching::part("name"));
    let error = set(&mut connection.clone(), "name", "landed").await.unwrap_err();
    assert!(error.is_io_error(), "{error}");
    cut.reached().await;
    assert_eq!(get(&mut direct, "name").await.unwrap().unwrap(), "landed");

    let cut = proxy.cut_replies(Matching::command("INCR"));
    let incr = async || -> Result<(), RedisError> {
        let mut connection = connect(proxy.addr(), false).await?;
        cmd("INCR").arg("count").query_async(&mut connection).await
    };
    assert!(incr().await.is_err() && incr().await.is_err());
    proxy.forget_rules();
    incr().await.unwrap();
    assert_eq!((cut.count(), get(&mut direct, "count").await.unwrap()), (2, Some("3".to_owned())));

    let connection = connect(proxy.addr(), false).await.unwrap();
    proxy.cut_every_reply(3);
    let outcomes = [(); 3].map(|()| sends(&connection, "name", "x"));
    let mut failures = 0;
    for outcome in outcomes {
        failures += u32::from(outcome.await.unwrap().is_err());
    }
    assert_eq!(failures, 1);
}

#[tokio::test]
async fn a_proxy_changes_sides_as_after_a_failover() {
    let (_server, proxy, mut direct) = redis().await;
    let other = RedisServer::start().await;
    let mut connection = connect(proxy.addr(), false).await.unwrap();
    proxy.redirect(other.addr());
    set(&mut connection, "name", "old").await.unwrap();
    set(&mut connect(proxy.addr(), false).await.unwrap(), "name", "new").await.unwrap();
    assert_eq!(get(&mut direct, "name").await.unwrap().unwrap(), "old");
    assert_eq!(get(&mut other.connection().await, "name").await.unwrap().unwrap(), "new");
}

#[tokio::test]
async fn a_held_reply_comes_late() {
    let (_server, proxy, mut direct) = redis().await;
    let mut connection = connect(proxy.addr(), false).await.unwrap();
    set(&mut connection, "name", "old").await.unwrap();
    let held = proxy.hold_reply(Matching::command("GET"));
    let mut patient = connection.clone();
    patient.set_response_timeout(Duration::from_secs(10));
    let asking = tokio::spawn(async move { get(&mut patient, "name").await });
    held.reached().await;
    // The server has answered: `direct` comes behind.
    eventually("the reply at the proxy", async || {
        set(&mut direct, "name", "new").await.unwrap();
        direct_calls(&mut direct, "get").await == 1
    })
    .await;
    assert!(!asking.is_finished());
    held.release().await;
    assert_eq!(asking.await.unwrap().unwrap().unwrap(), "old");
    assert_eq!(get(&mut connection, "name").await.unwrap().unwrap(), "new");
}

async fn direct_calls(direct: &mut MultiplexedConnection, command: &str) -> u64 {
    let info: String = cmd("INFO").arg("commandstats").query_async(direct).await.unwrap();
    let prefix = format!("cmdstat_{command}:calls=");
    let line = info.lines().find_map(|line| line.strip_prefix(&prefix)).unwrap_or("0,");
    line.split(',').next().unwrap().parse().unwrap()
}

/// A client of PostgreSQL that prepares once, as drivers do.
struct PgClient {
    stream: TcpStream,
}

impl PgClient {
    async fn connect(proxy: &PgProxy, database: &Database) -> Self {
        let mut stream = TcpStream::connect(proxy.addr()).await.unwrap();
        stream.write_all(&[0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]).await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), b'N', "no TLS");
        let parameters = format!("user\0postgres\0database\0{}\0\0", database.name());
        stream.write_u32(8 + parameters.len() as u32).await.unwrap();
        stream.write_u32(196_608).await.unwrap();
        stream.write_all(parameters.as_bytes()).await.unwrap();
        let mut client = Self { stream };
        client.answer().await.unwrap();
        client
    }

    async fn send(&mut self, messages: &[(u8, &[u8])]) {
        let mut bytes = Vec::new();
        for (kind, body) in messages {
            bytes.push(*kind);
            bytes.extend_from_slice(&(4 + body.len() as u32).to_be_bytes());
            bytes.extend_from_slice(body);
        }
        self.stream.write_all(&bytes).await.unwrap();
    }

    async fn query(&mut self, sql: &str) -> Option<String> {
        self.send(&[(b'Q', format!("{sql}\0").as_bytes())]).await;
        self.answer().await
    }

    async fn prepare(&mut self, name: &str, sql: &str) {
        let parse = format!("{name}\0{sql}\0\0\0");
        let describe = format!("S{name}\0");
        self.send(&[(b'P', parse.as_bytes()), (b'D', describe.as_bytes()), (b'S', b"")]).await;
        self.answer().await.unwrap();
    }

    async fn execute(&mut self, name: &str, value: &str) {
        let mut bind = format!("\0{name}\0\0\0\0\u{1}\0\0\0").into_bytes();
        bind.push(value.len() as u8);
        bind.extend_from_slice(value.as_bytes());
        bind.extend_from_slice(&[0, 0]);
        self.send(&[(b'B', &bind), (b'E', b"\0\0\0\0\0"), (b'S', b"")]).await;
    }

    /// The kinds of the messages up to `Z`, or nothing where the connection ends.
    async fn answer(&mut self) -> Option<String> {
        bounded("an answer of PostgreSQL", async {
            let mut kinds = String::new();
            while !kinds.ends_with('Z') {
                kinds.push(self.stream.read_u8().await.ok()?.into());
                let length = self.stream.read_u32().await.ok()?;
                let mut body = vec![0; length as usize - 4];
                self.stream.read_exact(&mut body).await.ok()?;
            }
            Some(kinds)
        })
        .await
    }
}

const INSERT: &str = "INSERT INTO t VALUES ($1)";

async fn postgres() -> (PgProxy, Database, PgClient) {
    let server = PostgresServer::shared().await;
    let database = server.database().await;
    database.sql("CREATE TABLE t (s text)").await;
    let proxy = PgProxy::start(server.addr()).await;
    let client = PgClient::connect(&proxy, &database).await;
    (proxy, database, client)
}

#[tokio::test]
async fn a_prepared_statement_is_held_by_its_sql_and_lands_after_its_sender_has_gone() {
    let (proxy, database, mut client) = postgres().await;
    let held = proxy.hold(Matching::part("INSERT").containing("two"));
    client.prepare("s1", INSERT).await;
    client.execute("s1", "one").await;
    assert_eq!(client.answer().await.unwrap(), "2CZ");
    client.execute("s1", "two").await;
    held.reached().await;
    drop(client);
    assert_eq!(database.sql("TABLE t").await, "one");
    held.release().await;
    assert_eq!(database.sql("TABLE t").await, "one\ntwo");
    let counts = [format!("PREPARE {INSERT}"), INSERT.to_owned()].map(|sql| proxy.counts()[&sql]);
    assert_eq!((counts, proxy.executed("INSERT")), ([1, 2], 2));
    assert_eq!(proxy.trips(), 4, "startup, prepare, and two to execute");
}

#[tokio::test]
async fn the_reply_of_a_commit_is_cut_and_the_commit_stays() {
    let (proxy, database, mut client) = postgres().await;
    let cut = proxy.cut_reply(Matching::part("COMMIT"));
    client.query("BEGIN").await.unwrap();
    assert_eq!(client.query("INSERT INTO t VALUES ('kept')").await.unwrap(), "CZ");
    assert_eq!(client.query("COMMIT").await, None);
    cut.reached().await;
    assert_eq!(database.sql("TABLE t").await, "kept");
    assert_eq!(proxy.executed("COMMIT"), 1);
}

#[tokio::test]
async fn a_transaction_whose_commit_is_dropped_never_was() {
    let (proxy, database, mut client) = postgres().await;
    let held = proxy.hold(Matching::part("COMMIT"));
    client.query("BEGIN").await.unwrap();
    client.query("INSERT INTO t VALUES ('lost')").await.unwrap();
    client.send(&[(b'Q', b"COMMIT\0")]).await;
    held.reached().await;
    held.drop_it();
    assert_eq!(client.answer().await, None);
    assert_eq!(database.sql("TABLE t").await, "");
}

#[tokio::test]
async fn an_answer_of_postgres_is_held() {
    let (proxy, database, mut client) = postgres().await;
    client.query("INSERT INTO t VALUES ('old')").await.unwrap();
    let held = proxy.hold_reply(Matching::part("TABLE t"));
    client.send(&[(b'Q', b"TABLE t\0"), (b'Q', b"SELECT 1\0")]).await;
    held.reached().await;
    assert_eq!(database.sql("TABLE t").await, "old");
    let early = tokio::time::timeout(Duration::from_millis(50), client.answer()).await;
    assert!(early.is_err());
    held.release().await;
    assert_eq!(client.answer().await.unwrap(), "TDCZ");
    assert_eq!(client.answer().await.unwrap(), "TDCZ");
}

#[tokio::test]
async fn psql_passes_with_a_password_and_a_partition_ends_it() {
    let server = PostgresServer::builder().password("secret").fsync().start().await;
    let database = server.database().await;
    let proxy = PgProxy::start(server.addr()).await;
    let through = database.through(proxy.port());
    assert_eq!(through.sql("SHOW fsync").await, "on");
    for gate in [Gate::Refuse, Gate::Reset] {
        proxy.set(gate);
        assert!(through.try_sql("SELECT 1").await.is_err(), "{gate:?}");
    }
    proxy.set(Gate::BlackHole);
    let asking = tokio::spawn(async move { through.sql("SELECT 'late'").await });
    eventually("a connection", async || proxy.connections() == 4).await;
    proxy.set(Gate::Pass);
    assert_eq!(asking.await.unwrap(), "late");
}
