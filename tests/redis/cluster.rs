//! Sites on a cluster: three primaries that share the sessions. Each test has the number of its
//! schedule.

/// Sessions in another slot than the list of their user, and records with a mark.
mod elsewhere;
/// Ends of sessions that a replica has, or has not.
mod ends;
/// Entries of a directory, where slots move and nodes die.
mod entries;
/// Nodes that die, hang, come and go.
mod failures;
/// Which slot a session is in, and sessions of before.
mod layout;
/// A slot that moves under requests.
mod moves;
/// A cluster that grows under load.
mod reshard;
/// Rights that are missing.
mod rights;
/// One user with many sessions.
mod sizes;

use std::time::Duration;

use test_support::{Browser, COOKIE, RedisCluster, Site, slot_of};
use tower_redis_session::{RedisConfig, RedisSessionLayerBuilder};

/// Limits that no healthy cluster reaches.
fn patient(cluster: &RedisCluster) -> RedisConfig {
    let long = Duration::from_secs(10);
    RedisConfig::cluster(cluster.seeds()).connect_timeout(long).command_timeout(long)
}

/// A site on a cluster that is well.
async fn site(cluster: &RedisCluster) -> Site {
    configured(cluster, |builder| builder).await
}

/// The same with other settings of the layer.
async fn configured(
    cluster: &RedisCluster,
    configure: impl FnOnce(RedisSessionLayerBuilder) -> RedisSessionLayerBuilder,
) -> Site {
    let long = |builder: RedisSessionLayerBuilder| builder.budget(Duration::from_secs(15));
    Site::on(patient(cluster), |builder| configure(long(builder))).await
}

/// A site that answers within a second what it cannot do.
async fn hasty_site(cluster: &RedisCluster) -> Site {
    let short = Duration::from_millis(500);
    let config = RedisConfig::cluster(cluster.seeds()).command_timeout(short);
    Site::on(config, |builder| builder.budget(2 * short)).await
}

/// What the keys of the browser's session and of its user's index have in braces.
fn tag(browser: &Browser) -> String {
    browser.cookie(COOKIE).expect("a session")[40..].to_owned()
}

/// The slot of the browser's session, and of its user.
fn slot(browser: &Browser) -> u16 {
    slot_of(format!("{{{}}}", tag(browser)))
}

async fn signed_in(site: &Site, user: &str) -> Browser {
    let mut browser = site.browser().await;
    browser.get(&format!("/login:{user},insert:cart:tea")).await.expect(200);
    browser
}

/// The keys with this in their names, on all nodes.
async fn keys(cluster: &RedisCluster, part: &str) -> Vec<String> {
    let keys = cluster.keys().await.into_iter().map(|(_, key, _)| key);
    keys.filter(|key| key.contains(part)).collect()
}
