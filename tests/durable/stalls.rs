//! A store that stands still for a while, with a database that is far away, under load: all is as
//! it was within two leases of the end.
//!
//! `STALLS=all` goes through the whole table and prints it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::{
    faults::bystanders::turns,
    two_instances::{Instance, Settings, migrate},
};
use test_support::{Browser, FaultProxy, Mode, PostgresServer, RedisServer, bounded, eventually};

/// By how many sessions, and how often a second they read together.
#[derive(Clone, Copy)]
struct Readers {
    sessions: u32,
    reads: u32,
}

const SOME: Readers = Readers { sessions: 40, reads: 150 };
/// More than a database that is far away has connections for.
const MANY: Readers = Readers { sessions: 150, reads: 300 };

#[derive(Clone, Copy, Debug)]
enum Stalled {
    Redis,
    Database,
}

struct Row {
    recovered: Duration,
    refused: u64,
    lasting: u64,
}

/// An instance with the two stores, each behind a proxy.
struct Site {
    _redis: RedisServer,
    front: FaultProxy,
    near: FaultProxy,
    instance: Instance,
}

impl Site {
    /// With the times that they have by default, but for what is changed.
    async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let redis = RedisServer::start().await;
        let postgres = PostgresServer::shared().await;
        let database = postgres.database().await;
        let near = FaultProxy::start(postgres.addr()).await;
        let front = FaultProxy::start(redis.addr()).await;
        migrate(&database.url()).await;
        let url = redis.durable_url_at(front.port());
        let mut settings = Settings::new(url, database.url_through(near.port()));
        (settings.poll_interval, settings.poll_timeout, settings.lease) = (1_000, 500, 2_000);
        (settings.redis_timeout, settings.database_timeout, settings.budget) = (250, 2_000, 2_500);
        change(&mut settings);
        Self { _redis: redis, front, near, instance: Instance::start(&settings) }
    }

    async fn signed_in(&self, count: u32) -> Vec<Browser> {
        let mut browsers = Vec::new();
        for _ in 0..count {
            let mut browser = self.instance.browser().await;
            browser.get("/login:alice,update:n").await.expect(200);
            browser.get("/get:n").await.expect(200);
            browsers.push(browser);
        }
        self.instance.believes().await;
        browsers
    }
}

async fn stall(which: Stalled, away: u64, stall: Duration, readers: Readers) -> Row {
    let site = Site::with(|_| {}).await;
    let browsers = site.signed_in(readers.sessions).await;
    let Site { front, near, instance, .. } = &site;
    near.set(Mode::Delay(Duration::from_millis(away)));
    let load = Load::start(browsers, readers.reads);
    tokio::time::sleep(Duration::from_secs(2)).await;
    load.refused.store(0, Ordering::SeqCst);
    match which {
        Stalled::Redis => front.set(Mode::BlackHole),
        Stalled::Database => near.set(Mode::BlackHole),
    }
    tokio::time::sleep(stall).await;
    front.set(Mode::Pass);
    near.set(Mode::Delay(Duration::from_millis(away)));
    let start = Instant::now();
    let patience = Duration::from_secs(20);
    let recovered = loop {
        let status = instance.status().await;
        if status.believed && status.redis && status.database || start.elapsed() > patience {
            break start.elapsed();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    // Those that were under way have ended.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let refused = load.refused.swap(0, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let lasting = load.refused.load(Ordering::SeqCst);
    load.end().await;
    Row { recovered, refused, lasting }
}

struct Load {
    refused: Arc<AtomicU64>,
    ended: Arc<AtomicBool>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    /// Each reads in turn, so many a second together if they are answered at once.
    fn start(browsers: Vec<Browser>, reads: u32) -> Self {
        let (refused, ended) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let pause = Duration::from_secs(1) * u32::try_from(browsers.len()).unwrap() / reads;
        let read = |mut browser: Browser| {
            let (refused, ended) = (Arc::clone(&refused), Arc::clone(&ended));
            tokio::spawn(async move {
                while !ended.load(Ordering::SeqCst) {
                    if browser.get("/get:n").await.status != 200 {
                        let _ = refused.fetch_add(1, Ordering::SeqCst);
                    }
                    tokio::time::sleep(pause).await;
                }
            })
        };
        let tasks = browsers.into_iter().map(read).collect();
        Self { refused, ended, tasks }
    }

    async fn end(self) {
        self.ended.store(true, Ordering::SeqCst);
        for task in self.tasks {
            bounded("the end of a reader", task).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_stall_all_is_as_it_was_within_two_leases() {
    let all = std::env::var("STALLS").is_ok_and(|value| value == "all");
    let few = [(Stalled::Redis, 100, 1_500, MANY), (Stalled::Database, 20, 500, SOME)];
    let each = [0, 20, 60, 100].into_iter().flat_map(|away| {
        [500, 1_500, 5_000].into_iter().flat_map(move |stall| {
            [(Stalled::Redis, away, stall, SOME), (Stalled::Database, away, stall, SOME)]
        })
    });
    let rows: Vec<_> = if all { each.collect() } else { few.into() };
    for (which, away, millis, readers) in rows {
        let row = stall(which, away, Duration::from_millis(millis), readers).await;
        let Row { recovered, refused, lasting } = row;
        println!(
            "| {which:?} | {away} ms | {millis} ms | {recovered:.1?} | {refused} | {lasting} |"
        );
        // Two leases, and what a busy machine may add.
        assert!(all || recovered < Duration::from_secs(6), "{which:?}, {away}: {recovered:?}");
        assert_eq!(lasting, 0, "{which:?}, {away} ms, {millis} ms");
    }
}

/// Redis is away, and the database is asked for more than it has time for: who waits in vain is told
/// so, and nobody says that the database is away, which answers others all the time.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_asked_for_too_much_is_not_away() {
    let site = Site::with(|settings| settings.database_timeout = 600).await;
    // Twice as many as it has time for: 160 that wait for one of 80 a second wait for 2 s.
    let browsers = site.signed_in(160).await;
    let before = site.instance.logs().await;
    assert_eq!(turns(&before, "database"), [""; 0]);
    // Eight connections answer eighty a second.
    site.near.set(Mode::Delay(Duration::from_millis(100)));
    let load = Load::start(browsers, 300);
    site.front.set(Mode::BlackHole);
    // Far more than it takes to call it away.
    eventually("many have waited in vain", async || load.refused.load(Ordering::SeqCst) > 200)
        .await;
    let status = site.instance.status().await;
    let refused = load.refused.load(Ordering::SeqCst);
    load.end().await;
    assert_eq!(turns(&site.instance.logs().await, "database"), [""; 0], "{refused} refused");
    assert!(status.database && !status.redis, "{status:?}");
}
