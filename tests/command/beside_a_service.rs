//! What the command does not do to a service that runs: a reading command with the wrong Redis or
//! prefix costs no user a copy.
//!
//! To see these fail: check or list through the `DurableStore` itself; let `Observer` be the store's
//! authority.

use serde_json::json;
use test_support::RedisServer;
use tower_redis_session::testing::TestClient;

use crate::places::Place;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reading_commands_invalidate_no_copy_and_see_whose_copies_there_are() {
    let mut place = Place::durable(Place::postgres().await).await;
    let layer = place.layer().await;
    let client = TestClient::new(&layer, ());
    client.login("alice").await;
    let id = client.session(|session| async move { session.id().await }).await.unwrap().unwrap();
    let id = id.to_string();
    let database = place.postgres.clone().unwrap();
    let epoch = "SELECT seq, generation, incarnation FROM trs_cache";
    test_support::eventually("a generation for this redis", async || {
        !database.sql(epoch).await.ends_with('|')
    })
    .await;
    let before = database.sql(epoch).await;
    let commands: [&[&str]; 6] = [
        &["status"],
        &["check"],
        &["sessions", "count"],
        &["sessions", "list", "--user", "alice"],
        &["sessions", "show", &id],
        &["purge"],
    ];
    let status = place.run(&["status", "--json"]).await.expect(0).json();
    assert_eq!(status["copies"]["of_this_redis"], true, "{status}");
    assert_eq!(status["database"]["schema"], status["database"]["schema_of_this_version"]);
    place.variables.push(("SESSION_KEY_PREFIX".to_owned(), "session:other:".to_owned()));
    for arguments in commands {
        place.run(arguments).await.expect(0);
    }
    let another = RedisServer::start().await;
    let url = place.variables.iter_mut().find(|(name, _)| name == "REDIS_URL").unwrap();
    url.1 = another.durable_url();
    for arguments in commands {
        place.run(arguments).await.expect(0);
    }
    let status = place.run(&["status", "--json"]).await.expect(0).json();
    assert_eq!(status["copies"]["of_this_redis"], false, "{status}");
    assert_eq!(database.sql(epoch).await, before);
}

#[tokio::test]
async fn a_purge_deletes_what_ended_long_ago_and_nothing_else() {
    let place = Place::postgres().await;
    let layer = place.layer().await;
    for user in ["alice", "bob", "carol"] {
        TestClient::new(&layer, ()).login(user).await;
    }
    let database = place.postgres.as_ref().unwrap();
    let ago = |user: &str, minutes: u32| {
        let now = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint";
        format!("UPDATE trs_sessions SET ends = {now} - {minutes} * 60000 WHERE user_id = '{user}'")
    };
    database.sql(&ago("alice", 16)).await;
    database.sql(&ago("bob", 14)).await;
    let purged = place.run(&["purge", "--json"]).await.expect(0).json();
    assert_eq!(purged["removed"]["sessions"], 1, "{purged}");
    assert_eq!(database.sql("SELECT user_id FROM trs_sessions ORDER BY 1").await, "bob\ncarol");
    let redis = Place::redis().await;
    assert_eq!(redis.run(&["purge", "--json"]).await.expect(0).json(), json!({ "removed": null }));
}
