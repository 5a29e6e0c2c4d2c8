//! Sessions of another library in a Redis of their own are taken over, whatever fails meanwhile.
//!
//! To see these fail: in `request/take_over/steps.rs` leave out the claim, or treat a failure of
//! the old store as no session; in `store/redis/foreign.rs` send another command.

use std::{collections::BTreeSet, time::Duration};

use redis::AsyncCommands as _;
use test_support::{
    Matching, RedisServer, RespProxy, eventually, index_key, names, patient,
    take_over::{ALICE, Answer, KEY, OLD, ask, importer, logout, old, user},
};
use tower_redis_session::{
    RedisConfig, RedisSessionLayer, RedisStore,
    import::{OldRedis, TakeOver},
};

const GRACE: Duration = Duration::from_secs(1);

/// The old Redis with alice's session, and a user who may do no more than is documented.
async fn old_redis() -> RedisServer {
    let rights = ["on", ">old", "~old:*", "+get", "+del", "+time"];
    let redis = RedisServer::start().await;
    let mut connection = redis.connection().await;
    let mut user = redis::cmd("ACL");
    let () =
        user.arg("SETUSER").arg("old").arg(&rights).query_async(&mut connection).await.unwrap();
    put(&redis).await;
    redis
}

async fn put(redis: &RedisServer) {
    let key = format!("old:{OLD}");
    let () = redis.connection().await.set_ex(key, ALICE, 3_600).await.unwrap();
}

/// An instance of the service.
fn instance(redis: RedisConfig, old: &RedisServer) -> RedisSessionLayer {
    of_url(redis, old.url_as("old", "old", old.port()))
}

fn of_url(redis: RedisConfig, old: String) -> RedisSessionLayer {
    let from = RedisConfig::new(old).command_timeout(Duration::from_secs(1));
    let from = OldRedis::new(from).unwrap();
    let import = TakeOver::new(importer(), from).take_over_key(KEY).grace(GRACE);
    let builder = RedisSessionLayer::builder(RedisStore::new(redis).unwrap());
    builder.import(import).budget(Duration::from_secs(15)).build().unwrap()
}

async fn sessions(layer: &RedisSessionLayer) -> usize {
    layer.admin().sessions_of("alice").await.unwrap().len()
}

/// The old cookie opens nothing once the grace has ended, although its key is there.
async fn opens_nothing_more(layer: &RedisSessionLayer, from: &RedisServer) {
    put(from).await;
    eventually("the grace ends", async || ask(layer, &old(), user).await.is_rejected()).await;
    assert!(from.connection().await.exists::<_, bool>(format!("old:{OLD}")).await.unwrap());
}

#[tokio::test]
async fn an_old_session_is_read_and_deleted_with_two_commands_and_two_rights() {
    let (redis, from) = (RedisServer::start().await, old_redis().await);
    let layer = instance(patient(&redis.url()), &from);
    let monitor = from.monitor().await;
    let new = ask(&layer, &old(), user).await.taken_over();
    layer.shutdown().await;
    let commands = names(&monitor.stop().await);
    assert_eq!(
        commands.iter().filter(|name| *name != "AUTH").collect::<Vec<_>>(),
        ["TIME", "GET", "DEL"]
    );
    opens_nothing_more(&layer, &from).await;
    // Nor after a restart of the service.
    let restarted = instance(patient(&redis.url()), &from);
    assert!(ask(&restarted, &old(), user).await.is_rejected());
    assert_eq!(ask(&restarted, &new, user).await.text, "alice");
    assert_eq!(ask(&restarted, &new, logout).await.text, "bye");
    assert!(ask(&layer, &old(), user).await.is_rejected());
    assert_eq!(sessions(&layer).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_first_requests_on_two_instances_are_all_signed_in_to_one_session() {
    let (redis, from) = (RedisServer::start().await, old_redis().await);
    let instances = [(); 2].map(|()| instance(patient(&redis.url()), &from));
    let all = (0..100).map(|at| {
        let layer = instances[at % 2].clone();
        tokio::spawn(async move { ask(&layer, &old(), user).await.taken_over() })
    });
    let all: Vec<_> = all.collect();
    let mut cookies = BTreeSet::new();
    for one in all {
        let _ = cookies.insert(one.await.unwrap());
    }
    assert_eq!((cookies.len(), sessions(&instances[0]).await), (1, 1));
    let new = cookies.pop_first().unwrap();
    for layer in &instances {
        assert_eq!(ask(layer, &new, user).await.text, "alice");
        opens_nothing_more(layer, &from).await;
    }
}

/// With Redis alone a claim is lost with all sessions: the old one is still there.
#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_killed_between_claim_and_session_signs_no_user_out() {
    let (redis, from) = (RedisServer::start().await, old_redis().await);
    let proxy = RespProxy::start(redis.addr()).await;
    let layer = instance(patient(&redis.url_at(proxy.port())), &from);
    // The index of the user's sessions is written with the session.
    let held = proxy.hold(Matching::command("EVALSHA").containing(index_key("alice")));
    let first = {
        let layer = layer.clone();
        tokio::spawn(async move { ask(&layer, &old(), user).await })
    };
    held.reached().await;
    redis.kill();
    held.drop_it();
    let answer: Answer = first.await.unwrap();
    assert!(answer.is_failure(), "{answer:?}");
    redis.restart().await;
    let mut new = None;
    eventually("redis serves", async || {
        let answer = ask(&layer, &old(), user).await;
        assert!(answer.is_failure() || answer.text == "alice", "{answer:?}");
        new = answer.new;
        new.is_some()
    })
    .await;
    assert_eq!(sessions(&layer).await, 1);
    assert_eq!(ask(&layer, &new.unwrap(), user).await.text, "alice");
    opens_nothing_more(&layer, &from).await;
}

#[tokio::test]
async fn an_old_redis_that_hangs_delays_requests_with_its_cookie_alone() {
    let (redis, from) = (RedisServer::start().await, old_redis().await);
    let layer = instance(patient(&redis.url()), &from);
    from.hang();
    let answer = ask(&layer, &old(), user).await;
    assert!(answer.is_failure(), "{answer:?}");
    let login =
        async |s: tower_redis_session::SessionContext| s.login("bob").await.map(|()| String::new());
    let bob = ask(&layer, "", login).await.new.unwrap();
    assert_eq!(ask(&layer, &bob, user).await.text, "bob");
    from.resume();
    let new = ask(&layer, &old(), user).await.taken_over();
    // At the deletion of the old key.
    from.hang();
    assert_eq!(ask(&layer, &new, logout).await.text, "bye");
    from.resume();
    assert!(ask(&layer, &old(), user).await.is_rejected());
}

#[tokio::test]
async fn a_key_without_a_string_is_no_session_and_its_cookie_stays() {
    let (redis, from) = (RedisServer::start().await, old_redis().await);
    let layer = instance(patient(&redis.url()), &from);
    let mut connection = from.connection().await;
    let key = format!("old:{OLD}");
    let () = connection.del(&key).await.unwrap();
    let () = connection.hset(&key, "a", "b").await.unwrap();
    let answer = ask(&layer, &old(), user).await;
    assert!(answer.status == 200 && answer.text == "-" && !answer.removes_old, "{answer:?}");
    assert_eq!(layer.admin().report().count("import_failed"), Some(1));
}

/// A connection to another database sends `SELECT` first.
#[tokio::test]
async fn a_database_number_needs_the_right_to_select() {
    let (redis, from) = (RedisServer::start().await, old_redis().await);
    let mut connection = from.connection().await;
    let () = redis::cmd("SELECT").arg(1).query_async(&mut connection).await.unwrap();
    let () = connection.set_ex(format!("old:{OLD}"), ALICE, 3_600).await.unwrap();
    let url = format!("{}1", from.url_as("old", "old", from.port()));
    let layer = of_url(patient(&redis.url()), url);
    let answer = ask(&layer, &old(), user).await;
    assert!(answer.is_failure(), "{answer:?}");
    let right = ["SETUSER", "old", "+select"];
    let () = redis::cmd("ACL").arg(&right).query_async(&mut connection).await.unwrap();
    eventually("the old session is taken over", async || {
        ask(&layer, &old(), user).await.text == "alice"
    })
    .await;
}
