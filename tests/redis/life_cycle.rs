//! The life of a session, as a client sees it. The number above a test is the row of the security
//! requirements that it stands for (sections 1A, 1B, 1D and 1E). Rows that have a file of their
//! own: 3, 19, 41 (`commands.rs`), 13, 15 (`revival.rs`), 25 to 38 (`cookie.rs`), 40
//! (`concurrency.rs`), 48, 49, 53 (`outage.rs`).
//!
//! To see these fail: make the key from the cookie's text; print a token in a log line; take the id
//! from a query; believe `Max-Age`; count the absolute time from the last write; let a touch
//! write the whole value; create a record for every visitor; hold a lock of the session while the
//! handler runs; leave the handle open after the body; commit on every status.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use http::Method;
use test_support::{
    COOKIE, Client, LogCapture, NOBODY, PASSWORD, REMOVED, RedisServer, SESSIONS, Site, bounded,
    key_end, names, patient, records, signed_in, token, who,
};
use tower_redis_session::{
    CookieConfig, ErrorKind, RedisSessionLayerBuilder, RedisStore, layer::Success,
};

// Row 4
#[tokio::test]
async fn a_well_formed_id_that_was_not_issued_is_never_adopted() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let sent = BASE64.encode([0xA5; 32]);
    let mut browser = site.browser().await;
    browser.set_cookie(COOKIE, &sent);
    let reply = browser.get("/user,insert:a:1,id").await.expect(200);
    assert_ne!(token(&browser), sent, "{reply:?}");
    assert_eq!(who(&site, &sent).await, NOBODY);
    assert_eq!(redis.keys().await.len(), 1);
    let id = browser.get("/id").await.text();
    assert!(redis.keys().await[0].0.contains(&key_end(&id)), "the key is the public id");
    // The public id is no cookie: knowing it gives nothing.
    assert_eq!(who(&site, &id).await, NOBODY);
    assert!(redis.find_everywhere(&sent).await.is_empty());
}

// Row 6
#[tokio::test]
async fn neither_the_store_nor_its_logs_hold_the_cookie() {
    let redis = RedisServer::builder().log_every_command().start().await;
    let site = Site::start(&redis).await;
    let monitor = redis.monitor().await;
    let mut browser = site.browser().await;
    let mut tokens = Vec::new();
    for path in ["/insert:cart:tea", "/login:alice", "/renew", "/update:n", "/get:n", "/logout"] {
        browser.get(path).await.expect(200);
        tokens.extend(browser.cookie(COOKIE).map(str::to_owned));
        let held = tokens.last().unwrap();
        let bytes = BASE64.decode(held).unwrap();
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        for needle in
            [held.as_bytes(), bytes.as_slice(), hex.as_bytes(), hex.to_uppercase().as_bytes()]
        {
            assert!(redis.find_everywhere(needle).await.is_empty(), "{path}");
        }
    }
    assert!(!redis.find_everywhere("EVALSHA").await.is_empty(), "the slow log has everything");
    let seen = monitor.stop().await;
    assert!(seen.len() > 6, "{seen:?}");
    for token in tokens {
        let bytes = BASE64.decode(&token).unwrap();
        let shown = seen.iter().find(|c| c.mentions(token.as_bytes()) || c.mentions(&bytes));
        assert!(shown.is_none(), "{shown:?}");
    }
}

// Row 8
#[tokio::test]
async fn nothing_that_is_logged_or_printed_holds_a_secret() {
    const PASSWORD: &str = "canary-of-the-password";
    const VALUE: &str = "canary-of-a-value";
    let (log, _guard) = LogCapture::on_this_thread();
    let redis = RedisServer::builder().requirepass(PASSWORD).start().await;
    let short = Duration::from_millis(200);
    let config = patient(&redis.url()).command_timeout(short).connect_timeout(short);
    let printed_config = format!("{config:?}");
    let site = Site::on(config, |builder| builder.budget(2 * short)).await;
    let mut browser = site.browser().await;
    let mut tokens = Vec::new();
    let mut replies = Vec::new();
    let life = ["/insert:a:VALUE", "/login:alice,keep", "/renew", "/update:n", "/get:a,keep"];
    for path in life.into_iter().chain(["/fill:a:99999", "/~fail", "/status:500,insert:b:VALUE"]) {
        replies.push(browser.get(&path.replace("VALUE", VALUE)).await);
        tokens.push(token(&browser));
    }
    let mut tab = browser.tab().await;
    let (key, value) = records(&redis).await.pop().unwrap();
    let mut connection = redis.connection().await;
    for fault in ["corrupt", "hung", "killed", "wrong password", "well again"] {
        match fault {
            "corrupt" => {
                let mut bytes = value.clone();
                bytes[20] ^= 0x40;
                let set = redis::cmd("SET").arg(&key).arg(bytes).arg("EX").arg(60).to_owned();
                let () = set.query_async(&mut connection).await.unwrap();
            }
            "hung" => redis.hang(),
            "killed" => redis.kill(),
            "wrong password" => {
                redis.restart().await;
                let mut connection = redis.connection().await;
                let other = ["SET", "requirepass", "another"];
                let () =
                    redis::cmd("CONFIG").arg(&other).query_async(&mut connection).await.unwrap();
            }
            _ => {}
        }
        for path in ["/get:a", "/insert:a:VALUE", "/update:n", "/login:bob", "/logout"] {
            replies.push(tab.get(&path.replace("VALUE", VALUE)).await);
            tokens.extend(tab.cookie(COOKIE).map(str::to_owned));
        }
        let _ = site.layer.check().await.map_err(|error| {
            tracing::error!(%error, debug = ?error, cause = &error as &dyn std::error::Error, "check");
        });
        tab.set_cookie(COOKIE, &token(&browser));
    }
    let kept = site.kept();
    tracing::info!(?kept, layer = ?site.layer, redis = printed_config, "printed");
    for reply in &replies {
        // The bodies of this site show values on purpose; ours, with an error, do not.
        if reply.status == 503 {
            tracing::info!(body = reply.text(), "answered");
        }
    }
    assert!(log.events().len() > 20, "{:?}", log.events());
    tokens.sort();
    tokens.dedup();
    let bytes = |token: &String| format!("{:?}", BASE64.decode(token).unwrap());
    let bytes: Vec<_> = tokens.iter().map(bytes).collect();
    for secret in tokens.iter().chain(&bytes).map(String::as_str).chain([PASSWORD, VALUE]) {
        let found: Vec<_> = log.all().into_iter().filter(|c| c.text.contains(secret)).collect();
        // The test's own connections log their commands; the crate's do not.
        assert!(found.is_empty(), "{secret} in {found:?}");
    }
}

// Row 10
#[tokio::test]
async fn the_id_is_taken_from_the_cookie_and_from_nowhere_else() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let good = token(&signed_in(&site).await);
    let mut client = Client::connect(site.addr()).await;
    let pair = format!("{COOKIE}={good}");
    let monitor = redis.monitor().await;
    for (path, headers) in [
        (format!("/user,get:cart?{pair}"), vec![]),
        (format!("/user,get:cart?id={good}&session={good}"), vec![]),
        ("/user,get:cart".into(), vec![("x-session", &good)]),
        ("/user,get:cart".into(), vec![("authorization", &good)]),
        ("/user,get:cart".into(), vec![("set-cookie", &pair)]),
        ("/user,get:cart".into(), vec![("cookie2", &pair)]),
        ("/user,get:cart".into(), vec![(COOKIE, &good)]),
    ] {
        let headers: Vec<_> = headers.iter().map(|(name, v)| (*name, v.as_bytes())).collect();
        for (method, body) in [(Method::GET, ""), (Method::POST, pair.as_str())] {
            let reply = client.send(method, &path, &headers, body.to_owned()).await.expect(200);
            assert_eq!(reply.text(), NOBODY, "{path} {headers:?}");
        }
    }
    assert_eq!(monitor.stop().await, []);
    assert_eq!(client.get_with("/user,get:cart", &pair).await.text(), "alice,tea");
}

// Rows 11 and 56
#[tokio::test]
async fn login_and_renew_give_a_new_id_keep_the_data_and_kill_the_old_id_before_the_answer() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    for path in ["/login:alice", "/renew", "/renew,insert:b:1", "/login:alice,save,insert:b:1"] {
        let mut browser = site.browser().await;
        browser.get("/insert:cart:tea").await.expect(200);
        let (old, old_id) = (token(&browser), browser.get("/id").await.text());
        let reply = browser.get(path).await.expect(200);
        assert_eq!(reply.set_cookies().len(), 1, "{path}");
        // The first thing that anybody can do after the answer.
        assert_eq!(who(&site, &old).await, NOBODY, "{path}");
        let user = if path.starts_with("/login") { "alice" } else { "-" };
        assert_eq!(who(&site, &token(&browser)).await, format!("{user},tea"), "{path}");
        assert_ne!(browser.get("/id").await.text(), old_id, "{path}");
        browser.get("/logout").await.expect(200);
        assert!(records(&redis).await.is_empty(), "{path}");
    }
    // One user's values never pass to another.
    let mut browser = signed_in(&site).await;
    browser.get("/login:bob").await.expect(200);
    assert_eq!(browser.get("/user,get:cart,keys").await.text(), "bob,-,");
}

// Row 14
#[tokio::test]
async fn a_logout_deletes_on_the_server_and_answers_with_the_removal_cookie() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    for path in ["/logout", "/destroy", "/user,logout", "/insert:a:1,logout", "/logout,logout"] {
        let mut browser = signed_in(&site).await;
        let old = token(&browser);
        let reply = browser.get(path).await.expect(200);
        assert_eq!(reply.set_cookies(), [REMOVED], "{path}");
        assert_eq!(who(&site, &old).await, NOBODY, "{path}");
        assert!(records(&redis).await.is_empty(), "{path}");
    }
    // Whatever the handler answers then.
    for status in ["401", "404", "500", "503"] {
        let mut browser = signed_in(&site).await;
        let old = token(&browser);
        let reply = browser.get(&format!("/logout,insert:a:1,status:{status}")).await;
        assert_eq!(reply.status.as_str(), status);
        assert_eq!(who(&site, &old).await, NOBODY, "{status}");
        assert_ne!(browser.cookie(COOKIE), Some(old.as_str()), "{status}");
    }
}

// Rows 16 and 18
#[tokio::test]
async fn an_idle_session_ends_on_the_server_whatever_the_client_keeps() {
    let redis = RedisServer::start().await;
    let cookie = CookieConfig::default().persistent();
    let site = Site::configured(&redis, |builder| {
        builder.idle_timeout(Duration::from_secs(2)).cookie(cookie)
    })
    .await;
    let (mut idle, mut active, mut untouched) =
        (signed_in(&site).await, signed_in(&site).await, signed_in(&site).await);
    let old = token(&idle);
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_millis(600)).await;
        assert_eq!(active.get("/user").await.expect(200).text(), "alice", "reading is activity");
        untouched.get("/say:hi").await.expect(200);
    }
    assert_eq!(idle.get("/user,get:cart,keys").await.expect(200).text(), "-,-,");
    assert_eq!(untouched.get("/user").await.text(), "-", "an untouched request is not");
    // A client that ignores every Max-Age may come as often as it likes.
    for path in ["/user", "/~validate", "/~touch", "/~set_platform:x", "/remove:cart"] {
        idle.set_cookie(COOKIE, &old);
        let said = idle.get(path).await.expect(200).text();
        assert!(["-", "!Expired", "false"].contains(&said.as_str()), "{path}: {said}");
        assert_eq!(who(&site, &old).await, NOBODY, "{path}");
    }
    // A first write begins another.
    idle.set_cookie(COOKIE, &old);
    idle.get("/insert:a:1").await.expect(200);
    assert_ne!(token(&idle), old);
    assert_eq!(idle.get("/keys,user").await.text(), "a,-");
}

// Row 17
#[tokio::test]
async fn the_absolute_end_is_moved_by_nothing_but_a_login() {
    let redis = RedisServer::start().await;
    redis.is_tampered_with();
    let site = Site::configured(&redis, |builder| {
        builder.idle_timeout(Duration::from_secs(3)).absolute_timeout(Duration::from_secs(3))
    })
    .await;
    let mut cases = Vec::new();
    for what in
        ["/user", "/update:n", "/touch", "/renew", "/insert:a:1,save", "PERSIST", "/login:alice"]
    {
        cases.push((what, signed_in(&site).await));
    }
    let mut connection = redis.connection().await;
    for step in 0..5 {
        for (what, browser) in &mut cases {
            if *what == "PERSIST" {
                for (key, _) in records(&redis).await {
                    let _: i64 =
                        redis::cmd("PERSIST").arg(key).query_async(&mut connection).await.unwrap();
                }
            } else {
                browser.get(what).await.expect(200);
            }
        }
        // The last of these is still before the end.
        if step < 4 {
            tokio::time::sleep(Duration::from_millis(400)).await;
        }
    }
    tokio::time::sleep(Duration::from_millis(1_600)).await;
    for (what, browser) in &mut cases {
        let said = browser.get("/user,~validate").await.expect(200).text();
        let expected = if *what == "/login:alice" { "alice" } else { "-,!Expired" };
        assert_eq!(said, expected, "{what}");
    }
}

// Row 20
#[tokio::test]
async fn a_touch_rewrites_no_value_and_creates_no_key() {
    let redis = RedisServer::start().await;
    let site =
        Site::configured(&redis, |builder| builder.idle_timeout(Duration::from_secs(5))).await;
    let mut browser = signed_in(&site).await;
    let mut tab = browser.tab().await;
    let reading = tokio::spawn(async move { tab.get("/get:cart,gate:slow").await.expect(200) });
    site.gates.arrived("slow").await;
    // Past the touch interval, so that the reader has an activity to write down.
    tokio::time::sleep(Duration::from_millis(550)).await;
    browser.get("/insert:cart:milk,insert:a:1").await.expect(200);
    site.gates.open("slow");
    assert_eq!(bounded("the reader", reading).await.unwrap().text(), "tea");
    site.layer.shutdown().await;
    assert_eq!(browser.get("/get:cart,get:a").await.text(), "milk,1");
    // The same on a key that is gone.
    let mut tab = browser.tab().await;
    let reading = tokio::spawn(async move { tab.get("/get:cart,gate:slow").await.expect(200) });
    site.gates.arrived("slow").await;
    tokio::time::sleep(Duration::from_millis(550)).await;
    let mut connection = redis.connection().await;
    let _: () = redis::cmd("FLUSHALL").query_async(&mut connection).await.unwrap();
    site.gates.open("slow");
    bounded("the reader", reading).await.unwrap();
    site.layer.shutdown().await;
    assert!(redis.keys().await.is_empty());
}

// Row 21
#[tokio::test]
async fn a_thousand_anonymous_visits_make_no_record_and_no_cookie() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let paths = [
        "/",
        "/user,get:cart",
        "/logout",
        "/remove:a",
        "/clear",
        "/renew",
        "/destroy",
        "/~touch",
        "/insert:a:1,remove:a",
        "/insert:a:1,clear",
        "/login:x,logout",
        "/~set_platform:x",
        "/insert:a:1,status:500",
    ];
    let mut client = Client::connect(site.addr()).await;
    let unknown = format!("{COOKIE}={}", "A".repeat(43));
    for number in 0..1_000 {
        let path = paths[number % paths.len()];
        let reply = match number % 2 {
            0 => client.get(path).await,
            _ => client.get_with(path, &unknown).await,
        };
        let cookies = reply.set_cookies();
        assert!(cookies.is_empty() || cookies == [REMOVED], "{path}: {reply:?}");
        assert!(cookies.is_empty() || number % 2 == 1, "{path}: {reply:?}");
    }
    assert_eq!(redis.keys().await, []);
    // Emptying a session ends it.
    for path in ["/remove:a", "/clear", "/get:a,remove:a,insert:b:1,remove:b"] {
        let mut browser = site.browser().await;
        browser.get("/insert:a:1").await.expect(200);
        let old = token(&browser);
        assert_eq!(browser.get(path).await.expect(200).set_cookies(), [REMOVED], "{path}");
        assert!(records(&redis).await.is_empty(), "{path}");
        assert_eq!(who(&site, &old).await, NOBODY);
    }
}

// Row 22
#[tokio::test]
async fn a_record_over_its_bound_is_refused_before_the_store_is_asked() {
    let redis = RedisServer::start().await;
    let site = Site::configured(&redis, |builder| builder.max_record_size(1_024)).await;
    let mut browser = signed_in(&site).await;
    // The most that still fits, found by asking.
    let mut fits = 0;
    for bytes in 800..1_024 {
        match browser.get(&format!("/fill:big:{bytes}")).await.status.as_u16() {
            200 => fits = bytes,
            413 => break,
            other => panic!("{other}"),
        }
    }
    assert!((800..1_023).contains(&fits), "{fits}");
    let before = redis.dump().await;
    let monitor = redis.monitor().await;
    for path in [
        format!("/fill:big:{}", fits + 1),
        format!("/fill:other:{}", fits + 1),
        format!("/remove:none,fill:big:{}", fits * 100),
    ] {
        let reply = browser.get(&path).await;
        assert_eq!((reply.status.as_u16(), reply.text().as_str()), (413, "TooLarge"), "{path}");
        assert!(reply.set_cookies().is_empty(), "{path}");
    }
    // What is refused is refused alone: the rest of a request that goes on is stored.
    let path = format!("/~fill:big:{},get:big,get:cart", fits + 1);
    let said = browser.get(&path).await.expect(200).text();
    assert_eq!(said, format!("!TooLarge,{},tea", "x".repeat(fits)));
    let mut stranger = site.browser().await;
    let reply = stranger.get("/fill:big:5000").await;
    assert!(reply.status == 413 && reply.set_cookies().is_empty(), "{reply:?}");
    assert_eq!(names(&monitor.stop().await), vec!["GET"; 4]);
    assert_eq!(redis.dump().await, before);
}

// Row 42
#[tokio::test]
async fn a_handler_that_takes_its_time_blocks_no_other_request_of_the_session() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let mut browser = signed_in(&site).await;
    for begun in ["get:cart", "insert:a:1", "update:n", "renew,insert:a:1", "login:bob", "clear"] {
        let mut tab = browser.tab().await;
        let path = format!("/{begun},gate:slow");
        let slow = tokio::spawn(async move { tab.get(&path).await });
        site.gates.arrived("slow").await;
        // Everything that another request can do, while the first one stands.
        for path in
            ["/user", "/insert:b:1", "/update:n", "/push:list:x", "/remove:list", "/validate"]
        {
            browser.get(path).await.expect(200);
        }
        slow.abort();
        site.gates.left("slow").await;
    }
}

// Row 44
#[tokio::test]
async fn a_handle_kept_after_the_response_is_closed_and_changes_nothing() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let mut browser = signed_in(&site).await;
    for path in [
        "/keep",
        "/user,keep",
        "/insert:a:1,keep",
        "/keep,stream,say:one,insert:b:2",
        "/logout,keep",
        "/keep,status:500",
        "/fail,keep",
    ] {
        let reply = browser.get(path).await;
        if path.contains("logout") {
            browser = signed_in(&site).await;
        }
        let before = redis.dump().await;
        let Some(handle) = site.kept().pop() else { panic!("{path}: {reply:?}") };
        let closed = [
            handle.insert("late", "1").await.err(),
            handle.update("late", |_: Option<u64>| 1).await.err(),
            handle.save().await.err(),
            handle.login("mallory").await.err(),
            handle.logout().await.err(),
            handle.get::<String>("cart").await.err(),
        ];
        for (number, error) in closed.into_iter().enumerate() {
            let kind = error.map(|error| error.kind());
            assert_eq!(kind, Some(ErrorKind::Closed), "{path}, call {number}");
        }
        site.layer.shutdown().await;
        assert_eq!(redis.dump().await, before, "{path}");
    }
}

// Row 56
#[tokio::test]
async fn what_a_status_means_for_the_commit_is_defined() {
    let redis = RedisServer::start().await;
    for keep in [false, true] {
        let rule = if keep { Success::always() } else { Success::http() };
        let configure = |builder: RedisSessionLayerBuilder| builder.success(rule);
        let site = Site::configured(&redis, configure).await;
        for (status, committed) in [
            (200, true),
            (201, true),
            (302, true),
            (400, true),
            (404, true),
            (409, true),
            (499, true),
            (500, keep),
            (502, keep),
            (503, keep),
            (599, keep),
        ] {
            let mut browser = signed_in(&site).await;
            let path = format!("/insert:cart:milk,update:n,status:{status}");
            assert_eq!(browser.get(&path).await.status.as_u16(), status);
            let cart = if committed { "milk" } else { "tea" };
            // What acts at once has acted.
            let said = browser.get("/get:cart,get:n").await.expect(200).text();
            assert_eq!(said, format!("{cart},1"), "{status}, {keep}");
        }
    }
}

// Row 59
#[tokio::test]
async fn the_documented_rights_are_enough_and_no_more_is_asked_for() {
    let redis = RedisServer::start().await;
    let mut connection = redis.connection().await;
    let config = patient(&redis.url());
    let limited = |builder: RedisSessionLayerBuilder| {
        builder.budget(Duration::from_secs(15)).sessions_per_user(1)
    };
    let site = Site::on(config, limited).await;
    site.layer.check().await.unwrap();
    let mut browser = site.browser().await;
    for path in [
        "/begin_login:alice,finish_login",
        "/logout_everywhere",
        "/begin_login:alice,finish_login",
        "/logout",
        "/insert:cart:tea",
        "/get:cart,update:n",
        "/login:alice",
        "/renew",
        "/touch",
        "/validate",
        "/expiry:60:600",
        "/remove:n,remove:cart",
        "/clear,insert:a:1",
        "/logout",
        "/insert:a:1",
        "/remove:a",
    ] {
        browser.get(path).await.expect(200);
    }
    let live = token(&signed_in(&site).await);
    let both = format!("{COOKIE}={}; {COOKIE}={live}", "A".repeat(43));
    let mut client = Client::connect(site.addr()).await;
    assert_eq!(client.get_with("/user", &both).await.expect(200).text(), "alice");
    // Nothing was refused on the way but the INFO of `check`, which is optional.
    let log: Vec<redis::Value> =
        redis::cmd("ACL").arg("LOG").query_async(&mut connection).await.unwrap();
    let refused = log.iter().filter(|entry| !format!("{entry:?}").contains("cmd=info")).count();
    assert_eq!(refused, 0, "{log:?}");
    // Without the right to its keys a request is refused, and nobody is signed out over it.
    redis.acl_set_user(SESSIONS, "resetkeys").await;
    let reply = client.get_with("/user", &both).await.expect(503);
    assert!(reply.set_cookies().is_empty(), "{reply:?}");
}

// Row 59
#[test]
fn no_right_is_documented_that_nothing_of_ours_needs() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store");
    let mut ours = String::new();
    let mut folders = vec![folder];
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.to_str().unwrap().contains("redis") {
                ours += &std::fs::read_to_string(path).unwrap();
            }
        }
    }
    let rights = test_support::documented();
    let commands: Vec<_> = rights.iter().filter_map(|right| right.strip_prefix('+')).collect();
    assert!(commands.len() > 10, "{rights:?}");
    for command in commands {
        // The library sends that one, where an address names a database.
        if command == "select" {
            continue;
        }
        let said: Vec<_> = command.split('|').map(str::to_uppercase).collect();
        let in_rust = said.iter().all(|word| ours.contains(&format!("\"{word}\"")));
        let in_lua = ours.contains(&format!("call('{}'", said[0]));
        assert!(in_rust || in_lua, "+{command}");
    }
    for right in rights.iter().filter(|right| !right.starts_with('+')) {
        let expected = ["on", ">PASSWORD", "resetchannels", "~session:*", "-@all"];
        assert!(expected.contains(right), "{right}");
    }
}

#[tokio::test]
async fn a_user_whose_old_session_ends_during_the_sign_in_is_signed_in() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    for path in ["begin_login:alice,gate:here,finish_login", "user,gate:here,login:alice,save"] {
        let mut browser = site.browser().await;
        browser.get("/insert:cart:tea").await.expect(200);
        let mut other = browser.tab().await;
        let mut slow = browser.tab().await;
        let asked: &'static str = format!("/user,{path},user").leak();
        let signing_in = tokio::spawn(async move {
            let reply = slow.get(asked).await;
            (slow, reply)
        });
        site.gates.arrived("here").await;
        other.get("/logout").await.expect(200);
        site.gates.open("here");
        let (mut slow, reply) = signing_in.await.unwrap();
        assert_eq!(reply.status, 200, "{path}: {reply:?}");
        assert!(reply.text().ends_with("alice"), "{path}: {reply:?}");
        assert_eq!(slow.get("/user,get:cart").await.expect(200).text(), "alice,-", "{path}");
    }
}

#[tokio::test]
async fn out_everywhere_is_no_success_where_nobody_can_tell_whose_session_it_is() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let (mut one, mut two, mut phone) =
        (site.browser().await, site.browser().await, site.browser().await);
    for browser in [&mut one, &mut two, &mut phone] {
        browser.get("/login:alice").await.expect(200);
    }
    let both = format!("{COOKIE}={}; {COOKIE}={}", token(&one), token(&two));
    let mut client = Client::connect(site.addr()).await;
    let reply = client.get_with("/logout_everywhere", &both).await;
    assert_eq!((reply.status.as_u16(), reply.text()), (401, "Ambiguous".into()));
    assert_eq!(who(&site, &token(&one)).await, NOBODY);
    assert_eq!(phone.get("/user").await.expect(200).text(), "alice");
    // One user about to be another: both are out.
    let mut other = site.browser().await;
    other.get("/login:bob").await.expect(200);
    phone.get("/login:bob,logout_everywhere").await.expect(200);
    assert_eq!(other.get("/user").await.expect(200).text(), "-");
    assert_eq!(records(&redis).await.len(), 0);
}

#[tokio::test]
async fn the_list_of_a_user_lives_as_long_as_the_sessions_in_it() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let mut browser = site.browser().await;
    browser.get("/login:alice").await.expect(200);
    // A month, told after the sign-in.
    browser.get("/expiry:2592000:2592000").await.expect(200);
    let keys = redis.keys().await;
    let ttl = |part: &str| keys.iter().find(|(key, _)| key.contains(part)).unwrap().1;
    // Asked for one after the other, so that the second is a little older.
    let a_second = 1_000;
    assert!(ttl(":u:") + a_second >= ttl(":s:"), "{keys:?}");
    assert!(ttl(":s:") > 30 * 86_000_000, "{keys:?}");
    browser.get("/logout_everywhere").await.expect(200);
    assert!(records(&redis).await.is_empty());
}

// Row 60
#[tokio::test]
async fn two_applications_with_two_prefixes_share_a_redis_and_nothing_else() {
    let redis = RedisServer::builder().user("shop", "shop:").user("blog", "blog:").start().await;
    let config = |user: &str, prefix: &str| {
        patient(&redis.url_as(user, PASSWORD, redis.port())).key_prefix(prefix)
    };
    let long = |builder: RedisSessionLayerBuilder| builder.budget(Duration::from_secs(15));
    let shop = Site::on(config("shop", "shop:"), long).await;
    let blog = Site::on(config("blog", "blog:"), long).await;
    let browser = signed_in(&shop).await;
    let mut there = browser.on(blog.addr()).await;
    assert_eq!(there.get("/user,get:cart").await.expect(200).text(), NOBODY);
    there.get("/logout").await.expect(200);
    assert_eq!(who(&shop, &token(&browser)).await, "alice,tea");
    for (key, _) in redis.keys().await {
        assert!(key.starts_with("shop:") || key.starts_with("blog:"), "{key}");
    }
    for prefix in
        ["", "a b", "shop:*", "sh?p:", "{shop}", "[a-z]:", "a\\b", "\u{e4}:", &"x".repeat(65)]
    {
        let refused = RedisStore::new(patient(&redis.url()).key_prefix(prefix));
        assert_eq!(
            refused.err().map(|error| error.setting().to_owned()),
            Some("redis key prefix".into()),
            "{prefix}"
        );
    }
    // Not even one that is set up wrongly reaches the other's.
    let astray = Site::on(config("blog", "shop:"), long).await;
    let cookie = format!("{COOKIE}={}", token(&browser));
    let mut client = Client::connect(astray.addr()).await;
    assert_eq!(client.get_with("/user", &cookie).await.expect(503).text(), "Misconfigured");
}

// Row 61
#[tokio::test]
async fn a_record_of_a_newer_version_is_refused_and_kept_as_it_is() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let mut browser = signed_in(&site).await;
    let (key, mut value) = records(&redis).await.pop().unwrap();
    let magic = value.windows(3).position(|bytes| bytes == b"TRS").expect("the envelope");
    value[magic + 3] += 1;
    let mut connection = redis.connection().await;
    let set = redis::cmd("SET").arg(&key).arg(value).arg("EX").arg(600).to_owned();
    let () = set.query_async(&mut connection).await.unwrap();
    let before = redis.dump().await;
    for path in ["/user", "/insert:a:1", "/update:n", "/keys", "/validate", "/renew"] {
        let reply = browser.get(path).await;
        assert!(reply.set_cookies().is_empty(), "{path}: {reply:?}");
        assert!([200, 503].contains(&reply.status.as_u16()), "{path}: {reply:?}");
        assert_eq!(redis.dump().await, before, "{path}");
    }
    browser.get("/user").await.expect(503);
    assert_eq!(browser.get("/logout").await.expect(200).set_cookies(), [REMOVED]);
    assert!(records(&redis).await.is_empty());
}

// Row 63
#[tokio::test]
async fn every_answer_to_a_fault_is_the_same_and_short() {
    const PASSWORD: &str = "secret";
    let redis = RedisServer::builder().requirepass(PASSWORD).start().await;
    let short = Duration::from_millis(200);
    let config = patient(&redis.url()).command_timeout(short).connect_timeout(short);
    let site = Site::on(config, |builder| builder.budget(2 * short)).await;
    site.browser().await.get("/insert:a:1").await.expect(200);
    let mut connection = redis.connection().await;
    let mut answers = Vec::new();
    for fault in ["full", "another password", "hung", "killed"] {
        let setting = match fault {
            "full" => ["maxmemory", "1"],
            "another password" => ["requirepass", "another"],
            _ => ["", ""],
        };
        match fault {
            "hung" => redis.hang(),
            "killed" => redis.kill(),
            _ => {
                let set = redis::cmd("CONFIG").arg("SET").arg(&setting).to_owned();
                let () = set.query_async(&mut connection).await.unwrap();
            }
        }
        let reply = site.browser().await.get("/insert:a:1,say:hello").await.expect(503);
        let mut headers = reply.headers.clone();
        headers.remove("date");
        answers.push((headers, reply.body));
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    let plain = answers[0].1 == "Service Unavailable\n";
    assert!(plain && answers[0].0["retry-after"] == "1", "{answers:?}");
}
