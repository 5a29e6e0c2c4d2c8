//! Failed sign-ins are counted alike by every store, by all instances together, through the death
//! of Redis, and in bounded space.
//!
//! To see these fail: take the advisory lock out of `0002_attempts.sql`, or the `PEXPIRE` out of
//! `attempt.lua`; let a row take nothing over from the one that it displaces; call Redis before the
//! durable store counts; double no wait in one of the stores.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use test_support::{RedisServer, eventually};
use tokio::sync::Barrier;
use tower_redis_session::{
    MemoryStore, RedisSessionLayer,
    limiter::{AttemptError, AttemptLimit, SignInLimiter, SignInLimiterBuilder, ThrottledBy},
};

use crate::stores::Stores;

const CLIENTS: u64 = 64;
const GUESSES: u64 = 10_000;
const HOUR: Duration = Duration::from_secs(3_600);
const PATIENCE: Duration = Duration::from_secs(30);

/// No wait of this ends during a test.
fn lasting(free: u32, max: u32) -> AttemptLimit {
    AttemptLimit::new(free).max(max).first_wait(HOUR).longest_wait(24 * HOUR).recovery(24 * HOUR)
}

/// The defaults, with waits that do not end.
fn limiter(sessions: &RedisSessionLayer) -> SignInLimiter {
    lastingly(sessions.sign_in_limiter()).build().unwrap()
}

fn lastingly(builder: SignInLimiterBuilder) -> SignInLimiterBuilder {
    let builder = builder.pair(lasting(5, 20)).account(lasting(50, 100));
    builder.network(lasting(100, 1_000)).site(lasting(1_000, 10_000)).timeout(PATIENCE)
}

/// One address in each /24.
fn v4(number: u64) -> IpAddr {
    Ipv4Addr::from(0x0b00_0001 + (u32::try_from(number).unwrap() << 8)).into()
}

/// One address in each /48.
fn v6(number: u64) -> IpAddr {
    Ipv6Addr::from((0x2a00_u128 << 112) + (u128::from(number) << 80) + 1).into()
}

/// Whether the attempt was admitted, and failed; else what throttled it.
async fn guess(limiter: &SignInLimiter, account: &str, address: IpAddr) -> Option<ThrottledBy> {
    match limiter.begin(account, address).await {
        Ok(attempt) => {
            attempt.failed();
            None
        }
        Err(AttemptError::Throttled(throttled)) => Some(throttled.by()),
        Err(error) => panic!("{error:?}"),
    }
}

/// How many of the guesses reach the hash.
async fn guessed(limiters: &[SignInLimiter; 2], guesses: u64, from: fn(u64) -> IpAddr) -> u64 {
    let (hashed, all_there) = (Arc::new(AtomicU64::new(0)), Arc::new(Barrier::new(64)));
    let clients = (0..CLIENTS).map(|client| {
        let limiter = limiters[usize::try_from(client % 2).unwrap()].clone();
        let (hashed, all_there) = (Arc::clone(&hashed), Arc::clone(&all_there));
        tokio::spawn(async move {
            let _ = all_there.wait().await;
            for _ in 0..guesses / CLIENTS {
                if guess(&limiter, "alice", from(client)).await.is_none() {
                    hashed.fetch_add(1, Ordering::SeqCst);
                }
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
    hashed.load(Ordering::SeqCst)
}

fn one_network(_: u64) -> IpAddr {
    v4(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_10_000_guesses_by_64_clients_exactly_the_allowed_number_reach_the_hash() {
    for stores in Stores::all().await {
        let instances = stores.two_instances().await;
        let limiters = instances.each_ref().map(limiter);
        let guesses = if stores.are_shared() { GUESSES / 5 } else { GUESSES };
        // An honest user, who signs in from another network in the meantime.
        let (home, honest) = (v4(1_000), limiters[1].clone());
        let honest = tokio::spawn(async move {
            for _ in 0..20 {
                let attempt = honest.begin("alice", home).await.expect("the user is throttled");
                attempt.succeeded().await;
            }
        });
        assert_eq!(guessed(&limiters, guesses, one_network).await, 5, "{}", stores.name);
        honest.await.unwrap();
        // From as many networks as there are clients: 5 are counted already.
        let from_many = guessed(&limiters, guesses, |client| v4(1 + client)).await;
        assert_eq!(from_many, 45, "{}", stores.name);
        // From a network where the account has never signed in it waits; from home it does not.
        let elsewhere = guess(&limiters[0], "alice", v4(999)).await;
        assert_eq!(elsewhere, Some(ThrottledBy::Account), "{}", stores.name);
        limiters[0].begin("alice", home).await.expect(stores.name).succeeded().await;
        assert_eq!(guess(&limiters[0], "bob", v4(999)).await, None, "{}", stores.name);
        println!("{}: 5 of {guesses} from one network, 45 from {CLIENTS}", stores.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_redis_in_front_of_a_database_gives_no_further_guess() {
    for stores in Stores::durable().await {
        let instances = stores.two_instances().await;
        let limiters = instances.each_ref().map(limiter);
        let redis = stores.server().unwrap();
        for _ in 0..3 {
            assert_eq!(guess(&limiters[0], "alice", v4(0)).await, None, "{}", stores.name);
        }
        redis.kill();
        assert_eq!(guessed(&limiters, 640, one_network).await, 2, "{}", stores.name);
        // Empty, as after a loss of its data.
        redis.restart().await;
        assert_eq!(guessed(&limiters, 640, one_network).await, 0, "{}", stores.name);
        limiters[0].begin("alice", v4(1)).await.expect(stores.name).succeeded().await;
    }
}

/// A fixed history: the same numbers each time, of no period that matters.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        (self.0 >> 33) % sides
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_store_decides_as_the_one_in_memory_does() {
    let small = |builder: SignInLimiterBuilder, seed: u64| {
        let builder = builder.pair(lasting(3, 4)).account(lasting(8, 20)).timeout(PATIENCE);
        let builder = builder.network(lasting(20, 22)).site(lasting(60, 62));
        builder.scope(format!("history {seed}")).build().unwrap()
    };
    for stores in Stores::all().await {
        let sessions = stores.instance(|builder| builder).await;
        let mut seen = [0; 3];
        for seed in 1..=4 {
            let (memory, mut dice) = (MemoryStore::new(), Dice(seed));
            for step in 0..300 {
                // New ones each time: they remember no refusal.
                let real = small(sessions.sign_in_limiter(), seed);
                let model = small(SignInLimiter::builder(memory.clone()), seed);
                let account = ["alice", "bob", "carol", "dave"][dice.roll(4) as usize];
                // Six networks of one site, and one of another.
                let address = if dice.roll(4) == 0 { v4(7) } else { beside(v4(2), dice.roll(6)) };
                let history = format!("{}, seed {seed}, step {step}", stores.name);
                let action = dice.roll(12);
                if action == 0 {
                    let pair = (dice.roll(2) == 0).then_some(address);
                    real.forgive(account, pair).await.expect(&history);
                    model.forgive(account, pair).await.unwrap();
                } else if action == 1 {
                    let counted = (real.count(address).await, model.count(address).await);
                    assert_eq!(by(&counted.0), by(&counted.1), "{history}");
                } else {
                    let begun = real.begin(account, address).await;
                    let expected = model.begin(account, address).await;
                    assert_eq!(by(&begun), by(&expected), "{history}");
                    seen[by(&begun).map_or(0, |by| 1 + usize::from(by == ThrottledBy::Network))] +=
                        1;
                    if let (true, Ok(begun), Ok(expected)) = (action < 6, begun, expected) {
                        begun.succeeded().await;
                        expected.succeeded().await;
                    }
                }
            }
        }
        assert!(seen.iter().all(|count| *count > 20), "{seen:?}");
    }
}

/// Another address of the same /24.
fn beside(address: IpAddr, number: u64) -> IpAddr {
    let IpAddr::V4(address) = address else { unreachable!() };
    Ipv4Addr::from(u32::from(address) + u32::try_from(number).unwrap()).into()
}

fn by<T>(result: &Result<T, AttemptError>) -> Option<ThrottledBy> {
    match result {
        Ok(_) => None,
        Err(AttemptError::Throttled(throttled)) => Some(throttled.by()),
        Err(error) => panic!("{error:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waits_double_and_failures_recover_by_the_clock_of_every_store() {
    let millis = Duration::from_millis;
    for stores in Stores::all().await {
        let sessions = stores.instance(|builder| builder).await;
        let builder = sessions.sign_in_limiter().timeout(PATIENCE);
        let doubling =
            AttemptLimit::new(1).max(9).first_wait(millis(100)).longest_wait(millis(300));
        let doubling = builder.pair(doubling.recovery(HOUR)).build().unwrap();
        let started = Instant::now();
        for wait in [0, 100, 300, 600] {
            // One that waited too long is admitted late, and never early.
            admitted(&doubling, stores.name).await;
            let elapsed = started.elapsed();
            assert!(elapsed + millis(2) >= millis(wait), "{}: {elapsed:?} of {wait}", stores.name);
        }
        let builder = sessions.sign_in_limiter().timeout(PATIENCE).scope("recovery");
        let recovering = AttemptLimit::new(2).max(2).first_wait(millis(1)).longest_wait(millis(1));
        let recovering = builder.pair(recovering.recovery(millis(400))).build().unwrap();
        let started = Instant::now();
        for wait in [0, 0, 400, 800] {
            admitted(&recovering, stores.name).await;
            let elapsed = started.elapsed();
            assert!(elapsed + millis(2) >= millis(wait), "{}: {elapsed:?} of {wait}", stores.name);
        }
    }
}

async fn admitted(limiter: &SignInLimiter, store: &str) {
    eventually(store, async || guess(limiter, "alice", v4(0)).await.is_none()).await;
}

/// Those whose name has `ATTEMPT_STORE` in it; a sealed one keeps attempts as any other.
async fn stores() -> impl Iterator<Item = Stores> {
    let wanted = std::env::var("ATTEMPT_STORE").unwrap_or_default();
    let all = Stores::all().await.into_iter();
    all.filter(move |stores| stores.name.contains(&wanted) && !stores.name.contains("sealed"))
}

/// As many as `ATTEMPT_NAMES` says.
fn names() -> u64 {
    std::env::var("ATTEMPT_NAMES").map_or(1_500, |number| number.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_made_up_names_takes_bounded_space_and_forgives_nothing() {
    const ENTRIES: u32 = 512;
    for stores in stores().await {
        let names = if stores.are_shared() { names() / 2 } else { names() };
        let sessions = stores.instance(|builder| builder).await;
        let limiter = lastingly(sessions.sign_in_limiter()).max_entries(ENTRIES).build().unwrap();
        for _ in 0..4 {
            assert_eq!(guess(&limiter, "alice", v4(0)).await, None);
        }
        // Known networks are not displaced.
        limiter.begin("bob", v4(1)).await.unwrap().succeeded().await;
        let started = Instant::now();
        let clients = (0..16).map(|client| {
            let limiter = limiter.clone();
            tokio::spawn(async move {
                for name in (client..names).step_by(16) {
                    // A network of its own for each: no limit by network holds it up.
                    let begun = limiter.begin(&format!("made up {name}"), v6(name)).await;
                    // On a slow disk one may be refused in time.
                    assert!(matches!(begun, Ok(_) | Err(AttemptError::Store(_))), "{begun:?}");
                }
            })
        });
        for client in clients.collect::<Vec<_>>() {
            client.await.unwrap();
        }
        let rows = stores.attempts().await;
        println!("{}: {names} names, {rows} rows, {:?}", stores.name, started.elapsed());
        assert!(rows <= u64::from(ENTRIES) + 1, "{}: {rows} rows", stores.name);
        if let Some(redis) = stores.server() {
            redis.assert_every_key_has_a_ttl().await;
        }
        if let (Some(redis), "redis") = (stores.server(), stores.name) {
            let bytes = memory(redis).await;
            println!("{} bytes a row", bytes / rows);
            assert!(bytes < rows * 100, "{bytes} bytes for {rows} rows");
        }
        let mut admitted = 0;
        for _ in 0..5 {
            admitted += u32::from(guess(&limiter, "alice", v4(0)).await.is_none());
        }
        assert!(admitted <= 1, "{}: {admitted} more guesses", stores.name);
    }
}

/// Two guessed in turn, so that each displaces the rows of the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_that_displace_each_other_in_a_full_bucket_are_limited_all_the_same() {
    for stores in stores().await {
        let sessions = stores.instance(|builder| builder).await;
        let limiter = lastingly(sessions.sign_in_limiter()).max_entries(64).build().unwrap();
        for name in 0..30 {
            for _ in 0..4 {
                let _ = guess(&limiter, &format!("made up {name}"), v6(name)).await;
            }
        }
        let mut admitted = 0;
        for _ in 0..10 {
            for (account, number) in [("alice", 1_000), ("bob", 1_001), ("carol", 1_002)] {
                admitted += u32::from(guess(&limiter, account, v6(number)).await.is_none());
            }
        }
        println!("{}: {admitted} of 30", stores.name);
        assert!(admitted <= 12, "{}: {admitted} of 30 admitted", stores.name);
        assert!(stores.attempts().await <= 64, "{}", stores.name);
    }
}

/// Bytes of all keys of attempts.
async fn memory(redis: &RedisServer) -> u64 {
    let (mut connection, mut bytes) = (redis.connection().await, 0);
    for (key, _) in redis.keys().await.into_iter().filter(|(key, _)| key.contains(":a:")) {
        let usage = redis::cmd("MEMORY").arg("USAGE").arg(&key).arg("SAMPLES").arg(0).to_owned();
        bytes += usage.query_async::<u64>(&mut connection).await.unwrap();
    }
    bytes
}

/// From one network, which most floods come from, hardly a row is stored and hardly a call is made.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_from_one_network_stops_at_its_limit() {
    for stores in stores().await {
        let sessions = stores.instance(|builder| builder).await;
        let limiter = limiter(&sessions);
        let mut admitted = 0;
        for name in 0..20 * 100 {
            let seen = guess(&limiter, &format!("made up {name}"), v4(0)).await;
            admitted += u64::from(seen.is_none());
            assert_eq!(seen.is_some(), name >= 100, "{}: {name}", stores.name);
        }
        // A pair and an account for each, the network and its site.
        assert_eq!((admitted, stores.attempts().await), (100, 202), "{}", stores.name);
    }
}
