//! Which slot a session is in, and what becomes of cookies that say another.
//!
//! To see these fail: make an id of the first 30 bytes of a token; put the user before the tag in
//! the key of a list; in `elsewhere.rs` tell scripts no tag.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use test_support::{Browser, COOKIE, RedisCluster, RedisServer, Site, patient, slot_of};

use super::{keys, signed_in, site, slot};

/// 20
#[tokio::test]
async fn a_cookie_with_another_tag_finds_nothing_by_one_command() {
    let cluster = RedisCluster::builder().replicas(0).start().await;
    let site = site(&cluster).await;
    let alice = signed_in(&site, "alice").await;
    let mut visitor = site.browser().await;
    visitor.get("/insert:cart:tea").await.expect(200);
    let tokens = [&alice, &visitor].map(|browser| browser.cookie(COOKIE).unwrap().to_owned());
    let before = cluster.contents().await;
    let mut monitors = cluster.monitor_all().await;
    let mut stranger = site.browser().await;
    // Each node has heard of the scripts and of the user.
    for tag in 0..24 {
        stranger.set_cookie(COOKIE, &forged(&tokens[0], tag));
        stranger.get("/get:cart").await.expect(200);
    }
    monitors.take().await;
    for (number, tag) in (0..=u16::MAX).step_by(509).enumerate() {
        let forged = forged(&tokens[number % 2], tag);
        if tokens.contains(&forged) {
            continue;
        }
        stranger.set_cookie(COOKIE, &forged);
        let said = stranger.get("/user,get:cart").await.expect(200).text();
        assert_eq!(said, "-,-", "{forged}");
        // Nor what the store asks by itself.
        let mut asked = monitors.take_names().await;
        asked.iter_mut().for_each(|(_, names)| names.retain(|name| name != "CLUSTER"));
        asked.retain(|(_, names)| !names.is_empty());
        let node = cluster.owner_of(slot_of(format!("{{{}}}", &forged[40..]))).await;
        assert_eq!(asked, [(node, vec!["GET".to_owned()])], "{forged}");
    }
    assert_eq!(cluster.contents().await, before);
}

/// The same token with another end.
fn forged(token: &str, tag: u16) -> String {
    let mut bytes = URL_SAFE_NO_PAD.decode(token).unwrap();
    bytes[30..].copy_from_slice(&tag.to_be_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// 20
#[tokio::test]
async fn a_user_with_braces_in_the_name_lies_in_one_slot() {
    let cluster = RedisCluster::builder().replicas(0).start().await;
    let site = site(&cluster).await;
    for user in ["{", "}", "{}", "{a}", "a{b}c", "}{", "{{x}}"] {
        let mut first = signed_in(&site, user).await;
        let mut second = signed_in(&site, user).await;
        assert_eq!(slot(&first), slot(&second), "{user}");
        let index = keys(&cluster, &format!("}}{user}")).await;
        assert!(index.iter().any(|key| slot_of(key) == slot(&first)), "{user}: {index:?}");
        assert_eq!(listed(&mut first).await, 2);
        assert_eq!(second.get("/revoke_others").await.expect(200).text(), "1");
        assert_eq!(first.get("/user").await.expect(200).text(), "-");
    }
}

/// 21
#[tokio::test]
async fn a_single_primary_becomes_a_cluster_with_all_its_sessions() {
    let single = RedisServer::start().await;
    let before = Site::on(patient(&single.url()), |builder| builder).await;
    let mut reader = signed_in(&before, "alice").await;
    let mut leaver = signed_in(&before, "alice").await;
    let mut revoker = signed_in(&before, "bob").await;
    let revoked = signed_in(&before, "bob").await;
    let again = signed_in(&before, "carol").await;
    let snapshot = single.snapshot().await;

    let cluster = RedisCluster::builder().replicas(0).snapshot(snapshot).start().await;
    let slots: Vec<_> = keys(&cluster, "").await.iter().map(slot_of).collect();
    for (number, slot) in slots.into_iter().enumerate() {
        cluster.move_slot(slot, number % 3).await;
    }
    let site = site(&cluster).await;
    reader = reader.on(site.addr()).await;
    leaver = leaver.on(site.addr()).await;
    revoker = revoker.on(site.addr()).await;
    let mut revoked = revoked.on(site.addr()).await;
    let mut again = again.on(site.addr()).await;
    assert_eq!(reader.get("/get:cart,insert:a:1").await.expect(200).text(), "tea");
    assert_eq!(listed(&mut reader).await, 2);
    leaver.get("/logout").await.expect(200);
    assert_eq!(listed(&mut reader).await, 1);
    assert_eq!(reader.get("/get:a").await.expect(200).text(), "1");
    assert_eq!(revoker.get("/revoke_others").await.expect(200).text(), "1");
    assert_eq!(revoked.get("/user").await.expect(200).text(), "-");
    // Signed in again, the session has the tag of its user.
    again.get("/login:carol").await.expect(200);
    let fresh = signed_in(&site, "carol").await;
    assert_eq!(slot(&again), slot(&fresh));
    assert_eq!(listed(&mut again).await, 2);
    assert_eq!(again.get("/get:cart").await.expect(200).text(), "tea");
}

/// How many sessions the user of the browser has, of which this is one.
async fn listed(browser: &mut Browser) -> usize {
    let list = browser.get("/sessions").await.expect(200).text();
    assert_eq!(list.matches('*').count(), 1, "{list}");
    list.split(',').count()
}
