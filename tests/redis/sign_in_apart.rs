//! A sign-in on a cluster whose old session is in another slot than the user's: created with a
//! mark, the old one ended, the mark removed. Each test has the number of its schedule.
//!
//! To see these fail: in `sign_in.rs` use a record with a mark (`load_id` without `finish_marked`);
//! in `leave.lua` end the old one at whatever version, forget the heir in what it leaves, or leave a
//! tombstone alone; in `finish_marked` end the new one where the old one is gone, or do not take
//! over; in `finish_apart` remove the new one beside a conflict.

use std::time::Duration;

use test_support::{
    Browser, COOKIE, Cut, Gate, Matching, RedisCluster, Site, bounded, eventually, key_end, slot_of,
};
use tokio::task::JoinHandle;
use tower_redis_session::{RedisConfig, RedisSessionLayerBuilder, encryption::UnsealedRecords};

const USER: &str = "alice";

/// A cluster behind proxies, a site on it, and a visitor whose session is not in the user's slot.
struct Apart {
    cluster: RedisCluster,
    site: Site,
    visitor: Browser,
}

async fn site(cluster: &RedisCluster) -> Site {
    let long = Duration::from_secs(10);
    let config = RedisConfig::cluster(cluster.seeds()).connect_timeout(long).command_timeout(long);
    Site::on(config, |builder: RedisSessionLayerBuilder| builder.budget(Duration::from_secs(15)))
        .await
}

async fn sealed_site(cluster: &RedisCluster) -> Site {
    let long = Duration::from_secs(10);
    let config = RedisConfig::cluster(cluster.seeds()).connect_timeout(long).command_timeout(long);
    Site::on(config, |builder| {
        builder.budget(Duration::from_secs(15)).seal_records(UnsealedRecords::Reject)
    })
    .await
}

impl Apart {
    async fn start() -> Self {
        let cluster = RedisCluster::builder().replicas(0).behind_proxies().start().await;
        let site = site(&cluster).await;
        let mut visitor = site.browser().await;
        visitor.get("/insert:cart:tea").await.expect(200);
        Self { cluster, site, visitor }
    }

    async fn id(&mut self) -> String {
        self.visitor.get("/id").await.expect(200).text()
    }

    /// The node of a session.
    async fn node(&self, id: &str) -> usize {
        self.cluster.owner_of(slot_of(format!("{{{}}}", &id[40..]))).await
    }

    /// A visitor whose session is on another node than the user's list; that id, and that node.
    async fn on_two_nodes(&mut self) -> (String, usize) {
        let mut user = self.site.browser().await;
        user.get(&format!("/login:{USER}")).await.expect(200);
        let of_user = self.node(user.cookie(COOKIE).unwrap()).await;
        user.get("/logout").await.expect(200);
        loop {
            self.visitor = self.site.browser().await;
            self.visitor.get("/insert:cart:tea").await.expect(200);
            let old = self.id().await;
            if self.node(&old).await != of_user {
                return (old, of_user);
            }
        }
    }

    /// A sign-in in another tab, under way, that ends with this status.
    async fn signing_in(&self, status: u16) -> JoinHandle<Browser> {
        let mut tab = self.visitor.tab().await;
        tokio::spawn(async move {
            tab.get("/login:alice").await.expect(status);
            tab
        })
    }

    /// A write by another instance, whose connections wait behind nothing.
    async fn write_elsewhere(&self, value: &str) {
        let other = site(&self.cluster).await;
        let mut tab = self.visitor.tab().await.on(other.addr()).await;
        tab.get(&format!("/insert:cart:{value}")).await.expect(200);
    }

    /// The command that ends the visitor's session.
    fn end_of(id: &str) -> Matching {
        Matching::command("EVALSHA").containing(key_end(id)).containing("session:u:")
    }

    async fn cut_ends(&self, id: &str) -> Cut {
        self.cluster.proxy(self.node(id).await).cut_replies(Self::end_of(id))
    }

    async fn values(&self, id: &str) -> Vec<Vec<u8>> {
        let contents = self.cluster.contents().await.into_iter();
        contents
            .filter(|(_, key, _)| key.ends_with(&key_end(id)))
            .map(|(.., value)| value)
            .collect()
    }
}

async fn is_over(site: &Site, cookie: &str) {
    let mut other = site.browser().await;
    other.set_cookie(COOKIE, cookie);
    assert_eq!(other.get("/get:cart,user").await.expect(200).text(), "-,-", "the old session");
}

/// 1. The commands of a request, on all nodes.
#[tokio::test]
async fn what_each_request_costs_on_a_cluster() {
    let cluster = RedisCluster::builder().replicas(0).start().await;
    let site = site(&cluster).await;
    for user in [USER, "bob"] {
        // Every node has its connection, and the scripts.
        for _ in 0..20 {
            let mut browser = site.browser().await;
            browser.get("/insert:a:1").await.expect(200);
            browser.get(&format!("/login:{user},renew,sessions,logout")).await.expect(200);
        }
    }
    let costs = [
        ("read", "insert:a:1", "get:a", &["GET"][..]),
        ("read and write", "insert:a:1", "get:a,insert:a:2", &["EVALSHA", "GET"]),
        ("a signed-in one", "login:alice", "get:a,insert:a:2", &["EVALSHA", "GET"]),
        ("a first write", "", "insert:a:1", &["EVALSHA"]),
        ("login of a stranger", "", "begin_login:alice,finish_login", &["EVALSHA", "HGET"]),
        // The last of them after the response.
        (
            "login",
            "insert:a:1",
            "begin_login:alice,finish_login",
            &["EVALSHA", "EVALSHA", "EVALSHA", "GET", "HGET"],
        ),
        ("a new id of a visitor", "insert:a:1", "renew", &["EVALSHA", "GET"]),
        ("a new id of a user", "login:alice", "renew", &["EVALSHA", "GET"]),
        ("logout", "login:alice", "logout", &["EVALSHA"]),
        ("logout of a visitor", "insert:a:1", "logout", &["EVALSHA"]),
        ("a list", "login:alice", "sessions", &["EVALSHA", "GET", "HKEYS"]),
        ("all others out", "login:alice", "revoke_others", &["EVALSHA", "GET"]),
    ];
    let mut monitors = cluster.monitor_all().await;
    for (what, before, path, expected) in costs {
        let mut browser = site.browser().await;
        browser.get(&format!("/{before}")).await.expect(200);
        tokio::time::sleep(Duration::from_millis(20)).await;
        monitors.take().await;
        browser.get(&format!("/{path}")).await.expect(200);
        let mut sent = Vec::new();
        eventually(what, async || {
            sent.extend(monitors.take_names().await.into_iter().flat_map(|(_, names)| names));
            sent.retain(|name| name != "CLUSTER");
            sent.len() >= expected.len()
        })
        .await;
        sent.sort();
        assert_eq!(sent, expected, "{what}");
        if what.starts_with("login") {
            assert_eq!(browser.cookie(COOKIE).unwrap().len(), 43);
        }
        browser.get("/logout").await.expect(200);
    }
}

/// 2, 3. The end of the old session is not confirmed, or its sender has died: the cookie of the
/// response works, and the old one does not.
#[tokio::test]
async fn whoever_gets_a_new_cookie_with_a_503_is_signed_in() {
    for executed in [true, false] {
        for expired in [false, true] {
            let mut apart = Apart::start().await;
            let old = apart.id().await;
            let former = apart.visitor.cookie(COOKIE).unwrap().to_owned();
            let node = apart.node(&old).await;
            let proxy = apart.cluster.proxy(node);
            if executed {
                let cut = apart.cut_ends(&old).await;
                apart.visitor.get("/login:alice").await.expect(503);
                assert!(cut.count() > 1, "it is repeated");
            } else {
                let held = proxy.hold_all(Apart::end_of(&old));
                let mut tab = apart.visitor.tab().await;
                let request = tokio::spawn(async move {
                    let reply = tab.get("/login:alice").await.expect(503);
                    (tab, reply)
                });
                held.reached(1).await;
                // Each attempt is lost before it is executed.
                proxy.set(Gate::Refuse);
                held.drop_them();
                let (tab, _) = bounded("the response", request).await.unwrap();
                proxy.set(Gate::Pass);
                apart.visitor = tab;
            }
            proxy.forget_rules();
            assert_ne!(apart.visitor.cookie(COOKIE).unwrap(), former);
            assert_eq!(apart.values(&old).await.len(), 1);
            if expired {
                let key = format!("session:0:s:{}", key_end(&old));
                let mut connection = apart.cluster.connection(node).await;
                let _: i64 = redis::cmd("DEL").arg(key).query_async(&mut connection).await.unwrap();
            }
            let said = apart.visitor.get("/user,get:cart").await.expect(200).text();
            assert_eq!(said, "alice,tea", "{executed} {expired}");
            is_over(&apart.site, &former).await;
            apart.visitor.get("/update:n").await.expect(200);
            assert_eq!(apart.visitor.get("/sessions").await.expect(200).text(), "*-");
            apart.cluster.assert_every_key_has_a_ttl().await;
        }
    }
}

/// 3. The reply to the end of another user's session is lost, and that it has ended for this one is
/// found by the repetition.
#[tokio::test]
async fn an_end_whose_reply_is_lost_is_found_again() {
    let mut apart = Apart::start().await;
    apart.visitor.get("/login:bob").await.expect(200);
    let (old, former) = (apart.id().await, apart.visitor.cookie(COOKIE).unwrap().to_owned());
    let proxy = apart.cluster.proxy(apart.node(&old).await);
    let cut = proxy.cut_reply(Apart::end_of(&old));
    apart.visitor.get("/login:alice").await.expect(200);
    assert_eq!(cut.count(), 1);
    assert_eq!(apart.visitor.get("/user").await.expect(200).text(), "alice");
    is_over(&apart.site, &former).await;
}

/// 2, after the end of the old session: nobody removes the mark but the next request.
#[tokio::test]
async fn a_mark_that_stays_is_removed_by_the_next_request() {
    let mut apart = Apart::start().await;
    let (old, former) = (apart.id().await, apart.visitor.cookie(COOKIE).unwrap().to_owned());
    let unmark = |node| {
        apart
            .cluster
            .proxy(node)
            .hold(Matching::command("EVALSHA").containing(format!("P{old}")).containing("1").nth(2))
    };
    let held: Vec<_> = (0..3).map(unmark).collect();
    apart.visitor.get("/login:alice").await.expect(200);
    drop(held);
    is_over(&apart.site, &former).await;
    for said in ["alice,tea", "alice,tea"] {
        assert_eq!(apart.visitor.get("/user,get:cart").await.expect(200).text(), said);
    }
    apart.visitor.get("/insert:a:1").await.expect(200);
    assert_eq!(apart.visitor.get("/get:a").await.expect(200).text(), "1");
}

/// What was in flight under the old id is told so as on one server, and reads what there was.
#[tokio::test]
async fn a_request_in_flight_under_the_old_id_is_told_that_the_session_has_moved() {
    let mut apart = Apart::start().await;
    let mut tab = apart.visitor.tab().await;
    let slow = tokio::spawn(async move { tab.get("/get:cart,gate:slow,~update:n").await });
    apart.site.gates.arrived("slow").await;
    apart.visitor.get("/login:alice").await.expect(200);
    apart.site.gates.open("slow");
    let reply = bounded("the request in flight", slow).await.unwrap().expect(200);
    assert_eq!(reply.text(), "tea,!Moved");
    assert!(reply.set_cookies().is_empty(), "{reply:?}");
}

/// 4. A write to the old session between the two steps is in the new one.
#[tokio::test]
async fn a_write_between_the_steps_is_in_the_session_after_the_sign_in() {
    let mut apart = Apart::start().await;
    let old = apart.id().await;
    let held = apart.cluster.proxy(apart.node(&old).await).hold(Apart::end_of(&old));
    let login = apart.signing_in(200).await;
    held.reached().await;
    apart.write_elsewhere("coffee").await;
    held.release().await;
    let mut tab = bounded("the sign-in", login).await.unwrap();
    assert_eq!(tab.get("/user,get:cart").await.expect(200).text(), "alice,coffee");
    // The first of the two new sessions is dead, and in no list.
    assert_eq!(tab.get("/sessions").await.expect(200).text(), "*-");
}

/// 4. The time of the request is over when it removes the first of the two: its client has a cookie
/// that works.
#[tokio::test]
async fn a_sign_in_that_was_overtaken_and_cut_off_leaves_a_cookie_that_works() {
    let mut apart = Apart::start().await;
    let long = Duration::from_secs(10);
    let config = RedisConfig::cluster(apart.cluster.seeds()).command_timeout(long);
    apart.site = Site::on(config, |builder| builder.budget(Duration::from_secs(2))).await;
    let (old, of_user) = apart.on_two_nodes().await;
    let end = apart.cluster.proxy(apart.node(&old).await).hold(Apart::end_of(&old));
    let login = apart.signing_in(503).await;
    end.reached().await;
    apart.write_elsewhere("coffee").await;
    let removal = apart.cluster.proxy(of_user).hold(Matching::command("EVALSHA"));
    end.release().await;
    removal.reached().await;
    let mut tab = bounded("the response", login).await.unwrap();
    removal.release().await;
    for _ in 0..2 {
        assert_eq!(tab.get("/get:cart").await.expect(200).text(), "coffee");
    }
}

/// 5. The same where the sign-in did not hear of it.
#[tokio::test]
async fn a_write_after_an_unconfirmed_sign_in_is_not_lost() {
    let apart = Apart::start().await;
    let (apart, mut tab, mut before) = written_after_an_unconfirmed_sign_in(apart).await;
    // The sign-in was not acknowledged, and the write was.
    assert_eq!(tab.get("/user,get:cart").await.expect(200).text(), "-,coffee");
    tab.get("/login:alice").await.expect(200);
    assert_eq!(tab.get("/user,get:cart").await.expect(200).text(), "alice,coffee");
    assert_eq!(tab.get("/sessions").await.expect(200).text(), "*-");
    assert_eq!(before.get("/user,get:cart").await.expect(200).text(), "-,-");
    apart.cluster.assert_every_key_has_a_ttl().await;
}

/// 5, with records that are sealed for the token: that of the old session cannot be read with the
/// new one.
#[tokio::test]
async fn with_sealed_records_the_sign_in_goes_on() {
    let mut apart = Apart::start().await;
    apart.site = sealed_site(&apart.cluster).await;
    apart.visitor = apart.site.browser().await;
    apart.visitor.get("/insert:cart:tea").await.expect(200);
    let (apart, mut tab, mut before) = written_after_an_unconfirmed_sign_in(apart).await;
    assert_eq!(tab.get("/user,get:cart").await.expect(200).text(), "alice,tea");
    assert_eq!(before.get("/user,get:cart").await.expect(200).text(), "-,-");
    tab.get("/update:n").await.expect(200);
    apart.cluster.assert_every_key_has_a_ttl().await;
}

/// 5. The same where the reply to the first step is lost: the sign-in learns of the write when it
/// looks for what became of that step.
#[tokio::test]
async fn a_write_after_a_first_step_without_a_reply_is_not_lost() {
    let mut apart = Apart::start().await;
    let (_, of_user) = apart.on_two_nodes().await;
    let proxy = apart.cluster.proxy(of_user);
    let cut = proxy.cut_reply(Matching::command("EVALSHA").containing(format!("}}{USER}")));
    let looks = proxy.hold(Matching::command("GET"));
    let login = apart.signing_in(503).await;
    looks.reached().await;
    assert_eq!(cut.count(), 1);
    apart.write_elsewhere("coffee").await;
    looks.release().await;
    let mut tab = bounded("the sign-in", login).await.unwrap();
    assert_eq!(tab.get("/user,get:cart").await.expect(200).text(), "-,coffee");
    tab.get("/login:alice").await.expect(200);
    assert_eq!(tab.get("/user,get:cart").await.expect(200).text(), "alice,coffee");
    assert_eq!(tab.get("/sessions").await.expect(200).text(), "*-");
    assert_eq!(apart.visitor.get("/user,get:cart").await.expect(200).text(), "-,-");
}

/// The tab with the new cookie, and the one with the old cookie that has written since.
async fn written_after_an_unconfirmed_sign_in(mut apart: Apart) -> (Apart, Browser, Browser) {
    let old = apart.id().await;
    let mut before = apart.visitor.tab().await;
    let proxy = apart.cluster.proxy(apart.node(&old).await);
    let held = proxy.hold_all(Apart::end_of(&old));
    let login = apart.signing_in(503).await;
    held.reached(1).await;
    proxy.set(Gate::Refuse);
    held.drop_them();
    let tab = bounded("the response", login).await.unwrap();
    proxy.set(Gate::Pass);
    proxy.forget_rules();
    before.get("/insert:cart:coffee").await.expect(200);
    (apart, tab, before)
}

/// 6. A logout of the old session between the steps ends the new one: the sign-in begins another,
///    as on one server, and nothing of what has ended is in it.
#[tokio::test]
async fn a_logout_between_the_steps_ends_what_was_begun() {
    let mut apart = Apart::start().await;
    let old = apart.id().await;
    let held = apart.cluster.proxy(apart.node(&old).await).hold(Apart::end_of(&old));
    let mut tab = apart.visitor.tab().await;
    let login = tokio::spawn(async move {
        let reply = tab.get("/login:alice").await;
        (tab, reply.status)
    });
    held.reached().await;
    let other = site(&apart.cluster).await;
    apart.visitor.on(other.addr()).await.get("/logout").await.expect(200);
    held.release().await;
    let (mut tab, status) = bounded("the sign-in", login).await.unwrap();
    assert_eq!(tab.get("/user,get:cart").await.expect(200).text(), "alice,-", "{status}");
    assert_eq!(tab.get("/sessions").await.expect(200).text(), "*-");
}

/// 6. A revocation between the epoch and the first step rejects the sign-in.
#[tokio::test]
async fn a_revocation_before_the_first_step_rejects_the_sign_in() {
    let mut apart = Apart::start().await;
    let _ = apart.id().await;
    let held: Vec<_> = (0..3)
        .map(|node| {
            let login = Matching::command("EVALSHA").containing(format!("}}{USER}"));
            apart.cluster.proxy(node).hold(login)
        })
        .collect();
    let mut tab = apart.visitor.tab().await;
    let login = tokio::spawn(async move {
        let reply = tab.get("/begin_login:alice,finish_login").await;
        (tab, reply.status)
    });
    let mut reached = None;
    eventually("the sign-in is held", async || {
        reached = held.iter().position(|held| held.is_reached());
        reached.is_some()
    })
    .await;
    // Over connections that wait behind nothing.
    let other = site(&apart.cluster).await.layer.admin();
    let _ = bounded("the revocation", other.revoke_all(USER)).await.unwrap();
    for held in held {
        if held.is_reached() {
            held.release().await;
        }
    }
    let (mut tab, status) = bounded("the sign-in", login).await.unwrap();
    assert_eq!(status.as_u16(), 401);
    assert_eq!(tab.get("/user,get:cart").await.expect(200).text(), "-,tea");
}

/// Sign-ins and revocations in many orders: nothing that was revoked survives, and no more than
/// allowed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sign_ins_and_revocations_side_by_side() {
    let cluster = RedisCluster::builder().replicas(0).start().await;
    let long = Duration::from_secs(10);
    let config = RedisConfig::cluster(cluster.seeds()).connect_timeout(long).command_timeout(long);
    let site =
        Site::on(config, |builder| builder.budget(Duration::from_secs(15)).sessions_per_user(2))
            .await;
    for _ in 0..20 {
        let mut tasks = Vec::new();
        for _ in 0..3 {
            let mut browser = site.browser().await;
            browser.get("/insert:cart:tea").await.expect(200);
            tasks.push(tokio::spawn(async move {
                browser.get("/begin_login:alice,finish_login").await;
                browser
            }));
        }
        site.layer.admin().revoke_all(USER).await.unwrap();
        let mut signed_in = 0;
        for task in tasks {
            let mut browser = task.await.unwrap();
            signed_in += usize::from(browser.get("/user").await.expect(200).text() == USER);
        }
        let listed = site.layer.admin().sessions_of(USER).await.unwrap().len();
        assert!(listed == signed_in && signed_in <= 2, "{listed} listed, {signed_in} signed in");
        site.layer.admin().revoke_all(USER).await.unwrap();
    }
    cluster.assert_every_key_has_a_ttl().await;
}
