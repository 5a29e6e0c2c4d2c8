//! A directory with its cache in Redis: read through, one loader, fresh after a change.
//!
//! To see these fail: fill without a lease; keep the lease when the value is removed; fill after
//! the lease is over; ask the source in each process; keep what cannot be read.

mod outage;
mod races;
pub mod secrets;
mod sessions;
pub mod source;
use std::time::Duration;

use redis::Value;
use source::{Source, TOKEN, patient_cache, platform, posts, settings, user};
use test_support::{
    AnyRedis, Bed, LogCapture, RedisServer, RespProxy, bounded, entries_key, eventually, patient,
};
use tower_redis_session::{
    ErrorKind,
    directory::{CachedDirectory, Directory, DirectoryPart},
};

pub fn settings_key() -> String {
    entries_key('s', "alice")
}

/// An end that is far away.
pub const LATE: &str = "9999999999999";

/// What this test's thread logs. With a subscriber for the other threads too, or a place in the
/// code that one of those comes to first would be taken for one that nobody listens to.
pub fn log_of_this_test() -> (LogCapture, tracing::subscriber::DefaultGuard) {
    let _ = LogCapture::of_the_process();
    LogCapture::on_this_thread()
}

/// The reply to a command of the server that has the key, which is the first argument if there is
/// one.
pub async fn command(redis: &impl AnyRedis, words: &[&[u8]]) -> Value {
    let mut command = redis::cmd(std::str::from_utf8(words[0]).unwrap());
    for word in &words[1..] {
        command.arg(*word);
    }
    let key = words.get(1).map(|key| String::from_utf8_lossy(key)).unwrap_or_default();
    redis.query(&key, &command).await
}

/// What is kept under a name of a key: the value without its end.
pub async fn kept(redis: &impl AnyRedis, key: &str, name: &str) -> Option<Vec<u8>> {
    let field = format!("v{name}");
    match command(redis, &[b"HGET", key.as_bytes(), field.as_bytes()]).await {
        Value::BulkString(bytes) => Some(bytes[13..].to_vec()),
        _ => None,
    }
}

/// Puts a value where one is kept.
pub async fn plant(redis: &impl AnyRedis, key: &str, name: &str, value: &[u8]) {
    let value = [LATE.as_bytes(), value].concat();
    let field = format!("v{name}");
    let _ = command(redis, &[b"HSET", key.as_bytes(), field.as_bytes(), &value]).await;
    let _ = command(redis, &[b"PEXPIRE", key.as_bytes(), b"600000"]).await;
}

#[tokio::test]
async fn what_one_instance_asked_for_all_instances_know() {
    for redis in Bed::both().await {
        println!("{redis}");
        let source = Source::new();
        let [one, other] =
            [(); 2].map(|()| patient_cache(&source, redis.patient()).build().unwrap());
        for (count, cache) in [&one, &other, &one, &other].into_iter().enumerate() {
            assert_eq!(cache.user("alice").await.unwrap(), Some(user("alice")), "{count}");
            let both = [platform("11", false), platform("12", true)];
            assert_eq!(cache.platforms("alice").await.unwrap(), both, "{count}");
            assert_eq!(cache.platforms("bob").await.unwrap(), [], "{count}");
            assert_eq!(cache.settings("alice").await.unwrap(), Some(settings(50)), "{count}");
            assert_eq!(cache.settings("bob").await.unwrap(), None, "{count}");
        }
        let asked = ["user", "platforms", "settings"].map(|what| source.asked(what));
        assert_eq!(asked, [1, 2, 2]);
        redis.assert_every_key_has_a_ttl().await;
        for (key, ttl) in redis.keys().await {
            assert!(key.starts_with("session:d:"), "{key}");
            assert!(ttl <= 300_000, "{key}: {ttl}");
        }
    }
}

#[tokio::test]
async fn a_change_is_seen_at_once_by_every_instance() {
    for redis in Bed::both().await {
        println!("{redis}");
        let source = Source::new();
        let [one, other] =
            [(); 2].map(|()| patient_cache(&source, redis.patient()).build().unwrap());
        for number in 1..6 {
            assert_eq!(posts(&other).await, posts(&one).await);
            let save = async {
                source.set_posts(number);
                Ok::<_, ()>("saved")
            };
            let saved = one.change("alice", DirectoryPart::Settings, save).await;
            assert_eq!(saved, Ok("saved"));
            assert_eq!((posts(&other).await, posts(&one).await), (number, number));
        }
        // A save that failed may have happened all the same.
        let save = async {
            source.set_posts(77);
            Err::<(), _>("no answer")
        };
        assert!(one.change("alice", DirectoryPart::Settings, save).await.is_err());
        assert_eq!(posts(&other).await, 77);
        source.change(|rows| rows.users.get_mut("alice").unwrap().active = false);
        source.change(|rows| rows.platforms.get_mut("alice").unwrap().clear());
        assert!(other.invalidate_user("alice").await && other.invalidate_platforms("alice").await);
        assert!(!one.user("alice").await.unwrap().unwrap().active);
        assert_eq!(one.platforms("alice").await.unwrap(), []);
        assert_eq!(one.unconfirmed(), 0);
    }
}

#[tokio::test]
async fn what_does_not_exist_is_seen_as_soon_as_it_does() {
    for redis in Bed::both().await {
        println!("{redis}");
        let source = Source::new();
        let cache = patient_cache(&source, redis.patient()).build().unwrap();
        for count in 1..4 {
            assert_eq!(cache.user("carol").await.unwrap(), None);
            assert_eq!(source.asked("user"), count);
        }
        source.change(|rows| {
            rows.users.insert("carol".to_owned(), user("carol"));
        });
        assert_eq!(cache.user("carol").await.unwrap(), Some(user("carol")));
        assert_eq!(redis.keys().await.len(), 1, "no lease is left");
    }
}

#[tokio::test]
async fn a_hit_is_one_round_trip() {
    let redis = RedisServer::start().await;
    let proxy = RespProxy::start(redis.addr()).await;
    let source = Source::new();
    let cache = patient_cache(&source, patient(&redis.url_at(proxy.port()))).build().unwrap();
    posts(&cache).await;
    proxy.reset_counts();
    for _ in 0..10 {
        posts(&cache).await;
    }
    assert_eq!((proxy.trips(), proxy.count("EVALSHA")), (10, 10), "{:?}", proxy.counts());
    // Scripts that the server has forgotten are told to it again.
    let _ = command(&redis, &[b"SCRIPT", b"FLUSH"]).await;
    assert_eq!((posts(&cache).await, posts(&cache).await), (50, 50));
    assert_eq!(source.asked("settings"), 1);
}

#[tokio::test]
async fn without_word_of_a_change_an_entry_is_old_by_its_time_to_live_at_most() {
    let redis = RedisServer::start().await;
    let source = Source::new();
    let cache = patient_cache(&source, redis.patient()).time_to_live(Duration::from_secs(1));
    let cache = cache.refresh_ahead(Duration::ZERO).build().unwrap();
    posts(&cache).await;
    source.set_posts(70);
    eventually("the new value", async || posts(&cache).await == 70).await;
    assert_eq!(source.asked("settings"), 2);
}

#[tokio::test]
async fn an_entry_is_brought_up_to_date_before_it_ends_and_nobody_waits() {
    for redis in Bed::both().await {
        println!("{redis}");
        let source = Source::new();
        let [one, other] = [(); 2].map(|()| {
            // Due at the second read.
            let cache =
                patient_cache(&source, redis.patient()).time_to_live(Duration::from_secs(60));
            cache.refresh_ahead(Duration::from_millis(59_999)).build().unwrap()
        });
        posts(&one).await;
        source.set_posts(70);
        source.hold("settings");
        eventually("somebody to bring it up to date", async || {
            assert_eq!(bounded("a read beside the loader", posts(&one)).await, 50);
            source.asked("settings") == 2
        })
        .await;
        for _ in 0..10 {
            assert_eq!((posts(&one).await, posts(&other).await), (50, 50));
        }
        assert_eq!(source.asked("settings"), 2, "one loader");
        source.unhold("settings");
        source.gates().open("settings");
        eventually("the new value", async || posts(&other).await == 70).await;
        redis.assert_every_key_has_a_ttl().await;
    }
}

#[tokio::test]
async fn what_a_refresh_finds_gone_or_too_large_is_removed_and_one_that_fails_is_not_tried_at_once_again()
 {
    let redis = RedisServer::start().await;
    let source = Source::new();
    let cache = patient_cache(&source, redis.patient()).time_to_live(Duration::from_secs(60));
    let cache = cache.refresh_ahead(Duration::from_millis(59_999)).build().unwrap();
    assert!(cache.user("alice").await.unwrap().is_some());
    source.change(|rows| rows.users.clear());
    eventually("no user", async || cache.user("alice").await.unwrap().is_none()).await;
    // Nor is one served that grew too large to be kept.
    posts(&cache).await;
    source.change(|rows| rows.settings.get_mut("alice").unwrap().note = "x".repeat(65 * 1024));
    source.change(|rows| rows.settings.get_mut("alice").unwrap().max_posts_per_run = 60);
    eventually("the large one", async || posts(&cache).await == 60).await;
    source.set_posts(50);
    assert!(cache.invalidate_settings("alice").await);
    let asked = source.asked("settings");
    posts(&cache).await;
    source.set_away(true);
    eventually("an attempt", async || {
        assert_eq!(posts(&cache).await, 50);
        source.asked("settings") == asked + 2
    })
    .await;
    for _ in 0..20 {
        assert_eq!(posts(&cache).await, 50);
        tokio::task::yield_now().await;
    }
    assert_eq!(source.asked("settings"), asked + 2);
}

#[tokio::test]
async fn a_source_that_is_away_is_an_error_that_nobody_keeps_and_takes_no_entry_away() {
    for redis in Bed::both().await {
        println!("{redis}");
        let source = Source::new();
        let [one, other] =
            [(); 2].map(|()| patient_cache(&source, redis.patient()).build().unwrap());
        source.set_away(true);
        let error = one.settings("alice").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        source.set_away(false);
        // The lease was given back: its end is a minute away.
        assert_eq!(bounded("the next loader", posts(&other)).await, 50);
        source.set_away(true);
        assert_eq!((posts(&one).await, posts(&other).await), (50, 50));
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_asked_of_the_source_told_of_and_replaced() {
    let (log, _guard) = log_of_this_test();
    for redis in Bed::both().await {
        println!("{redis}");
        let source = Source::new();
        let cache = patient_cache(&source, redis.patient()).build().unwrap();
        posts(&cache).await;
        let good = kept(&redis, &settings_key(), "").await.unwrap();
        assert_eq!(good[..5], *b"TRD\x01s");
        let large = [&good[..5], &vec![b' '; 70_000], b"null"].concat();
        for (name, bytes, told) in [
            ("nothing", &b""[..], "not a directory entry"),
            ("garbage", b"\xff\x00garbage", "not a directory entry"),
            ("a later version", b"TRD\x02s{}", "version 2"),
            ("another kind", b"TRD\x01u[]", "another kind"),
            ("no JSON", b"TRD\x01s{", "not of the requested type"),
            ("another type", b"TRD\x01s[1,2]", "not of the requested type"),
            ("cut short", &good[..good.len() - 1], "not of the requested type"),
            ("too large", &large, "larger"),
        ] {
            plant(&redis, &settings_key(), "", bytes).await;
            log.clear();
            let asked = source.asked("settings");
            assert_eq!((posts(&cache).await, posts(&cache).await), (50, 50), "{name}");
            assert_eq!(source.asked("settings"), asked + 1, "{name}");
            let is_told = |event: &test_support::Captured| {
                event.text.starts_with("directory entry unreadable") && event.text.contains(told)
            };
            assert!(log.events().iter().any(is_told), "{name}: {:?}", log.events());
        }
        // A key of another type is removed.
        let _ = command(&redis, &[b"SET", settings_key().as_bytes(), b"x", b"EX", b"60"]).await;
        let asked = source.asked("settings");
        for _ in 0..5 {
            assert_eq!(posts(&cache).await, 50);
        }
        assert!(source.asked("settings") <= asked + 2);
        redis.assert_every_key_has_a_ttl().await;
    }
}

#[tokio::test]
async fn what_is_too_large_is_not_kept_and_still_answered() {
    let redis = RedisServer::start().await;
    let source = Source::new();
    source.change(|rows| {
        rows.settings.get_mut("alice").unwrap().note = "x".repeat(65 * 1024);
    });
    let cache = patient_cache(&source, redis.patient()).build().unwrap();
    for count in 1..4 {
        assert_eq!(posts(&cache).await, 50);
        assert_eq!(source.asked("settings"), count);
    }
    let long = "a".repeat(1025);
    source.change(|rows| {
        rows.users.insert(long.clone(), user(&long));
    });
    assert!(cache.user(&long).await.unwrap().is_some());
    eventually("nothing is left", async || redis.keys().await.is_empty()).await;
}

#[tokio::test]
async fn the_documented_rights_are_enough() {
    // What stands behind `on >PASSWORD`.
    let rights = &test_support::documented()[2..];
    let redis = RedisServer::start().await;
    redis.acl_set_user("sessions", &format!("on >secret {}", rights.join(" "))).await;
    let source = Source::new();
    let config = patient(&redis.url()).username("sessions").password("secret");
    let cache = CachedDirectory::builder(source.clone(), config).budget(Duration::from_secs(15));
    let cache = cache.key_ring(secrets::ring(&["a"])).build().unwrap();
    for _ in 0..2 {
        assert_eq!(posts(&cache).await, 50);
        assert_eq!(cache.platforms("alice").await.unwrap().len(), 2);
        let secret = cache.credentials("alice", "12").await.unwrap().unwrap();
        assert_eq!(secret.expose(), format!("{TOKEN}-12"));
        assert!(cache.user("nobody").await.unwrap().is_none());
        assert!(cache.invalidate_platforms("alice").await);
    }
    assert_eq!(source.asked("settings"), 1);
    assert!(
        matches!(command(&redis, &[b"ACL", b"LOG"]).await, Value::Array(log) if log.is_empty())
    );
}

/// As a handler of a server on several threads needs it.
#[tokio::test(flavor = "multi_thread")]
async fn answers_can_be_waited_for_on_any_thread() {
    let redis = RedisServer::start().await;
    let source = Source::new();
    let cache = patient_cache(&source, redis.patient()).build().unwrap();
    let asking = tokio::spawn({
        let cache = cache.clone();
        async move {
            let save = async { source.set_posts(60) };
            cache.change("alice", DirectoryPart::Settings, save).await;
            posts(&cache).await
        }
    });
    assert_eq!(asking.await.unwrap(), 60);
}
