//! The durable store on a Redis behind sentinels: failovers are no outage.
//!
//! To see these fail: leave the connections to a replaced primary open, and trust what they lead
//! to.

use std::cell::Cell;
use std::time::Duration;

use test_support::{
    Browser, DURABLE, NOBODY, PASSWORD, Sentinels, Site, eventually, signed_in, token, who,
};
use tower_redis_session::{DatabaseConfig, DurableStore, RedisConfig, RedisSessionLayer};

use crate::two_instances::migrate;

async fn site(sentinels: &Sentinels, database: &str) -> Site {
    let urls = sentinels.addrs().into_iter().map(|address| format!("redis://{address}"));
    let redis = RedisConfig::sentinel("main", urls).username(DURABLE).password(PASSWORD);
    let store = DurableStore::builder(redis, DatabaseConfig::new(database))
        .poll_interval(Duration::from_millis(150))
        .build()
        .unwrap();
    Site::on_store(store, |builder| builder).await
}

fn is_trusted(layer: &RedisSessionLayer, sentinels: &Sentinels, primary: usize) -> bool {
    let health = layer.admin().health();
    let named = health.redis.as_ref().and_then(|redis| redis.primary.clone());
    health.copies.is_some_and(|copies| copies.trusted)
        && health.redis.is_some_and(|redis| redis.answers)
        && named == Some(sentinels.server(primary).addr().to_string())
}

/// Reads of all browsers, at both sites, again and again until `end`: none fails, and none finds
/// its user signed out. Returns their number.
async fn all_are_signed_in(sites: [&Site; 2], browsers: &[Browser], end: impl Future) -> usize {
    let count = Cell::new(0);
    let reads = async {
        loop {
            for browser in browsers {
                for site in sites {
                    assert_eq!(who(site, &token(browser)).await, "alice,tea");
                    count.set(count.get() + 1);
                }
            }
        }
    };
    tokio::select! {
        () = reads => {}
        _ = end => {}
    }
    count.get()
}

#[tokio::test]
async fn no_user_is_signed_out_by_a_failover_and_a_logout_stays_final() {
    let sentinels = Sentinels::start().await;
    let folder = tempfile::tempdir().unwrap();
    let database = format!("sqlite:{}", folder.path().join("sessions.db").display());
    migrate(&database).await;
    let (a, b) = (site(&sentinels, &database).await, site(&sentinels, &database).await);
    let mut stay = Vec::new();
    let mut leave = Vec::new();
    for _ in 0..4 {
        stay.push(signed_in(&a).await);
        leave.push(signed_in(&a).await);
    }
    let mut ended = Vec::new();
    let mut old = 0;
    for planned in [true, false] {
        for site in [&a, &b] {
            eventually("copies are trusted", async || {
                let _ = who(site, &token(&stay[0])).await;
                is_trusted(&site.layer, &sentinels, old)
            })
            .await;
        }
        // One session ends just before, and its copy may be alive at the replica.
        let mut before = leave.pop().unwrap();
        ended.push(token(&before));
        before.get("/logout").await.expect(200);
        let new = Cell::new(old);
        let reads = all_are_signed_in([&a, &b], &stay, async {
            new.set(match planned {
                true => sentinels.fail_over().await,
                false => sentinels.kill_primary().await,
            });
        })
        .await;
        // One ends just after, while instances may still use the old primary.
        let mut after = leave.pop().unwrap();
        ended.push(token(&after));
        after.get("/logout").await.expect(200);
        old = new.get();
        assert!(reads > 20, "{reads} reads");
        for site in [&a, &b] {
            eventually("copies are trusted again", async || {
                all_are_signed_in([&a, &b], &stay, async {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                })
                .await;
                is_trusted(&site.layer, &sentinels, old)
            })
            .await;
            for token in &ended {
                assert_eq!(who(site, token).await, NOBODY, "planned: {planned}");
            }
        }
        // The new primary serves reads.
        sentinels.server(old).reset_stats().await;
        all_are_signed_in([&a, &b], &stay, tokio::time::sleep(Duration::from_millis(200))).await;
        assert!(sentinels.server(old).command_counts().await.contains_key("get"));
        sentinels.wait_until_ok().await;
    }
}
