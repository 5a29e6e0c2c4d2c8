//! Ends of sessions that a replica confirms, over a switch to another primary: what was
//! acknowledged stays ended.
//!
//! To see these fail: confirm nothing; give the connections for ends a connector of their own.

use std::{
    cell::{Cell, RefCell},
    time::Duration,
};

use futures_util::{StreamExt as _, future::join_all, stream::FuturesUnordered};
use http_body_util::BodyExt as _;
use test_support::{
    Browser, CONFIRMED, COOKIE, PASSWORD, RedisServer, Sentinels, Site, copying, eventually,
    patient,
};
use tokio::time::MissedTickBehavior;
use tower_redis_session::RedisConfig;

use super::{
    address, by,
    scripted::{Scripted, primary},
};
use crate::confirmed::{acknowledges, confirming};

async fn waits(server: &RedisServer) -> u64 {
    server.command_counts().await.get("wait").copied().unwrap_or(0)
}

async fn log_in(site: &Site) -> Browser {
    let mut browser = site.browser().await;
    browser.get("/login:alice").await.expect(200);
    browser
}

#[tokio::test]
async fn connections_for_ends_have_no_watch_of_their_own_and_leave_a_primary_with_the_others() {
    let (old, new) = (copying().start().await, copying().start().await);
    let _replicas = (confirming(&old).await, confirming(&new).await);
    let sentinels =
        [Scripted::start(primary(&old, 3)).await, Scripted::start(primary(&old, 3)).await];
    let site = Site::on(by(&[&sentinels[0], &sentinels[1]]).username(CONFIRMED), |builder| {
        builder.budget(Duration::from_secs(15))
    })
    .await;
    for server in [&old, &new] {
        server.reset_stats().await;
    }
    log_in(&site).await.get("/logout").await.expect(200);
    assert_eq!(waits(&old).await, 1);
    // Each watch has a connection to each sentinel by then.
    sentinels[0].is_asked(2).await;
    sentinels[1].is_asked(2).await;
    let open = || sentinels.iter().map(Scripted::connections).sum::<usize>();
    eventually("one watch: a connection to each, and a subscription", async || open() == 3).await;

    let mut alice = log_in(&site).await;
    alice.get("/user").await.expect(200);
    for sentinel in &sentinels {
        sentinel.says(primary(&new, 4));
        sentinel.announce();
    }
    eventually("the switch", async || {
        site.layer.admin().health().redis.unwrap().primary == Some(address(&new))
    })
    .await;
    log_in(&site).await.get("/logout").await.expect(200);
    assert_eq!((waits(&old).await, waits(&new).await), (1, 1));
}

/// Logouts in flight, and those that were acknowledged.
#[derive(Default)]
struct LogOuts<'a> {
    has_switched: Cell<bool>,
    is_over: Cell<bool>,
    before: RefCell<Vec<&'a str>>,
    after: RefCell<Vec<&'a str>>,
}

impl<'a> LogOuts<'a> {
    /// Sends at most 500 a second. Some sessions are kept for the time after the switch, however
    /// long that takes.
    async fn send(&self, site: &Site, cookies: &'a [String]) {
        const KEPT: usize = 700;
        let mut turns = tokio::time::interval(Duration::from_millis(1_000 / 500));
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut cookies, mut in_flight) = (cookies.iter(), FuturesUnordered::new());
        loop {
            tokio::select! {
                _ = turns.tick(), if !self.is_over.get() => {
                    if !self.has_switched.get() && cookies.len() <= KEPT {
                        continue;
                    }
                    let Some(cookie) = cookies.next() else {
                        self.is_over.set(true);
                        continue;
                    };
                    let reply = site.visit("/logout", cookie);
                    in_flight.push(async move { (cookie, reply.await.status().as_u16()) });
                }
                Some((cookie, status)) = in_flight.next() => {
                    assert!([200, 503].contains(&status), "{status}");
                    if status == 200 {
                        let at = if self.has_switched.get() { &self.after } else { &self.before };
                        at.borrow_mut().push(cookie);
                    }
                }
                else => return,
            }
        }
    }
}

/// The cookies of so many new sessions.
async fn sessions(site: &Site, count: usize) -> Vec<String> {
    let log_in = async |number| {
        let reply = site.visit(&format!("/login:user{number}"), "").await;
        let cookies = reply.headers().get_all("set-cookie").into_iter();
        let mut cookies = cookies.map(|cookie| cookie.to_str().unwrap());
        let cookie = cookies.find(|cookie| cookie.starts_with(COOKIE)).expect("a session");
        cookie.split(';').next().unwrap().to_owned()
    };
    let mut cookies = Vec::new();
    for numbers in (0..count).collect::<Vec<_>>().chunks(64) {
        cookies.extend(join_all(numbers.iter().map(log_in)).await);
    }
    cookies
}

async fn patient_site(server: &RedisServer) -> Site {
    let long = Duration::from_secs(15);
    Site::on(patient(&server.url()), |builder| builder.budget(long)).await
}

/// Logouts before, during and after the switch that `replace` brings about.
async fn none_is_undone(name: &str, replace: impl AsyncFnOnce(&Sentinels) -> usize) {
    const EACH: usize = 250;
    let sentinels = Sentinels::start().await;
    let addresses = sentinels.addrs();
    let urls = addresses.iter().map(|address| format!("redis://{address}"));
    let config = RedisConfig::sentinel("main", urls).username(CONFIRMED).password(PASSWORD);
    let long = Duration::from_secs(15);
    let patient = config.clone().connect_timeout(long).command_timeout(long);
    let all = sessions(&Site::on(patient, |builder| builder.budget(long)).await, 1_800).await;
    // Where the machine is busy, a replica may have taken over in the meantime.
    let server = sentinels.server(sentinels.primary().await);
    acknowledges(server).await;
    let site = Site::on(config, |builder| builder).await;
    server.reset_stats().await;
    let log_outs = LogOuts::default();
    let switch = async {
        eventually("logouts before", async || log_outs.before.borrow().len() >= EACH).await;
        assert!(waits(server).await > 0, "ends are confirmed");
        let new = replace(&sentinels).await;
        log_outs.has_switched.set(true);
        eventually("logouts after", async || log_outs.after.borrow().len() >= EACH).await;
        log_outs.is_over.set(true);
        new
    };
    let ((), new) = tokio::join!(log_outs.send(&site, &all), switch);
    // What the new primary has, by itself.
    let there = patient_site(sentinels.server(new)).await;
    let (before, after) = (log_outs.before.take(), log_outs.after.take());
    let mut undone = 0;
    for cookie in before.iter().chain(&after) {
        let user = there.visit("/user", cookie).await.into_body().collect().await.unwrap();
        undone += usize::from(user.to_bytes() != "-");
    }
    let (before, after) = (before.len(), after.len());
    println!(
        "{name}: {before} logouts acknowledged before the switch, {after} after, {undone} undone"
    );
    assert_eq!(undone, 0);
}

/// Schedule 22.
#[tokio::test]
async fn no_logout_that_was_acknowledged_is_undone_by_a_planned_failover() {
    none_is_undone("planned failover", async |sentinels| sentinels.fail_over().await).await;
}

#[tokio::test]
async fn no_logout_that_was_acknowledged_is_undone_when_the_primary_is_killed() {
    none_is_undone("SIGKILL", async |sentinels| sentinels.kill_primary().await).await;
}
