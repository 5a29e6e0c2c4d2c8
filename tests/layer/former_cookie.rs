//! A cookie under its former name, domain or prefix: the session goes on under the new one.
//!
//! To see these fail: let the former cookie count where both come; do not hand the token out again;
//! do not remove the former one, or without its domain; let what it opens live through a logout;
//! forget the visitor's cookie in any of it, or issue tokens by its former one.

use std::convert::Infallible;

use http::{Request, Response, header};
use test_support::faulty_store::{FaultyStore, session_of};
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_redis_session::{CookieConfig, Error, RedisSessionLayer, SessionContext, Transport};

const NEW: &str = "__Host-session";

fn built(store: &FaultyStore, cookie: CookieConfig) -> RedisSessionLayer {
    let builder = RedisSessionLayer::builder(store.clone()).session_kind("sid");
    builder.transport(Transport::cookie(cookie)).build().unwrap()
}

fn former() -> CookieConfig {
    CookieConfig::new("sid").domain("example.org").path("/app")
}

/// The layer before the change, during and after it.
fn layers() -> (FaultyStore, [RedisSessionLayer; 3]) {
    let store = FaultyStore::new();
    let new = CookieConfig::new(NEW);
    let cookies = [former(), new.clone().former(former()), new];
    let layers = cookies.map(|cookie| built(&store, cookie));
    (store, layers)
}

/// The text of the answer, and its lines of Set-Cookie.
async fn ask<F, Fut>(layer: &RedisSessionLayer, cookie: &str, work: F) -> (String, Vec<String>)
where
    F: Fn(SessionContext) -> Fut + Clone,
    Fut: Future<Output = Result<String, Error>>,
{
    let handler = service_fn(move |request: Request<()>| {
        let asked = work(session_of(&request));
        async move { Ok::<_, Infallible>(Response::new(asked.await.unwrap())) }
    });
    let request = Request::builder().header(header::COOKIE, cookie).body(()).unwrap();
    let response = layer.layer(handler).oneshot(request).await.unwrap();
    let lines = response.headers().get_all(header::SET_COOKIE).iter();
    let mut lines: Vec<_> = lines.map(|line| line.to_str().unwrap().to_owned()).collect();
    lines.sort_unstable();
    if !lines.is_empty() {
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
    }
    let body = http_body_util::BodyExt::collect(response.into_body()).await.unwrap();
    (String::from_utf8(body.to_bytes().to_vec()).unwrap(), lines)
}

async fn user(s: SessionContext) -> Result<String, Error> {
    Ok(s.user_id().await?.unwrap_or("-".into()))
}

/// The cookie of `user`, signed in.
async fn signed_in(layer: &RedisSessionLayer, user: &'static str) -> String {
    let login = move |s: SessionContext| async move {
        s.login(user).await?;
        Ok(String::new())
    };
    let (_, lines) = ask(layer, "", login).await;
    lines[0].split(';').next().unwrap().to_owned()
}

fn is_removal_of_former(line: &str) -> bool {
    line.starts_with("sid=;")
        && ["Max-Age=0", "Domain=example.org", "Path=/app"].iter().all(|part| line.contains(part))
}

#[tokio::test]
async fn a_session_under_the_former_name_goes_on_under_the_new_one() {
    let (store, [before, during, after]) = layers();
    let old = signed_in(&before, "alice").await;
    let _ = store.calls();
    let (text, lines) = ask(&during, &old, user).await;
    assert_eq!(text, "alice");
    let [new, removal] = lines.as_slice() else { panic!("{lines:?}") };
    assert!(is_removal_of_former(removal), "{removal}");
    // The same token, so nothing is written and what is under way with the former one goes on.
    let (name, token) = new.split(';').next().unwrap().split_once('=').unwrap();
    assert_eq!((name, Some(token)), (NEW, old.strip_prefix("sid=")));
    assert!(new.contains("Secure") && !new.contains("Domain"), "{new}");
    assert_eq!(store.calls().len(), 1);
    let new = format!("{NEW}={token}");
    for layer in [&during, &after] {
        assert_eq!(ask(layer, &new, user).await, ("alice".into(), vec![]));
    }
    // With the setting the former name ends.
    assert_eq!(ask(&after, &old, user).await, ("-".into(), vec![]));
}

#[tokio::test]
async fn of_both_cookies_the_new_one_counts_whatever_it_opens() {
    let (store, [before, during, _]) = layers();
    for (name, new, seen) in [
        ("a session", signed_in(&during, "bob").await, "bob"),
        ("nothing", format!("{NEW}={}", "A".repeat(43)), "-"),
    ] {
        let old = signed_in(&before, "alice").await;
        for cookie in [format!("{old}; {new}"), format!("{new}; {old}")] {
            let (text, lines) = ask(&during, &cookie, user).await;
            assert_eq!(text, seen, "{name}");
            assert!(lines.len() == 1 && is_removal_of_former(&lines[0]), "{name}: {lines:?}");
        }
        // One that is no token of ours does not count.
        let (text, _) = ask(&during, &format!("{NEW}=x; {old}"), user).await;
        assert_eq!(text, "alice", "{name}");
    }
    // The same token under both names is one session.
    let old = signed_in(&before, "alice").await;
    let both = format!("{old}; {NEW}={}", &old["sid=".len()..]);
    let count = store.len();
    let cart = async |s: SessionContext| s.insert("cart", &1).await.map(|()| String::new());
    let _ = ask(&before, &old, cart).await;
    let (text, lines) = ask(&during, &both, async |s: SessionContext| {
        s.login("alice").await?;
        s.save().await?;
        Ok(s.keys().await?.join(","))
    })
    .await;
    assert_eq!((text.as_str(), lines.len(), store.len()), ("cart", 2, count));
}

#[tokio::test]
async fn a_sign_in_and_a_logout_leave_nothing_of_either_cookie() {
    for login in [true, false] {
        for both in [true, false] {
            let (store, [before, during, _]) = layers();
            let mut cookie = signed_in(&before, "alice").await;
            if both {
                cookie = format!("{cookie}; {}", signed_in(&during, "bob").await);
            }
            let work = move |s: SessionContext| async move {
                if login {
                    s.login("eve").await?
                } else {
                    s.logout().await?
                }
                Ok(String::new())
            };
            let (_, lines) = ask(&during, &cookie, work).await;
            let [new, removal] = lines.as_slice() else { panic!("{lines:?}") };
            assert!(new.starts_with(NEW) && is_removal_of_former(removal), "{lines:?}");
            assert_eq!(new.contains("Max-Age=0"), !login);
            assert_eq!(store.len(), usize::from(login), "login: {login}, both: {both}");
        }
    }
}

#[tokio::test]
async fn a_former_domain_under_the_same_name_is_removed_with_the_next_cookie() {
    let store = FaultyStore::new();
    let cookie = CookieConfig::new("sid").former(CookieConfig::new("sid").domain("example.org"));
    let layer = built(&store, cookie);
    let before = built(&store, CookieConfig::new("sid").domain("example.org"));
    let old = signed_in(&before, "alice").await;
    assert_eq!(ask(&layer, &old, user).await, ("alice".into(), vec![]));
    let (_, lines) = ask(&layer, &old, async |s: SessionContext| {
        s.renew().await?;
        Ok(String::new())
    })
    .await;
    // In the order of the text, which a token may begin with a lesser letter than `;`.
    let (removals, set): (Vec<_>, Vec<_>) =
        lines.iter().partition(|line| line.starts_with("sid=;"));
    let ([removal], [new]) = (removals.as_slice(), set.as_slice()) else { panic!("{lines:?}") };
    assert!(removal.contains("Domain=example.org"), "{lines:?}");
    assert!(!new.contains("Domain") && !new.contains("Max-Age=0"), "{lines:?}");
}

/// A token for a form, and the jar of a browser that had `jar`.
async fn form(layer: &RedisSessionLayer, jar: &str) -> (String, String) {
    let token = async |s: SessionContext| Ok(s.csrf_token().await?.to_string());
    let (token, lines) = ask(layer, jar, token).await;
    let pairs = lines.iter().map(|line| line.split(';').next().unwrap());
    let jar: Vec<_> = [jar].into_iter().filter(|jar| !jar.is_empty()).chain(pairs).collect();
    (token, jar.join("; "))
}

/// What becomes of a form with `token`, and the lines of Set-Cookie.
async fn sent(layer: &RedisSessionLayer, jar: &str, token: &str) -> (String, Vec<String>) {
    let token = token.to_owned();
    ask(layer, jar, move |s| {
        let token = token.clone();
        async move {
            let verdict = s.verify_csrf(&token).await;
            Ok(verdict
                .map_or_else(|error| format!("{:?}", error.kind().unwrap()), |()| "ok".into()))
        }
    })
    .await
}

async fn login(s: SessionContext) -> Result<String, Error> {
    s.login("alice").await.map(|()| String::new())
}

#[tokio::test]
async fn a_visitors_form_from_before_the_change_is_accepted_while_the_setting_is_there() {
    let (_, [before, during, after]) = layers();
    let (old_form, old) = form(&before, "").await;
    assert!(old.starts_with("sid_csrf="), "{old}");
    assert_eq!(sent(&during, &old, &old_form).await, ("ok".into(), vec![]));
    assert_eq!(sent(&after, &old, &old_form).await.0, "Foreign");
    // A new form belongs to the new cookie alone: the former one may have been planted.
    let (new_form, both) = form(&during, &old).await;
    assert!(both.contains("__Host-session_csrf="), "{both}");
    for (name, layer, jar, form, verdict) in [
        ("the old form with both", &during, &both, &old_form, "Foreign"),
        ("the new form with both", &during, &both, &new_form, "ok"),
        ("the new form with the former cookie", &during, &old, &new_form, "Foreign"),
        ("the old form after the change", &after, &both, &old_form, "Foreign"),
        ("the new form after the change", &after, &both, &new_form, "ok"),
    ] {
        assert_eq!(sent(layer, jar, form).await.0, verdict, "{name}");
    }
    // Of several one may have been planted.
    let planted = format!("{old}; sid_csrf={}", "A".repeat(43));
    assert_eq!(sent(&during, &planted, &old_form).await.0, "Foreign");
    // A session ends what was issued before it, under either name.
    for (jar, removed) in
        [(&old, vec![("sid", true)]), (&both, vec![("__Host-session", false), ("sid", true)])]
    {
        let (_, lines) = ask(&during, jar, login).await;
        let removals: Vec<_> = lines.iter().filter(|line| line.contains("_csrf=;")).collect();
        assert_eq!(removals.len(), removed.len(), "{lines:?}");
        for ((name, former), line) in removed.into_iter().zip(removals) {
            assert!(line.starts_with(&format!("{name}_csrf=;")), "{line}");
            assert!(line.contains("Max-Age=0"), "{line}");
            assert_eq!(line.contains("Domain=example.org") && line.contains("Path=/app"), former);
        }
        let session = lines.iter().find(|line| line.starts_with("__Host-session=")).unwrap();
        let jar = format!("{jar}; {}", session.split(';').next().unwrap());
        assert_eq!(sent(&during, &jar, &old_form).await.0, "Foreign");
    }
}

#[tokio::test]
async fn a_sessions_form_from_before_the_change_is_accepted_under_either_name() {
    let (_, [before, during, _]) = layers();
    let (old_form, old) = form(&before, &signed_in(&before, "alice").await).await;
    assert_eq!(sent(&during, &old, &old_form).await.0, "ok");
    let new = format!("{NEW}={}", old.strip_prefix("sid=").unwrap());
    assert_eq!(sent(&during, &new, &old_form).await, ("ok".into(), vec![]));
}

#[tokio::test]
async fn a_visitors_cookie_of_a_former_domain_under_the_same_name_goes_with_a_sign_in() {
    let store = FaultyStore::new();
    let former = || CookieConfig::new("sid").domain("example.org");
    let before = built(&store, former());
    let during = built(&store, CookieConfig::new("sid").former(former()));
    let (old_form, old) = form(&before, "").await;
    assert_eq!(sent(&during, &old, &old_form).await.0, "ok");
    let (_, lines) = ask(&during, &old, login).await;
    let removals: Vec<_> = lines.iter().filter(|line| line.starts_with("sid_csrf=;")).collect();
    let with_domain = removals.iter().filter(|line| line.contains("Domain=example.org")).count();
    assert_eq!((removals.len(), with_domain), (2, 1), "{lines:?}");
}

#[tokio::test]
async fn a_former_cookie_that_could_not_work_does_not_build() {
    let new = || CookieConfig::new(NEW);
    for (name, cookie, kind, setting) in [
        ("without a kind", new().former(former()), None, "session kind"),
        ("itself", new().former(new()), Some("sid"), "former cookie"),
        ("malformed", new().former(CookieConfig::new("a b")), Some("sid"), "former cookie"),
        (
            "a chain",
            new().former(former().former(CookieConfig::new("older"))),
            Some("sid"),
            "former cookie",
        ),
    ] {
        let mut builder = RedisSessionLayer::builder(FaultyStore::new());
        if let Some(kind) = kind {
            builder = builder.session_kind(kind);
        }
        let error = builder.transport(Transport::cookie(cookie)).build().unwrap_err();
        assert_eq!(error.setting(), setting, "{name}");
    }
}
