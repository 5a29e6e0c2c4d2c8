//! No lost update: requests of one session that overlap, in one process or in two.
//!
//! To see these fail: save without the expected version; on a conflict save the record that was
//! loaded; hold a lock of the session while the handler runs.

use std::time::Duration;

use futures_util::future::join_all;
use test_support::{
    Bed, Browser, FaultProxy, Mode, RedisServer, ServerProcess, Site, bounded, patient, patient_at,
};
use tower_redis_session::RedisSessionLayerBuilder;

const CLIENTS: usize = 64;
const INCREMENTS: usize = 2_000;

/// Not a test of its own where it is asked to be a server: `ServerProcess` starts this binary
/// again with its name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_process_serves_the_same_session() {
    if let Some(redis) = test_support::asked_to_serve() {
        let long = |builder: RedisSessionLayerBuilder| builder.budget(Duration::from_secs(15));
        let site = Site::on(patient_at(&redis), long).await;
        return test_support::announce(site.addr()).await;
    }
    let redis = Bed::one().await;
    let (one, two) = (second_process(&redis), second_process(&redis));
    assert_ne!(one.pid(), two.pid());
    let mut here = Browser::new(one.addr()).await;
    here.get("/login:alice,insert:cart:tea").await.expect(200);
    let mut there = here.on(two.addr()).await;
    assert_eq!(there.get("/user,get:cart,insert:cart:milk").await.expect(200).text(), "alice,tea");
    assert_eq!(here.get("/get:cart").await.expect(200).text(), "milk");
    one.finish();
    two.finish();
}

fn second_process(redis: &Bed) -> ServerProcess {
    ServerProcess::start("concurrency::a_second_process_serves_the_same_session", &redis.urls())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_increments_by_64_clients_through_two_processes_end_at_two_thousand() {
    for redis in Bed::both().await {
        println!("{redis}");
        let processes = [second_process(&redis), second_process(&redis)];
        let mut first = Browser::new(processes[0].addr()).await;
        first.get("/insert:cart:tea").await.expect(200);
        let mut clients = Vec::new();
        for number in 0..CLIENTS {
            let mut client = first.on(processes[number % 2].addr()).await;
            let share = INCREMENTS / CLIENTS + usize::from(number < INCREMENTS % CLIENTS);
            clients.push(tokio::spawn(async move {
                let mut seen = Vec::new();
                for _ in 0..share {
                    let reply = client.get("/update:count").await.expect(200);
                    seen.push(reply.text().parse::<u64>().unwrap());
                }
                seen
            }));
        }
        let mut seen: Vec<_> =
            join_all(clients).await.into_iter().flat_map(|client| client.unwrap()).collect();
        seen.sort_unstable();
        // Each value was handed out once: no two requests believe that they were the same one.
        assert_eq!(seen, (1..=INCREMENTS as u64).collect::<Vec<_>>());
        assert_eq!(first.get("/get:count,get:cart").await.text(), format!("{INCREMENTS},tea"));
    }
}

#[tokio::test]
async fn two_overlapping_requests_that_write_different_names_keep_both() {
    for redis in Bed::both().await {
        println!("{redis}");
        let site = Site::start(&redis).await;
        for (what, one, other) in [
            ("read, then write", "get:a,gate:one,insert:a:1", "get:b,gate:two,insert:b:2"),
            ("write, then wait", "insert:a:1,gate:one", "insert:b:2,gate:two"),
            ("one removes", "get:x,gate:one,remove:x,insert:a:1", "get:b,gate:two,insert:b:2"),
            ("one saves early", "insert:a:1,save,gate:one", "get:b,gate:two,insert:b:2"),
            ("one updates", "get:a,gate:one,insert:a:1,update:n", "get:b,gate:two,insert:b:2"),
        ] {
            for order in [["one", "two"], ["two", "one"]] {
                let mut browser = site.browser().await;
                browser.get("/insert:x:0").await.expect(200);
                let (mut left, mut right) = (browser.tab().await, browser.tab().await);
                let (one, other) = (format!("/{one}"), format!("/{other}"));
                let left = tokio::spawn(async move { left.get(&one).await.expect(200) });
                let right = tokio::spawn(async move { right.get(&other).await.expect(200) });
                site.gates.arrived("one").await;
                site.gates.arrived("two").await;
                let mut requests = [Some(left), Some(right)];
                for name in order {
                    site.gates.open(name);
                    let request = requests[usize::from(name == "two")].take().unwrap();
                    bounded(what, request).await.unwrap();
                }
                let said = browser.get("/get:a,get:b").await.expect(200).text();
                assert_eq!(said, "1,2", "{what}, {order:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_request_that_empties_the_session_loses_nothing_that_another_stored() {
    for redis in Bed::both().await {
        println!("{redis}");
        let site = Site::start(&redis).await;
        for emptying in ["remove:a,gate:slow", "get:a,gate:slow,remove:a", "clear,gate:slow"] {
            let mut browser = site.browser().await;
            browser.get("/insert:a:1").await.expect(200);
            let mut tab = browser.tab().await;
            let path = format!("/{emptying}");
            let slow = tokio::spawn(async move { tab.get(&path).await.expect(200) });
            site.gates.arrived("slow").await;
            browser.get("/insert:b:2").await.expect(200);
            site.gates.open("slow");
            let reply = bounded("the slow request", slow).await.unwrap();
            // `clear` says "all that is there", also what came meanwhile; `remove` names one.
            let expected = if emptying.starts_with("clear") { "-,-" } else { "-,2" };
            assert_eq!(
                browser.get("/get:a,get:b").await.expect(200).text(),
                expected,
                "{emptying}"
            );
            let gone = emptying.starts_with("clear");
            assert_eq!(reply.set_cookies().len(), usize::from(gone), "{emptying}: {reply:?}");
        }
    }
}

#[tokio::test]
async fn a_request_longer_than_the_idle_timeout_keeps_its_changes_if_others_kept_the_session() {
    let redis = RedisServer::start().await;
    let site =
        Site::configured(&redis, |builder| builder.idle_timeout(Duration::from_secs(1))).await;
    for slow in [
        "get:a,gate:slow,insert:b:2",
        "get:a,gate:slow,update:b",
        "get:a,stream,gate:slow,insert:b:2",
    ] {
        let mut browser = site.browser().await;
        browser.get("/insert:a:1").await.expect(200);
        let mut tab = browser.tab().await;
        let path = format!("/{slow}");
        let long = tokio::spawn(async move { tab.get(&path).await.expect(200) });
        site.gates.arrived("slow").await;
        for _ in 0..5 {
            tokio::time::sleep(Duration::from_millis(300)).await;
            assert_eq!(browser.get("/get:a").await.expect(200).text(), "1");
        }
        site.gates.open("slow");
        let reply = bounded("the long request", long).await.unwrap();
        assert!(reply.set_cookies().is_empty(), "{slow}: {reply:?}");
        assert!(reply.body_error.is_none(), "{slow}: {reply:?}");
        assert_ne!(browser.get("/get:b").await.expect(200).text(), "-", "{slow}: {reply:?}");
    }
}

#[tokio::test]
async fn of_two_overlapping_writes_of_one_name_the_later_commit_stays() {
    for redis in Bed::both().await {
        println!("{redis}");
        let site = Site::start(&redis).await;
        let mut browser = site.browser().await;
        browser.get("/insert:a:0").await.expect(200);
        let mut slow = browser.tab().await;
        let slow =
            tokio::spawn(async move { slow.get("/insert:a:slow,gate:slow").await.expect(200) });
        site.gates.arrived("slow").await;
        browser.get("/insert:a:fast").await.expect(200);
        site.gates.open("slow");
        bounded("the slow request", slow).await.unwrap();
        assert_eq!(browser.get("/get:a").await.text(), "slow");
    }
}

#[tokio::test]
async fn first_writes_that_overlap_begin_a_session_each_and_neither_is_overwritten() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let (mut one, mut two) = (site.browser().await, site.browser().await);
    let (first, second) = tokio::join!(one.get("/insert:a:1"), two.get("/insert:b:2"));
    assert_ne!(first.cookie(), second.cookie());
    assert_eq!(one.get("/keys").await.text(), "a");
    assert_eq!(two.get("/keys").await.text(), "b");
}

#[tokio::test]
async fn a_lost_answer_is_never_counted_twice() {
    let redis = RedisServer::start().await;
    let proxy = FaultProxy::start(redis.addr()).await;
    let through = patient(&redis.url_at(proxy.port()));
    let site = Site::on(through, |builder| builder.budget(Duration::from_secs(15))).await;
    let mut browser = site.browser().await;
    browser.get("/insert:count:x,remove:count,insert:cart:tea").await.expect(200);
    let (mut acknowledged, mut unknown) = (0, 0);
    proxy.set(Mode::DropEveryNthReply(7));
    for _ in 0..200 {
        match browser.get("/update:count").await.status.as_u16() {
            200 => acknowledged += 1,
            503 => unknown += 1,
            other => panic!("status {other}"),
        }
    }
    proxy.set(Mode::Pass);
    let count: u64 = browser.get("/get:count").await.expect(200).text().parse().unwrap();
    let possible = acknowledged..=acknowledged + unknown;
    assert!(possible.contains(&count), "{count} of {acknowledged} acknowledged, {unknown} unknown");
    assert!(acknowledged > 100, "{acknowledged}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tabs_that_write_a_name_each_keep_them_all() {
    for redis in Bed::both().await {
        println!("{redis}");
        let site = Site::start(&redis).await;
        let mut browser = site.browser().await;
        browser.get("/insert:first:0").await.expect(200);
        let tabs = (0..32).map(async |number| {
            let mut tab = browser.tab().await;
            tab.get(&format!("/get:first,gate:all,insert:n{number:02}:{number}")).await.expect(200)
        });
        let opener = async {
            for _ in 0..32 {
                site.gates.arrived("all").await;
            }
            (0..32).for_each(|_| site.gates.open("all"));
        };
        bounded("32 tabs", futures_util::future::join(join_all(tabs), opener)).await;
        let keys = browser.get("/keys").await.expect(200).text();
        assert_eq!(keys.split('+').count(), 33, "{keys}");
    }
}
