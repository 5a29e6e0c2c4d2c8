//! Those who use both instances all the time, and must not notice.

use std::time::{Duration, Instant};

use crate::two_instances::{Instance, TwoInstances, is_dead};
use test_support::{Browser, Gate, Reply, RespProxy, eventually};

/// What a busy machine may add.
pub const SLACK: Duration = Duration::from_millis(1_500);

/// One who stays, and some who sign out while something is broken.
#[derive(Debug)]
pub struct Bystanders {
    pub keeper: Browser,
    pub count: u64,
    pub leavers: Vec<Browser>,
    pub left: Vec<Browser>,
}

impl Bystanders {
    /// All signed in, with copies in Redis.
    pub async fn of(duo: &TwoInstances, leavers: usize) -> Self {
        let keeper = duo.signed_in().await;
        let mut bystanders = Self { keeper, count: 1, leavers: Vec::new(), left: Vec::new() };
        for _ in 0..leavers {
            bystanders.leavers.push(duo.signed_in().await);
        }
        bystanders
    }

    /// All that a site does, with everything acknowledged, seen at once by the instance that
    /// acknowledged it, and by the other within a lease.
    pub async fn live_on(&mut self, duo: &TwoInstances, what: &str) {
        self.read(duo, what).await;
        let reply = self.keeper.get("/update:n").await;
        self.count += 1;
        assert_eq!(reply.status, 200, "{what}: a save: {reply:?}");
        let own = self.keeper.get("/get:n").await.expect(200).text();
        assert_eq!(own, self.count.to_string(), "{what}: one's own save");
        let start = Instant::now();
        while read_n(&duo.b, &self.keeper).await != self.count.to_string() {
            assert!(start.elapsed() < duo.lease() + SLACK, "{what}: a save, at the other");
        }
        let mut leaver = self.leavers.pop().expect("somebody left to leave");
        let before = leaver.tab().await;
        let reply = leaver.get("/logout").await;
        assert_eq!(reply.status, 200, "{what}: a logout: {reply:?}");
        assert!(is_dead(&duo.a, &before).await, "{what}: one's own logout");
        dies_soon(&duo.b, &before, duo.lease(), what).await;
        self.left.push(before);
        let mut newcomer = duo.b.browser().await;
        newcomer.get("/login:bob,update:n").await.expect(200);
        assert_eq!(newcomer.get("/user,get:n").await.expect(200).text(), "bob,1", "{what}");
        assert_eq!(read_n(&duo.a, &newcomer).await, "1", "{what}: a new session, at the other");
        self.leavers.insert(0, duo.a.with_cookies_of(&newcomer).await);
        // Until then the other may see the old state, also after it has seen the new one.
        tokio::time::sleep(duo.lease()).await;
    }

    /// Nobody is signed out, nothing is older than it was, and who left has left.
    pub async fn read(&mut self, duo: &TwoInstances, what: &str) {
        for instance in [&duo.a, &duo.b] {
            let n = read_n(instance, &self.keeper).await;
            assert_eq!(n, self.count.to_string(), "{what}: the one who stays");
            for left in &self.left {
                assert!(is_dead(instance, left).await, "{what}: one who left is back");
            }
        }
    }

    /// After the end of what was broken: everything as it was, by way of Redis.
    pub async fn are_well(&mut self, duo: &TwoInstances, what: &str) {
        duo.both_believe().await;
        self.live_on(duo, what).await;
        duo.journal_is_empty().await;
        self.read(duo, what).await;
        duo.is_at_rest().await;
        for instance in [&duo.a, &duo.b] {
            let status = instance.status().await;
            assert_eq!(status.serving, "redis", "{what}: {status:?}");
            assert!(status.redis && status.database && status.believed, "{what}: {status:?}");
        }
    }
}

/// What `n` is at that instance, by a new request.
pub async fn read_n(instance: &Instance, browser: &Browser) -> String {
    let reply = instance.with_cookies_of(browser).await.get("/get:n").await;
    assert_eq!(reply.status, 200, "a read that no store serves: {reply:?}");
    reply.text()
}

pub async fn dies_soon(instance: &Instance, browser: &Browser, limit: Duration, what: &str) {
    let start = Instant::now();
    while !is_dead(instance, browser).await {
        let took = start.elapsed();
        assert!(took < limit + SLACK, "{what}: still alive after {took:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Waits until the instance says that it is served so, while somebody reads.
pub async fn is_served_by(instance: &Instance, serving: &str, reader: &Browser) {
    eventually(&format!("served by {serving}"), async || {
        let _ = instance.with_cookies_of(reader).await.get("/get:n").await;
        instance.status().await.serving == serving
    })
    .await;
}

/// Those of the lines that tell of a store going away or coming back, with their levels.
pub fn turns(logs: &[String], store: &str) -> Vec<String> {
    let (away, back) = (format!("{store} unavailable:"), format!("{store} available"));
    let is_turn = |line: &&String| line.contains(&away) || line.contains(&back);
    let level = |line: &String| line.split(' ').next().unwrap_or_default().to_owned();
    logs.iter().filter(is_turn).map(level).collect()
}

/// Ends all connections that go that way, and lets new ones pass.
pub async fn cut(proxy: &RespProxy) {
    let before = proxy.connections();
    proxy.set(Gate::Reset);
    eventually("somebody connects anew", async || proxy.connections() > before).await;
    proxy.set(Gate::Pass);
}

#[track_caller]
pub fn assert_refused(reply: &Reply, what: &str) {
    assert_eq!(reply.status, 503, "{what}: {reply:?}");
    assert!(!reply.all("retry-after").is_empty(), "{what}: {reply:?}");
    assert!(reply.set_cookies().is_empty(), "{what}: {reply:?}");
}
