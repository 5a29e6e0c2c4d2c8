//! What a user sees of their sessions, and how they end them: on every device, at once.
//!
//! To see these fail: leave `keep` out of a revocation; delete without asking whose it is; read
//! `X-Forwarded-For` from its front, or of everybody; leave an entry in the index at a logout.

use std::{net::IpAddr, time::Duration};

use http::{Extensions, Method};
use test_support::{
    AnyRedis, Bed, Browser, RedisServer, Site, index_key, names, record_key, records,
};
use tower_redis_session::{
    MemoryStore, RedisSessionLayer, RedisSessionLayerBuilder, SessionContext, SessionId,
    clock::ManualClock, layer::DeviceConfig,
};

async fn signed_in(site: &Site, user: &str, label: &str) -> Browser {
    let mut browser = site.browser().await;
    browser.get(&format!("/login:{user},label:{label}")).await.expect(200);
    browser
}

/// The public id of the session that the browser is in.
async fn id(browser: &mut Browser) -> String {
    browser.get("/id").await.expect(200).text()
}

async fn user(browser: &mut Browser) -> String {
    browser.get("/user").await.expect(200).text()
}

/// The entries of a user's index: fields of the hash but the epoch.
async fn entries(redis: &Bed, user: &str) -> Vec<String> {
    let index = index_key(user);
    let mut keys: Vec<String> = redis.query(&index, redis::cmd("HKEYS").arg(&index)).await;
    keys.retain(|key| key != "epoch");
    keys
}

#[tokio::test]
async fn a_list_tells_of_every_session_and_which_one_is_this() {
    for redis in Bed::both().await {
        println!("{redis}");
        let site = Site::start(&redis).await;
        let mut laptop = signed_in(&site, "alice", "Laptop").await;
        let mut phone = signed_in(&site, "alice", "Phone").await;
        let mut bob = signed_in(&site, "bob", "Desk").await;
        assert_eq!(laptop.get("/sessions").await.expect(200).text(), "*Laptop,Phone");
        assert_eq!(phone.get("/sessions").await.expect(200).text(), "Laptop,*Phone");
        assert_eq!(bob.get("/sessions").await.expect(200).text(), "*Desk");
        // Nobody is in: that is said, and told apart from an empty list.
        let reply = site.browser().await.get("/sessions").await.expect(401);
        assert_eq!(reply.text(), "Absent");
        let anonymous = site.browser().await.get("/insert:a:1,save,sessions").await.expect(401);
        assert_eq!(anonymous.text(), "Absent");
    }
}

#[tokio::test]
async fn the_latest_sign_in_comes_first() {
    let clock = ManualClock::new();
    let layer = RedisSessionLayer::builder(MemoryStore::with_clock(clock.clock())).build().unwrap();
    for label in ["first", "second", "third"] {
        let handler = tower::service_fn(move |request: http::Request<()>| async move {
            let session = request.extensions().get::<SessionContext>().unwrap().clone();
            session.login("alice").await.unwrap();
            session.set_label(Some(label)).await.unwrap();
            Ok::<_, std::convert::Infallible>(http::Response::new(String::new()))
        });
        let service = tower_layer::Layer::layer(&layer, handler);
        tower::ServiceExt::oneshot(service, http::Request::new(())).await.unwrap();
        clock.advance(Duration::from_millis(1));
    }
    let listed = layer.admin().sessions_of("alice").await.unwrap();
    let labels: Vec<_> = listed.into_iter().map(|info| info.label.unwrap()).collect();
    assert_eq!(labels, ["third", "second", "first"]);
}

#[tokio::test]
async fn a_label_stays_through_writes_renewals_and_a_new_sign_in_of_the_same_user() {
    for redis in Bed::both().await {
        println!("{redis}");
        let site = Site::start(&redis).await;
        let mut browser = signed_in(&site, "alice", "Laptop").await;
        for path in ["/insert:cart:tea", "/renew", "/clear,insert:a:1", "/login:alice"] {
            browser.get(path).await.expect(200);
            assert_eq!(browser.get("/sessions").await.expect(200).text(), "*Laptop", "{path}");
        }
        browser.get("/label:none").await.expect(200);
        assert_eq!(browser.get("/sessions").await.expect(200).text(), "*-");
        browser.get("/label:Mine").await.expect(200);
        browser.get("/login:bob").await.expect(200);
        assert_eq!(browser.get("/sessions").await.expect(200).text(), "*-", "not of another user");
        browser.get(&format!("/label:{}", "x".repeat(129))).await.expect(500);
    }
}

#[tokio::test]
async fn one_session_can_be_ended_from_another_but_nobody_elses() {
    for redis in Bed::both().await {
        println!("{redis}");
        let (site, other_instance) = (Site::start(&redis).await, Site::start(&redis).await);
        let mut laptop = signed_in(&site, "alice", "Laptop").await;
        let mut phone = signed_in(&site, "alice", "Phone").await;
        let mut bob = signed_in(&site, "bob", "Desk").await;
        let (phones, bobs) = (id(&mut phone).await, id(&mut bob).await);
        let mut phone = phone.on(other_instance.addr()).await;
        for (whose, id) in [("bob's", &bobs), ("nobody's", &bobs.replace(&bobs[..3], "AAA"))] {
            assert_eq!(
                laptop.get(&format!("/revoke:{id}")).await.expect(200).text(),
                "false",
                "{whose}"
            );
        }
        assert_eq!(user(&mut bob).await, "bob");
        assert_eq!(laptop.get(&format!("/revoke:{phones}")).await.expect(200).text(), "true");
        assert_eq!(user(&mut phone).await, "-", "at once, on another instance");
        assert_eq!(laptop.get(&format!("/revoke:{phones}")).await.expect(200).text(), "false");
        assert_eq!(laptop.get("/sessions").await.expect(200).text(), "*Laptop");
        // The last one is this: the cookie goes with it.
        let own = id(&mut laptop).await;
        let reply = laptop.get(&format!("/revoke:{own},user")).await.expect(200);
        assert_eq!(reply.text(), "true,-");
        assert!(reply.set_cookies()[0].contains("Max-Age=0"), "{reply:?}");
        assert!(!records(&redis).await.iter().any(|(_, record)| record.ends_with(b"alice")));
    }
}

#[tokio::test]
async fn all_others_end_and_this_one_stays() {
    for redis in Bed::both().await {
        println!("{redis}");
        let site = Site::start(&redis).await;
        let mut laptop = signed_in(&site, "alice", "Laptop").await;
        let mut others =
            [signed_in(&site, "alice", "A").await, signed_in(&site, "alice", "B").await];
        let mut bob = signed_in(&site, "bob", "Desk").await;
        // What a change of the password does: a new id, and nobody else in.
        let reply = laptop.get("/renew,revoke_others,insert:cart:tea").await.expect(200);
        assert_eq!(reply.text(), "2");
        assert_eq!(
            laptop.get("/user,get:cart,sessions").await.expect(200).text(),
            "alice,tea,*Laptop"
        );
        for other in &mut others {
            assert_eq!(user(other).await, "-");
        }
        assert_eq!(user(&mut bob).await, "bob");
        assert_eq!(entries(&redis, "alice").await.len(), 1);
        assert_eq!(laptop.get("/revoke_others").await.expect(200).text(), "0");
        assert_eq!(laptop.get("/logout_everywhere,user").await.expect(200).text(), "-");
    }
}

#[tokio::test]
async fn a_sign_in_whose_password_was_checked_before_all_others_ended_fails() {
    for redis in Bed::both().await {
        println!("{redis}");
        let site = Site::start(&redis).await;
        let mut laptop = signed_in(&site, "alice", "Laptop").await;
        let mut thief = site.browser().await;
        let late = tokio::spawn(async move {
            thief.get("/begin_login:alice,gate:checked,finish_login").await.status.as_u16()
        });
        site.gates.arrived("checked").await;
        laptop.get("/revoke_others").await.expect(200);
        site.gates.open("checked");
        assert_eq!(late.await.unwrap(), 401);
        assert_eq!(laptop.get("/sessions").await.expect(200).text(), "*Laptop");
    }
}

#[tokio::test]
async fn an_administrator_sees_and_ends_the_sessions_of_a_user() {
    for redis in Bed::both().await {
        println!("{redis}");
        let site = Site::start(&redis).await;
        let (mut laptop, mut phone) =
            (signed_in(&site, "alice", "Laptop").await, signed_in(&site, "alice", "Phone").await);
        let mut listed = site.layer.admin().sessions_of("alice").await.unwrap();
        listed.sort_by(|one, other| other.label.cmp(&one.label));
        let labels: Vec<_> = listed.iter().map(|info| info.label.clone().unwrap()).collect();
        assert_eq!(labels, ["Phone", "Laptop"]);
        assert!(listed.iter().all(|info| !info.current && info.authenticated_at.is_some()));
        assert!(!site.layer.admin().revoke("bob", &listed[0].id).await.unwrap());
        assert!(site.layer.admin().revoke("alice", &listed[0].id).await.unwrap());
        assert_eq!((user(&mut laptop).await, user(&mut phone).await), ("alice".into(), "-".into()));
        assert_eq!(site.layer.admin().sessions_of("alice").await.unwrap().len(), 1);
        assert!(site.layer.admin().sessions_of("nobody").await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn an_administrator_clears_the_platform_of_a_user_and_nothing_else() {
    for redis in Bed::both().await {
        println!("{redis}");
        let site = Site::start(&redis).await;
        let mut laptop = signed_in(&site, "alice", "Laptop").await;
        let (mut phone, mut bob) =
            (signed_in(&site, "alice", "Phone").await, signed_in(&site, "bob", "Desk").await);
        laptop.get("/set_platform:11,insert:a:1").await.expect(200);
        bob.get("/set_platform:21").await.expect(200);
        assert_eq!(site.layer.admin().clear_platform_of("alice").await.unwrap(), 1);
        assert_eq!(laptop.get("/platform,get:a,user").await.expect(200).text(), "-,1,alice");
        assert_eq!(phone.get("/platform,user").await.expect(200).text(), "-,alice");
        assert_eq!(bob.get("/platform").await.expect(200).text(), "21");
        // Once more it finds nothing, and says so; nor is there anything of a stranger's.
        assert_eq!(site.layer.admin().clear_platform_of("alice").await.unwrap(), 0);
        assert_eq!(site.layer.admin().clear_platform_of("nobody").await.unwrap(), 0);
        // A choice after it counts.
        phone.get("/set_platform:12").await.expect(200);
        assert_eq!(phone.get("/platform").await.expect(200).text(), "12");
    }
}

#[tokio::test]
async fn a_session_that_cannot_be_read_holds_up_no_other_when_platforms_are_cleared() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let mut older = signed_in(&site, "alice", "Older").await;
    older.get("/set_platform:11").await.expect(200);
    let mut torn = signed_in(&site, "alice", "Torn").await;
    let id = id(&mut torn).await;
    // Whole in its head, which a list reads, and cut off behind it.
    let key = record_key(&id);
    let mut connection = redis.connection().await;
    let value: Vec<u8> = redis::cmd("GET").arg(&key).query_async(&mut connection).await.unwrap();
    let mut set = redis::cmd("SET");
    set.arg(&key).arg(&value[..value.len() - 2]).arg("KEEPTTL");
    let () = set.query_async(&mut connection).await.unwrap();
    assert_eq!(site.layer.admin().clear_platform_of("alice").await.unwrap(), 1);
    assert_eq!(older.get("/platform").await.expect(200).text(), "-");
}

#[tokio::test]
async fn a_platform_that_was_cleared_under_a_request_stays_cleared() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let mut browser = signed_in(&site, "alice", "Laptop").await;
    browser.get("/set_platform:11").await.expect(200);
    let mut tab = browser.tab().await;
    let slow = tokio::spawn(async move { tab.get("/platform,gate:slow,insert:a:1").await });
    site.gates.arrived("slow").await;
    assert_eq!(site.layer.admin().clear_platform_of("alice").await.unwrap(), 1);
    site.gates.open("slow");
    assert_eq!(slow.await.unwrap().expect(200).text(), "11");
    assert_eq!(browser.get("/platform,get:a").await.expect(200).text(), "-,1");
}

#[tokio::test]
async fn entries_die_with_their_sessions() {
    for redis in Bed::both().await {
        println!("{redis}");
        let site = Site::start(&redis).await;
        let mut browsers = Vec::new();
        for label in ["A", "B", "C", "D"] {
            browsers.push(signed_in(&site, "alice", label).await);
        }
        assert_eq!(entries(&redis, "alice").await.len(), 4);
        browsers[0].get("/logout").await.expect(200);
        assert_eq!(entries(&redis, "alice").await.len(), 3, "a logout");
        // Gone without a word, as an eviction is: the next list takes the entry along.
        let lost: SessionId = id(&mut browsers[1]).await.parse().unwrap();
        let lost = record_key(lost);
        let _: usize = redis.query(&lost, redis::cmd("DEL").arg(&lost)).await;
        assert_eq!(browsers[2].get("/sessions").await.expect(200).text(), "*C,D");
        assert_eq!(entries(&redis, "alice").await.len(), 2, "a list");
        // A record that cannot be read is ended all the same, and its entry too.
        let torn: SessionId = id(&mut browsers[3]).await.parse().unwrap();
        let torn = record_key(torn);
        let mut set = redis::cmd("SET");
        let () = redis.query(&torn, set.arg(&torn).arg("torn").arg("KEEPTTL")).await;
        browsers[3].get("/logout").await.expect(200);
        assert_eq!(browsers[2].get("/sessions").await.expect(200).text(), "*C");
        assert_eq!(entries(&redis, "alice").await.len(), 1);
    }
}

#[tokio::test]
async fn a_list_costs_two_commands_and_a_few_more_for_thousands() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let mut browser = signed_in(&site, "alice", "Laptop").await;
    browser.get("/sessions").await.expect(200);
    let mut monitor = redis.monitor().await;
    browser.get("/sessions").await.expect(200);
    assert_eq!(monitor.take_names().await, ["GET", "HKEYS", "EVALSHA"]);
    many(&redis, &mut browser, 1_200).await;
    let _ = monitor.take().await;
    let said = browser.get("/session_ids").await.expect(200).text();
    assert_eq!(said.split(',').count(), 1_201);
    let commands = names(&monitor.stop().await);
    assert_eq!(commands, ["GET", "HKEYS", "EVALSHA", "EVALSHA", "EVALSHA"]);
}

/// So many more sessions of the browser's user, made by copying its own record.
async fn many(redis: &RedisServer, browser: &mut Browser, count: usize) {
    let own = record_key(id(browser).await);
    let mut connection = redis.connection().await;
    let mut pipeline = redis::pipe();
    for number in 0..count {
        let copy = format!("{number:042}A");
        pipeline.cmd("COPY").arg(&own).arg(record_key(&copy)).ignore();
        pipeline.cmd("HSET").arg(index_key("alice")).arg(copy).arg(1).ignore();
    }
    let () = pipeline.query_async(&mut connection).await.unwrap();
}

/// What a proxy, or the client itself, says of the address in a header.
const FORWARDED: &str = "x-forwarded-for";

fn connected_from(address: &str) -> impl Fn(&Extensions) -> Option<IpAddr> + Send + Sync + 'static {
    let address: IpAddr = address.parse().unwrap();
    move |_| Some(address)
}

#[tokio::test]
async fn the_address_is_the_connections_or_what_a_trusted_proxy_says() {
    let redis = RedisServer::start().await;
    for (name, peer, trusted, expected) in [
        ("no proxy is trusted", "192.0.2.1", vec![], "192.0.2.1"),
        ("another one is", "192.0.2.1", vec!["10.0.0.0/8"], "192.0.2.1"),
        ("this one is", "10.0.0.1", vec!["10.0.0.0/8"], "203.0.113.9"),
    ] {
        let devices = DeviceConfig::new().trusted_proxies::<&str>(trusted).unwrap();
        let devices = devices.peer_address(connected_from(peer));
        let site = Site::configured(&redis, |builder| builder.devices(devices)).await;
        let mut browser = site.browser().await;
        let headers: [(&str, &[u8]); 2] =
            [(FORWARDED, b"198.51.100.66, 203.0.113.9"), ("user-agent", b"Test/1.0 \xe9(X11)")];
        browser.send(Method::GET, "/login:alice", &headers, "").await.expect(200);
        let told = format!("{expected} Test/1.0 (X11)");
        assert_eq!(browser.get("/devices").await.expect(200).text(), told, "{name}");
        // Where it signed in from, and not where it was last used.
        let moved: [(&str, &[u8]); 2] =
            [(FORWARDED, b"203.0.113.77"), ("user-agent", b"Other/2.0")];
        browser.send(Method::GET, "/insert:a:1", &moved, "").await.expect(200);
        assert_eq!(browser.get("/devices").await.expect(200).text(), told, "{name}");
        browser.get("/logout").await.expect(200);
    }
}

#[tokio::test]
async fn nothing_of_a_device_is_noted_unless_asked_for() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let mut browser = site.browser().await;
    let headers: [(&str, &[u8]); 2] = [(FORWARDED, b"203.0.113.9"), ("user-agent", b"Test/1.0")];
    browser.send(Method::GET, "/login:alice", &headers, "").await.expect(200);
    assert_eq!(browser.get("/devices").await.expect(200).text(), "- -");
    let stored = records(&redis).await;
    for (_, record) in stored {
        let text = String::from_utf8_lossy(&record).into_owned();
        assert!(!text.contains("Test/1.0") && !text.contains("203.0.113"), "{text}");
    }
}

#[tokio::test]
async fn what_is_dangerous_can_ask_for_a_fresh_sign_in() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let mut browser = site.browser().await;
    assert_eq!(browser.get("/authenticated,fresh:300").await.expect(200).text(), "-,false");
    browser.get("/insert:cart:tea").await.expect(200);
    assert_eq!(browser.get("/authenticated,fresh:300").await.expect(200).text(), "-,false");
    browser.get("/login:alice").await.expect(200);
    let since = browser.get("/authenticated").await.expect(200).text();
    browser.get("/renew,insert:cart:more").await.expect(200);
    // The clock has to move on: its times are in milliseconds.
    tokio::time::sleep(Duration::from_millis(5)).await;
    let said = browser.get("/authenticated,fresh:300,fresh:0").await.expect(200).text();
    assert_eq!(said, format!("{since},true,false"), "a renewal proves nothing");
    // The password once more: a new time and a new id, and the cart stays.
    let (before, old) = (id(&mut browser).await, browser.tab().await);
    browser.get("/login:alice").await.expect(200);
    let now = browser.get("/authenticated").await.expect(200).text();
    assert!(now != since && id(&mut browser).await != before);
    assert_eq!(browser.get("/get:cart").await.expect(200).text(), "more");
    let mut old = old;
    assert_eq!(user(&mut old).await, "-");
}

#[tokio::test]
async fn with_a_limit_of_five_fifty_sign_ins_at_once_leave_five() {
    for redis in Bed::both().await {
        println!("{redis}");
        let (one, two) = (limited(&redis).await, limited(&redis).await);
        let mut browsers = Vec::new();
        for number in 0..50 {
            let site = if number % 2 == 0 { &one } else { &two };
            browsers.push(site.browser().await);
        }
        let logins = browsers.into_iter().map(|mut browser| {
            tokio::spawn(async move {
                browser.get("/login:alice").await.expect(200);
                browser
            })
        });
        let logins: Vec<_> = logins.collect();
        let mut alive = 0;
        for login in logins {
            let mut browser = login.await.unwrap();
            alive += usize::from(user(&mut browser).await == "alice");
        }
        assert_eq!((alive, records(&redis).await.len()), (5, 5));
        assert_eq!(entries(&redis, "alice").await.len(), 5);
    }
}

/// Shorter than what a record may stay after its end.
#[tokio::test]
async fn short_sessions_count_while_they_live_and_not_afterwards() {
    for redis in Bed::both().await {
        println!("{redis}");
        let idle = Duration::from_secs(4);
        let short =
            |builder: RedisSessionLayerBuilder| builder.sessions_per_user(2).idle_timeout(idle);
        let site = Site::configured(&redis, short).await;
        let mut many = Vec::new();
        for _ in 0..3 {
            many.push(signed_in(&site, "alice", "Laptop").await);
            // One is older than the other.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        for (key, _) in records(&redis).await {
            let left: u64 = redis.query(&key, redis::cmd("PTTL").arg(&key)).await;
            assert!((4_000..=8_400).contains(&left), "{left}");
        }
        let mut alive = Vec::new();
        for browser in &mut many {
            alive.push(user(browser).await);
        }
        assert_eq!(alive, ["-", "alice", "alice"], "the oldest of too many has ended");
        assert_eq!(many[2].get("/revoke_others").await.expect(200).text(), "1");
        many.push(signed_in(&site, "alice", "Laptop").await);
        // As if they had ended a second ago.
        for (key, _) in records(&redis).await {
            let () = redis.query(&key, redis::cmd("PEXPIRE").arg(&key).arg(3_000)).await;
        }
        assert_eq!(records(&redis).await.len(), 2, "both stay a while, and are over");
        let mut last = signed_in(&site, "alice", "Laptop").await;
        assert_eq!(last.get("/revoke_others").await.expect(200).text(), "0");
    }
}

async fn limited(redis: &impl AnyRedis) -> Site {
    Site::configured(redis, |builder| builder.sessions_per_user(5)).await
}

#[tokio::test]
async fn nobody_is_revived_by_64_requests_that_were_under_way_when_all_ended() {
    for redis in Bed::both().await {
        println!("{redis}");
        let site = Site::start(&redis).await;
        let first = signed_in(&site, "alice", "Laptop").await;
        let mut requests = Vec::new();
        for number in 0..64 {
            let mut tab = first.tab().await;
            let path = match number % 4 {
                0 => format!("/user,gate:go,insert:name{number}:1"),
                1 => "/user,gate:go,renew".to_owned(),
                2 => "/user,gate:go,~update:count".to_owned(),
                _ => "/user,gate:go,touch".to_owned(),
            };
            requests.push(tokio::spawn(async move {
                let _ = tab.get(&path).await;
                tab
            }));
        }
        for _ in 0..64 {
            site.gates.arrived("go").await;
        }
        site.layer.admin().revoke_all("alice").await.unwrap();
        for _ in 0..64 {
            site.gates.open("go");
        }
        for request in requests {
            let mut tab = request.await.unwrap();
            assert_eq!(user(&mut tab).await, "-");
        }
        assert_eq!(records(&redis).await, []);
        assert_eq!(entries(&redis, "alice").await, [""; 0]);
    }
}

#[tokio::test]
async fn a_key_of_another_kind_stops_no_sign_in_and_no_revocation() {
    for redis in Bed::both().await {
        println!("{redis}");
        let site = limited(&redis).await;
        let mut browsers = Vec::new();
        for label in ["A", "B", "C", "D"] {
            browsers.push(signed_in(&site, "alice", label).await);
        }
        let mut broken = Vec::new();
        for browser in &mut browsers[1..3] {
            broken.push(record_key(id(browser).await));
        }
        let break_them = async || {
            for key in &broken {
                let mut pipeline = redis::pipe();
                pipeline.cmd("DEL").arg(key).ignore().cmd("RPUSH").arg(key).arg("x").ignore();
                pipeline.cmd("EXPIRE").arg(key).arg(600).ignore();
                let index = format!(
                    "HSET {} {} 1",
                    index_key("alice"),
                    key.rsplit(':').next().unwrap().replace(['{', '}'], "")
                );
                let words: Vec<_> = index.split(' ').collect();
                pipeline.cmd(words[0]).arg(&words[1..]).ignore();
                let mut connection = redis.server_of(key).await.connection().await;
                let () = pipeline.query_async(&mut connection).await.unwrap();
            }
        };
        break_them().await;
        // Both make a place free, and the record that is stored is the client's.
        browsers.push(signed_in(&site, "alice", "E").await);
        browsers.push(signed_in(&site, "alice", "F").await);
        for at in [0, 3, 4, 5] {
            assert_eq!(user(&mut browsers[at]).await, "alice", "{at}");
        }
        break_them().await;
        assert_eq!(site.layer.admin().revoke_all("alice").await.unwrap(), 4);
        for at in [0, 3, 4, 5] {
            assert_eq!(user(&mut browsers[at]).await, "-", "{at}");
        }
        assert_eq!(records(&redis).await, []);
    }
}

#[tokio::test]
async fn an_index_of_another_kind_signs_nobody_in_half_way() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let mut browser = site.browser().await;
    browser.get("/insert:cart:tea").await.expect(200);
    let mut pipeline = redis::pipe();
    pipeline.cmd("RPUSH").arg(index_key("alice")).arg("x").ignore();
    pipeline.cmd("EXPIRE").arg(index_key("alice")).arg(600).ignore();
    let () = pipeline.query_async(&mut redis.connection().await).await.unwrap();
    let reply = browser.get("/login:alice").await;
    assert!(reply.status.is_server_error() && reply.set_cookies().is_empty(), "{reply:?}");
    assert_eq!(records(&redis).await.len(), 1, "nothing was stored");
    assert_eq!(browser.get("/get:cart,user").await.expect(200).text(), "tea,-");
}

#[tokio::test]
async fn a_session_that_is_still_served_is_in_the_list() {
    use tower_redis_session::{DatabaseConfig, DurableStore};

    async fn ask(
        layer: &RedisSessionLayer,
        cookie: &str,
        handler: impl AsyncFnOnce(SessionContext),
    ) -> Option<String> {
        let handled = async |request: http::Request<()>| {
            handler(request.extensions().get::<SessionContext>().unwrap().clone()).await;
            Ok::<_, std::convert::Infallible>(http::Response::new(String::new()))
        };
        let mut handled = Some(handled);
        let service = tower::service_fn(|request| handled.take().unwrap()(request));
        let request = http::Request::builder().header("cookie", cookie).body(()).unwrap();
        let service = tower_layer::Layer::layer(layer, service);
        let response = tower::ServiceExt::oneshot(service, request).await.unwrap();
        let line = response.headers().get("set-cookie")?.to_str().unwrap();
        Some(line.split(';').next().unwrap().to_owned())
    }

    let (redis, clock) = (RedisServer::start().await, ManualClock::new());
    let folder = tempfile::tempdir().unwrap();
    let file = format!("sqlite:{}", folder.path().join("sessions.db").display());
    let redis = test_support::patient(&redis.durable_url());
    let store = DurableStore::builder(redis, DatabaseConfig::new(file)).clock(clock.clock());
    let layer = RedisSessionLayer::builder(store.build().unwrap())
        .idle_timeout(Duration::from_secs(600))
        .touch_interval(Duration::from_secs(10))
        .budget(Duration::from_secs(15))
        .build()
        .unwrap();
    layer.migrate().await.unwrap();
    let cookie = ask(&layer, "a=b", async |session| session.login("alice").await.unwrap()).await;
    // Idle by what the database was told, which is not of all that happened since.
    clock.advance(Duration::from_secs(630));
    ask(&layer, &cookie.unwrap(), async |session| {
        assert_eq!(session.user_id().await.unwrap().as_deref(), Some("alice"));
        assert_eq!(session.sessions().await.unwrap().len(), 1);
    })
    .await;
    layer.shutdown().await;
}
