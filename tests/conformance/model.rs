//! The layer as a whole against a simple model: a map, a clock, and the rules in plain words.
//!
//! Random histories of several browsers: what handlers do, time that passes, handlers that fail
//! or are dropped, cookies that are played back. After each request the answers, the cookie and the
//! number of live sessions have to be those of the model.

use std::{
    collections::{HashMap, HashSet},
    convert::Infallible,
    pin::pin,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use proptest::test_runner::Config;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};
use tempfile::TempDir;
use test_support::{PostgresServer, RedisServer, patient};
use tokio::runtime::Runtime;
use tower::{Layer, Service};
use tower_redis_session::{
    DatabaseConfig, DatabaseStore, DurableStore, Error, MemoryStore, RedisConfig,
    RedisSessionLayer, RedisStore, SessionContext, clock::ManualClock, store::UserStore,
};

use crate::stores::Shared;

mod rules;
use rules::{Act, Cookie, End, OwnClock, Reference, Timeless, Visit, World};

/// The layer on a store, and what browsers have been given.
struct System {
    runtime: Runtime,
    layer: RedisSessionLayer,
    clock: Option<ManualClock>,
    /// Live sessions, where the store can count them.
    sessions: Option<Arc<MemoryStore>>,
    /// Every cookie that was ever handed out, in order.
    cookies: Vec<String>,
    /// The public id that each of them opened.
    ids: HashMap<usize, String>,
}

impl System {
    fn on(store: impl UserStore, clock: Option<ManualClock>) -> Self {
        let layer = RedisSessionLayer::builder(store)
            .idle_timeout(rules::IDLE)
            .absolute_timeout(rules::ABSOLUTE)
            .touch_interval(rules::INTERVAL)
            .budget(Duration::from_secs(30))
            .build()
            .unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (cookies, ids) = (Vec::new(), HashMap::new());
        Self { runtime, layer, clock, sessions: None, cookies, ids }
    }

    fn visit(&mut self, visit: &Visit, sent: Option<usize>) -> Seen {
        let mut request = Request::new(());
        if let Some(number) = sent {
            let cookie = HeaderValue::try_from(self.cookies[number].as_str()).unwrap();
            request.headers_mut().insert(header::COOKIE, cookie);
        }
        let said: Arc<Mutex<Said>> = Arc::default();
        let (acts, end) = (visit.acts.clone(), visit.end);
        let handler_said = Arc::clone(&said);
        let inner = tower::service_fn(move |request: Request<()>| {
            let session = request.extensions().get::<SessionContext>().unwrap().clone();
            handle(session, acts.clone(), end, Arc::clone(&handler_said))
        });
        let mut service = self.layer.layer(inner);
        let (layer, dropped) = (self.layer.clone(), end == End::DroppedBeforeTheHead);
        let answer = self.runtime.block_on(async move {
            let mut response = pin!(service.call(request));
            let answer = if dropped {
                // The handler never ends; it is dropped once it has done all that it does.
                std::future::poll_fn(|context| match response.as_mut().poll(context) {
                    Poll::Ready(_) => panic!("the handler has ended"),
                    Poll::Pending if handled(&said) => Poll::Ready(None),
                    Poll::Pending => Poll::Pending,
                })
                .await
            } else {
                let response = response.await.unwrap();
                let (head, body) = response.into_parts();
                body.collect().await.unwrap();
                Some(head)
            };
            // The time of the activity is written by a task.
            layer.shutdown().await;
            let said = std::mem::take(&mut *said.lock().unwrap());
            (answer, said)
        });
        let (head, said) = answer;
        let status = head.as_ref().map(|head| head.status.as_u16());
        let cookie = head.and_then(|head| {
            let line = head.headers.get(header::SET_COOKIE)?.to_str().unwrap().to_owned();
            assert_eq!(head.headers.get_all(header::SET_COOKIE).iter().count(), 1);
            assert_eq!(head.headers[header::CACHE_CONTROL], "no-store");
            assert_eq!(head.headers[header::VARY], "cookie");
            Some(line)
        });
        Seen { answers: said.answers, first_id: said.first_id, status, cookie }
    }
}

fn handled(said: &Mutex<Said>) -> bool {
    said.lock().unwrap().done
}

/// What came of one request.
struct Seen {
    answers: Vec<String>,
    first_id: Option<String>,
    status: Option<u16>,
    cookie: Option<String>,
}

#[derive(Default)]
struct Said {
    answers: Vec<String>,
    first_id: Option<String>,
    done: bool,
}

async fn handle(
    session: SessionContext,
    acts: Vec<Act>,
    end: End,
    said: Arc<Mutex<Said>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    for (number, act) in acts.iter().enumerate() {
        let answer = act_on(&session, act).await;
        let answer = answer.unwrap_or_else(|error| format!("{:?}", error.kind()));
        let first_id = match (number, act) {
            (0, Act::Read) => session.id().await.unwrap().map(|id| id.to_string()),
            _ => None,
        };
        let mut said = said.lock().unwrap();
        said.answers.push(answer);
        said.first_id = said.first_id.take().or(first_id);
    }
    said.lock().unwrap().done = true;
    let mut response = Response::new(Full::default());
    match end {
        End::Ok => {}
        End::ServerError => *response.status_mut() = StatusCode::BAD_GATEWAY,
        End::DroppedBeforeTheHead => std::future::pending().await,
    }
    Ok(response)
}

async fn act_on(session: &SessionContext, act: &Act) -> Result<String, Error> {
    Ok(match act {
        Act::Read => {
            let mut values = Vec::new();
            for name in session.keys().await? {
                let value = session.get::<i64>(&name).await?.expect("a name has its value");
                values.push(format!("{name}={value}"));
            }
            let user = session.user_id().await?.unwrap_or_default();
            let platform = session.platform_id().await?.unwrap_or_default();
            let id = if session.id().await?.is_some() { "id" } else { "no id" };
            format!("{} user:{user} platform:{platform} {id}", values.join(" "))
        }
        Act::Times => {
            let millis = |time: Option<tower_redis_session::Timestamp>| {
                time.map_or("-".into(), |time| time.as_millis().to_string())
            };
            let created = millis(session.created_at().await?);
            let active = millis(session.last_activity().await?);
            format!("{created} {active} {}", millis(session.expires_at().await?))
        }
        Act::Insert(name, value) => session.insert(name, value).await.map(|()| String::new())?,
        Act::Remove(name) => session.remove(name).await?.to_string(),
        Act::Add(name, more) => {
            let add = |value: Option<i64>| value.unwrap_or(0) + more;
            session.update(name, add).await?.to_string()
        }
        Act::Clear => session.clear().await.map(|()| String::new())?,
        Act::Login(user, platform) => {
            session.login(user).await?;
            if let Some(platform) = platform {
                session.set_platform(platform).await?;
            }
            String::new()
        }
        Act::Logout => session.logout().await.map(|()| String::new())?,
        Act::LogoutEverywhere => session.logout_everywhere().await.map(|()| String::new())?,
        Act::Renew => session.renew().await.map(|()| String::new())?,
        Act::Platform(platform) => session.set_platform(platform).await.map(|()| String::new())?,
        Act::NoPlatform => session.clear_platform().await?.to_string(),
        Act::Save => session.save().await.map(|()| String::new())?,
    })
}

fn apply(mut system: System, world: &World, step: &rules::Step) -> System {
    let visit = match step {
        rules::Step::Tick(time) => {
            system.clock.as_ref().unwrap().advance(*time);
            return system;
        }
        rules::Step::Visit(visit) => visit,
    };
    let expected = world.expected.as_ref().unwrap();
    let seen = system.visit(visit, expected.sent);
    // A database forgets what is over when it gets to it, and the clock of these histories runs.
    let forgets = system.sessions.is_none() && system.clock.is_some();
    let told = |answers: &[String]| -> Vec<String> {
        let told = |answer: &String| {
            if forgets { answer.replace("Expired", "Absent") } else { answer.clone() }
        };
        answers.iter().map(told).collect()
    };
    assert_eq!(told(&seen.answers), told(&expected.answers), "what the handler was answered");
    let status = match visit.end {
        End::Ok => Some(200),
        End::ServerError => Some(502),
        End::DroppedBeforeTheHead => None,
    };
    assert_eq!(seen.status, status);
    match (&expected.cookie, seen.cookie) {
        (Cookie::Keep, None) => {}
        (Cookie::Remove, Some(line)) => assert!(line.contains("Max-Age=0"), "{line}"),
        (Cookie::Set(number), Some(line)) => {
            assert!(!line.contains("Max-Age=0"), "{line}");
            let pair = line.split(';').next().unwrap().to_owned();
            assert!(!system.cookies.contains(&pair), "an id is never handed out twice");
            assert_eq!(*number, system.cookies.len());
            system.cookies.push(pair);
        }
        (expected, seen) => panic!("a cookie to {expected:?}, and there was {seen:?}"),
    }
    let sent = expected.sent.filter(|_| !expected.moved);
    if let (Some(sent), Some(id)) = (sent, seen.first_id) {
        let known = system.ids.entry(sent).or_insert_with(|| id.clone());
        assert_eq!(*known, id, "a cookie opens one session for all its life");
        let all: HashSet<&String> = system.ids.values().collect();
        assert_eq!(all.len(), system.ids.len(), "and no other cookie opens it");
    }
    if let Some(sessions) = &system.sessions {
        assert_eq!(sessions.len(), world.alive(), "live sessions");
    }
    system
}

/// Random histories on one kind of store.
macro_rules! model_test {
    (
        $(#[$doc:meta])*
        $cases:literal histories on $on:ident: $reference:ident,
        #[test]
        fn $name:ident($steps:expr) -> System $init:block
    ) => {
        $(#[$doc])*
        struct $on;

        impl StateMachineTest for $on {
            type SystemUnderTest = System;
            type Reference = $reference;

            fn init_test(_: &World) -> System $init

            fn apply(
                system: System,
                world: &World,
                step: <$reference as ReferenceStateMachine>::Transition,
            ) -> System {
                apply(system, world, &step)
            }
        }

        prop_state_machine! {
            #![proptest_config(Config {
                cases: $cases,
                failure_persistence: None,
                ..Config::default()
            })]

            #[test]
            fn $name(sequential $steps => $on);
        }
    };
}

model_test! {
    1_000 histories on OnMemory: Reference,
    #[test]
    fn the_layer_answers_as_the_model_does(1..40) -> System {
        let clock = ManualClock::new();
        let store = Arc::new(MemoryStore::with_clock(clock.clock()));
        let mut system = System::on(Arc::clone(&store), Some(clock));
        system.sessions = Some(store);
        system
    }
}

/// Servers of every version that is promised, in turn, for all histories: no cookie of one is known
/// to another.
fn next_redis() -> &'static RedisServer {
    static SERVERS: OnceLock<(Runtime, Vec<RedisServer>)> = OnceLock::new();
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let (_, servers) = SERVERS.get_or_init(|| {
        let runtime = Runtime::new().unwrap();
        let servers = runtime.block_on(async {
            let mut servers = vec![RedisServer::start().await];
            for version in ["redis-6.2", "valkey-8.1", "valkey-9.1"] {
                servers.push(RedisServer::start_version(version).await);
            }
            servers
        });
        (runtime, servers)
    });
    &servers[NEXT.fetch_add(1, Ordering::Relaxed) % servers.len()]
}

fn on_redis(config: RedisConfig) -> System {
    System::on(RedisStore::new(config).unwrap(), None)
}

model_test! {
    24 histories on OnRedis: Timeless,
    #[test]
    fn the_layer_answers_as_the_model_does_on_redis(1..30) -> System {
        on_redis(patient(&next_redis().url()))
    }
}

model_test! {
    8 histories on OnCluster: Timeless,
    #[test]
    fn the_layer_answers_as_the_model_does_on_a_redis_cluster(1..30) -> System {
        on_redis(Runtime::new().unwrap().block_on(Shared::cluster()).config())
    }
}

model_test! {
    8 histories on OnSentinel: Timeless,
    #[test]
    fn the_layer_answers_as_the_model_does_on_redis_behind_sentinel(1..30) -> System {
        on_redis(Runtime::new().unwrap().block_on(Shared::sentinel()).config())
    }
}

/// A store with its tables, by a clock that stands at the start of the records.
fn on_database(url: &str) -> System {
    let clock = ManualClock::new();
    let config = DatabaseConfig::new(url).timeout(Duration::from_secs(20));
    let store = || DatabaseStore::with_clock(config.clone(), clock.clock()).unwrap();
    Runtime::new().unwrap().block_on(store().migrate()).unwrap();
    System::on(store(), Some(clock))
}

model_test! {
    24 histories on OnSqlite: OwnClock,
    #[test]
    fn the_layer_answers_as_the_model_does_on_sqlite(1..30) -> System {
        static FOLDER: OnceLock<TempDir> = OnceLock::new();
        let folder = FOLDER.get_or_init(|| tempfile::tempdir().unwrap());
        on_database(&format!("sqlite:{}/sessions.db", folder.path().display()))
    }
}

model_test! {
    24 histories on OnPostgres: OwnClock,
    #[test]
    fn the_layer_answers_as_the_model_does_on_postgresql(1..30) -> System {
        static DATABASE: OnceLock<String> = OnceLock::new();
        let url = DATABASE.get_or_init(|| {
            let server = async { PostgresServer::shared().await.database().await.url() };
            Runtime::new().unwrap().block_on(server)
        });
        on_database(url)
    }
}

model_test! {
    /// Redis in front of a file, every fourth time behind sentinels: told of all activity at once, so
    /// that it forgets as the model does.
    24 histories on OnBoth: OwnClock,
    #[test]
    fn the_layer_answers_as_the_model_does_on_redis_before_sqlite(1..30) -> System {
        static FOLDER: OnceLock<TempDir> = OnceLock::new();
        static HISTORIES: AtomicUsize = AtomicUsize::new(0);
        let folder = FOLDER.get_or_init(|| tempfile::tempdir().unwrap());
        let clock = ManualClock::new();
        let redis = match HISTORIES.fetch_add(1, Ordering::Relaxed) % 4 {
            3 => Runtime::new().unwrap().block_on(Shared::sentinel()).durable_config(),
            _ => patient(&next_redis().durable_url()),
        };
        let file = format!("sqlite:{}/both.db", folder.path().display());
        let database = DatabaseConfig::new(file).timeout(Duration::from_secs(4));
        let store = DurableStore::builder(redis, database)
            .redis_timeout(Duration::from_secs(10))
            .poll_interval(Duration::from_millis(10))
            .database_touch_interval(Duration::ZERO)
            .clock(clock.clock())
            .build()
            .unwrap();
        let system = System::on(store, Some(clock));
        let layer = system.layer.clone();
        system.runtime.block_on(layer.migrate()).unwrap();
        system
    }
}
