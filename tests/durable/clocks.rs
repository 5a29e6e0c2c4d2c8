//! Instances whose clocks are minutes or hours off, ahead or behind, from the start or by a step.

use std::time::Duration;

use crate::two_instances::{Instance, Settings, TwoInstances, migrate};
use test_support::{Browser, PostgresServer, RedisServer, eventually};

const HOUR: i64 = 3_600_000;

fn soon_idle(settings: &mut Settings) {
    settings.idle = 60;
}

/// Whoever signed in at one of both is signed in at each, before and after they are used.
async fn nobody_is_lost(right: &Instance, wrong: &Instance, before: &[Browser], name: &str) {
    let mut all: Vec<_> = Vec::new();
    for browser in before {
        // The first that it is asked at all.
        let reply = wrong.with_cookies_of(browser).await.get("/user").await.expect(200);
        assert!(reply.text() == "alice" && reply.set_cookies().is_empty(), "{name}: {reply:?}");
        all.push(right.with_cookies_of(browser).await);
    }
    for instance in [wrong, right] {
        let mut newcomer = instance.browser().await;
        let mut reply = newcomer.get("/login:alice,update:n").await;
        if reply.status == 503 && instance.settings.clock.is_some() {
            // The first write of all, dated by a clock that nobody had looked at.
            reply = newcomer.get("/login:alice,update:n").await;
        }
        reply.expect(200);
        all.push(newcomer);
    }
    for round in 0..3 {
        for (number, browser) in all.iter().enumerate() {
            for (at, instance) in [("wrong", wrong), ("right", right)] {
                let mut tab = instance.with_cookies_of(browser).await;
                let reply = tab.get("/user,update:n").await;
                assert_eq!(reply.status, 200, "{name}: {number} at {at}, {round}: {reply:?}");
                let said = reply.text();
                assert!(said.starts_with("alice,"), "{name}: {number} at {at}, {round}: {said}");
                assert!(reply.set_cookies().is_empty(), "{name}: {number} at {at}: {reply:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_whose_clock_steps_loses_no_session_and_tells() {
    let duo = TwoInstances::with(soon_idle).await;
    let before = [duo.signed_in().await, duo.signed_in().await];
    assert_eq!(duo.a.check().await, "");
    for (name, millis) in [
        ("two hours ahead", 2 * HOUR),
        ("two hours behind", -2 * HOUR),
        ("five minutes ahead", HOUR / 12),
        ("five minutes behind", -HOUR / 12),
    ] {
        let _ = duo.a.logs().await;
        duo.a.shift_clock(millis).await;
        nobody_is_lost(&duo.b, &duo.a, &before, name).await;
        eventually("it tells", async || {
            duo.a
                .status()
                .await
                .clock_ahead
                .iter()
                .all(|ahead| ahead.is_some_and(|ahead| (ahead + millis).abs() < 1_500))
        })
        .await;
        let mut warnings = Vec::new();
        eventually("both are warned of", async || {
            let logs = duo.a.logs().await;
            warnings.extend(logs.into_iter().filter(|line| line.contains("clock differs")));
            warnings.len() >= 2
        })
        .await;
        // Several polls more.
        tokio::time::sleep(Duration::from_millis(600)).await;
        warnings
            .extend(duo.a.logs().await.into_iter().filter(|line| line.contains("clock differs")));
        assert_eq!(warnings.len(), 2, "{name}: once for each store: {warnings:?}");
        let check = duo.a.check().await;
        assert!(check.starts_with("Misconfigured: the clock of this process is"), "{check}");
        duo.a.shift_clock(0).await;
        eventually("it is right again", async || {
            let logs = duo.a.logs().await;
            logs.iter().any(|line| line.contains("clock agrees"))
        })
        .await;
        assert_eq!(duo.a.check().await, "", "{name}");
    }
    nobody_is_lost(&duo.b, &duo.a, &before, "right again").await;
    duo.is_at_rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_difference_of_seconds_is_told_and_passes_the_check() {
    let duo = TwoInstances::with(soon_idle).await;
    let _ = duo.signed_in().await;
    duo.a.shift_clock(6_000).await;
    eventually("it tells", async || {
        duo.a.logs().await.iter().any(|line| line.contains("clock differs"))
    })
    .await;
    assert_eq!(duo.a.check().await, "");
}

/// By the library that Debian has for it, which knows nothing of this crate.
#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_starts_with_a_wrong_clock_loses_no_session() {
    for clock in ["+2h", "-2h", "+10m"] {
        let mut duo = TwoInstances::with(soon_idle).await;
        let before = [duo.signed_in().await];
        duo.a.die();
        duo.a.settings.clock = Some(clock.to_owned());
        duo.a.start_again();
        nobody_is_lost(&duo.b, &duo.a, &before, clock).await;
        let check = duo.a.check().await;
        assert!(check.starts_with("Misconfigured: the clock of this process is"), "{check}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_on_redis_alone_that_starts_with_a_wrong_clock_loses_no_session() {
    let redis = RedisServer::start().await;
    one_store_and_a_wrong_clock(Settings::new(redis.url(), String::new())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_on_postgresql_alone_that_starts_with_a_wrong_clock_loses_no_session() {
    let database = PostgresServer::shared().await.database().await;
    migrate(&database.url()).await;
    one_store_and_a_wrong_clock(Settings::new(String::new(), database.url())).await;
}

async fn one_store_and_a_wrong_clock(mut settings: Settings) {
    soon_idle(&mut settings);
    let right = Instance::start(&settings);
    let mut alice = right.browser().await;
    alice.get("/login:alice,update:n").await.expect(200);
    assert_eq!(right.check().await, "");
    for clock in ["+2h", "-2h"] {
        let wrong =
            Instance::start(&Settings { clock: Some(clock.to_owned()), ..settings.clone() });
        let before = [right.with_cookies_of(&alice).await];
        nobody_is_lost(&right, &wrong, &before, clock).await;
        let check = wrong.check().await;
        assert!(check.starts_with("Misconfigured: the clock of this process is"), "{check}");
    }
}
