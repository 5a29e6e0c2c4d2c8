//! Clients that leave, handlers that are dropped, servers that stop: what was begun is ended, and
//! what was not begun leaves nothing.
//!
//! To see these fail: commit in the handler's task without handing it on at drop; commit what a
//! dropped handler had buffered; let `shutdown` return at once; write the record by two commands.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use futures_util::future::join_all;
use http_body_util::BodyExt;
use test_support::{
    Browser, COOKIE, FaultProxy, Mode, RedisServer, Site, bounded, eventually, patient, raw,
    raw_get, records,
};

/// A site that reaches its Redis by way of a proxy.
async fn site_behind_proxy(redis: &RedisServer) -> (FaultProxy, Site) {
    let proxy = FaultProxy::start(redis.addr()).await;
    let through = patient(&redis.url_at(proxy.port()));
    let site = Site::on(through, |builder| builder.budget(Duration::from_secs(15))).await;
    (proxy, site)
}

async fn with_tea(site: &Site) -> Browser {
    let mut browser = site.browser().await;
    browser.get("/insert:cart:tea").await.expect(200);
    browser
}

#[tokio::test]
async fn a_client_that_leaves_in_mid_handler_leaves_nothing() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let mut browser = with_tea(&site).await;
    let cookie = browser.cookie_header();
    let before = redis.dump().await;
    let mut dropped = 0;
    for path in [
        "/insert:cart:milk,gate:slow,insert:cart:coffee",
        "/get:cart,login:alice,gate:slow",
        "/get:cart,renew,gate:slow",
        "/clear,gate:slow",
    ] {
        for how in ["close", "reset", "half-close"] {
            for cookie in [cookie.as_str(), ""] {
                let mut connection = raw(site.addr(), raw_get(path, cookie)).await;
                site.gates.arrived("slow").await;
                match how {
                    "close" => connection.close(),
                    "reset" => connection.reset(),
                    // hyper takes this for leaving too.
                    _ => {
                        connection.half_close().await;
                        assert_eq!(connection.read_to_end().await, b"");
                    }
                }
                site.gates.left("slow").await;
                dropped += 1;
                site.has_abandoned(dropped).await;
            }
        }
    }
    site.layer.shutdown().await;
    assert_eq!(redis.dump().await, before);
    assert_eq!(browser.get("/get:cart").await.expect(200).text(), "tea");
}

#[tokio::test]
async fn what_a_handler_saved_or_ended_before_its_client_left_stays_so() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    for (path, expected) in [
        ("/insert:cart:milk,save,insert:cart:coffee,gate:slow", "milk"),
        ("/update:n,insert:cart:coffee,gate:slow", "tea"),
        ("/logout,insert:cart:coffee,gate:slow", "-"),
    ] {
        let mut browser = with_tea(&site).await;
        let connection = raw(site.addr(), raw_get(path, &browser.cookie_header())).await;
        site.gates.arrived("slow").await;
        connection.close();
        site.gates.left("slow").await;
        site.layer.shutdown().await;
        assert_eq!(browser.get("/get:cart").await.expect(200).text(), expected, "{path}");
        if path.contains("update") {
            assert_eq!(browser.get("/get:n").await.expect(200).text(), "1");
        }
    }
}

#[tokio::test]
async fn a_commit_that_has_started_ends_although_its_client_left() {
    for (path, expected) in [
        ("/get:cart,gate:slow,insert:cart:milk", "milk"),
        ("/get:cart,gate:slow,remove:cart", "-"),
        ("/get:cart,gate:slow,renew", "-"),
        // The same at the end of a body.
        ("/get:cart,stream,gate:slow,insert:cart:milk", "milk"),
    ] {
        let redis = RedisServer::start().await;
        let (proxy, site) = site_behind_proxy(&redis).await;
        let mut browser = with_tea(&site).await;
        let connection = raw(site.addr(), raw_get(path, &browser.cookie_header())).await;
        site.gates.arrived("slow").await;
        proxy.set(Mode::HoldRequests);
        site.gates.open("slow");
        proxy.holds_something().await;
        connection.close();
        if !path.contains("stream") {
            site.has_abandoned(1).await;
        }
        // The layer knows that something is under way, and waits for it.
        let layer = site.layer.clone();
        let mut shutdown = tokio::spawn(async move { layer.shutdown().await });
        let early = tokio::time::timeout(Duration::from_millis(50), &mut shutdown).await;
        assert!(early.is_err(), "{path}: shutdown did not wait for the commit");
        proxy.release().await;
        bounded("shutdown", shutdown).await.unwrap();
        assert_eq!(browser.get("/get:cart").await.expect(200).text(), expected, "{path}");
        redis.assert_every_key_has_a_ttl().await;
    }
}

#[tokio::test]
async fn a_logout_whose_client_leaves_is_a_logout() {
    let redis = RedisServer::start().await;
    let (proxy, site) = site_behind_proxy(&redis).await;
    let mut browser = with_tea(&site).await;
    proxy.set(Mode::HoldRequests);
    let connection = raw(site.addr(), raw_get("/logout", &browser.cookie_header())).await;
    proxy.holds_something().await;
    connection.close();
    site.has_abandoned(1).await;
    proxy.release().await;
    site.layer.shutdown().await;
    assert_eq!(browser.get("/get:cart").await.expect(200).text(), "-");
}

#[tokio::test]
async fn a_client_that_leaves_in_mid_body_takes_the_uncommitted_changes_of_the_stream_along() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let mut browser = with_tea(&site).await;
    let path = "/insert:head:1,stream,say:begun,insert:cart:milk,gate:slow,say:never";
    let mut connection = raw(site.addr(), raw_get(path, &browser.cookie_header())).await;
    connection.read_until("begun").await;
    site.gates.arrived("slow").await;
    connection.close();
    site.gates.left("slow").await;
    site.layer.shutdown().await;
    assert_eq!(browser.get("/get:cart,get:head").await.expect(200).text(), "tea,1");
}

#[tokio::test]
async fn a_request_dropped_at_any_point_leaves_the_old_record_or_the_new_one() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    for path in [
        "/get:a,insert:a:new,insert:b:new",
        "/insert:a:new,insert:b:new,save,say:saved",
        "/get:a,insert:a:new,insert:b:new,renew",
        "/login:alice,insert:a:new,insert:b:new",
        "/logout,insert:a:new,insert:b:new",
    ] {
        let (mut old, mut new, mut done) = (0, 0, false);
        let mut polls = 0;
        while !done {
            let mut browser = site.browser().await;
            browser.get("/insert:a:old,insert:b:old").await.expect(200);
            let cookie = browser.cookie_header();
            let reply = {
                let mut request = pin!(site.visit(path, &cookie));
                let mut left = polls;
                bounded(
                    "some polls",
                    poll_fn(|context| {
                        if left == 0 {
                            return Poll::Ready(None);
                        }
                        left -= 1;
                        request.as_mut().poll(context).map(Some)
                    }),
                )
                .await
            };
            if let Some(reply) = reply {
                done = true;
                let (head, body) = reply.into_parts();
                assert_eq!(head.status.as_u16(), 200, "{path}");
                body.collect().await.unwrap();
            }
            site.layer.shutdown().await;
            // Under the old id: all of the old, all of the new, or nothing.
            match browser.get("/get:a,get:b").await.expect(200).text().as_str() {
                "old,old" => old += 1,
                "new,new" | "-,-" => new += 1,
                other => panic!("{path}, dropped after {polls} polls: {other}"),
            }
            polls += 1;
            assert!(polls < 1_000, "{path}");
        }
        assert!(old > 0 && new > 0, "{path}: {old} old, {new} new");
    }
    redis.assert_every_key_has_a_ttl().await;
}

#[tokio::test]
async fn a_handler_that_panics_changes_nothing_and_harms_nobody() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let mut browser = with_tea(&site).await;
    for path in ["/panic", "/get:cart,insert:cart:milk,panic", "/clear,login:mallory,panic"] {
        let mut connection = raw(site.addr(), raw_get(path, &browser.cookie_header())).await;
        assert_eq!(connection.read_to_end().await, b"", "{path}");
        assert_eq!(browser.get("/get:cart,user").await.expect(200).text(), "tea,-", "{path}");
    }
    let in_body = raw_get("/stream,insert:cart:milk,panic", &browser.cookie_header());
    let mut connection = raw(site.addr(), in_body).await;
    let answer = String::from_utf8(connection.read_to_end().await).unwrap();
    assert!(!answer.ends_with("0\r\n\r\n"), "a broken body was ended as a whole one: {answer}");
    assert_eq!(browser.get("/get:cart").await.expect(200).text(), "tea");
}

#[tokio::test]
async fn a_thousand_dropped_requests_leak_nothing_and_the_site_still_logs_out() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let mut browser = with_tea(&site).await;
    let cookie = browser.cookie_header();
    for number in 0..1_000u32 {
        let mut request = pin!(site.visit("/get:cart,update:n,insert:a:1", &cookie));
        let mut left = number % 7;
        poll_fn(|context| {
            if left == 0 {
                return Poll::Ready(());
            }
            left -= 1;
            request.as_mut().poll(context).map(|_| ())
        })
        .await;
    }
    site.layer.shutdown().await;
    assert_eq!(browser.get("/get:cart").await.expect(200).text(), "tea");
    // No connection was lost over it, and no answer was taken for another's.
    assert_eq!(browser.get("/logout").await.expect(200).set_cookies(), [test_support::REMOVED]);
    browser.set_cookie(COOKIE, cookie.split_once('=').unwrap().1);
    assert_eq!(browser.get("/get:cart,keys").await.expect(200).text(), "-,");
    assert!(records(&redis).await.is_empty());
}

/// Over real connections, each closed while its handler stands still.
#[tokio::test]
async fn dropped_requests_do_not_keep_a_logout_from_deleting() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let mut browser = site.browser().await;
    browser.get("/login:alice").await.expect(200);
    for _ in 0..20 {
        let path = "/user,insert:cart:milk,gate:slow";
        let connection = raw(site.addr(), raw_get(path, &browser.cookie_header())).await;
        site.gates.arrived("slow").await;
        connection.close();
        site.gates.left("slow").await;
    }
    let token = browser.cookie(COOKIE).unwrap().to_owned();
    browser.get("/logout").await.expect(200);
    browser.set_cookie(COOKIE, &token);
    assert_eq!(browser.get("/user").await.expect(200).text(), "-");
    assert!(records(&redis).await.is_empty());
}

#[tokio::test]
async fn answers_are_never_taken_for_those_of_a_request_that_was_dropped() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let mut browsers = Vec::new();
    for number in 0..8 {
        let mut browser = site.browser().await;
        browser.get(&format!("/insert:own:{number}")).await.expect(200);
        browsers.push(browser);
    }
    for round in 0..200 {
        let mut dropped = Vec::new();
        for browser in &browsers {
            dropped.push(Box::pin(site.visit("/get:own,insert:x:1", &browser.cookie_header())));
        }
        let mut polls = round % 4;
        while polls > 0 {
            polls -= 1;
            poll_fn(|context| {
                dropped.retain_mut(|request| request.as_mut().poll(context).is_pending());
                Poll::Ready(())
            })
            .await;
            tokio::task::yield_now().await;
        }
        drop(dropped);
        let number = round % browsers.len();
        let said = browsers[number].get("/get:own").await.expect(200).text();
        assert_eq!(said, number.to_string(), "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_shutdown_under_load_every_acknowledged_write_is_in_redis() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let layer = site.layer.clone();
    let (gone, mut clients) = (tokio_util::sync::CancellationToken::new(), Vec::new());
    for _ in 0..24 {
        let mut browser = site.browser().await;
        let gone = gone.clone();
        clients.push(tokio::spawn(async move {
            let mut acknowledged = 0u64;
            while !gone.is_cancelled() {
                let path = format!("/get:n,insert:n:{},update:count", acknowledged + 1);
                match browser.try_get(&path).await {
                    Ok(reply) if reply.status == 200 => acknowledged += 1,
                    Ok(reply) => panic!("{reply:?}"),
                    // The server has stopped.
                    Err(_) => break,
                }
            }
            (browser, acknowledged)
        }));
    }
    // Some whose clients do not wait for the answer.
    let impatient = tokio::spawn({
        let addr = site.addr();
        let gone = gone.clone();
        async move {
            while !gone.is_cancelled() {
                raw(addr, raw_get("/insert:a:1", "")).await.close();
                tokio::task::yield_now().await;
            }
        }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    impatient.abort();
    let _ = impatient.await;
    // The order that the documentation gives: the server first, then the layer.
    let drained = tokio::spawn(site.drain());
    gone.cancel();
    let clients = bounded("the clients", join_all(clients)).await;
    bounded("the drain", drained).await.unwrap();
    bounded("the layer's shutdown", layer.shutdown()).await;
    let after = Site::start(&redis).await;
    let mut total = 0;
    for client in clients {
        let (browser, acknowledged) = client.unwrap();
        total += acknowledged;
        let mut browser = browser.on(after.addr()).await;
        let said = browser.get("/get:n,get:count").await.expect(200).text();
        let (n, count) = said.split_once(',').unwrap();
        // The one whose answer did not arrive may be there too.
        for stored in [n, count] {
            let stored: u64 = stored.parse().unwrap_or(0);
            assert!((acknowledged..=acknowledged + 1).contains(&stored), "{said} {acknowledged}");
        }
    }
    assert!(total > 50, "only {total} requests");
    redis.assert_every_key_has_a_ttl().await;
}

#[tokio::test]
async fn a_stream_reset_over_http_2_drops_the_handler_and_leaves_nothing() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let mut browser = with_tea(&site).await;
    let (addr, cookie) = (site.addr(), browser.cookie_header());
    let request = tokio::spawn(async move {
        test_support::get_h2(addr, "/insert:cart:milk,gate:slow", &[&cookie]).await
    });
    site.gates.arrived("slow").await;
    request.abort();
    site.gates.left("slow").await;
    site.has_abandoned(1).await;
    site.layer.shutdown().await;
    eventually("the old value", async || browser.get("/get:cart").await.text() == "tea").await;
}
