//! Of many requests that take one value at once exactly one gets it, whichever store there is and
//! however many instances.
//!
//! To see these fail: let `take_once` read the value and buffer its removal.

use std::{sync::Arc, time::Duration};

use test_support::{
    PostgresServer, RedisServer,
    faulty_store::{FaultyStore, Visitor},
    patient,
};
use tokio::sync::Barrier;
use tower_redis_session::{
    DatabaseConfig, DatabaseStore, Key, RedisSessionLayer, RedisStore, SessionContext,
};

use crate::contract::durable;

const REQUESTS: usize = 64;
const STATE: Key<u32> = Key::new("state");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_64_takes_at_once_one_gets_it_in_memory() {
    let store = FaultyStore::new();
    store.yields(true);
    one_gets_it([layer(store.clone()), layer(store)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_64_takes_at_once_one_gets_it_in_redis() {
    let redis = RedisServer::start().await;
    let store = || RedisStore::new(patient(&redis.url())).unwrap();
    one_gets_it([layer(store()), layer(store())]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_64_takes_at_once_one_gets_it_in_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("sessions.db").display());
    one_gets_it([layer(database(&url).await), layer(database(&url).await)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_64_takes_at_once_one_gets_it_in_postgres() {
    let url = PostgresServer::shared().await.database().await.url();
    one_gets_it([layer(database(&url).await), layer(database(&url).await)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_64_takes_at_once_one_gets_it_in_redis_before_sqlite() {
    let redis = RedisServer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("sessions.db").display());
    one_gets_it([layer(durable(&redis, &url).await), layer(durable(&redis, &url).await)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_64_takes_at_once_one_gets_it_in_redis_before_postgres() {
    let redis = RedisServer::start().await;
    let url = PostgresServer::shared().await.database().await.url();
    one_gets_it([layer(durable(&redis, &url).await), layer(durable(&redis, &url).await)]).await;
}

fn layer(store: impl tower_redis_session::store::Store) -> RedisSessionLayer {
    RedisSessionLayer::builder(store).budget(Duration::from_secs(20)).build().unwrap()
}

async fn database(url: &str) -> DatabaseStore {
    let config = DatabaseConfig::new(url).timeout(Duration::from_secs(10));
    let store = DatabaseStore::new(config).unwrap();
    store.migrate().await.unwrap();
    store
}

/// Both instances have half of the requests, and half of those have seen the value before.
async fn one_gets_it(instances: [RedisSessionLayer; 2]) {
    for user in [None, Some("alice")] {
        let mut visitor = Visitor::new(&instances[0]);
        let begin = async |s: SessionContext| {
            if let Some(user) = user {
                s.login(user).await?;
            }
            s.insert(STATE, &7).await.map(|()| String::new())
        };
        assert_eq!(visitor.ask(begin).await.status(), 200);
        let all_there = Arc::new(Barrier::new(REQUESTS));
        let requests = (0..REQUESTS).map(|number| {
            let layer = instances[number % 2].clone();
            let mut visitor = Visitor { layer, cookie: visitor.cookie.clone() };
            let all_there = Arc::clone(&all_there);
            tokio::spawn(async move {
                let take = async move |s: SessionContext| {
                    if number % 4 < 2 {
                        assert_eq!(s.get(STATE).await?, Some(7));
                    }
                    let _ = all_there.wait().await;
                    Ok(s.take_once(STATE).await?.map_or("-", |_| "got it").to_owned())
                };
                visitor.ask(take).await.text().to_owned()
            })
        });
        let requests: Vec<_> = requests.collect();
        let mut got = 0;
        for request in requests {
            match request.await.unwrap().as_str() {
                "got it" => got += 1,
                other => assert_eq!(other, "-", "{user:?}"),
            }
        }
        assert_eq!(got, 1, "{user:?}");
        let left = async |s: SessionContext| {
            Ok(format!("{:?} {:?}", s.user_id().await?.as_deref(), s.get(STATE).await?))
        };
        assert_eq!(visitor.ask(left).await.text(), format!("{user:?} None"));
    }
}
