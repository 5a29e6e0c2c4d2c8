//! `validate` on a healthy system: no finding, and nothing is left behind.
//!
//! To see these fail: report at the first look, or read copies before their rows; leave an id, the
//! user or the bucket out of `forget`; drop the step in progress on SIGINT; purge in the
//! background.

use std::{
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use futures_util::future::join_all;
use serde_json::{Value, json};
use test_support::{
    Matching, PASSWORD, PgProxy, RespProxy, bounded, eventually, index_key, key_end, record_key,
};
use tokio::task::JoinSet;
use tower_redis_session::{RedisSessionLayer, SessionContext, testing::TestClient};

use crate::places::{OPERATOR, Place, Variables, run};

/// All that is stored, as text.
async fn dump(place: &Place) -> Vec<String> {
    let mut dump = Vec::new();
    if let Some(redis) = &place.redis {
        let keys = redis.dump().await;
        dump.extend(keys.into_iter().map(|(key, value)| format!("{key}: {value:?}")));
    }
    if place.postgres.is_some() {
        for table in ["sessions", "users", "journal", "attempts", "cache"] {
            dump.push(place.sql(&format!("SELECT * FROM trs_{table} ORDER BY 1, 2;")).await);
        }
    } else if place.folder.is_some() {
        dump.push(place.sql(".dump\n").await);
    }
    dump
}

/// After all background work of the service.
async fn settled(place: &Place, service: &RedisSessionLayer) -> Vec<String> {
    bounded("the background work", service.shutdown()).await;
    dump(place).await
}

/// Two users, one with a value and one with two sessions, and a visitor.
async fn inhabited(place: &Place) -> RedisSessionLayer {
    let layer = place.layer().await;
    for user in ["alice", "bob", "bob"] {
        let client = TestClient::new(&layer, ());
        client.login(user).await;
        client.session(|session| async move { session.insert("a", &1).await }).await.unwrap();
    }
    layer
}

fn kinds(report: &Value) -> Vec<&str> {
    let findings = report["findings"].as_array().unwrap();
    findings.iter().map(|finding| finding["kind"].as_str().unwrap()).collect()
}

async fn leaves_nothing(place: Place) {
    let name = place.name;
    let layer = inhabited(&place).await;
    let before = settled(&place, &layer).await;
    let ran = run(&place.operator(), &["validate", "--json"]).await.expect(0);
    let report = ran.json();
    assert_eq!((&report["ok"], &report["complete"]), (&json!(true), &json!(true)), "{name}");
    assert_eq!(report["functions"]["ok"], true, "{name}: {report}");
    assert_eq!(report["functions"]["done"].as_array().unwrap().len(), 11, "{name}: {report}");
    let drill = if name == "durable" { json!(true) } else { Value::Null };
    assert_eq!(report["fallback"]["ok"], drill, "{name}: {report}");
    assert!(report["examined"][0]["count"].as_u64().unwrap() >= 3, "{name}: {report}");
    assert_eq!(ran.err, "", "{name}");
    assert_eq!(dump(&place).await, before, "{name}");
    let text = run(&place.operator(), &["validate", "--read-only"]).await.expect(0).out;
    assert!(text.contains("findings          none"), "{name}: {text}");
    assert_eq!(dump(&place).await, before, "{name}");
    drop(layer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_healthy_system_has_no_finding_and_is_left_as_it_was() {
    let _ = join_all(Place::all().await.into_iter().map(leaves_nothing)).await;
}

/// Signs in, changes, renews, lists and ends sessions until it is told to stop.
async fn live(
    layer: RedisSessionLayer,
    number: usize,
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
) {
    let user = format!("user-{number}");
    let (client, other) = (TestClient::new(&layer, ()), TestClient::new(&layer, ()));
    while !stop.load(Ordering::Relaxed) {
        client.login(&user).await;
        other.login(&user).await;
        for value in 0..5 {
            let change = |session: SessionContext| async move {
                session.insert("value", &value).await?;
                session.update("count", |count: Option<u64>| count.unwrap_or(0) + 1).await?;
                session.renew().await
            };
            let _ = client.session(change).await;
            done.fetch_add(1, Ordering::Relaxed);
        }
        let _ = other.session(|session| async move { session.logout().await }).await;
        let _ = client.session(|session| async move { session.logout_everywhere().await }).await;
    }
}

async fn beside_load(place: Place) {
    let layer = place.layer().await;
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let clients: JoinSet<()> = (0..6)
        .map(|number| live(layer.clone(), number, Arc::clone(&stop), Arc::clone(&done)))
        .collect();
    let before = done.load(Ordering::Relaxed);
    let report = run(&place.operator(), &["validate", "--json"]).await;
    assert_eq!(report.code, 0, "{}: {report:?}", place.name);
    stop.store(true, Ordering::Relaxed);
    let _ = bounded("the clients", clients.join_all()).await;
    assert!(done.load(Ordering::Relaxed) > before + 20, "{}", place.name);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_system_under_load_has_no_finding() {
    for place in Place::all().await {
        beside_load(place).await;
    }
}

/// A command that is started and not waited for.
struct Started(tokio::process::Child);

impl Started {
    fn new(variables: &Variables) -> Self {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_tower-redis-session"));
        command.env_clear().envs(variables.iter().cloned()).args(["validate", "--json"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(command.kill_on_drop(true).spawn().unwrap())
    }

    fn interrupt(&self) {
        let pid = self.0.id().unwrap().to_string();
        let sent = std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap();
        assert!(sent.success());
    }

    async fn end(self) -> (i32, Value) {
        let output = bounded("the command", self.0.wait_with_output()).await.unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let json = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}"));
        (output.status.code().unwrap(), json)
    }
}

/// Calls of a script with the command's own user or one of its keys.
fn own(nth: u64) -> Matching {
    Matching::part("validate-").nth(nth)
}

/// In the middle of writes that are executed, and whose replies come after the signal.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_command_deletes_its_sessions() {
    let place = Place::redis().await;
    let redis = place.redis.as_ref().unwrap();
    let layer = inhabited(&place).await;
    let before = settled(&place, &layer).await;
    let proxy = RespProxy::start(redis.addr()).await;
    let mut variables = place.variables.clone();
    variables[1].1 = redis.url_as(OPERATOR, PASSWORD, proxy.port());
    for nth in [2, 4, 6] {
        let held = proxy.hold_reply(own(nth));
        let started = Started::new(&variables);
        held.reached().await;
        started.interrupt();
        held.release().await;
        let (code, report) = started.end().await;
        assert_eq!((code, &report["complete"]), (130, &json!(false)), "{nth}: {report}");
        assert_eq!(report["functions"]["reason"], "interrupted", "{nth}: {report}");
        assert_eq!(dump(&place).await, before, "{nth}: {report}");
        proxy.forget_rules();
    }

    let place = Place::postgres().await;
    let layer = inhabited(&place).await;
    let before = settled(&place, &layer).await;
    let server = test_support::PostgresServer::shared().await;
    let proxy = PgProxy::start(server.addr()).await;
    let mut variables = place.variables.clone();
    variables[1].1 = place.postgres.as_ref().unwrap().url_through(proxy.port());
    for nth in [8, 10] {
        let held = proxy.hold_reply(own(nth));
        let started = Started::new(&variables);
        held.reached().await;
        started.interrupt();
        held.release().await;
        let (code, report) = started.end().await;
        assert_eq!(code, 130, "{nth}: {report}");
        assert_eq!(dump(&place).await, before, "{nth}: {report}");
        proxy.forget_rules();
    }
}

/// The sign-in is executed, and its reply lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_fails_deletes_its_sessions_and_names_the_function() {
    let place = Place::redis().await;
    let redis = place.redis.as_ref().unwrap();
    let layer = inhabited(&place).await;
    let before = settled(&place, &layer).await;
    let proxy = RespProxy::start(redis.addr()).await;
    let mut variables = place.variables.clone();
    variables[1].1 = redis.url_as(OPERATOR, PASSWORD, proxy.port());
    let script = redis::Script::new(concat!(
        include_str!("../../src/store/redis/lua/shared/keys.lua"),
        include_str!("../../src/store/redis/lua/shared/index.lua"),
        include_str!("../../src/store/redis/lua/shared/records.lua"),
        include_str!("../../src/store/redis/lua/login.lua")
    ));
    let cut = proxy.cut_reply(Matching::script(script.get_hash()).containing("validate-"));
    let ran = run(&variables, &["validate", "--json"]).await;
    cut.reached().await;
    let report = ran.json();
    assert_eq!((ran.code, kinds(&report)), (1, vec!["function_failed"]), "{report}");
    let text = report["findings"][0]["examples"][0]["text"].as_str().unwrap();
    assert!(text.starts_with("login: "), "{text}");
    assert_eq!(dump(&place).await, before, "{report}");
}

/// The write is executed after its time-out, and after a first deletion.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_is_executed_late_leaves_nothing_either() {
    let place = Place::postgres().await;
    let layer = inhabited(&place).await;
    let before = settled(&place, &layer).await;
    let server = test_support::PostgresServer::shared().await;
    let proxy = PgProxy::start(server.addr()).await;
    let mut variables = place.variables.clone();
    variables[1].1 = place.postgres.as_ref().unwrap().url_through(proxy.port());
    let sign_in = Matching::part("trs_write_1").containing("validate-");
    let held = proxy.hold(sign_in);
    let started = Started::new(&variables);
    held.reached().await;
    eventually("a deletion", async || proxy.executed("DELETE FROM trs_attempts") >= 2).await;
    assert_eq!(dump(&place).await, before, "after the first deletion");
    held.release().await;
    assert_ne!(dump(&place).await, before, "after the late write");
    let (code, report) = started.end().await;
    // The store has repeated it.
    assert_eq!((code, kinds(&report)), (0, vec![]), "{report}");
    assert_eq!(dump(&place).await, before, "{report}");
}

/// A session without its entry at the first look only: an index that is written in between.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changes_between_two_looks_is_no_finding() {
    let place = Place::redis().await;
    let redis = place.redis.as_ref().unwrap();
    let layer = place.layer().await;
    let client = TestClient::new(&layer, ());
    client.login("alice").await;
    let id = client.session(|session| async move { session.id().await }).await.unwrap().unwrap();
    let mut connection = redis.connection().await;
    let index = &index_key("alice");
    let mut read = redis::cmd("HGET");
    read.arg(index).arg(id.to_string());
    let created: String = read.query_async(&mut connection).await.unwrap();
    let mut remove = redis::cmd("HDEL");
    remove.arg(index).arg(id.to_string());
    let _: i64 = remove.query_async(&mut connection).await.unwrap();
    let proxy = RespProxy::start(redis.addr()).await;
    let mut variables = place.variables.clone();
    variables[1].1 = redis.url_as(OPERATOR, PASSWORD, proxy.port());
    let second = proxy.hold(Matching::command("HGET").containing(id.to_string()).nth(2));
    let started = Started::new(&variables);
    second.reached().await;
    let mut restore = redis::cmd("HSET");
    restore.arg(index).arg(id.to_string()).arg(created);
    let _: i64 = restore.query_async(&mut connection).await.unwrap();
    let mut expire = redis::cmd("PEXPIRE");
    let _: i64 = expire.arg(index).arg(600_000).query_async(&mut connection).await.unwrap();
    second.release().await;
    let (code, report) = started.end().await;
    assert_eq!((code, kinds(&report)), (0, vec![]), "{report}");
}

/// A copy is read after its row: one that is pushed in between is newer, and the same at the second
/// look.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_is_saved_while_its_copy_is_compared_is_no_finding() {
    let place = Place::durable(Place::sqlite()).await;
    let redis = place.redis.as_ref().unwrap();
    let layer = place.layer().await;
    let client = TestClient::new(&layer, ());
    client.login("alice").await;
    let id = client.session(|session| async move { session.id().await }).await.unwrap().unwrap();
    let read = |session: SessionContext| async move { session.get::<u64>("a").await };
    eventually("a copy", async || {
        client.session(read).await.unwrap();
        let suffix = format!(":s:{}", key_end(id));
        redis.dump().await.iter().any(|(key, value)| key.ends_with(&suffix) && value[0] == b'R')
    })
    .await;
    let proxy = RespProxy::start(redis.addr()).await;
    let mut variables = place.operator();
    let url = variables.iter_mut().find(|(name, _)| name == "REDIS_URL").unwrap();
    url.1 = redis.url_as(OPERATOR, PASSWORD, proxy.port());
    let compared = proxy.hold(Matching::command("GET").containing(id.to_string()));
    let started = Started::new(&variables);
    compared.reached().await;
    client.session(|session| async move { session.insert("a", &2_u64).await }).await.unwrap();
    compared.release().await;
    let (code, report) = started.end().await;
    assert_eq!((code, kinds(&report)), (0, vec![]), "{report}");
}

/// What the former session was is gone after a minute, and its entry with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_in_over_the_session_of_another_user_leaves_no_entry_in_that_user_s_list() {
    let place = Place::redis().await;
    let redis = place.redis.as_ref().unwrap();
    let layer = place.layer().await;
    let client = TestClient::new(&layer, ());
    client.login("alice").await;
    let id = client.session(|session| async move { session.id().await }).await.unwrap().unwrap();
    client.login("bob").await;
    let mut forget = redis::cmd("DEL");
    forget.arg(record_key(id));
    let _: i64 = forget.query_async(&mut redis.connection().await).await.unwrap();
    let listed = |user: &str| index_key(user);
    let keys: Vec<String> = redis.keys().await.into_iter().map(|(key, _)| key).collect();
    assert!(keys.contains(&listed("bob")) && !keys.contains(&listed("alice")), "{keys:?}");
    let report = place.run(&["validate", "--json"]).await.expect(0).json();
    assert_eq!(kinds(&report), [""; 0], "{report}");
}
