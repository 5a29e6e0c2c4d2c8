//! One instance of a service, in a process of its own: it can be killed, stopped, and held at the
//! named places of its store.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use serde::{Deserialize, Serialize};
use tower::ServiceExt;
use tower_layer::Layer;
use tower_redis_session::hooks::Hooks;
use tower_redis_session::{
    DatabaseConfig, DatabaseStore, DurableStore, RedisConfig, RedisSessionLayer, RedisStore,
    store::UserStore,
};
use tracing::Level;

use test_support::{
    Browser, CONFIRMED, Client, DURABLE, Gates, Inside, LogCapture, PASSWORD, Reply, ServerProcess,
    announce, asked_to_serve, handle, serve,
};

/// What an instance is started with; times in milliseconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Settings {
    /// The address of the only server.
    pub redis: String,
    pub deployment: Deployment,
    pub database: String,
    pub poll_interval: u64,
    pub poll_timeout: u64,
    pub lease: u64,
    pub redis_timeout: u64,
    pub database_timeout: u64,
    pub stretch: u64,
    pub strict: bool,
    pub journal_limit: usize,
    pub budget: u64,
    /// Seconds.
    pub idle: u64,
    pub touch_interval: u64,
    /// The store's own choice if it is not set.
    pub database_touch_interval: Option<u64>,
    pub readers: usize,
    pub sessions_per_user: Option<u32>,
    /// How far its clock is off from its start: `+2h`.
    pub clock: Option<String>,
}

/// What Redis is, and how it is reached.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub enum Deployment {
    #[default]
    One,
    /// The addresses of the sentinels.
    Sentinels(Vec<String>),
    /// Seeds, and the port by which each announced port is reached.
    Cluster(Vec<String>, BTreeMap<u16, u16>),
}

/// Long enough for a busy machine.
impl Settings {
    pub fn new(redis: String, database: String) -> Self {
        Self {
            redis,
            deployment: Deployment::One,
            database,
            poll_interval: 150,
            poll_timeout: 1_500,
            lease: 2_000,
            redis_timeout: 2_000,
            database_timeout: 4_500,
            stretch: 60_000,
            strict: false,
            journal_limit: 1_000,
            budget: 9_000,
            idle: 3_600,
            touch_interval: 60_000,
            database_touch_interval: None,
            readers: 64,
            sessions_per_user: None,
            clock: None,
        }
    }
}

/// For tests in which a store hangs on purpose, and is waited for again and again.
pub fn hasty(settings: &mut Settings) {
    (settings.poll_timeout, settings.lease, settings.redis_timeout) = (400, 600, 400);
    (settings.database_timeout, settings.budget) = (1_500, 3_000);
}

/// Where only Redis does.
pub fn soon_without_redis(settings: &mut Settings) {
    settings.redis_timeout = 400;
}

/// A running instance.
#[derive(Debug)]
pub struct Instance {
    pub process: ServerProcess,
    pub settings: Settings,
}

impl Instance {
    pub fn start(settings: &Settings) -> Self {
        let text = serde_json::to_string(settings).unwrap();
        let clock = settings.clock.as_deref();
        let process = ServerProcess::start_at("instance_process", &text, clock);
        Self { process, settings: settings.clone() }
    }

    pub async fn browser(&self) -> Browser {
        Browser::new(self.process.addr()).await
    }

    /// The same cookies at this instance.
    pub async fn with_cookies_of(&self, browser: &Browser) -> Browser {
        browser.on(self.process.addr()).await
    }

    /// A request with the cookies of `browser` and another one, so that two sessions are loaded at
    /// once.
    pub async fn get_with_another(&self, browser: &Browser, other: &str, path: &str) -> Reply {
        let cookies = format!("{}; {other}", browser.cookie_header());
        let mut client = Client::connect(self.process.addr()).await;
        client.get_with(path, &cookies).await
    }

    /// Holds whoever comes to `place` of the store from now on.
    pub async fn hold(&self, place: &str) {
        self.control(&format!("/!hold/{place}")).await;
    }

    /// Waits until somebody is held at `place`.
    pub async fn reached(&self, place: &str) {
        self.control(&format!("/!reached/{place}")).await;
    }

    pub async fn release(&self, place: &str) {
        self.control(&format!("/!release/{place}")).await;
    }

    /// Waits until a handler stands at that gate of its path.
    pub async fn arrived(&self, gate: &str) {
        self.control(&format!("/!arrived/{gate}")).await;
    }

    /// Lets one handler go on.
    pub async fn open(&self, gate: &str) {
        self.control(&format!("/!open/{gate}")).await;
    }

    /// Moves the clock that ages are counted by.
    pub async fn jump(&self, duration: Duration) {
        self.control(&format!("/!jump/{}", duration.as_millis())).await;
    }

    /// Moves this process' wall clock to that many milliseconds beside the time.
    pub async fn shift_clock(&self, millis: i64) {
        self.control(&format!("/!shift/{millis}")).await;
    }

    /// `serving believed redis database generation set_aside journal`, by blanks.
    pub async fn status(&self) -> Status {
        let reply = self.control("/!status").await;
        serde_json::from_str(&reply.text()).unwrap()
    }

    /// Waits until this instance believes Redis.
    pub async fn believes(&self) {
        test_support::eventually("the instance believes redis", async || {
            let status = self.status().await;
            status.believed && status.redis
        })
        .await;
    }

    pub async fn generation(&self) -> String {
        self.status().await.generation
    }

    /// What the store's own check says: nothing, or its error and that error's kind.
    pub async fn check(&self) -> String {
        self.control("/!check").await.text()
    }

    /// What it logged since it was asked last, from `INFO` up: one line an event.
    pub async fn logs(&self) -> Vec<String> {
        self.control("/!logs").await.text().lines().map(str::to_owned).collect()
    }

    async fn control(&self, path: &str) -> Reply {
        let mut client = Client::connect(self.process.addr()).await;
        test_support::bounded(path, client.get(path)).await.expect(200)
    }

    pub fn kill(self) {
        self.process.kill();
    }

    /// Kills the process; [`Instance::start_again`] follows.
    pub fn die(&mut self) {
        self.process.die();
    }

    /// A new process in the place of this one.
    pub fn start_again(&mut self) {
        self.die();
        self.process = Self::start(&self.settings).process;
    }
}

/// What an instance says of its store.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    pub serving: String,
    pub believed: bool,
    pub redis: bool,
    pub database: bool,
    pub generation: String,
    pub incarnation: String,
    pub set_aside: usize,
    pub journal: usize,
    pub redis_cause: String,
    pub database_cause: String,
    pub clock_ahead: [Option<i64>; 2],
}

/// What the test of that name in each binary calls.
pub async fn instance_process() {
    let Some(settings) = asked_to_serve() else { return };
    let settings: Settings = serde_json::from_str(&settings).unwrap();
    if !test_support::prints_its_log() {
        let _ = LogCapture::of_the_process();
    }
    let hooks = Hooks::default();
    let layer = layer(&settings, &hooks);
    let inside = Arc::new(Inside::default());
    let shared = Arc::clone(&inside);
    let handler = tower::service_fn(move |request| handle(request, Arc::clone(&shared)));
    let site = layer.layer(handler);
    let service = tower::service_fn(move |request: Request<Incoming>| {
        let (site, hooks, layer) = (site.clone(), hooks.clone(), layer.clone());
        let gates = inside.gates.clone();
        async move {
            Ok::<_, Infallible>(match request.uri().path().strip_prefix("/!") {
                Some(order) => {
                    let said = control(order, &hooks, &gates, &layer).await;
                    Response::new(Full::from(said).map_err(|error| match error {}).boxed_unsync())
                }
                None => site.oneshot(request).await.unwrap().map(BodyExt::boxed_unsync),
            })
        }
    });
    let running = serve(service).await;
    announce(running.addr).await;
}

pub fn layer(settings: &Settings, hooks: &Hooks) -> RedisSessionLayer {
    let millis = Duration::from_millis;
    // The pool's own limits stay out of the way: what is tested is the store's.
    let redis = redis(settings)
        .connect_timeout(millis(settings.redis_timeout))
        .command_timeout(millis(settings.redis_timeout));
    let database =
        DatabaseConfig::new(settings.database.clone()).timeout(millis(settings.database_timeout));
    if settings.database.is_empty() {
        return build(settings, RedisStore::new(redis).unwrap());
    }
    if matches!(settings.deployment, Deployment::One) && settings.redis.is_empty() {
        return build(settings, DatabaseStore::new(database).unwrap());
    }
    let mut store = DurableStore::builder(redis, database)
        .poll_interval(millis(settings.poll_interval))
        .poll_timeout(millis(settings.poll_timeout))
        .lease(millis(settings.lease))
        .redis_timeout(millis(settings.redis_timeout))
        .max_staleness_without_database(millis(settings.stretch))
        .journal_limit(settings.journal_limit)
        .max_database_reads(settings.readers)
        .hooks(hooks);
    if settings.strict {
        store = store.strict();
    }
    if let Some(interval) = settings.database_touch_interval {
        store = store.database_touch_interval(millis(interval));
    }
    build(settings, store.build().unwrap())
}

fn redis(settings: &Settings) -> RedisConfig {
    // A replica has as long as a busy machine needs.
    let patient =
        |config: RedisConfig| config.confirm(1, Duration::from_millis(settings.redis_timeout / 2));
    match &settings.deployment {
        Deployment::One => RedisConfig::new(settings.redis.clone()),
        Deployment::Sentinels(addresses) => {
            let user = if settings.database.is_empty() { CONFIRMED } else { DURABLE };
            let config = RedisConfig::sentinel("main", addresses.iter().cloned());
            patient(config.username(user).password(PASSWORD))
        }
        Deployment::Cluster(seeds, ports) => {
            let ports = ports.clone();
            let config = RedisConfig::cluster(seeds.iter().cloned());
            patient(config.host_map(move |host, port| {
                (host.to_owned(), ports.get(&port).copied().unwrap_or(port))
            }))
        }
    }
}

fn build(settings: &Settings, store: impl UserStore) -> RedisSessionLayer {
    let millis = Duration::from_millis;
    let layer = RedisSessionLayer::builder(store)
        // A test that an id is dead sees it at once.
        .renewal_grace(Duration::ZERO)
        .budget(millis(settings.budget))
        .idle_timeout(Duration::from_secs(settings.idle))
        .touch_interval(millis(settings.touch_interval));
    let layer = match settings.sessions_per_user {
        Some(sessions) => layer.sessions_per_user(sessions),
        None => layer,
    };
    layer.build().unwrap()
}

async fn control(order: &str, hooks: &Hooks, gates: &Gates, layer: &RedisSessionLayer) -> String {
    let (verb, place) = order.split_once('/').unwrap_or((order, ""));
    match verb {
        "arrived" => gates.arrived(place).await,
        "open" => gates.open(place),
        "hold" => hooks.hold(place),
        "reached" => hooks.reached(place).await,
        "release" => hooks.release(place),
        "shift" => hooks.shift_clock(place.parse().unwrap()),
        "jump" => hooks.jump(Duration::from_millis(place.parse().unwrap())),
        "status" => return serde_json::to_string(&status(layer)).unwrap(),
        "check" => {
            let checked = layer.check().await;
            return checked
                .map_or_else(|error| format!("{:?}: {error}", error.kind()), |()| String::new());
        }
        "logs" => {
            let capture = LogCapture::of_the_process();
            let events = capture.events().into_iter().filter(|event| event.level <= Level::INFO);
            let lines = events.map(|event| format!("{} {}", event.level, event.text));
            let lines: Vec<_> = lines.collect();
            capture.clear();
            return lines.join("\n");
        }
        _ => panic!("no such order: {order}"),
    }
    String::new()
}

fn status(layer: &RedisSessionLayer) -> Status {
    let status = layer.admin().health();
    let (copies, redis) = (status.copies, status.redis.unwrap());
    let database = status.database;
    let of_database = database.as_ref();
    let of_copies = copies.as_ref();
    Status {
        serving: status.serving.to_string(),
        believed: of_copies.is_none_or(|copies| copies.trusted),
        redis: redis.answers,
        database: of_database.is_none_or(|database| database.answers),
        generation: of_copies.and_then(|copies| copies.generation.clone()).unwrap_or_default(),
        incarnation: of_copies.and_then(|copies| copies.incarnation.clone()).unwrap_or_default(),
        set_aside: of_copies.map_or(0, |copies| copies.bypassed),
        journal: of_copies.map_or(0, |copies| copies.pending),
        clock_ahead: [redis.clock_ahead, of_database.and_then(|database| database.clock_ahead)],
        redis_cause: redis.last_cause.unwrap_or_default(),
        database_cause: database.and_then(|database| database.last_cause).unwrap_or_default(),
    }
}
