//! Of many requests that take one value at once exactly one gets it, whichever store there is and
//! however many instances.
//!
//! To see these fail: let `take_once` read the value and buffer its removal; let `save_settled`
//! pass an unknown outcome on.

use std::{sync::Arc, time::Duration};

use test_support::{
    FaultProxy, Mode, PostgresServer, RedisServer,
    faulty_store::{FaultyStore, Visitor},
    patient,
};
use tokio::sync::Barrier;
use tower_redis_session::{
    DatabaseConfig, DatabaseStore, Key, RedisSessionLayer, RedisStore, SessionContext,
};

use crate::stores::Stores;

const REQUESTS: usize = 64;
const STATE: Key<u32> = Key::new("state");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn takes_once_gives_a_value_to_one_of_64_in_memory() {
    let store = FaultyStore::new();
    store.yields(true);
    one_gets_it([layer(store.clone()), layer(store)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn takes_once_gives_a_value_to_one_of_64_on_every_store() {
    for stores in Stores::all().await {
        println!("{}", stores.name);
        one_gets_it(stores.two_instances().await).await;
    }
}

fn layer(store: impl tower_redis_session::store::UserStore) -> RedisSessionLayer {
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_take_whose_reply_is_lost_gives_the_value_once_in_redis() {
    let redis = RedisServer::start().await;
    let proxy = FaultProxy::start(redis.addr()).await;
    let direct = RedisStore::new(patient(&redis.url())).unwrap();
    let through = RedisStore::new(patient(&redis.url_at(proxy.port()))).unwrap();
    each_goes_to_one(layer(direct), layer(through), &proxy, 11).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_take_whose_reply_is_lost_gives_the_value_once_in_postgres() {
    let server = PostgresServer::shared().await;
    let database_of_the_test = server.database().await;
    let proxy = FaultProxy::start(server.addr()).await;
    let direct = database(&database_of_the_test.url()).await;
    let through = database(&database_of_the_test.url_through(proxy.port())).await;
    each_goes_to_one(layer(direct), layer(through), &proxy, 17).await;
}

/// Takes 60 values one after the other through `proxy`, which loses every `nth` reply, each until
/// an answer comes.
async fn each_goes_to_one(
    direct: RedisSessionLayer,
    through: RedisSessionLayer,
    proxy: &FaultProxy,
    nth: u64,
) {
    const VALUES: usize = 60;
    let mut visitor = Visitor::new(&direct);
    let begin = async |s: SessionContext| {
        for number in 0..VALUES {
            s.insert(&format!("k{number}"), &number).await?;
        }
        Ok(String::new())
    };
    assert_eq!(visitor.ask(begin).await.status(), 200);
    proxy.set(Mode::DropEveryNthReply(nth));
    let mut browser = Visitor { layer: through, cookie: visitor.cookie.clone() };
    let (mut given, mut unknown) = (0, 0);
    for number in 0..VALUES {
        let key = format!("k{number}");
        let mut errors = 0;
        loop {
            let take = async |s: SessionContext| {
                let value: Option<usize> = s.take_once(&key).await?;
                assert!(value.is_none_or(|value| value == number));
                Ok(value.map_or("-", |_| "got it").to_owned())
            };
            let answered = browser.ask(take).await;
            match (answered.status(), answered.text()) {
                (200, "got it") => break given += 1,
                (200, _) => break assert!(errors > 0, "{key} went to nobody"),
                (503, _) => errors += 1,
                _ => panic!("{answered:?}"),
            }
            assert!(errors < 20, "{key}");
        }
        unknown += usize::from(errors > 0);
        // Nobody gets it again.
        let again = async |s: SessionContext| Ok(format!("{:?}", s.get::<usize>(&key).await?));
        let mut elsewhere = Visitor { layer: direct.clone(), cookie: visitor.cookie.clone() };
        assert_eq!(elsewhere.ask(again).await.text(), "None", "{key}");
    }
    // What is lost is found out; that four attempts at it are lost as well is rare.
    println!("{given} of {VALUES} given, {unknown} after an error");
    assert!(unknown <= VALUES / 20, "{unknown}");
}
