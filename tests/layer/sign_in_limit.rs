//! The limit on guessing passwords, on a store in memory with a clock of the test.
//!
//! To see these fail: let `succeed` delete the account's row; let `recovered` start from `since` and
//! not from the end of the last recovery; let a known network pass the wait of its network; let the
//! layer admit a request without an address.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use http::{Request, Response};
use test_support::faulty_store::{FaultyStore, Op};
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_redis_session::{
    Error, MemoryStore,
    clock::ManualClock,
    layer::{DeviceConfig, PeerAddress},
    limiter::{
        AttemptError, AttemptLimit, NetworkLimitLayer, SignInLimiter, SignInLimiterBuilder,
        Throttled, ThrottledBy,
    },
    store::{Store as _, WithoutUsers},
    telemetry::Event,
};

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// One address in each /24.
fn network(number: u32) -> IpAddr {
    std::net::Ipv4Addr::from(0x0b00_0001 + (number << 8)).into()
}

fn limiter() -> (ManualClock, SignInLimiter) {
    let clock = ManualClock::new();
    let store = MemoryStore::with_clock(clock.clock());
    (clock, SignInLimiter::builder(store).build().unwrap())
}

async fn throttled(limiter: &SignInLimiter, account: &str, address: IpAddr) -> Option<Throttled> {
    match limiter.begin(account, address).await {
        Ok(attempt) => {
            attempt.failed();
            None
        }
        Err(AttemptError::Throttled(throttled)) => Some(throttled),
        Err(error) => panic!("{error:?}"),
    }
}

async fn fail(limiter: &SignInLimiter, account: &str, address: IpAddr, times: u32) {
    for time in 0..times {
        assert_eq!(throttled(limiter, account, address).await, None, "failure {time}");
    }
}

#[tokio::test]
async fn after_five_failures_the_wait_doubles_and_a_success_ends_it() {
    let (clock, limiter) = limiter();
    let home = network(1);
    fail(&limiter, "alice", home, 5).await;
    for wait in [1, 2, 4, 8, 16, 32] {
        let seen = throttled(&limiter, "alice", home).await.unwrap();
        assert_eq!((seen.retry_after(), seen.by()), (SECOND * wait, ThrottledBy::Account));
        clock.advance(SECOND * wait - Duration::from_millis(1));
        assert_eq!(throttled(&limiter, "alice", home).await.unwrap().retry_after(), SECOND);
        clock.advance(Duration::from_millis(1));
        assert_eq!(throttled(&limiter, "alice", home).await, None);
    }
    clock.advance(SECOND * 64);
    limiter.begin("alice", home).await.unwrap().succeeded().await;
    fail(&limiter, "alice", home, 5).await;
    assert!(throttled(&limiter, "alice", home).await.is_some());
}

#[tokio::test]
async fn a_success_forgives_its_own_network_and_no_other() {
    let (clock, limiter) = limiter();
    // 45 failures from elsewhere; the user's own 4 are forgiven, those are not.
    for number in 0..9 {
        fail(&limiter, "alice", network(number), 5).await;
    }
    let home = network(100);
    fail(&limiter, "alice", home, 4).await;
    limiter.begin("alice", home).await.unwrap().succeeded().await;
    fail(&limiter, "alice", network(200), 5).await;
    let seen = throttled(&limiter, "alice", network(201)).await.unwrap();
    assert_eq!((seen.retry_after(), seen.by()), (SECOND * 30, ThrottledBy::Account));
    // From home, which is known, it does not wait.
    limiter.begin("alice", home).await.unwrap().succeeded().await;
    limiter.forgive("alice", None).await.unwrap();
    clock.advance(SECOND);
    fail(&limiter, "alice", network(201), 5).await;
}

/// Whatever an attacker does from one network, for a month.
#[tokio::test]
async fn one_network_never_makes_a_user_on_another_wait() {
    let (clock, limiter) = limiter();
    let (attacker, mut guesses) = (address("203.0.113.9"), 0_u32);
    for day in 0..30 {
        for _ in 0..200 {
            guesses += u32::from(throttled(&limiter, "alice", attacker).await.is_none());
            clock.advance(DAY / 200);
        }
        let fresh = network(1_000 + day);
        assert_eq!(throttled(&limiter, "alice", fresh).await, None, "day {day}");
        limiter.begin("alice", fresh).await.unwrap().succeeded().await;
    }
    assert!((45..=55).contains(&guesses), "{guesses} guesses in a month");
}

#[tokio::test]
async fn an_account_has_at_most_100_failures_on_record_and_a_reserve_for_known_networks() {
    let (clock, limiter) = limiter();
    let home = network(5_000);
    limiter.begin("alice", home).await.unwrap().succeeded().await;
    let mut guesses = 0;
    // A botnet that takes each chance, for two days and a half.
    for round in 0..60 {
        for bot in 0..60 {
            let bot = network(round * 60 + bot);
            guesses += u32::from(throttled(&limiter, "alice", bot).await.is_none());
        }
        clock.advance(SECOND * 3_600);
    }
    // 90, and the two that have recovered.
    assert_eq!(guesses, 92);
    let mut known = 0;
    for _ in 0..20 {
        known += u32::from(throttled(&limiter, "alice", home).await.is_none());
        clock.advance(SECOND * 60);
    }
    assert_eq!(known, 10);
}

#[tokio::test]
async fn passwords_tried_on_many_names_are_limited_by_network_and_by_site() {
    let (clock, limiter) = limiter();
    let attacker = address("2001:db8::1");
    for name in 0..100 {
        // Any address of the /64.
        let address = address(&format!("2001:db8::{name:x}"));
        fail(&limiter, &format!("user {name}"), address, 1).await;
    }
    let seen = throttled(&limiter, "user 100", attacker).await.unwrap();
    assert_eq!((seen.by(), seen.retry_after()), (ThrottledBy::Network, SECOND));
    // A success with an account of their own gains nothing.
    clock.advance(SECOND);
    limiter.begin("mallory", attacker).await.unwrap().succeeded().await;
    clock.advance(SECOND * 2);
    fail(&limiter, "user 100", attacker, 1).await;
    assert_eq!(throttled(&limiter, "user 101", attacker).await.unwrap().retry_after(), 2 * SECOND);
    // Other networks of the /48.
    let mut guesses = 101;
    for network in 1..=20 {
        for name in 0..100 {
            let address = address(&format!("2001:db8:0:{network:x}::1"));
            let name = format!("{network} {name}");
            guesses += u32::from(throttled(&limiter, &name, address).await.is_none());
        }
    }
    assert_eq!(guesses, 1_000);
    fail(&limiter, "user 101", address("2001:db8:1::1"), 5).await;
    // An hour later a hundred have recovered.
    clock.advance(SECOND * 3_600);
    fail(&limiter, "user 101", attacker, 5).await;
}

#[tokio::test]
async fn a_dropped_attempt_has_failed_and_events_name_no_account() {
    let store = MemoryStore::new();
    let mut events = store.events().listen();
    let limiter = SignInLimiter::builder(store).pair(AttemptLimit::new(1)).build().unwrap();
    drop(limiter.begin("alice", address("192.0.2.1")).await.unwrap());
    assert!(throttled(&limiter, "alice", address("192.0.2.1")).await.is_some());
    limiter.begin("bob", address("2001:db8::1")).await.unwrap().succeeded().await;
    let hash = limiter.account_hash("alice");
    let Some(Event::SignInFailed { account, network, .. }) = events.next().await else { panic!() };
    assert_eq!((account, &*network), (hash, "192.0.2.1/32"));
    let throttled = events.next().await;
    let Some(Event::SignInThrottled { by, network, .. }) = throttled else { panic!() };
    assert_eq!((by, &*network), (ThrottledBy::Account, "192.0.2.1/32"));
    drop(limiter);
    assert_eq!(events.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_flood_costs_the_store_one_call_a_second_and_a_silent_store_admits_no_guess() {
    let clock = ManualClock::new();
    let store = FaultyStore::with_clock(&clock);
    let limiter = SignInLimiter::builder(store.clone()).build().unwrap();
    let attacker = address("192.0.2.1");
    let cost = || store.calls().len();
    for (account, known) in [("alice", true), ("nobody", false)] {
        if known {
            limiter.begin(account, network(1)).await.unwrap().succeeded().await;
            assert_eq!(cost(), 2);
        }
        fail(&limiter, account, attacker, 5).await;
        assert_eq!(cost(), 5, "{account}");
        clock.advance(SECOND);
        fail(&limiter, account, attacker, 1).await;
        for second in 0..2 {
            let _ = cost();
            for _ in 0..100 {
                assert!(throttled(&limiter, account, attacker).await.is_some());
            }
            assert_eq!(cost(), 1, "{account}, second {second}");
            clock.advance(SECOND);
        }
    }
    let _silent = store.hold(Op::Attempt);
    let started = tokio::time::Instant::now();
    let refused = limiter.begin("bob", network(2)).await.map(drop).unwrap_err();
    assert!(matches!(refused, AttemptError::Store(_)), "{refused:?}");
    assert_eq!(started.elapsed(), SECOND);
}

/// As many as `ATTEMPT_NAMES` says, each from a network of its own.
#[tokio::test]
async fn a_flood_of_made_up_names_takes_bounded_memory() {
    let names = std::env::var("ATTEMPT_NAMES").map_or(10_000, |names| names.parse().unwrap());
    let store = FaultyStore::with_clock(&ManualClock::new());
    // Without a list of the calls.
    let limiter = SignInLimiter::builder(store.sound()).max_entries(1_024).build().unwrap();
    for name in 0..names {
        let network = address(&format!("2a00:{:x}:{:x}::1", name >> 16, name & 0xffff));
        assert_eq!(throttled(&limiter, &format!("made up {name}"), network).await, None);
        assert!(store.attempt_rows() <= 1_024, "after {name} names");
    }
    assert_eq!(store.attempt_rows(), 1_024);
}

#[tokio::test]
async fn a_route_limited_by_network_rejects_requests_without_an_address_and_trusts_proxies() {
    let calls = Arc::new(AtomicU32::new(0));
    let builder = SignInLimiter::builder(MemoryStore::new()).scope("password reset");
    let devices = DeviceConfig::new().trusted_proxies(["10.0.0.0/8"]).unwrap();
    let limiter = builder.network(AttemptLimit::new(2)).devices(devices).build().unwrap();
    let service = NetworkLimitLayer::new(limiter).layer(service_fn({
        let calls = Arc::clone(&calls);
        move |_: Request<String>| {
            calls.fetch_add(1, Ordering::SeqCst);
            std::future::ready(Ok::<_, Error>(Response::new(String::new())))
        }
    }));
    let send = async |peer: Option<&str>, forwarded: &str| {
        let mut request = Request::post("/reset").body(String::new()).unwrap();
        if let Some(peer) = peer {
            request.extensions_mut().insert(PeerAddress(peer.parse().unwrap()));
        }
        request.headers_mut().insert("x-forwarded-for", forwarded.parse().unwrap());
        let response = service.clone().oneshot(request).await.unwrap();
        let wait =
            response.headers().get("retry-after").map(|wait| wait.to_str().unwrap().to_owned());
        (response.status().as_u16(), wait)
    };
    let second = || Some("1".to_owned());
    assert_eq!(send(None, "203.0.113.1").await, (503, second()));
    for (status, wait) in [(200, None), (200, None), (429, second())] {
        // What the client itself put in front is another address each time.
        let forwarded = format!("198.51.100.{status}, 203.0.113.1");
        assert_eq!(send(Some("10.0.0.1:80"), &forwarded).await, (status, wait));
    }
    assert_eq!(send(Some("10.0.0.1:80"), "203.0.113.2").await, (200, None));
    // Not from a proxy: the header counts for nothing.
    assert_eq!(send(Some("203.0.113.1:80"), "203.0.113.3").await, (429, second()));
    assert_eq!(calls.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_store_that_counts_nothing_and_settings_without_sense_are_rejected() {
    let store = WithoutUsers::new(MemoryStore::new());
    assert!(SignInLimiter::builder(store).build().is_ok());
    let build = |change: fn(SignInLimiterBuilder) -> SignInLimiterBuilder| {
        change(SignInLimiter::builder(MemoryStore::new())).build().unwrap_err().setting().to_owned()
    };
    assert_eq!(build(|b| b.pair(AttemptLimit::new(5).max(4))), "pair");
    assert_eq!(build(|b| b.account(AttemptLimit::new(0))), "account");
    assert_eq!(build(|b| b.network(AttemptLimit::new(5).recovery(Duration::ZERO))), "network");
    assert_eq!(build(|b| b.site(AttemptLimit::new(5).first_wait(2 * DAY))), "site");
    assert_eq!(build(|b| b.known_for(DAY * 400)), "known for");
    assert_eq!(build(|b| b.max_entries(63)), "max entries");
}
