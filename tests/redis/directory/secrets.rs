//! Credentials lie in Redis as ciphertext or not at all, and what does not open is never used.

use tower_redis_session::{directory::Directory, encryption::KeyRing};

use super::source::{Cached, Source, TOKEN, patient_cache};
use super::{kept, log_of_this_test, plant};
use test_support::{AnyRedis, Bed, RedisServer, entries_key};

fn key() -> String {
    entries_key('c', "alice")
}

/// A ring of made-up keys, each by its id.
pub fn ring(ids: &[&str]) -> KeyRing {
    // The last letter of a key has no bits to spare.
    let keys = ids.iter().map(|id| (*id, format!("{}A", id[..1].repeat(42))));
    KeyRing::new(keys).unwrap()
}

async fn secret(cache: &Cached, user: &str, platform: &str) -> Option<String> {
    let credentials = cache.credentials(user, platform).await.unwrap();
    credentials.map(|credentials| credentials.expose().to_owned())
}

fn token(platform: &str) -> Option<String> {
    Some(format!("{TOKEN}-{platform}"))
}

#[tokio::test]
async fn credentials_are_kept_sealed_and_stand_nowhere_readable() {
    let (log, _guard) = log_of_this_test();
    let redis = RedisServer::builder().log_every_command().start().await;
    let source = Source::new();
    let [one, other] = [(); 2]
        .map(|()| patient_cache(&source, redis.patient()).key_ring(ring(&["a"])).build().unwrap());
    for cache in [&one, &other, &one] {
        assert_eq!(secret(cache, "alice", "11").await, token("11"));
        assert_eq!(secret(cache, "alice", "12").await, token("12"));
        assert_eq!(cache.platforms("alice").await.unwrap().len(), 2);
    }
    assert_eq!(source.asked("credentials"), 2);
    let sealed = kept(&redis, &key(), "12").await.expect("it is kept");
    assert_eq!(sealed[..7], *b"TRD\x01c\x01a");
    for part in [TOKEN, &TOKEN[..8], &TOKEN[TOKEN.len() - 8..]] {
        let places = redis.find_everywhere(part).await;
        assert!(places.is_empty(), "{part}: {places:?}");
        assert!(!log.contains(part), "{part} was logged");
        assert!(!format!("{one:?}").contains(part));
    }
    redis.assert_every_key_has_a_ttl().await;
    // Changed with the platform, or gone with it.
    source.change(|rows| {
        let place = ("alice".to_owned(), "11".to_owned());
        rows.credentials.insert(place, "other".to_owned());
        rows.credentials.remove(&("alice".to_owned(), "12".to_owned()));
    });
    assert!(one.invalidate_platforms("alice").await);
    assert_eq!(secret(&other, "alice", "11").await.as_deref(), Some("other"));
    assert_eq!(secret(&other, "alice", "12").await, None);
}

#[tokio::test]
async fn without_a_key_ring_credentials_are_not_kept() {
    let redis = RedisServer::start().await;
    let source = Source::new();
    let cache = patient_cache(&source, redis.patient()).build().unwrap();
    for count in 1..4 {
        assert_eq!(secret(&cache, "alice", "12").await, token("12"));
        assert_eq!(source.asked("credentials"), count);
    }
    assert_eq!(redis.keys().await, []);
    // Nor is what lies there used, sealed or not.
    plant(&redis, &key(), "12", b"TRD\x01c\"planted\"").await;
    assert_eq!(secret(&cache, "alice", "12").await, token("12"));
}

#[tokio::test]
async fn what_another_key_sealed_is_asked_of_the_source_and_told_of() {
    let (log, _guard) = log_of_this_test();
    let redis = RedisServer::start().await;
    let source = Source::new();
    let with = |ring| patient_cache(&source, redis.patient()).key_ring(ring).build().unwrap();
    let same_id = KeyRing::new([("a", format!("{}A", "z".repeat(42)))]).unwrap();
    for (name, ring, told) in [
        ("an unknown key", ring(&["b"]), "not on the ring"),
        ("another key of the same id", same_id, "another key"),
    ] {
        assert!(with(super::secrets::ring(&["a"])).invalidate_platforms("alice").await);
        let (one, other) = (with(super::secrets::ring(&["a"])), with(ring));
        assert_eq!(secret(&one, "alice", "12").await, token("12"), "{name}");
        let asked = source.asked("credentials");
        log.clear();
        assert_eq!(secret(&other, "alice", "12").await, token("12"), "{name}");
        assert_eq!(source.asked("credentials"), asked + 1, "{name}");
        assert!(log.events().iter().any(|event| event.text.contains(told)), "{name}");
        // And sealed anew, with its own.
        assert_eq!(secret(&other, "alice", "12").await, token("12"), "{name}");
        assert_eq!(source.asked("credentials"), asked + 1, "{name}");
    }
}

#[tokio::test]
async fn an_old_key_of_the_ring_opens_what_it_sealed_and_the_first_seals() {
    for redis in Bed::both().await {
        println!("{redis}");
        let source = Source::new();
        let with = |ids: &[&str]| {
            patient_cache(&source, redis.patient()).key_ring(ring(ids)).build().unwrap()
        };
        assert_eq!(secret(&with(&["a"]), "alice", "12").await, token("12"));
        let rotated = with(&["b", "a"]);
        assert_eq!(secret(&rotated, "alice", "12").await, token("12"));
        assert_eq!(source.asked("credentials"), 1);
        assert_eq!(secret(&rotated, "alice", "11").await, token("11"));
        assert_eq!(kept(&redis, &key(), "11").await.unwrap()[5..7], *b"\x01b");
        assert_eq!(secret(&with(&["b"]), "alice", "11").await, token("11"));
        assert_eq!(source.asked("credentials"), 2);
    }
}

#[tokio::test]
async fn what_was_changed_or_moved_is_never_used() {
    for redis in Bed::both().await {
        println!("{redis}");
        let source = Source::new();
        let cache = patient_cache(&source, redis.patient()).key_ring(ring(&["a"])).build().unwrap();
        assert_eq!(secret(&cache, "alice", "11").await, token("11"));
        assert_eq!(secret(&cache, "alice", "12").await, token("12"));
        let sealed = kept(&redis, &key(), "12").await.unwrap();
        plant(&redis, &key(), "11", &sealed).await;
        assert_eq!(secret(&cache, "alice", "11").await, token("11"), "of another platform");
        plant(&redis, &entries_key('c', "bob"), "12", &sealed).await;
        assert_eq!(secret(&cache, "bob", "12").await, None, "of another user");
        plant(&redis, &key(), "12", b"TRD\x01c\"planted\"").await;
        assert_eq!(secret(&cache, "alice", "12").await, token("12"), "in plain");
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            let asked = source.asked("credentials");
            for (name, bytes) in [("a bit", &changed[..]), ("cut short", &sealed[..at])] {
                plant(&redis, &key(), "12", bytes).await;
                assert_eq!(secret(&cache, "alice", "12").await, token("12"), "{name}, byte {at}");
            }
            assert_eq!(source.asked("credentials"), asked + 2, "byte {at}");
        }
    }
}
