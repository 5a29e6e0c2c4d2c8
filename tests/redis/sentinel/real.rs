//! Real sentinels: failovers, credentials and TLS of their own, outages.

use std::cell::Cell;
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, future::join_all};
use http_body_util::BodyExt as _;
use test_support::{
    Authority, DURABLE, PASSWORD, Sentinels, Site, eventually, patient, signed_in, who,
};
use tokio::time::sleep;
use tower_redis_session::{RedisConfig, RedisStore, store::Store as _};

use super::{clients, cut, id, primary_of};

fn config(sentinels: &Sentinels) -> RedisConfig {
    let addresses = sentinels.addrs();
    RedisConfig::sentinel("main", addresses.iter().map(|address| format!("redis://{address}")))
        .username(DURABLE)
        .password(PASSWORD)
}

/// When a sentinel first announces a switch from now on.
pub(super) async fn announcement(sentinels: &Sentinels) -> impl Future<Output = Instant> + use<> {
    let mut streams = Vec::new();
    for address in sentinels.addrs() {
        let client = redis::Client::open(format!("redis://{address}")).unwrap();
        let mut subscriber = client.get_async_pubsub().await.unwrap();
        subscriber.subscribe("+switch-master").await.unwrap();
        streams.push(subscriber.into_on_message());
    }
    let mut announced = futures_util::stream::select_all(streams);
    async move {
        announced.next().await.expect("an announcement");
        Instant::now()
    }
}

/// Schedule 22: 500 new sessions a second, and a planned failover, after which the old primary goes
/// on to accept writes for 10 s.
#[tokio::test]
async fn after_a_planned_failover_no_write_goes_to_the_old_primary() {
    const WRITERS: u32 = 8;
    const LEAVES: Duration = Duration::from_secs(1);
    const LATE: u32 = 200;
    let sentinels = Sentinels::start().await;
    let site = Site::on(config(&sentinels), |builder| builder).await;
    signed_in(&site).await;
    let (has_left, late, stopped) = (Cell::new(false), Cell::new(0), Cell::new(false));
    let write = async || {
        let mut acknowledged = Vec::new();
        while !stopped.get() {
            let (response, ()) = tokio::join!(
                site.visit("/insert:a:1", ""),
                sleep(Duration::from_millis(1_000 / 500) * WRITERS),
            );
            let at = Instant::now();
            assert!([200, 503].contains(&response.status().as_u16()), "{response:?}");
            if response.status() == 200 {
                late.set(late.get() + u32::from(has_left.get()));
                let cookie = response.headers()["set-cookie"].to_str().unwrap();
                acknowledged.push((at, cookie.split(';').next().unwrap().to_owned()));
            }
        }
        acknowledged
    };
    let fail_over = async {
        let announced = announcement(&sentinels).await;
        let (new, switched) = tokio::join!(sentinels.fail_over(), announced);
        sleep((switched + LEAVES).saturating_duration_since(Instant::now())).await;
        has_left.set(true);
        eventually("writes after the switch", async || late.get() >= LATE).await;
        stopped.set(true);
        (new, switched)
    };
    let (acknowledged, (new, switched)) =
        tokio::join!(join_all((0..WRITERS).map(|_| write())), fail_over);
    // What the new primary has, by itself.
    let there = Site::on(patient(&sentinels.server(new).url()), |builder| builder).await;
    let mut all = Vec::new();
    for (at, cookie) in acknowledged.into_iter().flatten() {
        let found = there.visit("/get:a", &cookie).await.into_body().collect().await.unwrap();
        all.push((at, found.to_bytes() == "1"));
    }
    let late: Vec<_> = all.iter().filter(|(at, _)| *at > switched + LEAVES).collect();
    let lost = all.iter().filter(|(_, is_kept)| !is_kept);
    let last = lost.clone().map(|(at, _)| at.saturating_duration_since(switched)).max();
    println!(
        "planned failover: of {} acknowledged writes {} were lost, the last {last:?} after it",
        all.len(),
        lost.count(),
    );
    let to_the_old = late.iter().filter(|(_, is_kept)| !is_kept).count();
    assert_eq!(to_the_old, 0, "of {} writes after the switch", late.len());
    let health = site.layer.admin().health().redis.unwrap();
    assert_eq!(health.primary, Some(sentinels.server(new).addr().to_string()));
}

/// A primary that is killed: its replica serves without a restart of the service.
#[tokio::test]
async fn sessions_go_on_at_the_replica_of_a_primary_that_was_killed() {
    let served = |version: Option<&'static str>| async move {
        let builder = Sentinels::builder();
        let builder = version.map_or(builder, |version| Sentinels::builder().version(version));
        let sentinels = builder.start().await;
        let site = Site::on(config(&sentinels), |builder| builder).await;
        let alice = signed_in(&site).await;
        let token = test_support::token(&alice);
        sentinels.server(1).has_all_of(sentinels.server(0)).await;
        let announced = tokio::spawn(announcement(&sentinels).await);
        sentinels.server(0).kill();
        let start = Instant::now();
        let cookies = alice.cookie_header();
        let (mut refused, mut untouched) = (0, 0);
        loop {
            // One that does not use its session notices nothing.
            assert_eq!(site.visit("/say:hello", &cookies).await.status(), 200);
            untouched += 1;
            match site.visit("/update:n", &cookies).await.status().as_u16() {
                200 => break,
                503 => refused += 1,
                other => panic!("{other}"),
            }
            // An election without a majority is repeated after four seconds.
            assert!(start.elapsed() < Duration::from_secs(20), "{version:?}: no failover");
            sleep(Duration::from_millis(20)).await;
        }
        let took = start.elapsed();
        let of_it = announced.await.unwrap().elapsed();
        println!(
            "{}: {took:.1?} without service after SIGKILL, {of_it:.1?} of it after the switch, \
             {refused} requests refused, {untouched} untouched served",
            version.unwrap_or("redis"),
        );
        assert_eq!(who(&site, &token).await, "alice,tea", "{version:?}");
        let health = site.layer.admin().health().redis.unwrap();
        assert_eq!(health.primary, Some(sentinels.server(1).addr().to_string()), "{version:?}");
        assert!(health.switched_ago.is_some(), "{version:?}");
        of_it
    };
    let versions = [None, Some("redis-6.2"), Some("valkey-8.1"), Some("valkey-9.1")];
    for after_the_switch in join_all(versions.map(served)).await {
        assert!(after_the_switch < Duration::from_secs(2), "{after_the_switch:?}");
    }
}

/// The documented user of sentinels has the name of the servers' user; here another one, whose
/// refusals no server's check counts.
const USER: &str = "watcher";

/// The words behind it.
fn documented(password: &str) -> String {
    let security = concat!(env!("CARGO_MANIFEST_DIR"), "/SECURITY.md");
    let security = std::fs::read_to_string(security).unwrap();
    let (_, line) = security.split_once("\nuser sessions ").expect("the line of sentinel.conf");
    let line = line.split("```").next().unwrap().replace(">PASSWORD", &format!(">{password}"));
    format!("{USER} {}", line.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Schedule 23.
#[tokio::test]
async fn sentinels_have_users_and_certificates_of_their_own_and_may_be_down() {
    const THEIRS: &str = "the-sentinels-password";
    test_support::leak_monitor::secret(THEIRS);
    let authority = Authority::new();
    let sentinels = Sentinels::builder()
        .tls(&authority.issue("localhost", 2999), &authority)
        .requirepass("of-the-default-user")
        .arg("--user", &documented(THEIRS))
        .start()
        .await;
    let urls: Vec<_> = sentinels
        .tls_addrs()
        .iter()
        .map(|address| format!("rediss://localhost:{}", address.port()))
        .collect();
    let config = || {
        let config = RedisConfig::sentinel("main", urls.clone()).username(DURABLE);
        config.password(PASSWORD).connect_timeout(Duration::from_secs(4)).pool_size(1)
    };
    let good = || {
        let config = config().sentinel_username(USER).sentinel_password(THEIRS);
        config.sentinel_ca_pem(authority.pem())
    };
    // Each fault is named, by the side that has it.
    sentinels.server(0).is_tampered_with();
    for (name, config, words) in [
        ("no password", config().sentinel_ca_pem(authority.pem()), "sentinel requires a password"),
        (
            "the servers' password",
            good().sentinel_password(PASSWORD),
            "the sentinel rejects the user name or password",
        ),
        (
            "another authority",
            good().sentinel_ca_pem(Authority::new().pem()),
            "sentinel server's certificate is not trusted",
        ),
        ("the server's password", good().password(THEIRS), "redis rejects the user name"),
    ] {
        let error = RedisStore::new(config).unwrap().check().await.expect_err(name);
        assert!(error.to_string().contains(words), "{name}: {error}");
    }
    let store = RedisStore::new(good()).unwrap();
    store.check().await.unwrap();
    sentinels.sentinel(0).kill();
    // The watch works by these rights: it subscribes, and its user was refused nothing.
    let new = sentinels.kill_primary().await;
    let start = Instant::now();
    eventually("the other primary", async || store.load(&id()).await.is_ok()).await;
    println!("under the documented rights: served {:.1?} after the switch", start.elapsed());
    assert_eq!(primary_of(&store), sentinels.server(new).addr().to_string());
    for number in [1, 2] {
        let mut connection = sentinels.sentinel(number).connection().await;
        let mut log = redis::cmd("ACL");
        log.arg("LOG");
        let refusals: Vec<redis::Value> = log.query_async(&mut connection).await.unwrap();
        let refusals = format!("{refusals:?}");
        for reason in ["command", "channel"] {
            assert!(!refusals.contains(&format!("\"{reason}\"")), "{refusals}");
        }
    }
    // One sentinel is down, another one hangs, and the third is enough.
    sentinels.sentinel(1).hang();
    RedisStore::new(good()).unwrap().load(&id()).await.unwrap();
    // All are down: what is open goes on, and what breaks is opened again.
    sentinels.sentinel(1).kill();
    sentinels.sentinel(2).kill();
    let server = sentinels.server(new);
    let before = clients(server).await;
    store.load(&id()).await.unwrap();
    assert_eq!(clients(server).await, before);
    cut(server).await;
    eventually("another connection", async || store.load(&id()).await.is_ok()).await;
}
