//! Redis may die, hang, fill up, or never have been one: what a request gets then, and how soon.
//!
//! To see these fail: take a failed load for "no session"; wait for the pool without the budget;
//! answer a failed commit by the handler's response; keep a connection that timed out; send the
//! removal cookie before the store has confirmed the end.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use http::Response;
use test_support::{
    Browser, COOKIE, Client, FaultProxy, Mode, Outage, REMOVED, RedisServer, Reply, Site, bounded,
    eventually, patient,
};
use tower_redis_session::{ErrorKind, RedisConfig, RedisSessionLayer, RedisStore};

const BUDGET: Duration = Duration::from_millis(400);
/// What a busy machine may add to one request; the middle one of many must do with a part of it.
const SLACK: Duration = Duration::from_millis(300);
const USUAL_SLACK: Duration = Duration::from_millis(50);
const RECOVERY: Duration = Duration::from_secs(1);

fn limits(url: &str) -> RedisConfig {
    RedisConfig::new(url)
        .connect_timeout(Duration::from_millis(200))
        .command_timeout(Duration::from_millis(300))
}

async fn site_at(url: &str) -> Site {
    Site::on(limits(url), |builder| builder.budget(BUDGET)).await
}

fn layer_at(config: RedisConfig) -> RedisSessionLayer {
    RedisSessionLayer::builder(RedisStore::new(config).unwrap()).budget(BUDGET).build().unwrap()
}

/// Sends a request and measures it.
async fn timed(browser: &mut Browser, path: &str) -> (Reply, Duration) {
    let start = Instant::now();
    let reply = browser.get(path).await;
    (reply, start.elapsed())
}

#[track_caller]
fn assert_refused(reply: &Reply, what: &str) {
    assert_eq!(reply.status.as_u16(), 503, "{what}: {reply:?}");
    assert_eq!(reply.all("retry-after"), ["1"], "{what}");
    assert!(reply.set_cookies().is_empty(), "{what}: {reply:?}");
}

/// A Redis behind a proxy, and a site that knows only the proxy.
struct Scene {
    redis: RedisServer,
    proxy: FaultProxy,
    site: Site,
}

impl Scene {
    async fn set() -> Self {
        let redis = RedisServer::start().await;
        let proxy = FaultProxy::start(redis.addr()).await;
        let site = site_at(&redis.url_at(proxy.port())).await;
        Self { redis, proxy, site }
    }

    fn take_away(&self, way: Outage) {
        way.begins(&self.redis, &self.proxy);
    }

    async fn bring_back(&self, way: Outage) {
        way.ends(&self.redis, &self.proxy).await;
    }

    async fn signed_in(&self) -> Browser {
        test_support::signed_in(&self.site).await
    }
}

#[tokio::test]
async fn requests_that_do_not_need_the_store_notice_no_outage() {
    for way in Outage::EVERY_WAY {
        let scene = Scene::set().await;
        let mut browser = scene.signed_in().await;
        let mut stranger = scene.site.browser().await;
        scene.take_away(way);
        for path in ["/say:hello", "/status:404"] {
            let (reply, took) = timed(&mut browser, path).await;
            assert!(reply.status != 503 && took < SLACK, "{way:?}: {took:?} {reply:?}");
            assert!(reply.set_cookies().is_empty(), "{way:?}");
        }
        // Nobody without a cookie can have a session, so there is nothing to ask.
        let (reply, took) = timed(&mut stranger, "/user,get:cart,keys,logout").await;
        assert!(reply.status == 200 && took < SLACK, "{way:?}: {took:?} {reply:?}");
        assert!(reply.set_cookies().is_empty(), "{way:?}");
        // A malformed cookie is none.
        stranger.set_cookie(COOKIE, "../../etc/passwd");
        assert_eq!(stranger.get("/user").await.expect(200).text(), "-", "{way:?}");
    }
}

#[tokio::test]
async fn a_request_that_needs_the_store_is_refused_within_the_budget_and_keeps_its_cookie() {
    for way in Outage::EVERY_WAY {
        let scene = Scene::set().await;
        let mut browser = scene.signed_in().await;
        let mut stranger = scene.site.browser().await;
        scene.take_away(way);
        let mut times = Vec::new();
        for (who, path) in [
            ("browser", "/get:cart"),
            // A handler that goes on without its session changes nothing: it cannot know.
            ("browser", "/~user,~insert:cart:milk,~login:mallory,~save"),
            ("browser", "/~renew,~validate,~keys"),
            ("browser", "/~login:bob"),
            ("browser", "/login:bob"),
            ("browser", "/insert:a:1"),
            ("stranger", "/insert:a:1"),
            ("stranger", "/login:carol"),
        ] {
            let who = if who == "browser" { &mut browser } else { &mut stranger };
            let cookie = who.cookie_header();
            let (reply, took) = timed(who, path).await;
            if path.starts_with("/~") && reply.status == 200 {
                assert!(!reply.text().replace("!Unavailable", "").contains(char::is_alphanumeric));
                assert!(reply.set_cookies().is_empty(), "{way:?} {path}: {reply:?}");
            } else {
                assert_refused(&reply, &format!("{way:?} {path}"));
            }
            assert_eq!(who.cookie_header(), cookie, "{way:?} {path}");
            assert!(took < BUDGET + SLACK, "{way:?} {path}: {took:?}");
            times.push(took);
        }
        times.sort_unstable();
        assert!(times[times.len() / 2] < BUDGET + USUAL_SLACK, "{way:?}: {times:?}");
        scene.bring_back(way).await;
        let back = Instant::now();
        eventually("the return of Redis", async || browser.get("/user").await.status == 200).await;
        assert!(back.elapsed() < RECOVERY, "{way:?}: {:?}", back.elapsed());
        let expected = if way == Outage::Killed { "-,-" } else { "alice,tea" };
        assert_eq!(browser.get("/user,get:cart").await.expect(200).text(), expected, "{way:?}");
        scene.redis.assert_every_key_has_a_ttl().await;
    }
}

#[tokio::test]
async fn a_call_that_acts_at_once_is_bounded_by_the_budget_too() {
    for way in Outage::EVERY_WAY {
        let scene = Scene::set().await;
        let mut browser = scene.signed_in().await;
        scene.take_away(way);
        for path in ["/update:n", "/insert:a:1,save", "/touch", "/validate"] {
            let (reply, took) = timed(&mut browser, path).await;
            assert_refused(&reply, &format!("{way:?} {path}"));
            assert!(took < BUDGET + SLACK, "{way:?} {path}: {took:?}");
        }
    }
}

#[tokio::test]
async fn the_budget_holds_whatever_the_limits_of_a_connection_are() {
    for way in Outage::EVERY_WAY {
        let mut scene = Scene::set().await;
        let long = patient(&scene.redis.url_at(scene.proxy.port()));
        scene.site = Site::on(long, |builder| builder.budget(BUDGET)).await;
        let mut browser = scene.signed_in().await;
        let mut stranger = scene.site.browser().await;
        scene.take_away(way);
        for path in ["/get:cart", "/insert:a:1", "/update:n", "/logout", "/~logout,say:bye"] {
            let (reply, took) = timed(&mut browser, path).await;
            assert_refused(&reply, &format!("{way:?} {path}"));
            assert!(took < BUDGET + SLACK, "{way:?} {path}: {took:?}");
        }
        let (reply, took) = timed(&mut stranger, "/insert:a:1").await;
        assert_refused(&reply, &format!("{way:?}"));
        assert!(took < BUDGET + SLACK, "{way:?}: {took:?}");
    }
}

#[tokio::test]
async fn connections_that_went_silent_are_given_up_and_replaced() {
    // Whichever is the shorter: the limit of the connection, or the budget of the request.
    for (command_ms, budget_ms) in [(300, 400), (600, 200)] {
        let (command, budget) =
            (Duration::from_millis(command_ms), Duration::from_millis(budget_ms));
        let mut scene = Scene::set().await;
        let limits = limits(&scene.redis.url_at(scene.proxy.port())).command_timeout(command);
        scene.site = Site::on(limits, |builder| builder.budget(budget)).await;
        let mut browser = scene.signed_in().await;
        scene.proxy.set(Mode::HalfOpen);
        let start = Instant::now();
        while timed(&mut browser, "/user").await.0.status != 200 {
            let waited = start.elapsed();
            assert!(
                waited < command + RECOVERY,
                "command {command:?}, budget {budget:?}: {waited:?}"
            );
        }
        assert_eq!(browser.get("/user,insert:a:1").await.expect(200).text(), "alice");
    }
}

#[tokio::test]
async fn a_logout_while_redis_is_away_is_never_a_success() {
    for way in Outage::EVERY_WAY {
        // A handler that passes the error on, and one that believes it knows better.
        for path in [
            "/logout",
            "/~logout,say:bye",
            "/user,logout",
            "/user,~logout,status:303",
            "/destroy,say:bye",
        ] {
            let scene = Scene::set().await;
            let mut browser = scene.signed_in().await;
            scene.take_away(way);
            let (reply, took) = timed(&mut browser, path).await;
            assert_refused(&reply, &format!("{way:?} {path}"));
            assert!(took < BUDGET + SLACK, "{way:?} {path}: {took:?}");
            assert!(browser.cookie(COOKIE).is_some(), "{way:?} {path}");
            scene.bring_back(way).await;
            let mut again = browser.tab().await;
            eventually("the return of Redis", async || again.get("/logout").await.status == 200)
                .await;
            assert_eq!(browser.get("/user,keys").await.expect(200).text(), "-,", "{way:?} {path}");
        }
    }
}

#[tokio::test]
async fn redis_dying_between_load_and_commit_refuses_the_response() {
    for way in Outage::EVERY_WAY {
        let scene = Scene::set().await;
        let mut browser = scene.signed_in().await;
        let mut tab = browser.tab().await;
        let request = tokio::spawn(async move {
            tab.get("/get:cart,gate:slow,insert:cart:milk,header:set-cookie:own=1").await
        });
        scene.site.gates.arrived("slow").await;
        scene.take_away(way);
        let start = Instant::now();
        scene.site.gates.open("slow");
        let reply = bounded("the slow request", request).await.unwrap();
        assert_refused(&reply, &format!("{way:?}"));
        assert_eq!(reply.text(), "Service Unavailable\n", "{way:?}: the handler's body was sent");
        assert!(start.elapsed() < BUDGET + SLACK, "{way:?}: {:?}", start.elapsed());
        scene.bring_back(way).await;
        eventually("the return of Redis", async || browser.get("/user").await.status == 200).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_restarted_under_load_costs_no_hang_and_no_wrong_answer() {
    let scene = Scene::set().await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut clients = Vec::new();
    for (number, path) in ["/say:hi", "/user", "/insert:a:1", "/update:n", "/get:cart,insert:b:2"]
        .iter()
        .cycle()
        .take(20)
        .enumerate()
    {
        let mut browser = match number % 3 {
            0 => scene.site.browser().await,
            _ => scene.signed_in().await,
        };
        let stop = Arc::clone(&stop);
        clients.push(tokio::spawn(async move {
            let mut answers = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let (reply, took) = timed(&mut browser, path).await;
                answers.push((*path, reply.status.as_u16(), took, reply.set_cookies()));
                // A client that is refused waits a little, and so does every other.
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            answers
        }));
    }
    let mut probe = scene.site.browser().await;
    for way in [Outage::Killed, Outage::Hung, Outage::Killed] {
        tokio::time::sleep(Duration::from_millis(200)).await;
        scene.take_away(way);
        tokio::time::sleep(Duration::from_millis(600)).await;
        scene.bring_back(way).await;
        let back = Instant::now();
        eventually("the return of Redis", async || probe.get("/update:n").await.status == 200)
            .await;
        assert!(back.elapsed() < RECOVERY, "{way:?}: {:?}", back.elapsed());
    }
    stop.store(true, Ordering::Relaxed);
    let answers: Vec<_> = bounded("the end of the load", join_all(clients))
        .await
        .into_iter()
        .flat_map(|client| client.unwrap())
        .collect();
    let mut refused = 0;
    for (path, status, took, set_cookies) in &answers {
        assert!(*took < BUDGET + SLACK, "{path} took {took:?}");
        match status {
            200 => {}
            503 if *path != "/say:hi" => {
                refused += 1;
                assert!(set_cookies.is_empty(), "{path}: {set_cookies:?}");
            }
            _ => panic!("{path} was answered {status}"),
        }
    }
    assert!(refused > 0 && answers.len() > 500, "{refused} of {}", answers.len());
    scene.redis.assert_every_key_has_a_ttl().await;
}

#[tokio::test]
async fn a_hundred_requests_at_a_hung_redis_are_all_answered_within_the_budget() {
    let scene = Scene::set().await;
    let browser = scene.signed_in().await;
    let mut tabs = Vec::new();
    for _ in 0..100 {
        tabs.push(browser.tab().await);
    }
    scene.take_away(Outage::Hung);
    // Twice: with connections that look alive, and with those given up.
    for round in 0..2 {
        let start = Instant::now();
        let replies = join_all(tabs.iter_mut().map(|tab| tab.get("/get:cart"))).await;
        let took = start.elapsed();
        assert!(took < BUDGET + SLACK, "round {round}: {took:?}");
        for reply in replies {
            assert_refused(&reply, &format!("round {round}"));
        }
    }
    scene.bring_back(Outage::Hung).await;
}

#[tokio::test]
async fn a_site_started_before_its_redis_serves_and_uses_it_when_it_comes() {
    let redis = RedisServer::start().await;
    redis.kill();
    let site = site_at(&redis.url()).await;
    assert_eq!(site.layer.check().await.unwrap_err().kind(), ErrorKind::Unavailable);
    let mut browser = site.browser().await;
    browser.get("/say:hi").await.expect(200);
    assert_refused(&browser.get("/insert:a:1").await, "before its Redis");
    redis.restart().await;
    let back = Instant::now();
    eventually("the first connection", async || browser.get("/insert:a:1").await.status == 200)
        .await;
    assert!(back.elapsed() < RECOVERY, "{:?}", back.elapsed());
    site.layer.check().await.unwrap();
    assert_eq!(browser.get("/get:a").await.text(), "1");
}

#[tokio::test]
async fn killed_connections_and_forgotten_scripts_are_not_noticed() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let mut browser = site.browser().await;
    browser.get("/insert:a:1").await.expect(200);
    for nuisance in [
        ["CLIENT", "KILL", "TYPE", "normal"].as_slice(),
        ["SCRIPT", "FLUSH"].as_slice(),
        ["CONFIG", "SET", "timeout", "0"].as_slice(),
    ] {
        for path in
            ["/get:a", "/insert:a:2", "/update:n", "/get:a,insert:a:1", "/login:alice", "/renew"]
        {
            let mut connection = redis.connection().await;
            let mut command = redis::cmd(nuisance[0]);
            command.arg(&nuisance[1..]);
            let _: redis::Value = command.query_async(&mut connection).await.unwrap();
            let reply = browser.get(path).await;
            assert_eq!(reply.status.as_u16(), 200, "{path} after {nuisance:?}: {reply:?}");
        }
        let mut connection = redis.connection().await;
        let _: redis::Value =
            redis::cmd(nuisance[0]).arg(&nuisance[1..]).query_async(&mut connection).await.unwrap();
        let mut stranger = site.browser().await;
        stranger.get("/insert:b:1").await.expect(200);
        assert_eq!(stranger.get("/get:b,logout").await.expect(200).text(), "1");
    }
}

#[tokio::test]
async fn a_busy_script_and_a_paused_server_are_outages_that_end() {
    let redis = RedisServer::builder().arg("--busy-reply-threshold", "50").start().await;
    let site = site_at(&redis.url()).await;
    let mut browser = site.browser().await;
    browser.get("/login:alice").await.expect(200);
    for nuisance in ["busy script", "CLIENT PAUSE"] {
        let mut connection = redis.connection().await;
        let mut other = redis.connection().await;
        let stuck = if nuisance == "busy script" {
            let stuck = tokio::spawn(async move {
                let endless = redis::cmd("EVAL").arg("while true do end").arg(0).to_owned();
                let _: redis::RedisResult<()> = endless.query_async(&mut connection).await;
            });
            eventually("the busy script", async || {
                redis::cmd("GET").arg("x").query_async::<Option<String>>(&mut other).await.is_err()
            })
            .await;
            Some((stuck, other))
        } else {
            let () = redis::cmd("CLIENT")
                .arg("PAUSE")
                .arg(600)
                .arg("ALL")
                .query_async(&mut connection)
                .await
                .unwrap();
            None
        };
        let (reply, took) = timed(&mut browser, "/user").await;
        assert_refused(&reply, nuisance);
        assert!(took < BUDGET + SLACK, "{nuisance}: {took:?}");
        if let Some((stuck, mut other)) = stuck {
            let () = redis::cmd("SCRIPT").arg("KILL").query_async(&mut other).await.unwrap();
            bounded("the end of the script", stuck).await.unwrap();
        }
        let start = Instant::now();
        eventually("the return of Redis", async || browser.get("/user").await.status == 200).await;
        assert!(start.elapsed() < RECOVERY, "{nuisance}: {:?}", start.elapsed());
        assert_eq!(browser.get("/user").await.text(), "alice");
    }
}

#[tokio::test]
async fn a_full_redis_loses_nobody_and_logs_out() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let (mut alice, mut anonymous) = (site.browser().await, site.browser().await);
    alice.get("/login:alice,insert:cart:tea").await.expect(200);
    anonymous.get("/insert:cart:milk").await.expect(200);
    let mut connection = redis.connection().await;
    let mut limit = async |bytes: u64| {
        let set: redis::RedisResult<()> = redis::cmd("CONFIG")
            .arg("SET")
            .arg("maxmemory")
            .arg(bytes)
            .query_async(&mut connection)
            .await;
        set.unwrap();
    };
    limit(1).await;
    let before = redis.dump().await;
    let mut stranger = site.browser().await;
    for (who, path) in [
        ("alice", "/insert:cart:more"),
        ("alice", "/update:n"),
        ("alice", "/renew"),
        ("alice", "/login:alice2"),
        ("anonymous", "/login:bob"),
        ("alice", "/insert:a:1,say:saved"),
        ("alice", "/get:x,insert:a:1,status:303"),
        ("stranger", "/insert:a:1,say:saved"),
        ("stranger", "/get:x,insert:a:1,status:303"),
        ("stranger", "/login:carol,say:hello"),
    ] {
        let reply = match who {
            "alice" => alice.get(path).await,
            "anonymous" => anonymous.get(path).await,
            _ => stranger.get(path).await,
        };
        assert_refused(&reply, &format!("{who} {path}"));
        if path.contains("say:") || path.contains("status:") {
            assert_eq!(
                reply.text(),
                "Service Unavailable\n",
                "{who} {path}: the handler's body was sent"
            );
        }
    }
    assert_eq!(redis.dump().await, before);
    assert_eq!(alice.get("/user,get:cart").await.expect(200).text(), "alice,tea");
    assert_eq!(anonymous.get("/user,get:cart").await.expect(200).text(), "-,milk");
    let token = alice.cookie(COOKIE).unwrap().to_owned();
    let reply = alice.get("/logout").await.expect(200);
    assert_eq!(reply.set_cookies(), [REMOVED]);
    assert_eq!(anonymous.get("/remove:cart").await.expect(200).set_cookies(), [REMOVED]);
    limit(0).await;
    alice.set_cookie(COOKIE, &token);
    assert_eq!(alice.get("/user").await.expect(200).text(), "-");
    alice.get("/login:alice").await.expect(200);
    redis.assert_every_key_has_a_ttl().await;
}

#[tokio::test]
async fn a_primary_that_becomes_a_replica_is_an_outage_that_ends_with_its_return() {
    let redis = RedisServer::start().await;
    let other = RedisServer::start().await;
    // Only who may ask `INFO` is told by `check` that it is a replica.
    let site = site_at(&redis.durable_url()).await;
    let mut browser = site.browser().await;
    browser.get("/login:alice").await.expect(200);
    let mut connection = redis.connection().await;
    // A replica that never reaches its primary keeps its data.
    other.hang();
    let () = redis::cmd("REPLICAOF")
        .arg("127.0.0.1")
        .arg(other.port())
        .query_async(&mut connection)
        .await
        .unwrap();
    for path in ["/insert:a:1", "/logout", "/login:bob", "/update:n"] {
        assert_refused(&browser.get(path).await, path);
    }
    assert_eq!(site.layer.check().await.unwrap_err().kind(), ErrorKind::Misconfigured);
    let () =
        redis::cmd("REPLICAOF").arg("NO").arg("ONE").query_async(&mut connection).await.unwrap();
    let start = Instant::now();
    eventually("the return", async || browser.get("/insert:a:1").await.status == 200).await;
    assert!(start.elapsed() < RECOVERY, "{:?}", start.elapsed());
    assert_eq!(browser.get("/user").await.text(), "alice");
}

#[tokio::test]
async fn whether_the_site_is_ready_can_be_asked_without_asking_redis() {
    let scene = Scene::set().await;
    let mut browser = scene.site.browser().await;
    browser.get("/insert:a:1").await.expect(200);
    let told = || {
        let status = scene.site.layer.admin().health();
        (status.is_ready(), status.redis.expect("a store on Redis tells of it"))
    };
    let (ready, redis) = told();
    assert!(ready && redis.answers, "{redis:?}");
    assert!((1..=redis.pool_size).contains(&redis.connections), "{redis:?}");
    scene.redis.kill();
    eventually("it is told that Redis is away", async || {
        browser.get("/get:a").await.expect(503);
        let (ready, redis) = told();
        !ready && !redis.answers && redis.last_cause.is_some()
    })
    .await;
    let (_, redis) = told();
    assert_eq!(redis.connections, 0, "{redis:?}");
    let cause = redis.last_cause.unwrap();
    assert!(!cause.contains(test_support::PASSWORD) && !cause.contains("redis://"), "{cause}");
    // To ask costs nothing, and needs nobody.
    let start = Instant::now();
    (0..1_000).for_each(|_| assert!(!told().0));
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    scene.redis.restart().await;
    eventually("it is told that Redis is back", async || {
        let _ = browser.get("/get:a").await;
        told().0
    })
    .await;
}

#[tokio::test]
async fn a_store_that_will_not_do_is_told_apart_from_one_that_is_down() {
    const SECRET: &str = "correct-horse-battery-staple";
    let guarded = RedisServer::builder().requirepass(SECRET).start().await;
    let primary = RedisServer::start().await;
    let replica = RedisServer::builder().replica_of(&primary).start().await;
    let hung = RedisServer::start().await;
    hung.hang();
    let dead = RedisServer::start().await;
    dead.kill();
    let web = test_support::serve(tower::service_fn(async |_| {
        Ok::<_, Infallible>(Response::new(http_body_util::Full::<bytes::Bytes>::from("a page")))
    }))
    .await;
    let port = |port: u16| format!("redis://127.0.0.1:{port}/");
    let wrong = format!("redis://:{SECRET}-not@127.0.0.1:{}/", guarded.port());
    let nobody = format!("redis://nobody:{SECRET}@127.0.0.1:{}/", guarded.port());
    for (what, url, expected) in [
        ("well", primary.url(), None),
        ("with its password", guarded.url(), None),
        ("wrong password", wrong, Some(ErrorKind::Misconfigured)),
        ("wrong user", nobody, Some(ErrorKind::Misconfigured)),
        ("no password", port(guarded.port()), Some(ErrorKind::Misconfigured)),
        ("not a Redis", port(web.addr.port()), Some(ErrorKind::Misconfigured)),
        ("a replica", replica.durable_url(), Some(ErrorKind::Misconfigured)),
        ("no such database", format!("{}9999", primary.url()), Some(ErrorKind::Misconfigured)),
        ("down", dead.url(), Some(ErrorKind::Unavailable)),
        ("hung", hung.url(), Some(ErrorKind::Unavailable)),
    ] {
        let layer = layer_at(limits(&url));
        let start = Instant::now();
        let found = layer.check().await;
        assert!(start.elapsed() < 2 * BUDGET + SLACK, "{what}: {:?}", start.elapsed());
        assert_eq!(found.as_ref().err().map(|error| error.kind()), expected, "{what}: {found:?}");
        let mut text = format!("{layer:?}");
        let mut cause: Option<&dyn std::error::Error> = None;
        if let Err(error) = &found {
            text += &format!("{error} {error:?}");
            cause = std::error::Error::source(error);
        }
        while let Some(error) = cause {
            text += &format!("{error} {error:?}");
            cause = error.source();
        }
        assert!(!text.contains(SECRET), "{what}: {text}");
        if expected.is_some() {
            // And a request gets the same bare answer, whatever is wrong.
            let site = Site::on(limits(&url), |builder| builder.budget(BUDGET)).await;
            let mut client = Client::connect(site.addr()).await;
            let cookie = format!("{COOKIE}={}", "A".repeat(43));
            let path = if what == "a replica" { "/insert:a:1" } else { "/get:a" };
            assert_refused(&client.get_with(path, &cookie).await, what);
        }
    }
}
