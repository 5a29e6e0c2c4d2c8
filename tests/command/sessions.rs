//! Sessions: counted, listed, shown, ended, on every store.
//!
//! To see these fail: leave out `printable` or the filter of reserved names in `cli/show.rs`; print
//! values without `--values`; let `revoke` delete nothing; read heads with `HEAD_MAX - 2000`; keep
//! what is no session in `cli/walk.rs`.

use serde_json::{Value, json};
use test_support::{leak_monitor, record_key};
use tower_redis_session::{
    SessionId,
    encryption::UnsealedRecords,
    store::{Expected, Record, SaveOutcome},
    testing::TestClient,
};

use crate::{enumeration::living, places::Place};

/// In a value: printed with `--values` alone.
const VALUE: &str = "a value that only --values prints";

type Client = TestClient<()>;

async fn signed_in(layer: &tower_redis_session::RedisSessionLayer, user: &str) -> Client {
    let client = TestClient::new(layer, ());
    client.login(user).await;
    client
}

/// As at an identity provider: the store keeps a record of the name too.
async fn signed_in_at_a_provider(layer: &tower_redis_session::RedisSessionLayer) -> Client {
    let client = TestClient::new(layer, ());
    let sign_in = |session: tower_redis_session::SessionContext| async move {
        let attempt = session.begin_login("alice").await?;
        session.finish_login(attempt.with_external_id("https://id.example.org|sid")).await
    };
    client.session(sign_in).await.unwrap();
    client
}

async fn id(client: &Client) -> String {
    client.session(|session| async move { session.id().await }).await.unwrap().unwrap().to_string()
}

async fn user(client: &Client) -> Option<String> {
    client.session(|session| async move { session.user_id().await }).await.unwrap()
}

fn ids(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|line| line["id"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_are_counted_listed_and_ended_on_every_store() {
    for place in Place::all().await {
        let name = place.name;
        let layer = place.layer().await;
        let [alice, phone, bob] = [
            signed_in_at_a_provider(&layer).await,
            signed_in(&layer, "alice").await,
            signed_in(&layer, "bob").await,
        ];
        let visitor: Client = TestClient::new(&layer, ());
        let work = |session: tower_redis_session::SessionContext| async move {
            session.insert("theme", "dark").await
        };
        visitor.session(work).await.unwrap();
        let all = [id(&alice).await, id(&phone).await, id(&bob).await, id(&visitor).await];

        let counted = place.run(&["sessions", "count", "--json"]).await.expect(0).json();
        let expected = json!({
            "sessions": 4, "signed_in": 3, "anonymous": 1, "expired": 0, "unreadable": 0,
        });
        assert_eq!(counted, expected, "{name}");
        let of_alice = ["sessions", "count", "--user", "alice", "--json"];
        assert_eq!(place.run(&of_alice).await.expect(0).json()["sessions"], 2, "{name}");

        let listed = place.run(&["sessions", "list", "--json"]).await.expect(0).lines();
        let (mut found, mut wanted) = (ids(&listed), all.each_ref().map(String::as_str));
        found.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(found, wanted, "{name}");
        let listed = place.run(&["sessions", "list", "--user", "alice", "--json"]).await.lines();
        assert_eq!(ids(&listed), [&*all[1], &*all[0]], "{name}: the latest sign-in first");
        assert_eq!(listed[0]["user"], "alice", "{name}");
        let table = place.run(&["sessions", "list", "--limit", "2"]).await.expect(0);
        assert_eq!(table.out.lines().count(), 3, "{name}: a head and two rows: {table:?}");
        assert!(table.err.contains("--all"), "{name}: {table:?}");

        let ended = place.run(&["sessions", "revoke", &all[0], "--json"]).await.expect(0).json();
        assert_eq!(ended, json!({ "ended": 1 }), "{name}");
        assert_eq!((user(&alice).await, user(&phone).await.as_deref()), (None, Some("alice")));
        let again = place.run(&["sessions", "revoke", &all[0]]).await.expect(1);
        assert!(again.err.contains(&all[0]), "{name}: {again:?}");
        let ended = place.run(&["sessions", "revoke-user", "alice"]).await.expect(0);
        assert_eq!(ended.out, "1 sessions of alice ended\n", "{name}");
        assert_eq!((user(&phone).await, user(&bob).await.as_deref()), (None, Some("bob")));

        place.run(&["sessions", "revoke-all"]).await.expect(2);
        assert_eq!(user(&bob).await.as_deref(), Some("bob"), "{name}: without --yes");
        let ended = place.run(&["sessions", "revoke-all", "--yes", "--json"]).await.expect(0);
        assert_eq!(ended.json(), json!({ "ended": 2, "complete": true }), "{name}");
        assert_eq!(user(&bob).await, None, "{name}");
        let counted = place.run(&["sessions", "count", "--json"]).await.expect(0).json();
        assert_eq!(counted["sessions"], 0, "{name}");
        // The record of the name is no session, and is still there.
        let again = signed_in_at_a_provider(&layer).await;
        assert_eq!(user(&again).await.as_deref(), Some("alice"), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_is_shown_and_its_values_only_if_asked_for() {
    for place in Place::all().await {
        let name = place.name;
        let layer = place.layer().await;
        let client = signed_in(&layer, "al\u{1b}[2Jice").await;
        let work = |session: tower_redis_session::SessionContext| async move {
            session.insert("note", VALUE).await?;
            session.insert("count", &3).await?;
            session.set_platform("mastodon").await?;
            session.set_label(Some("Laptop")).await
        };
        client.session(work).await.unwrap();
        let id = id(&client).await;

        let shown = place.run(&["sessions", "show", &id, "--json"]).await.expect(0);
        assert!(!shown.out.contains(VALUE), "{name}: {shown:?}");
        let shown = shown.json();
        assert_eq!(shown["user"], "al\u{1b}[2Jice", "{name}");
        assert_eq!((&shown["label"], &shown["platform"]), (&json!("Laptop"), &json!("mastodon")));
        assert_eq!((&shown["sealed"], &shown["expired"]), (&json!(false), &json!(false)));
        assert_eq!((&shown["idle_timeout_s"], &shown["remembered"]), (&json!(3600), &json!(false)));
        let values = json!([
            { "name": "count", "bytes": 1 }, { "name": "note", "bytes": VALUE.len() + 2 },
        ]);
        assert_eq!(shown["values"], values, "{name}");

        let text = place.run(&["sessions", "show", &id]).await.expect(0).out;
        assert!(!text.contains(VALUE) && !text.contains('\u{1b}'), "{name}: {text}");
        assert!(text.contains("al\\u{1b}[2Jice") && text.contains("  note: "), "{name}: {text}");
        let table = place.run(&["sessions", "list"]).await.expect(0).out;
        assert!(!table.contains('\u{1b}') && table.contains("Laptop"), "{name}: {table}");

        let shown = place.run(&["sessions", "show", "--values", &id, "--json"]).await.json();
        assert_eq!(shown["values"][1]["value"], VALUE, "{name}");
        for arguments in [&["--values"][..], &["--values", "--user", "al\u{1b}[2Jice"]] {
            let arguments = [&["sessions", "list", "--json"], arguments].concat();
            let listed = place.run(&arguments).await.expect(0).lines();
            assert_eq!(listed.len(), 1, "{name}: {arguments:?}");
            assert_eq!(listed[0]["values"][1]["value"], VALUE, "{name}: {arguments:?}");
        }
        let nothing = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        place.run(&["sessions", "show", nothing]).await.expect(1);
    }
}

#[tokio::test]
async fn a_sealed_session_is_listed_and_its_content_stays_sealed() {
    let place = Place::sqlite();
    let store: std::sync::Arc<dyn tower_redis_session::store::UserStore> =
        place.store().await.into();
    let builder = tower_redis_session::RedisSessionLayer::builder(store);
    let layer = builder.seal_records(UnsealedRecords::Reject).build().unwrap();
    let client = signed_in(&layer, "alice").await;
    leak_monitor::value("sealed against every reader");
    let work = |session: tower_redis_session::SessionContext| async move {
        session.insert("note", "sealed against every reader").await
    };
    client.session(work).await.unwrap();
    let id = id(&client).await;
    let listed = place.run(&["sessions", "list", "--json"]).await.expect(0).lines();
    assert_eq!((ids(&listed), &listed[0]["user"]), (vec![&*id], &json!("alice")));
    let shown = place.run(&["sessions", "show", &id, "--values", "--json"]).await.expect(0);
    assert!(!shown.out.contains("note") && !shown.out.contains("every reader"), "{shown:?}");
    assert_eq!((&shown.json()["sealed"], &shown.json()["values"]), (&json!(true), &json!([])));
    let shown = place.run(&["sessions", "show", &id, "--values"]).await.expect(0);
    assert!(shown.out.contains("sealed"), "{shown:?}");
}

#[tokio::test]
async fn what_has_expired_or_cannot_be_read_is_counted_apart() {
    let place = Place::redis().await;
    let store = place.store().await;
    let redis = place.redis.as_ref().unwrap();
    let mut connection = redis.connection().await;
    let ids = [1, 2, 3, 4].map(|number| SessionId::from([number; 32]));
    for (id, record) in [(&ids[0], living()), (&ids[1], Record::example())] {
        let saved = store.save(id, Expected::Absent, &record).await.unwrap();
        assert!(matches!(saved, SaveOutcome::Saved));
    }
    let [text, hash] = [&ids[2], &ids[3]].map(record_key);
    let mut plant = redis::pipe();
    plant.cmd("SET").arg(&text).arg("R000000000000000A").arg("PX").arg(60_000);
    plant.cmd("HSET").arg(&hash).arg("a").arg("b").cmd("PEXPIRE").arg(&hash).arg(60_000);
    let () = plant.query_async(&mut connection).await.unwrap();

    let counted = place.run(&["sessions", "count", "--json"]).await.expect(0).json();
    let expected = json!({
        "sessions": 1, "signed_in": 1, "anonymous": 0, "expired": 1, "unreadable": 2,
    });
    assert_eq!(counted, expected);
    for arguments in [&["--json"][..], &["--json", "--values"]] {
        let arguments = [&["sessions", "list"], arguments].concat();
        let listed = place.run(&arguments).await.expect(0).lines();
        let unreadable = listed.iter().filter(|line| line["unreadable"].is_string());
        let mut unreadable = ids_of(unreadable);
        unreadable.sort_unstable();
        assert_eq!(unreadable, [ids[2].to_string(), ids[3].to_string()], "{listed:?}");
        assert_eq!(listed.len(), 3, "{listed:?}");
    }
    let id = |at: usize| ids[at].to_string();
    place.run(&["sessions", "show", &id(2)]).await.expect(1);
    let expired = place.run(&["sessions", "show", &id(1), "--json"]).await.expect(0).json();
    assert_eq!(expired["expired"], true);
    let ended = place.run(&["sessions", "revoke-all", "--yes", "--json"]).await.expect(0).json();
    assert_eq!(ended, json!({ "ended": 4, "complete": true }));
}

fn ids_of<'a>(lines: impl Iterator<Item = &'a Value>) -> Vec<String> {
    lines.map(|line| line["id"].as_str().unwrap().to_owned()).collect()
}

/// One id in 64 begins with a hyphen, as options do.
#[tokio::test]
async fn an_id_or_a_user_may_begin_with_a_hyphen() {
    let place = Place::sqlite();
    let store = place.store().await;
    for (bytes, start) in [([0xf8; 2], "-"), ([0xfb, 0xe0], "--")] {
        let mut id = [7; 32];
        id[..2].copy_from_slice(&bytes);
        let id = SessionId::from(id);
        assert!(id.to_string().starts_with(start));
        let saved = store.save(&id, Expected::Absent, &living()).await.unwrap();
        assert!(matches!(saved, SaveOutcome::Saved));
        let id = id.to_string();
        let shown = place.run(&["sessions", "show", &id, "--json"]).await.expect(0).json();
        assert_eq!(shown["id"], *id);
        place.run(&["--json", "sessions", "revoke", &id]).await.expect(0);
    }
    let none = place.run(&["sessions", "revoke-user", "--force"]).await.expect(0);
    assert_eq!(none.out, "0 sessions of --force ended\n");
}
