//! All sessions, page by page, while others come and go.
//!
//! To see these fail: end an enumeration after its first page, or at an empty one; leave the rows of
//! ended sessions out of a page's length; begin each page at the row after the next.

use std::{collections::BTreeSet, sync::Arc, time::SystemTime};

use serde_json::json;
use test_support::{Matching, PASSWORD, RespProxy, bounded, records};
use tokio::task::JoinSet;
use tower_redis_session::{
    SessionId, Timestamp,
    store::{Expected, Record, SaveOutcome, Touch, UserStore},
};

use crate::places::{OPERATOR, Place, run};

/// More than two pages.
const SESSIONS: u32 = 2_100;
/// More than one page of a user's.
const OF_ALICE: u32 = 600;

/// A session of alice that is alive.
pub fn living() -> Record {
    let now = Timestamp::from(SystemTime::now());
    let end = now.saturating_add(std::time::Duration::from_secs(3_600));
    let mut record = Record::example();
    assert!(record.touch(Touch::new(now, end, end)));
    record
}

/// A session of the user with that number, whose name is as long.
pub fn of_user(number: usize) -> Record {
    let mut bytes = living().to_bytes();
    let place = bytes.windows(5).position(|name| name == b"alice").unwrap();
    bytes[place..place + 5].copy_from_slice(format!("u{:04}", number % 10_000).as_bytes());
    Record::from_bytes(1, bytes.into()).unwrap()
}

/// The ids of a series, spread over all there are.
pub fn ids(series: u8, count: u32) -> Vec<SessionId> {
    let id = |number: u32| {
        let mut bytes = [series; 32];
        let spread = number.wrapping_mul(2_654_435_761).to_be_bytes();
        bytes[..4].copy_from_slice(&spread);
        SessionId::from(bytes)
    };
    (0..count).map(id).collect()
}

/// Many at a time: writes to a database that wait together share a transaction.
pub async fn each<F: Future<Output = ()> + Send + 'static>(
    ids: &[SessionId],
    work: impl Fn(SessionId) -> F,
) {
    for ids in ids.chunks(300) {
        let _ = ids.iter().map(|id| work(*id)).collect::<JoinSet<_>>().join_all().await;
    }
}

async fn create(store: &Arc<dyn UserStore>, ids: &[SessionId], users: bool) {
    each(ids, |id| {
        let store = Arc::clone(store);
        let number = usize::from(id.as_bytes()[0]) << 8 | usize::from(id.as_bytes()[1]);
        let record = if users { of_user(number) } else { living() };
        async move {
            let saved = store.save(&id, Expected::Absent, &record).await.unwrap();
            assert!(matches!(saved, SaveOutcome::Saved), "{saved:?}");
        }
    })
    .await;
}

async fn delete(store: &Arc<dyn UserStore>, ids: &[SessionId]) {
    each(ids, |id| {
        let store = Arc::clone(store);
        async move { assert!(store.delete(&id).await.unwrap()) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_session_of_many_pages_is_counted_and_listed_once() {
    for place in [Place::redis().await, Place::sqlite(), Place::postgres().await] {
        let name = place.name;
        let store: Arc<dyn UserStore> = place.store().await.into();
        let (ended, all) = (ids(1, 1_200), ids(2, SESSIONS));
        create(&store, &ended, true).await;
        create(&store, &all[..OF_ALICE as usize], false).await;
        create(&store, &all[OF_ALICE as usize..], true).await;
        delete(&store, &ended).await;
        let counted = place.run(&["sessions", "count", "--json"]).await.expect(0).json();
        assert_eq!(counted["sessions"], SESSIONS, "{name}: {counted}");
        for (arguments, count) in [
            (&["--all"][..], SESSIONS),
            (&["--all", "--values"], SESSIONS),
            (&["--all", "--user", "alice"], OF_ALICE),
        ] {
            let arguments = [&["sessions", "list", "--json"], arguments].concat();
            let listed = place.run(&arguments).await.expect(0).lines();
            assert_eq!(listed.len(), count as usize, "{name}: {arguments:?}");
            let found = listed.iter().map(|line| line["id"].as_str().unwrap().to_owned());
            let wanted = all[..count as usize].iter().map(ToString::to_string);
            let same = found.collect::<BTreeSet<_>>() == wanted.collect();
            assert!(same, "{name}: {arguments:?}");
        }
        let ended = place.run(&["sessions", "revoke-all", "--yes", "--json"]).await.expect(0);
        assert_eq!(ended.json(), json!({ "ended": SESSIONS, "complete": true }), "{name}");
        if let Some(redis) = &place.redis {
            assert!(records(redis).await.is_empty(), "{name}");
        }
    }
}

/// Between two pages the table of the server grows to twice its size.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_lives_throughout_is_seen_while_redis_resizes_its_table() {
    let place = Place::redis().await;
    let redis = place.redis.as_ref().unwrap();
    let store: Arc<dyn UserStore> = place.store().await.into();
    let (stable, leaving, coming) = (ids(1, SESSIONS), ids(2, 600), ids(3, 3_000));
    create(&store, &stable, true).await;
    create(&store, &leaving, true).await;
    let proxy = RespProxy::start(redis.addr()).await;
    let mut variables = place.variables.clone();
    variables[1].1 = redis.url_as(OPERATOR, PASSWORD, proxy.port());
    let second = proxy.hold(Matching::command("SCAN").nth(2));
    let listed =
        tokio::spawn(
            async move { run(&variables, &["sessions", "list", "--all", "--json"]).await },
        );
    bounded("the second page", second.reached()).await;
    create(&store, &coming, true).await;
    delete(&store, &leaving).await;
    second.release().await;
    let listed = listed.await.unwrap().expect(0).lines();
    let found: BTreeSet<&str> = listed.iter().map(|line| line["id"].as_str().unwrap()).collect();
    let missed = stable.iter().filter(|id| !found.contains(&*id.to_string())).count();
    assert_eq!(missed, 0, "of {}", stable.len());
    assert!(proxy.count("SCAN") > 2, "{}", proxy.count("SCAN"));
}
