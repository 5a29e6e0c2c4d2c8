//! Settings of a take-over: what does not build, and the end of the import.

use tower_redis_session::{Timestamp, Transport};

use super::*;

#[tokio::test]
async fn after_its_end_an_import_is_as_if_it_were_not_there() {
    let clock = ManualClock::new();
    let (store, shelf) = (FaultyStore::with_clock(&clock), Shelf::new());
    let end = clock.clock().now().saturating_add(Duration::from_secs(100 * 86_400));
    let import = import(&shelf).until(end);
    let layer = RedisSessionLayer::builder(store.clone()).import(import).build().unwrap();
    ask(&layer, &old(), user).await.taken_over();
    // A claim is kept until then, although claims are kept for 60 days.
    clock.advance(Duration::from_secs(99 * 86_400));
    assert_eq!(store.len(), 1, "the claim, and no session");
    shelf.put(OLD, ALICE);
    assert!(ask(&layer, &old(), user).await.is_rejected());
    clock.advance(Duration::from_secs(86_400));
    let reads = shelf.reads();
    let answer = ask(&layer, &old(), user).await;
    assert!(answer.text == "-" && !answer.removes_old, "{answer:?}");
    assert_eq!(shelf.reads(), reads);
}

#[test]
fn contradictory_settings_do_not_build() {
    let shelf = Shelf::new();
    let without = || TakeOver::new(importer(), shelf.clone());
    let with = || import(&shelf);
    let second = Duration::from_secs(1);
    let layer = || RedisSessionLayer::builder(FaultyStore::new());
    let same = CookieConfig::new("session");
    for (name, builder, setting) in [
        ("no key", layer().import(without()), "take-over key"),
        ("a short key", layer().import(without().take_over_key([7; 31])), "take-over key"),
        ("a short former key", layer().import(with().take_over_key([7; 31])), "take-over key"),
        ("no grace", layer().import(with().grace(Duration::ZERO)), "import grace"),
        ("a long grace", layer().import(with().grace(601 * second)), "import grace"),
        ("claims for a second", layer().import(with().keep_claims(second)), "keep claims"),
        ("a header", layer().import(with()).transport(Transport::bearer()), "import"),
        ("the same cookie", layer().import(with()).cookie(same), "import cookie"),
    ] {
        assert_eq!(builder.build().unwrap_err().setting(), setting, "{name}");
    }
    let debug = format!("{:?}", with().until(Timestamp::from_millis(1)));
    assert!(debug.starts_with("TakeOver") && !debug.contains("7, 7"), "{debug}");
}
