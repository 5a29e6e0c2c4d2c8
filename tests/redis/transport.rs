//! Clients without cookies: the token in a header, by the same rules.
//!
//! To see these fail: read both the cookie and the header; hand a token out beside the cookie;
//! leave
//! `Vary` at `cookie`.

use http::{HeaderName, Method};
use test_support::{COOKIE, Client, RedisServer, Reply, Site, names, records};
use tower_redis_session::{CookieConfig, RedisSessionLayer, Transport};

async fn get(client: &mut Client, path: &str, headers: &[(&str, &str)]) -> Reply {
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
    client.send(Method::GET, path, &headers, "").await
}

fn handed_out(reply: &Reply) -> Option<String> {
    let value = reply.headers.get("session-token")?;
    Some(value.to_str().unwrap().to_owned())
}

async fn api(redis: &RedisServer) -> Site {
    let bearer = Transport::bearer();
    Site::configured(redis, |builder| builder.transport(bearer).session_kind("all")).await
}

#[tokio::test]
async fn a_token_in_a_header_lives_as_a_cookie_does() {
    let redis = RedisServer::start().await;
    let site = api(&redis).await;
    let mut client = Client::connect(site.addr()).await;
    let reply = get(&mut client, "/login:alice", &[]).await.expect(200);
    let token = handed_out(&reply).unwrap();
    assert!(reply.set_cookies().is_empty(), "{reply:?}");
    assert_eq!(reply.all("vary"), ["authorization"]);
    assert_eq!(reply.all("cache-control"), ["no-store"]);
    let bearer = format!("Bearer {token}");
    let reply = get(&mut client, "/user", &[("authorization", &bearer)]).await.expect(200);
    assert_eq!((reply.text(), handed_out(&reply)), ("alice".into(), None));
    // Any letter case of the scheme (RFC 9110 section 11.1), several spaces.
    let odd = format!("bEARER   {token}");
    assert_eq!(get(&mut client, "/user", &[("authorization", &odd)]).await.text(), "alice");
    let reply = get(&mut client, "/renew", &[("authorization", &bearer)]).await.expect(200);
    let renewed = format!("Bearer {}", handed_out(&reply).unwrap());
    assert_eq!(get(&mut client, "/user", &[("authorization", &bearer)]).await.text(), "-");
    let reply = get(&mut client, "/logout", &[("authorization", &renewed)]).await.expect(200);
    assert_eq!(handed_out(&reply).as_deref(), Some(""));
    assert_eq!(get(&mut client, "/user", &[("authorization", &renewed)]).await.text(), "-");
    assert_eq!(records(&redis).await, []);
}

#[tokio::test]
async fn a_layer_has_one_transport_and_hears_no_other() {
    let redis = RedisServer::start().await;
    let browsers = Site::configured(&redis, |builder| builder.session_kind("all")).await;
    let api = api(&redis).await;
    let named = Transport::header(HeaderName::from_static("x-session"));
    let named =
        Site::configured(&redis, |builder| builder.transport(named).session_kind("all")).await;
    let mut browser = browsers.browser().await;
    browser.get("/login:alice").await.expect(200);
    let token = browser.cookie(COOKIE).unwrap().to_owned();
    let (cookie, bearer) = (format!("{COOKIE}={token}"), format!("Bearer {token}"));
    let all = [("cookie", &*cookie), ("authorization", &*bearer), ("x-session", &*token)];
    for (name, site, heard) in
        [("cookie", &browsers, 0), ("bearer", &api, 1), ("a header of its own", &named, 2)]
    {
        let mut client = Client::connect(site.addr()).await;
        for (at, header) in all.iter().enumerate() {
            let said = get(&mut client, "/user", &[*header]).await.expect(200).text();
            assert_eq!(said, if at == heard { "alice" } else { "-" }, "{name}, {header:?}");
        }
        // Nor does what is not heard hide what is.
        assert_eq!(get(&mut client, "/user", &all).await.text(), "alice", "{name}");
    }
}

#[tokio::test]
async fn what_is_no_token_never_reaches_the_store_and_two_live_ones_are_ambiguous() {
    let redis = RedisServer::start().await;
    let site = api(&redis).await;
    let mut client = Client::connect(site.addr()).await;
    let mut tokens = Vec::new();
    for user in ["alice", "bob"] {
        let reply = get(&mut client, &format!("/login:{user}"), &[]).await;
        tokens.push(handed_out(&reply).unwrap());
    }
    let monitor = redis.monitor().await;
    let whole = format!("Bearer {}", tokens[0]);
    for value in ["", "Bearer", "Bearer ", "Basic YTpi", &tokens[0], &whole[..40]] {
        let reply = get(&mut client, "/user", &[("authorization", value)]).await.expect(200);
        assert_eq!(reply.text(), "-", "{value}");
    }
    assert_eq!(names(&monitor.stop().await), [""; 0]);
    let both: Vec<_> = tokens.iter().map(|token| format!("Bearer {token}")).collect();
    let headers: Vec<_> = both.iter().map(|value| ("authorization", value.as_str())).collect();
    let reply = get(&mut client, "/user", &headers).await.expect(200);
    assert_eq!((reply.text(), handed_out(&reply)), ("-".into(), None));
    let reply = get(&mut client, "/insert:a:1", &headers).await;
    assert_eq!(reply.text(), "Ambiguous");
}

#[tokio::test]
async fn a_header_with_a_meaning_of_its_own_is_refused() {
    let store = tower_redis_session::MemoryStore::new;
    for name in ["cookie", "set-cookie", "authorization", "vary", "host", "content-length"] {
        let transport = Transport::header(HeaderName::from_static(name));
        let error = RedisSessionLayer::builder(store()).transport(transport).build().unwrap_err();
        assert_eq!(error.setting(), "transport", "{name}");
    }
}

#[tokio::test]
async fn two_layers_in_one_process_never_see_each_other() {
    use tower::{ServiceBuilder, ServiceExt};
    use tower_redis_session::{RedisStore, SessionContext};

    let redis = RedisServer::builder().user("shop", "shop:").user("admin", "admin:").start().await;
    let layer = |prefix: &str, cookie: &str| {
        let user = prefix.trim_end_matches(':');
        let url = redis.url_as(user, test_support::PASSWORD, redis.port());
        let config = test_support::patient(&url).key_prefix(prefix);
        let store = RedisStore::new(config).unwrap();
        RedisSessionLayer::builder(store).cookie(CookieConfig::new(cookie)).build().unwrap()
    };
    let (shop, admin) = (layer("shop:", "__Host-shop"), layer("admin:", "__Host-admin"));
    // Around the same handler: the inner one's handle is what it finds.
    let handler = tower::service_fn(|request: http::Request<String>| async move {
        let session = request.extensions().get::<SessionContext>().unwrap().clone();
        let user = request.uri().path().trim_start_matches('/').to_owned();
        if !user.is_empty() {
            session.login(&user).await.unwrap();
        }
        let said = session.user_id().await.unwrap().unwrap_or_default();
        Ok::<_, std::convert::Infallible>(http::Response::new(said))
    });
    let one = ServiceBuilder::new().layer(shop.clone()).service(handler);
    let two = ServiceBuilder::new().layer(admin.clone()).service(handler);
    let ask = |path: &str, cookie: &str| {
        let request = http::Request::builder().uri(path).header("cookie", cookie);
        request.body(String::new()).unwrap()
    };
    let cookie_of = |response: &http::Response<_>| {
        let line = response.headers()["set-cookie"].to_str().unwrap().to_owned();
        line.split(';').next().unwrap().to_owned()
    };
    async fn text<B: http_body::Body<Data = bytes::Bytes>>(response: http::Response<B>) -> String
    where
        B::Error: std::fmt::Debug,
    {
        use http_body_util::BodyExt;
        String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec())
            .unwrap()
    }
    let alice = one.clone().oneshot(ask("/alice", "")).await.unwrap();
    let root = two.clone().oneshot(ask("/root", "")).await.unwrap();
    let (alice, root) = (cookie_of(&alice), cookie_of(&root));
    let both = format!("{alice}; {root}");
    assert_eq!(text(one.clone().oneshot(ask("/", &both)).await.unwrap()).await, "alice");
    assert_eq!(text(two.clone().oneshot(ask("/", &both)).await.unwrap()).await, "root");
    // The token of one under the name of the other opens nothing.
    let crossed = alice.replace("__Host-shop", "__Host-admin");
    assert_eq!(text(two.clone().oneshot(ask("/", &crossed)).await.unwrap()).await, "");
    assert_eq!(shop.admin().revoke_all("root").await.unwrap(), 0);
    assert_eq!(admin.admin().revoke_all("alice").await.unwrap(), 0);
    assert_eq!(shop.admin().sessions_of("alice").await.unwrap().len(), 1);
    assert_eq!(admin.admin().sessions_of("alice").await.unwrap().len(), 0);
}
