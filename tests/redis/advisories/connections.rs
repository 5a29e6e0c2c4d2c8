//! Answers that were taken for another's, connections that never came back, and a store that is
//! slow.

use std::future::{Future, poll_fn};
use std::task::Poll;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tower_redis_session::RedisConfig;

use test_support::{
    Browser, COOKIE, Client, FaultProxy, Mode, RedisServer, Site, eventually, key_end, patient,
    records, signed_in,
};

/// Sessions of which each holds its own number.
async fn numbered(site: &Site, count: usize) -> Vec<Browser> {
    let mut browsers = Vec::new();
    for number in 0..count {
        let mut browser = site.browser().await;
        browser.get(&format!("/login:u{number},insert:own:{number}")).await.expect(200);
        browsers.push(browser);
    }
    browsers
}

async fn each_has_its_own(browsers: &mut [Browser], when: &str) {
    for (number, browser) in browsers.iter_mut().enumerate() {
        let said = browser.get("/get:own,user").await.expect(200).text();
        assert_eq!(said, format!("{number},u{number}"), "{when}");
    }
}

/// Polls all of them a few times, then drops those that are not done.
async fn poll_and_drop<F: Future>(futures: Vec<F>, polls: usize) {
    let mut futures: Vec<_> = futures.into_iter().map(Box::pin).collect();
    for _ in 0..polls {
        poll_fn(|context| {
            futures.retain_mut(|future| future.as_mut().poll(context).is_pending());
            Poll::Ready(())
        })
        .await;
        tokio::task::yield_now().await;
    }
}

/// redis-py CVE-2023-28858 and CVE-2023-28859, and with them the leak at OpenAI of 20 March 2023: a
/// cancelled command left its answer on the connection, and the next user of it read that.
#[tokio::test]
async fn cve_2023_28858_nobody_gets_the_answer_of_a_request_that_was_dropped() {
    let redis = RedisServer::start().await;
    let config = patient(&redis.url()).pool_size(1);
    let site = Site::on(config, |builder| builder.budget(Duration::from_secs(15))).await;
    let mut browsers = numbered(&site, 6).await;
    for round in 0..120 {
        let visits = browsers
            .iter()
            .map(|browser| site.visit("/get:own,update:n,~touch", &browser.cookie_header()));
        poll_and_drop(visits.collect(), round % 5).await;
        if round % 10 == 0 {
            each_has_its_own(&mut browsers, &format!("round {round}")).await;
        }
    }
    each_has_its_own(&mut browsers, "at the end").await;
}

/// redis-rs #325, #489, #698: an error in the midst of a pipeline, or of a future that was dropped,
/// shifted the answers that followed.
#[tokio::test]
async fn redis_rs_489_an_error_among_answers_shifts_none_of_them() {
    let redis = RedisServer::start().await;
    let config = patient(&redis.url()).pool_size(1);
    let site = Site::on(config, |builder| builder.budget(Duration::from_secs(15))).await;
    let mut browsers = numbered(&site, 6).await;
    // One whose key holds what no script and no command of ours can use.
    let broken = signed_in(&site).await;
    let of_broken = records(&redis).await.into_iter().map(|(key, _)| key);
    let id = broken.tab().await.get("/id").await.text();
    let key = of_broken.into_iter().find(|key| key.ends_with(&key_end(&id))).unwrap();
    let mut connection = redis.connection().await;
    let mut replace = redis::pipe();
    replace.atomic().cmd("DEL").arg(&key).cmd("LPUSH").arg(&key).arg("x");
    replace.cmd("EXPIRE").arg(&key).arg(600);
    let _: redis::Value = replace.query_async(&mut connection).await.unwrap();
    let both =
        |browser: &Browser| format!("{}; {}", broken.cookie_header(), browser.cookie_header());
    for round in 0..40 {
        let mut visits = Vec::new();
        for browser in &browsers {
            visits.push(site.visit("/user,insert:x:1", &broken.cookie_header()));
            visits.push(site.visit("/get:own", &browser.cookie_header()));
            visits.push(site.visit("/get:own", &both(browser)));
        }
        if round % 2 == 0 {
            join_all(visits).await;
        } else {
            poll_and_drop(visits, round % 4).await;
        }
        if round % 8 < 2 {
            each_has_its_own(&mut browsers, &format!("round {round}")).await;
        }
    }
}

/// go-redis CVE-2025-29923: a time-out while a connection was set up left an answer on it, and each
/// that followed was the one of the command before.
#[tokio::test]
async fn cve_2025_29923_a_slow_set_up_shifts_no_answers() {
    let redis = RedisServer::start().await;
    let proxy = FaultProxy::start(redis.addr()).await;
    let direct = Site::start(&redis).await;
    let mut browsers = numbered(&direct, 4).await;
    let short = Duration::from_millis(150);
    let config = RedisConfig::new(redis.url_at(proxy.port()))
        .connect_timeout(short)
        .command_timeout(short)
        .pool_size(1);
    let site = Site::on(config, |builder| builder.budget(2 * short)).await;
    // The answers to the set-up come after it was given up.
    for delay in [2 * short, 3 * short / 2, short] {
        proxy.set(Mode::Delay(delay));
        for browser in &browsers {
            let reply = browser.on(site.addr()).await.get("/get:own,user").await;
            assert!([200, 503].contains(&reply.status.as_u16()), "{reply:?}");
        }
        proxy.set(Mode::Pass);
        for (number, browser) in browsers.iter().enumerate() {
            let mut browser = browser.on(site.addr()).await;
            let mut said = String::new();
            eventually("an answer", async || {
                let reply = browser.get("/get:own,user").await;
                said = reply.text();
                reply.status == 200
            })
            .await;
            assert_eq!(said, format!("{number},u{number}"));
        }
    }
    each_has_its_own(&mut browsers, "at the end").await;
}

/// bb8 #67: a `get` that was cancelled kept its place in the pool, until there was none left.
#[tokio::test]
async fn bb8_67_a_thousand_requests_that_were_dropped_leave_the_pool_as_it_was() {
    let redis = RedisServer::start().await;
    let proxy = FaultProxy::start(redis.addr()).await;
    let config = patient(&redis.url_at(proxy.port())).pool_size(1);
    let site = Site::on(config, |builder| builder.budget(Duration::from_secs(15))).await;
    // While the first connection is made, and when it is there.
    proxy.set(Mode::BlackHole);
    let cookie = format!("{COOKIE}={}", "A".repeat(43));
    for held in ["no connection", "one that is silent"] {
        for polls in 0..25 {
            let visits = (0..20).map(|_| site.visit("/get:own", &cookie)).collect();
            poll_and_drop(visits, polls % 4).await;
        }
        proxy.set(Mode::Refuse);
        proxy.set(Mode::Pass);
        let mut browser = site.browser().await;
        eventually("a site that serves", async || browser.get("/insert:a:1").await.status == 200)
            .await;
        assert_eq!(browser.get("/get:a").await.expect(200).text(), "1", "{held}");
        proxy.set(Mode::BlackHole);
    }
}

/// OpenAI, 19 October 2023: the Redis that everybody is authenticated with became slow, and all
/// that authenticates waited for it for hours.
#[tokio::test]
async fn openai_october_2023_a_slow_redis_costs_no_request_more_than_its_budget() {
    let redis = RedisServer::start().await;
    let proxy = FaultProxy::start(redis.addr()).await;
    let budget = Duration::from_millis(300);
    // Nothing but the budget is in the way of waiting.
    let config = patient(&redis.url_at(proxy.port()));
    let site = Site::on(config, |builder| builder.budget(budget)).await;
    // Elsewhere, where there is time for it.
    let cookie = signed_in(&Site::start(&redis).await).await.cookie_header();
    proxy.set(Mode::Delay(Duration::from_secs(5)));
    for _ in 0..3 {
        let start = Instant::now();
        let answers = join_all((0..40).map(|_| site.visit("/user", &cookie))).await;
        // One budget, and what a busy machine adds: far from the delay.
        assert!(start.elapsed() < budget + Duration::from_secs(3), "{:?}", start.elapsed());
        for answer in answers {
            assert_eq!(answer.status(), 503);
            assert!(!answer.headers().contains_key("set-cookie"));
        }
        // Who needs no session waits for nothing.
        let start = Instant::now();
        Client::connect(site.addr()).await.get_with("/say:hi", &cookie).await.expect(200);
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    }
    proxy.set(Mode::Refuse);
    proxy.set(Mode::Pass);
    eventually("the return", async || site.visit("/user", &cookie).await.status() == 200).await;
}
