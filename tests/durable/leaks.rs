//! Secrets stay where they belong: tokens in the cookie, values in the store, passwords nowhere. A
//! broad walk with canaries everywhere, through every store and every way to fail; then everything
//! that was logged, printed, answered, asked and stored is looked through.
//!
//! The same monitor watches over every test of a binary: see `test_support::leak_monitor`.
//!
//! To see these fail: log a token, or a value, or the address of a store with its password; let
//! `Debug` of the token derive; make the key of its text; answer with the text of an error.

mod faults;
mod setup;

use faults::Fault;
use http::Method;
use setup::{DATABASE_PASSWORD, Setup, TYPED, VALUE};
use test_support::{
    Browser, COOKIE, LogCapture, Monitor, PASSWORD, RedisServer, Site, leak_monitor,
};
use tower_redis_session::{
    DatabaseConfig, DatabaseStore, EnvConfig, RedisConfig, RedisStore, store::Store as _,
};

/// What visitors do, what goes wrong in it included. The value is never asked for: the application
/// may show it.
const LIFE: &[&str] = &[
    "insert:secret:VALUE",
    "keys,id,user,expires,created",
    "begin_login:alice,finish_login,insert:secret:VALUE",
    "login:alice:masto,keep",
    "set_platform:pixel,renew,keep",
    "update:n,touch,validate,expiry:600:6000",
    "~update:secret",
    "~push:secret:x",
    "~fill:big:99999",
    "insert:secret:VALUE,status:500",
    "insert:other:VALUE,fail",
    "insert:other:VALUE,panic",
    "~begin_login:bob,panic",
    "insert:more:VALUE,save,stream,insert:late:VALUE,say:x,~renew,~login:carol,remove:more",
    "logout_everywhere,insert:after:VALUE",
    "insert:secret:VALUE,login:dave",
    "clear,logout",
    "insert:secret:VALUE",
];

/// What is tried while a store fails: each of these may take as long as the budget.
const DURING_A_FAULT: &[&str] = &[
    "~insert:secret:VALUE,~update:n,~save,keep",
    "insert:secret:VALUE",
    "~login:bob:masto,~begin_login:bob,~renew",
    "insert:other:VALUE,panic",
    "logout",
    "login:frank",
];

/// One after the other; a handler that panics closes its connection.
async fn live(site: &Site, browser: &mut Browser, paths: &[&str]) {
    for path in paths {
        let path = format!("/{}", path.replace("VALUE", VALUE));
        let _ = browser.try_get(&path).await;
        browser.send(Method::POST, "/user", &[("authorization", TYPED.as_bytes())], TYPED).await;
    }
    // Two that are alive, one that is none, and one that is not ours.
    let mut other = site.browser().await;
    other.get(&format!("/insert:secret:{VALUE},login:erin")).await;
    let (ours, theirs) = (browser.cookie(COOKIE), other.cookie(COOKIE));
    let both = format!(
        "{COOKIE}={}; {COOKIE}={}; {COOKIE}={TYPED}; a={TYPED}",
        ours.unwrap_or_default(),
        theirs.unwrap_or_default()
    );
    for path in ["~insert:secret:VALUE,~update:n,~renew,~validate,~logout_everywhere", "keys"] {
        let path = format!("/{}", path.replace("VALUE", VALUE));
        browser.send(Method::GET, &path, &[("cookie", both.as_bytes())], "").await;
    }
}

/// Everything of the public interface that can be printed.
async fn print_everything(setup: &Setup) {
    let layer = &setup.site.layer;
    let mut printed = format!("{layer:?} {:?} {}", layer.admin().health(), setup.printed);
    for handle in setup.site.kept() {
        printed += &format!("{handle:?} {handle:#?}");
        // Of a response that was sent: each answers an error.
        let errors = [
            handle.insert("late", VALUE).await.err(),
            handle.login("mallory").await.err(),
            handle.logout().await.err(),
            handle.get::<u64>("secret").await.err(),
            handle.begin_login("mallory").await.err(),
            handle.snapshot().await.err(),
        ];
        for error in errors.into_iter().flatten() {
            printed += &leak_monitor::printed(&error);
        }
    }
    for error in [layer.check().await.err(), layer.admin().revoke_all("nobody").await.err()] {
        printed += &error.map(|error| leak_monitor::printed(&error)).unwrap_or_default();
    }
    leak_monitor::said("what is printed", &printed);
    tracing::error!(?layer, printed, "what an application may log");
}

/// How many commands there were.
async fn look_at(monitor: Option<Monitor<'_>>) -> usize {
    let Some(monitor) = monitor else { return 0 };
    let seen = monitor.stop().await;
    for arg in seen.iter().flat_map(|command| &command.args) {
        leak_monitor::stored("what MONITOR shows", arg);
    }
    seen.len()
}

#[tokio::test]
async fn no_secret_shows_with_redis_alone() {
    nothing_shows(Setup::redis()).await;
}

#[tokio::test]
async fn no_secret_shows_with_sqlite_alone() {
    nothing_shows(Setup::sqlite()).await;
}

#[tokio::test]
async fn no_secret_shows_with_redis_before_sqlite() {
    nothing_shows(Setup::redis_before_sqlite()).await;
}

#[tokio::test]
async fn no_secret_shows_with_redis_before_postgresql() {
    nothing_shows(Setup::redis_before_postgres()).await;
}

async fn nothing_shows(setup: impl Future<Output = Setup>) {
    for secret in [PASSWORD, DATABASE_PASSWORD, TYPED] {
        leak_monitor::secret(secret);
    }
    leak_monitor::value(VALUE);
    let (log, _guard) = LogCapture::on_this_thread();
    let setup = setup.await;
    let name = setup.name;
    let known = leak_monitor::tokens();
    let mut browser = setup.site.browser().await;
    let mut seen = 0;
    let monitor = setup.monitor().await;
    live(&setup.site, &mut browser, LIFE).await;
    seen += look_at(monitor).await;
    assert!(leak_monitor::tokens() > known + 5, "{name}: {}", leak_monitor::tokens());
    for fault in faults::EVERY_ONE {
        let mut victim = setup.site.browser().await;
        victim.get(&format!("/insert:secret:{VALUE},login:alice,keep")).await;
        // A server that is killed takes those along who monitor it.
        let monitor = match fault {
            Fault::Killed => None,
            _ => setup.monitor().await,
        };
        setup.begin(*fault).await;
        live(&setup.site, &mut victim, DURING_A_FAULT).await;
        print_everything(&setup).await;
        setup.end(*fault).await;
        seen += look_at(monitor).await;
        setup.look_at_what_is_stored().await;
    }
    let monitor = setup.monitor().await;
    live(&setup.site, &mut browser, LIFE).await;
    seen += look_at(monitor).await;
    setup.look_at_what_is_stored().await;
    setup.look_at_files_and_logs();
    assert!(seen > 50 || setup.redis.is_none(), "{name}: {seen} commands");
    assert!(log.events().len() > 30, "{name}: {:?}", log.events());
    assert!(log.events().iter().any(|event| event.text.contains("session created")), "{name}");
    leak_monitor::check();
}

#[tokio::test]
async fn what_cannot_be_configured_is_refused_without_a_secret() {
    leak_monitor::secret(PASSWORD);
    let mut said = String::new();
    for address in [
        format!("redis://u:{PASSWORD}@"),
        format!("redis://u:{PASSWORD}@host:99999/"),
        format!("http://u:{PASSWORD}@host/"),
        format!("redis://u:{PASSWORD}@host/x"),
        PASSWORD.to_string(),
        format!("redis+unix:///{PASSWORD}?db=x"),
        format!("redis://u:{PASSWORD}@127.0.0.1:1/"),
    ] {
        let config = RedisConfig::new(&address).password(PASSWORD);
        said += &format!("{config:?}");
        match RedisStore::new(config) {
            Err(error) => said += &leak_monitor::printed(&error),
            Ok(store) => {
                said += &format!(
                    "{store:?} {}",
                    leak_monitor::printed(&store.check().await.unwrap_err())
                );
            }
        }
    }
    for address in [
        format!("postgres://u:{PASSWORD}@"),
        format!("postgres://u:{PASSWORD}@host:99999/a"),
        format!("mysql://u:{PASSWORD}@host/a"),
        format!("postgres://u:{PASSWORD}@127.0.0.1:1/a"),
        format!("postgres://u@127.0.0.1:1/a?password={PASSWORD}"),
        PASSWORD.to_string(),
    ] {
        let config = DatabaseConfig::new(&address);
        said += &format!("{config:?}");
        match DatabaseStore::new(config) {
            Err(error) => said += &leak_monitor::printed(&error),
            Ok(store) => {
                said += &format!(
                    "{store:?} {}",
                    leak_monitor::printed(&store.check().await.unwrap_err())
                );
            }
        }
    }
    for (name, value) in [
        ("REDIS_URL", format!("redis://u:{PASSWORD}@host:x/")),
        ("SESSION_DATABASE_URL", format!("sybase://u:{PASSWORD}@host/")),
        ("REDIS_PASSWORD", PASSWORD.to_owned()),
        ("REDIS_PORT", PASSWORD.to_owned()),
        ("SESSION_STORAGE", PASSWORD.to_owned()),
    ] {
        let read = EnvConfig::from_lookup(|wanted| (wanted == name).then(|| value.clone()));
        said += &match read {
            Ok(config) => format!("{config:?}"),
            Err(error) => leak_monitor::printed(&error),
        };
    }
    assert!(said.len() > 1_000, "{said}");
    // What is no address at all is not taken apart, and not repeated either.
    leak_monitor::said("what is refused", &said);
    leak_monitor::check();
}

#[tokio::test]
async fn the_logs_tell_of_a_session_by_its_public_id() {
    let (log, _guard) = LogCapture::on_this_thread();
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let mut browser = site.browser().await;
    let told = |what: &str, id: &str| {
        let events = log.events().into_iter();
        let events = events.filter(|event| event.target.starts_with("tower_redis_session"));
        events.filter(|event| event.text.contains(what) && event.text.contains(id)).count()
    };
    browser.get("/insert:a:1").await.expect(200);
    let first = browser.get("/id").await.expect(200).text();
    assert_eq!(told("session created", &first), 1, "{:?}", log.events());
    browser.get("/login:alice").await.expect(200);
    let second = browser.get("/id").await.expect(200).text();
    assert_ne!(first, second);
    assert_eq!(told("session renewed", &second), 1, "{:?}", log.events());
    assert_eq!(told(&first, &second), 1, "both ids in one line: {:?}", log.events());
    let mut tab = browser.tab().await;
    let slow = tokio::spawn(async move { tab.get("/user,gate:slow,insert:a:2").await });
    site.gates.arrived("slow").await;
    browser.get("/logout").await.expect(200);
    assert_eq!(told("session destroyed", &second), 1, "{:?}", log.events());
    site.gates.open("slow");
    slow.await.unwrap().expect(200);
    assert_eq!(told("ended during the request", &second), 1, "{:?}", log.events());
    let spans = log.all().into_iter().filter(|seen| !seen.is_event);
    let loads = spans.filter(|seen| seen.text.contains("session_load")).count();
    assert!(loads > 0, "{:?}", log.all());
}
