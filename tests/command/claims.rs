//! Claims on sessions of another library are records and no sessions.
//!
//! To see it fail: leave `is_session` out of `cli/list.rs` or `cli/revoke.rs`.

use std::{sync::Arc, time::Duration};

use test_support::take_over::{ALICE, KEY, OLD, Shelf, ask, importer, old, user};
use tower_redis_session::{RedisSessionLayer, import::TakeOver, store::UserStore};

use crate::places::Place;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claims_are_neither_counted_nor_listed_and_outlive_revoke_all() {
    for place in Place::all().await {
        let (name, shelf) = (place.name, Shelf::new());
        let store: Arc<dyn UserStore> = place.store().await.into();
        let import = TakeOver::new(importer(), shelf.clone()).take_over_key(KEY);
        let layer = RedisSessionLayer::builder(store).import(import);
        let layer = layer.budget(Duration::from_secs(15)).build().unwrap();
        let new = ask(&layer, &old(), user).await.taken_over();
        let _ = layer.admin().revoke_all("bob").await.unwrap(); // bars bob's old sessions

        let counted = place.run(&["sessions", "count", "--json"]).await.expect(0).json();
        assert_eq!((&counted["sessions"], &counted["anonymous"]), (&1.into(), &0.into()), "{name}");
        let listed = place.run(&["sessions", "list", "--json"]).await.expect(0).lines();
        assert_eq!(listed.len(), 1, "{name}: {listed:?}");
        let ended = place.run(&["sessions", "revoke-all", "--yes", "--json"]).await.expect(0);
        assert_eq!(ended.json()["ended"], 1, "{name}");
        shelf.put(OLD, ALICE);
        assert_eq!(ask(&layer, &new, user).await.text, "-", "{name}");
        assert!(ask(&layer, &old(), user).await.is_rejected(), "{name}");
    }
}
