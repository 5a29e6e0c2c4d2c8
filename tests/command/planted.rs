//! Faults in the stored data, made on purpose on live stores: found, named, with their exit code.
//!
//! To see these fail: leave out the comparison that a kind stands for in `store/redis/audit.rs`,
//! `store/database/audit.rs` or `store/durable/audit.rs`.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use test_support::{eventually, faketime, index_key, key_end, record_key};
use tower_redis_session::{
    Error, RedisSessionLayer, SessionContext, SessionId, testing::TestClient,
};

use crate::places::{Place, run};

/// A user's session, and the client that holds it.
struct Held {
    id: String,
    client: TestClient<()>,
}

async fn sign_in(layer: &RedisSessionLayer, user: &str) -> Held {
    let client = TestClient::new(layer, ());
    client.login(user).await;
    let id = client.session(|session| async move { session.id().await }).await.unwrap().unwrap();
    Held { id: id.to_string(), client }
}

async fn logout(session: SessionContext) -> Result<(), Error> {
    session.logout().await
}

/// How many of each kind were found, and their first examples.
fn found(report: &Value) -> BTreeMap<String, (u64, Value)> {
    let findings = report["findings"].as_array().unwrap().iter();
    let one = |finding: &Value| {
        assert!(!finding["action"].as_str().unwrap().is_empty(), "{finding}");
        let kind = finding["kind"].as_str().unwrap().to_owned();
        (kind, (finding["count"].as_u64().unwrap(), finding["examples"][0].clone()))
    };
    findings.map(one).collect()
}

fn expect(report: &Value, expected: &[(&str, u64, Value)]) {
    let expected: BTreeMap<_, _> = expected
        .iter()
        .map(|(kind, count, example)| ((*kind).to_owned(), (*count, example.clone())))
        .collect();
    assert_eq!(found(report), expected, "{report}");
}

fn now() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    u64::try_from(now.as_millis()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fault_of_records_and_indexes_in_redis_is_found_and_named() {
    let place = Place::redis().await;
    let redis = place.redis.as_ref().unwrap();
    redis.is_tampered_with();
    let layer = place.layer().await;
    let mut ids = BTreeMap::new();
    for user in ["alice", "bob", "carol", "dave", "erin", "frank"] {
        ids.insert(user, sign_in(&layer, user).await.id);
    }
    let id = |user: &str| ids[user].clone();
    let key = |user: &str| record_key(&ids[user]);
    let (gone, expired) = (SessionId::from([1; 32]), SessionId::from([2; 32]));
    let unreadable = SessionId::from([3; 32]);
    let mut plant = redis::pipe();
    plant.cmd("PERSIST").arg(key("alice"));
    plant.cmd("HSET").arg(index_key("alice")).arg(gone.to_string()).arg(now());
    // Older than any session that has not expired.
    plant.cmd("HSET").arg(index_key("alice")).arg(expired.to_string()).arg(now() - 7_200_000);
    plant.cmd("SET").arg(key("bob")).arg("T").arg("PX").arg(60_000);
    plant.cmd("HSET").arg(index_key("bob")).arg(id("carol")).arg(now());
    plant.cmd("HDEL").arg(index_key("dave")).arg(id("dave"));
    plant.cmd("HSET").arg(index_key("erin")).arg(id("erin")).arg(5);
    let key = record_key(unreadable);
    plant.cmd("SET").arg(&key).arg("R000000000000000A").arg("PX").arg(600_000);
    // A key of another library: its name may be a secret.
    plant.cmd("SET").arg("session:a-secret").arg("value");
    let () = plant.query_async(&mut redis.connection().await).await.unwrap();

    let ran = place.run(&["validate", "--json"]).await.expect(1);
    let report = ran.json();
    assert!(!ran.out.contains("a-secret"), "{ran:?}");
    assert_eq!(report["functions"]["ok"], true, "{report}");
    expect(
        &report,
        &[
            ("key_without_ttl", 2, json!({ "id": id("alice") })),
            ("index_entry_orphaned", 1, json!({ "id": gone, "user": "alice" })),
            ("ended_session_in_index", 1, json!({ "id": id("bob"), "user": "bob" })),
            ("index_entry_of_another_user", 1, json!({ "id": id("carol"), "user": "bob" })),
            ("not_in_index", 1, json!({ "id": id("dave"), "user": "dave" })),
            ("index_entry_differs", 1, json!({ "id": id("erin"), "user": "erin" })),
            ("unreadable", 1, json!({ "id": unreadable })),
        ],
    );
    let longer = place.run(&["validate", "--json", "--idle-timeout", "90000"]).await.expect(1);
    assert_eq!(found(&longer.json())["index_entry_orphaned"].0, 2);
    let text = place.run(&["validate"]).await.expect(1).out;
    assert!(text.contains("not_in_index (1)") && text.contains(&id("dave")), "{text}");
    let sample = place.run(&["validate", "--json", "--sample", "1"]).await.json();
    assert_eq!(sample["examined"][0]["area"], "keys", "{sample}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fault_of_rows_is_found_and_named() {
    for place in [Place::sqlite(), Place::postgres().await] {
        let name = place.name;
        let layer = place.layer().await;
        let mut held = BTreeMap::new();
        for user in ["alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi"] {
            held.insert(user, sign_in(&layer, user).await);
        }
        let id = |user: &str| held[user].id.clone();
        held["dave"].client.session(logout).await.unwrap();
        let (empty, byte) =
            if place.postgres.is_some() { ("''", "'\\x00'") } else { ("x''", "x'00'") };
        let of = |user: &str| format!("WHERE id = '{}';", held[user].id);
        for (change, user) in [
            ("user_id = NULL", "alice"),
            ("user_id = 'mallory'", "bob"),
            ("created = created - 5", "carol"),
            ("alive = (1 = 1)", "dave"),
            ("alive = (1 = 0)", "erin"),
            (&format!("body = {byte}"), "frank"),
            (&format!("alive = (1 = 0), body = {empty}, ends = 1000"), "grace"),
        ] {
            place.sql(&format!("UPDATE trs_sessions SET {change} {}", of(user))).await;
        }
        place.sql("INSERT INTO trs_users (user_id, epoch) VALUES ('of old', 1000);").await;
        let row = format!("UPDATE trs_sessions SET id = 'no \" id' {}", of("heidi"));
        place.sql(&row).await;
        let report = place.run(&["validate", "--json"]).await.expect(1).json();
        assert_eq!(report["functions"]["ok"], true, "{name}: {report}");
        expect(
            &report,
            &[
                ("not_in_index", 1, json!({ "id": id("alice"), "user": "alice" })),
                ("index_entry_of_another_user", 1, json!({ "id": id("bob"), "user": "bob" })),
                ("index_entry_differs", 1, json!({ "id": id("carol"), "user": "carol" })),
                ("ended_session_in_index", 1, json!({ "id": id("dave"), "user": "dave" })),
                ("ended_record_kept", 1, json!({ "id": id("erin") })),
                ("unreadable", 2, json!({ "id": id("frank") })),
                ("rows_not_purged", 2, json!({ "text": "sessions: 1" })),
            ],
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fault_of_copies_is_found_and_named() {
    for database in [Place::sqlite(), Place::postgres().await] {
        let mut place = Place::durable(database).await;
        let redis = place.redis.as_ref().unwrap();
        redis.is_tampered_with();
        let layer = place.layer().await;
        let mut held = BTreeMap::new();
        for user in ["alice", "bob", "carol", "dave", "erin", "frank"] {
            held.insert(user, sign_in(&layer, user).await);
        }
        let ids: BTreeMap<&str, String> =
            held.iter().map(|(user, held)| (*user, held.id.clone())).collect();
        let copy = async |user: &str| {
            let suffix = format!(":s:{}", key_end(&ids[user]));
            let dump = redis.dump().await;
            dump.into_iter().find(|(key, value)| key.ends_with(&suffix) && value[0] == b'R')
        };
        for (user, held) in &held {
            eventually("a copy", async || {
                let read = |session: SessionContext| async move { session.user_id().await };
                held.client.session(read).await.unwrap();
                copy(user).await.is_some()
            })
            .await;
        }
        let (alice, carol) = (copy("alice").await.unwrap(), copy("carol").await.unwrap());
        let mut dave = copy("dave").await.unwrap();
        let change = |session: SessionContext| async move { session.insert("value", &1).await };
        held["alice"].client.session(change).await.unwrap();
        held["bob"].client.session(change).await.unwrap();
        held["carol"].client.session(logout).await.unwrap();
        // The last byte of the time of creation, behind the head and the format's name.
        dave.1[17 + 11] ^= 1;
        eventually("an empty journal", async || {
            place.sql("SELECT count(*) FROM trs_journal;").await.trim() == "0"
        })
        .await;
        // No instance runs any more that would push what is in the journal.
        drop((held, layer));
        let erin = copy("erin").await.unwrap().0;
        let mut plant = redis::pipe();
        for (key, value) in [&alice, &carol, &dave] {
            plant.cmd("SET").arg(key).arg(value.as_slice()).arg("PX").arg(600_000);
        }
        plant.cmd("PERSIST").arg(erin);
        let () = plant.query_async(&mut redis.connection().await).await.unwrap();
        let of = |user: &str| format!("'{}'", ids[user]);
        place.sql(&format!("UPDATE trs_sessions SET version = 1 WHERE id = {};", of("bob"))).await;
        let pending = format!("INSERT INTO trs_journal (id, version) VALUES ({}, 1);", of("frank"));
        place.sql(&pending).await;

        let epoch = "SELECT seq, generation, incarnation FROM trs_cache;";
        let before = place.sql(epoch).await;
        let report = run(&place.operator(), &["validate", "--json"]).await.expect(1).json();
        let id = |user: &str| json!({ "id": ids[user] });
        expect(
            &report,
            &[
                ("copy_older", 1, id("alice")),
                ("copy_newer", 1, id("bob")),
                ("copy_of_ended_session", 1, id("carol")),
                ("copy_differs", 1, id("dave")),
                ("key_without_ttl", 1, id("erin")),
                ("journal_pending", 1, id("frank")),
            ],
        );
        assert_eq!(report["fallback"]["ok"], true, "{report}");
        assert_eq!(place.sql(epoch).await, before, "no copy of the service is invalidated");

        redis.acl_set_user("operator", "-scan").await;
        // The command may have pushed it with its own sessions.
        place.sql(&format!("DELETE FROM trs_journal; {pending}")).await;
        let arguments = ["validate", "--json", "--read-only"];
        let report = run(&place.operator(), &arguments).await.expect(5).json();
        let kinds = found(&report).into_keys().collect::<Vec<_>>();
        assert_eq!(kinds, ["journal_pending", "server_unusable"], "{report}");
        redis.acl_set_user("operator", "+scan").await;
        place.sql(&many_changes()).await;
        let report = run(&place.operator(), &arguments).await.expect(1).json();
        let keys = &report["examined"][1];
        assert_eq!((&keys["area"], &keys["all"]), (&json!("keys"), &json!(false)), "{report}");
        let reason = keys["reason"].as_str().unwrap();
        assert!(reason.starts_with("copies not compared"), "{reason}");
        place.sql("DELETE FROM trs_journal;").await;

        place.variables.push(("SESSION_KEY_PREFIX".to_owned(), "session:other:".to_owned()));
        let report = run(&place.operator(), &["validate", "--json"]).await.expect(1).json();
        assert_eq!(found(&report).into_keys().collect::<Vec<_>>(), ["copies_of_another_redis"]);
        assert_eq!(report["functions"]["ok"], Value::Null, "{report}");
        assert_eq!(place.sql(epoch).await, before, "nor by a wrong variable");
    }
}

/// More than are compared with copies, in the journal.
fn many_changes() -> String {
    let rest = "A".repeat(33);
    format!(
        "WITH RECURSIVE numbers (i) AS \
         (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < 10001) \
         INSERT INTO trs_journal (id, version) \
         SELECT CAST(1000000000 + i AS TEXT) || '{rest}', 1 FROM numbers;"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_off_is_found_and_changes_nothing_else() {
    let durable = Place::durable(Place::sqlite()).await;
    for place in [Place::redis().await, Place::postgres().await, durable] {
        let name = place.name;
        let layer = place.layer().await;
        sign_in(&layer, "alice").await;
        let mut variables = place.operator();
        for (variable, value) in [
            ("LD_PRELOAD", faketime().to_str().unwrap()),
            ("FAKETIME", "+1h"),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            ("DONT_FAKE_MONOTONIC", "1"),
        ] {
            variables.push((variable.to_owned(), value.to_owned()));
        }
        let report = run(&variables, &["validate", "--json"]).await.expect(1).json();
        let found = found(&report);
        let text = found["clock_differs"].1["text"].as_str().unwrap();
        assert!(text.contains("is -36") || text.contains("is -35"), "{name}: {text}");
        let kinds: Vec<&str> = found.keys().map(String::as_str).collect();
        assert!(kinds.iter().all(|kind| ["clock_differs", "warning"].contains(kind)), "{report}");
        assert_eq!(report["functions"]["ok"], true, "{name}: {report}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_right_is_found_and_nothing_is_left_behind() {
    let place = Place::redis().await;
    let redis = place.redis.as_ref().unwrap();
    let _layer = place.layer().await;
    for (rule, named, functions) in
        [("-scan", "SCAN", json!(true)), ("-setrange", "SETRANGE", Value::Null)]
    {
        redis.acl_set_user("operator", rule).await;
        let report = place.run(&["validate", "--json"]).await.expect(5).json();
        let found = found(&report);
        let text = found["server_unusable"].1["text"].as_str().unwrap();
        assert!(text.contains(named), "{text}");
        assert_eq!(report["functions"]["ok"], functions, "{report}");
    }
    assert!(redis.dump().await.is_empty());

    let place = Place::postgres().await;
    let missing = place.run(&["validate"]).await.expect(5);
    assert!(missing.out.contains("schema --apply"), "{missing:?}");
    let _layer = place.layer().await;
    let database = place.postgres.as_ref().unwrap();
    let role = format!("role_{}", database.name());
    for (rights, named) in
        [("SELECT, INSERT, UPDATE", "deletion"), ("SELECT, UPDATE, DELETE", "create")]
    {
        database
            .sql(&format!(
                "DO $$ BEGIN CREATE ROLE \"{role}\" LOGIN; \
                 EXCEPTION WHEN duplicate_object THEN NULL; END $$; \
                 REVOKE ALL ON ALL TABLES IN SCHEMA public FROM \"{role}\"; \
                 GRANT {rights} ON ALL TABLES IN SCHEMA public TO \"{role}\";"
            ))
            .await;
        let mut variables = place.variables.clone();
        variables[1].1 = variables[1].1.replace("postgres@", &format!("{role}@"));
        let report = run(&variables, &["validate", "--json"]).await.expect(5).json();
        let found = found(&report);
        let text = found["server_unusable"].1["text"].as_str().unwrap();
        assert!(text.starts_with(named), "{text}");
        assert_eq!(database.sql("SELECT count(*) FROM trs_sessions").await, "0", "{report}");
    }
    database.sql(&format!("DROP OWNED BY \"{role}\"; DROP ROLE \"{role}\";")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_does_not_reply_is_found_and_the_rows_are_examined() {
    let place = Place::durable(Place::sqlite()).await;
    let layer = place.layer().await;
    let alice = sign_in(&layer, "alice").await;
    place.sql("UPDATE trs_sessions SET user_id = 'mallory';").await;
    place.redis.as_ref().unwrap().kill();
    let report = run(&place.operator(), &["validate", "--json"]).await.expect(3).json();
    let found = found(&report);
    let kinds: Vec<&str> = found.keys().map(String::as_str).collect();
    assert_eq!(kinds, ["index_entry_of_another_user", "server_unavailable"], "{report}");
    assert_eq!(found["index_entry_of_another_user"].1["id"], alice.id, "{report}");
    assert_eq!((&report["complete"], &report["functions"]["ok"]), (&json!(false), &Value::Null));
}
