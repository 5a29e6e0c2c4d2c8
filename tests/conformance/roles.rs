//! The roles of a store by type: records alone, an index of users' sessions too, and either of them
//! shared by several layers.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::FutureExt as _;
use tower_redis_session::{
    DatabaseConfig, DatabaseStore, DurableStore, Error, ErrorKind, MemoryStore, RedisConfig,
    RedisSessionLayer, RedisStore, SessionContext, SessionId, Transport,
    clock::Clock,
    context::SessionCursor,
    store::{
        AttemptStore, Expected, LoginWrite, Placement, Record, SaveOutcome, Store, StoreFuture,
        Touch, UserStore, WithoutUsers,
    },
    telemetry::{Event, Events, Health},
    testing::{TestClient, conformance},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_store_behind_an_arc_keeps_its_contract() {
    conformance(Arc::new(MemoryStore::new())).await;
    let chosen_at_run_time: Arc<dyn UserStore> = Arc::new(MemoryStore::new());
    conformance(chosen_at_run_time).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_store_of_records_alone_keeps_its_contract() {
    conformance(WithoutUsers::new(MemoryStore::new())).await;
    let records: Arc<dyn Store> = Arc::new(MemoryStore::new());
    conformance(WithoutUsers::new(records)).await;
}

#[tokio::test]
async fn an_arc_passes_every_call_on_and_so_does_the_adaptor() {
    let record_calls = names(include_str!("../../src/store/contract.rs"));
    let user_calls = names(include_str!("../../src/store/user_contract.rs"));
    assert!(record_calls.contains("ack_delay") && user_calls.contains("sessions_page"));

    let reached = Arc::new(Reached::default());
    records(&reached).await;
    assert_eq!(reached.take(), record_calls, "through an Arc");
    users(&reached).await;
    assert_eq!(reached.take(), user_calls, "through an Arc");

    let alone = WithoutUsers::new(Arc::clone(&reached));
    records(&alone).await;
    assert_eq!(reached.take(), record_calls, "through the adaptor");
    users(&alone).await;
    assert_eq!(reached.take(), BTreeSet::from(["save"]), "an index is not used");
}

/// Layers on one store hear of each other's revocations at once.
#[tokio::test]
async fn all_layers_on_a_store_share_its_events() {
    let folder = tempfile::tempdir().unwrap();
    let database = || DatabaseConfig::new(format!("sqlite:{}/s.db", folder.path().display()));
    let redis = || RedisConfig::new("redis://127.0.0.1:1");
    let cluster = || RedisConfig::cluster(["redis://127.0.0.1:1"]);
    let sentinel = || RedisConfig::sentinel("main", ["redis://127.0.0.1:1"]);
    let stores: [(&str, Arc<dyn UserStore>); 6] = [
        ("memory", Arc::new(MemoryStore::new())),
        ("redis", Arc::new(RedisStore::new(redis()).unwrap())),
        ("redis cluster", Arc::new(RedisStore::new(cluster()).unwrap())),
        ("redis behind sentinel", Arc::new(RedisStore::new(sentinel()).unwrap())),
        ("database", Arc::new(DatabaseStore::new(database()).unwrap())),
        ("durable", Arc::new(DurableStore::builder(redis(), database()).build().unwrap())),
    ];
    for (name, store) in stores {
        let mut heard = store.events().listen();
        store.events().emit(Event::Ambiguous);
        assert_eq!(heard.next().now_or_never(), Some(Some(Event::Ambiguous)), "{name}");
    }
}

#[tokio::test]
async fn without_an_index_users_sign_in_and_what_needs_it_is_misconfigured() {
    let store = WithoutUsers::new(MemoryStore::new());
    let limited = RedisSessionLayer::builder(store.clone()).sessions_per_user(5).build();
    let error = limited.unwrap_err();
    assert_eq!(error.setting(), "sessions per user");
    assert!(error.to_string().contains("WithoutUsers"), "{error}");
    let wrapped = RedisSessionLayer::builder(Arc::new(store.clone())).sessions_per_user(5);
    assert!(wrapped.build().is_err(), "told through an Arc too");

    let layer = RedisSessionLayer::builder(store).build().unwrap();
    let client = TestClient::new(&layer, ());
    client.session(async |session| session.insert("cart", "tea").await).await.unwrap();
    client.login("alice").await; // from the session before it
    let user = client.session(async |session| session.user_id().await).await.unwrap();
    assert_eq!(user.as_deref(), Some("alice"));
    client.session(async |session| session.renew().await).await.unwrap();

    let told = |what: &str, error: Error| {
        assert_eq!(error.kind(), ErrorKind::Misconfigured, "{what}: {error:?}");
        assert!(error.to_string().contains("WithoutUsers"), "{what}: {error:?}");
    };
    let admin = layer.admin();
    told("sessions_of", admin.sessions_of("alice").await.unwrap_err());
    told("sessions_page_of", admin.sessions_page_of("alice", None, 5).await.unwrap_err());
    told("revoke_all", admin.revoke_all("alice").await.unwrap_err());
    told("clear_platform_of", admin.clear_platform_of("alice").await.unwrap_err());
    let begun = client.session(async |session| session.begin_login("alice").await.map(drop)).await;
    told("begin_login", begun.unwrap_err());
    let all = client.session(async |session| session.logout_everywhere().await.map(drop)).await;
    told("logout_everywhere", all.unwrap_err());
    let others = client.session(async |session| session.revoke_others().await.map(drop)).await;
    told("revoke_others", others.unwrap_err());

    let id = client.session(async |session| session.id().await).await.unwrap().unwrap();
    assert!(admin.revoke("alice", &id).await.unwrap(), "one session is ended by its id");
    assert_eq!(client.session(async |session| session.user_id().await).await.unwrap(), None);
    client.login("alice").await;
    client.session(async |session| session.logout().await).await.unwrap();
    assert_eq!(client.session(async |session| session.user_id().await).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_layers_share_the_connections_of_one_redis_store() {
    let redis = test_support::RedisServer::start().await;
    let config = test_support::patient(&redis.url()).pool_size(1);
    let store = Arc::new(tower_redis_session::RedisStore::new(config).unwrap());
    let [pages, api] = two_layers(store);
    let before = connections(&redis).await;
    for layer in [&pages, &api] {
        TestClient::new(layer, ()).login("alice").await;
    }
    assert_eq!(connections(&redis).await, before + 1);
    assert_eq!(pages.admin().sessions_of("alice").await.unwrap().len(), 2);
}

/// A request of the other layer is under way while the first one shuts down, and others follow.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_layer_that_shuts_down_leaves_the_others_their_store() {
    let redis = test_support::RedisServer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = format!("sqlite:{}", folder.path().join("sessions.db").display());
    let store = Arc::new(crate::contract::durable(&redis, &file).await);
    let [pages, api] = two_layers(Arc::clone(&store));
    let (browser, program) = (TestClient::new(&pages, ()), TestClient::new(&api, ()));
    browser.login("alice").await;
    program.login("alice").await;

    let (arrived, go) = (tokio::sync::Notify::new(), tokio::sync::Notify::new());
    let under_way = program.session(async |session: SessionContext| {
        session.insert("count", &1).await?;
        arrived.notify_one();
        go.notified().await;
        session.insert("more", &2).await
    });
    let shut_down = async {
        arrived.notified().await;
        pages.shutdown().await;
        go.notify_one();
    };
    let (stored, ()) = tokio::join!(under_way, shut_down);
    stored.unwrap();

    let kept = program.session(async |session| session.get::<u32>("more").await).await.unwrap();
    assert_eq!(kept, Some(2));
    let another = TestClient::new(&api, ());
    another.login("alice").await;
    assert_eq!(api.admin().sessions_of("alice").await.unwrap().len(), 3);
    let copies = || store.health().copies.is_some_and(|copies| copies.trusted);
    test_support::eventually("redis is trusted still", async || copies()).await;

    api.shutdown().await;
    let [fresh, _] = two_layers(store);
    assert_eq!(fresh.admin().revoke_all("alice").await.unwrap(), 3, "nothing was lost");
}

fn two_layers(store: Arc<impl UserStore>) -> [RedisSessionLayer; 2] {
    let budget = Duration::from_secs(20);
    let builder = || RedisSessionLayer::builder(Arc::clone(&store)).budget(budget);
    [builder().build().unwrap(), builder().transport(Transport::bearer()).build().unwrap()]
}

async fn connections(redis: &test_support::RedisServer) -> usize {
    let mut list = redis::cmd("CLIENT");
    let list: String = list.arg("LIST").query_async(&mut redis.connection().await).await.unwrap();
    list.lines().count()
}

/// The methods that a trait of this file declares.
fn names(source: &'static str) -> BTreeSet<&'static str> {
    let heads = source.lines().filter_map(|line| line.strip_prefix("    fn "));
    heads.map(|head| head.split(['<', '(']).next().unwrap()).collect()
}

async fn records(store: &impl Store) {
    let (id, record) = (SessionId::from([1; 32]), Record::example());
    let later = record.end();
    let activity = Touch::new(later, later, later);
    drop(store.load(&id).await);
    drop(store.save(&id, Expected::Absent, &record).await);
    drop(store.begin_renew(&id, 1, &id, &record).await);
    drop(store.touch(&id, 1, activity).await);
    drop(store.delete(&id).await);
    drop(store.delete_version(&id, 1).await);
    drop(store.inspect(&id).await);
    drop(store.load_many(&[id]).await);
    drop(store.finish_renew(&id, 1, &id).await);
    drop(store.abandon_renew(&id, &id).await);
    drop((store.migrate().await, store.check().await, store.close().await));
    drop((store.ack_delay(), store.health(), store.events(), store.clock(), store.placement()));
    let _ = store.attempts().is_some();
}

async fn users(store: &impl UserStore) {
    let (id, record) = (SessionId::from([1; 32]), Record::example());
    drop(store.revocation_epoch("alice").await);
    drop(store.login(LoginWrite::new(&id, &record)).await);
    drop(store.sessions_of("alice").await);
    drop(store.sessions_page("alice", None, 1).await);
    drop(store.revoke_all("alice", None).await);
    let _ = store.lists_sessions();
}

/// A store that notes which of its methods were called. It has every one, so that a call that ends
/// in a default of the trait is not noted.
#[derive(Default)]
struct Reached(Mutex<BTreeSet<&'static str>>, MemoryStore);

impl Reached {
    fn note(&self, name: &'static str) -> &MemoryStore {
        self.0.lock().unwrap().insert(name);
        &self.1
    }

    fn take(&self) -> BTreeSet<&'static str> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl Store for Reached {
    fn load<'a>(&'a self, id: &'a SessionId) -> StoreFuture<'a, Option<Record>> {
        self.note("load").load(id)
    }

    fn save<'a>(
        &'a self,
        id: &'a SessionId,
        expected: Expected,
        record: &'a Record,
    ) -> StoreFuture<'a, SaveOutcome> {
        self.note("save").save(id, expected, record)
    }

    fn begin_renew<'a>(
        &'a self,
        old: &'a SessionId,
        expected: u64,
        new: &'a SessionId,
        record: &'a Record,
    ) -> StoreFuture<'a, SaveOutcome> {
        self.note("begin_renew").begin_renew(old, expected, new, record)
    }

    fn touch<'a>(
        &'a self,
        id: &'a SessionId,
        version: u64,
        activity: Touch,
    ) -> StoreFuture<'a, bool> {
        self.note("touch").touch(id, version, activity)
    }

    fn delete<'a>(&'a self, id: &'a SessionId) -> StoreFuture<'a, bool> {
        self.note("delete").delete(id)
    }

    fn delete_version<'a>(&'a self, id: &'a SessionId, at: u64) -> StoreFuture<'a, SaveOutcome> {
        self.note("delete_version").delete_version(id, at)
    }

    fn inspect<'a>(&'a self, id: &'a SessionId) -> StoreFuture<'a, Option<Record>> {
        self.note("inspect").inspect(id)
    }

    fn load_many<'a>(
        &'a self,
        ids: &'a [SessionId],
    ) -> StoreFuture<'a, Vec<Result<Option<Record>, Error>>> {
        self.note("load_many").load_many(ids)
    }

    fn finish_renew<'a>(
        &'a self,
        old: &'a SessionId,
        expected: u64,
        new: &'a SessionId,
    ) -> StoreFuture<'a, SaveOutcome> {
        self.note("finish_renew").finish_renew(old, expected, new)
    }

    fn abandon_renew<'a>(&'a self, old: &'a SessionId, new: &'a SessionId) -> StoreFuture<'a, ()> {
        self.note("abandon_renew").abandon_renew(old, new)
    }

    fn migrate(&self) -> StoreFuture<'_, ()> {
        self.note("migrate").migrate()
    }

    fn check(&self) -> StoreFuture<'_, ()> {
        self.note("check").check()
    }

    fn close(&self) -> StoreFuture<'_, ()> {
        self.note("close").close()
    }

    fn placement(&self) -> Option<Placement> {
        self.note("placement").placement()
    }

    fn ack_delay(&self) -> Duration {
        self.note("ack_delay").ack_delay()
    }

    fn health(&self) -> Health {
        self.note("health").health()
    }

    fn events(&self) -> Events {
        self.note("events").events()
    }

    fn attempts(&self) -> Option<&dyn AttemptStore> {
        self.note("attempts").attempts()
    }

    fn clock(&self) -> Clock {
        self.note("clock").clock()
    }
}

impl UserStore for Reached {
    fn revocation_epoch<'a>(&'a self, user: &'a str) -> StoreFuture<'a, u64> {
        self.note("revocation_epoch").revocation_epoch(user)
    }

    fn login<'a>(&'a self, login: LoginWrite<'a>) -> StoreFuture<'a, SaveOutcome> {
        self.note("login").login(login)
    }

    fn sessions_of<'a>(&'a self, user: &'a str) -> StoreFuture<'a, Vec<(SessionId, Record)>> {
        self.note("sessions_of").sessions_of(user)
    }

    fn revoke_all<'a>(
        &'a self,
        user: &'a str,
        keep: Option<&'a SessionId>,
    ) -> StoreFuture<'a, u64> {
        self.note("revoke_all").revoke_all(user, keep)
    }

    fn sessions_page<'a>(
        &'a self,
        user: &'a str,
        after: Option<&'a SessionCursor>,
        limit: usize,
    ) -> StoreFuture<'a, Vec<(SessionId, Record)>> {
        self.note("sessions_page").sessions_page(user, after, limit)
    }

    fn lists_sessions(&self) -> bool {
        self.note("lists_sessions").lists_sessions()
    }
}
