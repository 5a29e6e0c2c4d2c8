//! Sessions and the directory together, over HTTP: who is signed in, with which platform, and
//! whether still.

use std::convert::Infallible;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use tower_layer::Layer as _;
use tower_redis_session::{
    Error, RedisSessionLayer, RedisStore, SessionContext,
    directory::{Directory as _, UserInfo, UserValidation},
};

use super::source::{Cached, Source, patient_cache};
use test_support::{AnyRedis, Bed, Browser, REMOVED, RedisServer, Running, records, serve};

struct Site {
    source: Source,
    cache: Cached,
    running: Running,
}

impl Site {
    async fn start(redis: &impl AnyRedis) -> Self {
        let source = Source::new();
        let cache = patient_cache(&source, redis.patient()).build().unwrap();
        let store = RedisStore::new(redis.patient()).unwrap();
        let layer = RedisSessionLayer::builder(store).budget(Duration::from_secs(15));
        let directory = cache.clone();
        let handler = tower::service_fn(move |request: Request<Incoming>| {
            let directory = directory.clone();
            async move {
                let session = request.extensions().get::<SessionContext>().unwrap().clone();
                let mut said = Vec::new();
                for step in request.uri().path().trim_start_matches('/').split(',') {
                    match act(step, &session, &directory).await {
                        Ok(text) => said.push(text),
                        Err(error) => {
                            let text = format!("{:?}", error.kind());
                            return Ok(error.response::<()>().map(|()| text));
                        }
                    }
                }
                Ok::<_, Infallible>(Response::new(said.join(",")))
            }
        });
        let running = serve(layer.build().unwrap().layer(handler)).await;
        Self { source, cache, running }
    }

    async fn alice(&self) -> Browser {
        let mut browser = Browser::new(self.running.addr).await;
        browser.get("/login:alice").await.expect(200);
        browser
    }
}

async fn act(step: &str, session: &SessionContext, directory: &Cached) -> Result<String, Error> {
    let show = |user: UserInfo| format!("{} {}", user.id, user.role);
    Ok(match step.split_once(':').unwrap_or((step, "")) {
        ("login", user) => {
            session.login(user).await?;
            String::new()
        }
        ("set_platform", id) => {
            session.set_platform(id).await?;
            String::new()
        }
        ("who", _) => session.user_info(directory).await?.map_or("-".to_owned(), show),
        ("id", _) => session.user_id().await?.unwrap_or("-".to_owned()),
        ("platform", _) => {
            let platform = session.platform_info(directory).await?;
            platform.map_or("-".to_owned(), |platform| platform.id)
        }
        ("switch", id) => session.switch_platform(directory, id).await?.name,
        ("validate", _) => match session.validate_user(directory).await? {
            UserValidation::User(user) => show(user),
            other => format!("{other:?}"),
        },
        other => panic!("no such step: {other:?}"),
    })
}

#[tokio::test]
async fn a_session_knows_its_user_and_the_active_platform() {
    for redis in Bed::both().await {
        println!("{redis}");
        let site = Site::start(&redis).await;
        let mut stranger = Browser::new(site.running.addr).await;
        let said = stranger.get("/who,platform").await.expect(200);
        assert_eq!((said.text().as_str(), said.set_cookies().len()), ("-,-", 0));
        let mut alice = site.alice().await;
        assert_eq!(alice.get("/who,platform").await.text(), "alice member,12", "the default");
        let mut bob = Browser::new(site.running.addr).await;
        bob.get("/login:bob").await.expect(200);
        assert_eq!(bob.get("/who,platform").await.text(), "bob member,-");
        // Still there right after the switch, and in the next request.
        assert_eq!(alice.get("/switch:11,platform").await.expect(200).text(), "Platform 11,11");
        assert_eq!(alice.get("/platform").await.text(), "11");
        // One that is not active any more is passed over.
        site.source.change(|rows| rows.platforms.get_mut("alice").unwrap()[0].active = false);
        assert!(site.cache.invalidate_platforms("alice").await);
        assert_eq!(alice.get("/platform").await.text(), "12");
        site.source.change(|rows| rows.platforms.get_mut("alice").unwrap().clear());
        assert!(site.cache.invalidate_platforms("alice").await);
        assert_eq!(alice.get("/platform").await.text(), "-");
    }
}

#[tokio::test]
async fn only_an_active_platform_of_ones_own_can_be_switched_to() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    site.source.change(|rows| {
        rows.platforms.insert("bob".to_owned(), vec![super::source::platform("21", true)]);
        rows.platforms.get_mut("alice").unwrap()[0].active = false;
    });
    let mut alice = site.alice().await;
    for (name, id) in [("bob's", "21"), ("nobody's", "99"), ("inactive", "11"), ("empty", "")] {
        let reply = alice.get(&format!("/switch:{id}")).await.expect(403);
        assert_eq!(reply.text(), "Forbidden", "{name}");
        assert_eq!(alice.get("/platform").await.text(), "12", "{name}");
    }
    let mut stranger = Browser::new(site.running.addr).await;
    assert_eq!(stranger.get("/switch:12").await.expect(401).text(), "Absent");
    // Whatever a session says, a stranger's platform is not active.
    assert_eq!(alice.get("/set_platform:21,platform").await.text(), ",12");
}

#[tokio::test]
async fn the_session_of_a_user_who_was_deactivated_or_deleted_ends_everywhere() {
    let beds = Bed::both().await;
    for (redis, deleted) in beds.iter().flat_map(|redis| [(redis, false), (redis, true)]) {
        println!("{redis}");
        redis.empty().await;
        let site = Site::start(redis).await;
        let mut alice = site.alice().await;
        let mut tab = alice.tab().await;
        assert_eq!(alice.get("/validate").await.expect(200).text(), "alice member");
        site.source.change(|rows| {
            if deleted {
                rows.users.clear();
            } else {
                rows.users.get_mut("alice").unwrap().active = false;
            }
        });
        assert!(site.cache.invalidate_user("alice").await);
        // To be no user takes no check.
        assert_eq!(alice.get("/who,platform,id").await.text(), "-,-,alice", "{deleted}");
        assert_eq!(alice.get("/switch:12").await.expect(401).text(), "Absent", "{deleted}");
        let reply = alice.get("/validate,id").await.expect(200);
        assert_eq!(reply.text(), "Ended,-", "{deleted}");
        assert_eq!(reply.set_cookies(), [REMOVED], "{deleted}");
        assert!(records(redis).await.is_empty(), "{deleted}");
        assert_eq!(tab.get("/id").await.text(), "-", "{deleted}");
        assert_eq!(tab.get("/validate").await.expect(401).text(), "Absent", "{deleted}");
    }
}

#[tokio::test]
async fn a_directory_that_does_not_answer_ends_no_session() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let mut alice = site.alice().await;
    site.source.set_away(true);
    for path in ["/validate", "/who", "/platform", "/switch:12"] {
        let reply = alice.get(path).await.expect(503);
        assert_eq!(reply.text(), "Unavailable", "{path}");
        assert!(reply.set_cookies().is_empty(), "{path}: {reply:?}");
    }
    site.source.set_away(false);
    assert_eq!(alice.get("/validate,platform").await.expect(200).text(), "alice member,12");
}

#[tokio::test]
async fn an_anonymous_session_is_good_and_nobodys() {
    let redis = RedisServer::start().await;
    let site = Site::start(&redis).await;
    let source = &site.source;
    let layer = RedisSessionLayer::builder(RedisStore::new(redis.patient()).unwrap());
    let layer = layer.budget(Duration::from_secs(15)).build().unwrap();
    let handler = tower::service_fn(|request: Request<()>| async move {
        let session = request.extensions().get::<SessionContext>().unwrap();
        session.insert("cart", "tea").await?;
        session.save().await?;
        assert_eq!(session.validate_user(source).await?, UserValidation::Anonymous);
        assert_eq!(session.user_info(source).await?, None);
        Ok::<_, Error>(Response::new(String::new()))
    });
    let response = tower::ServiceExt::oneshot(layer.layer(handler), Request::new(())).await;
    assert_eq!(response.unwrap().status(), 200);
    assert_eq!(source.asked("user"), 0);
    assert!(site.cache.source().user("alice").await.unwrap().is_some());
}
