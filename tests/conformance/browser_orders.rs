//! What a browser is left with after two requests that overlap, in every order in which the server
//! works on them and the answers arrive: a cookie jar keeps what comes last.

use std::{convert::Infallible, sync::Arc};

use http::{Request, Response, StatusCode, header};
use tokio::sync::Semaphore;
use tower::{Layer, ServiceExt};
use tower_redis_session::{Error, MemoryStore, RedisSessionLayer, SessionContext, SessionId};

/// What a request does to its session.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Op {
    Read,
    Write,
    Update,
    Renew,
    Login,
    Logout,
    /// Ends the session by the public id that it had when all began.
    Revoke,
}

const OPS: [Op; 7] =
    [Op::Read, Op::Write, Op::Update, Op::Renew, Op::Login, Op::Logout, Op::Revoke];

/// How the server works on the two.
#[derive(Clone, Copy, Debug)]
enum Schedule {
    /// Both have loaded the session before one of them changes it.
    Overlapping,
    /// The second one, sent at the same time, gets there when the first is done.
    Late,
}

/// One request, held between what it reads and what it does.
#[derive(Clone)]
struct Held {
    op: Op,
    number: usize,
    first_id: Option<SessionId>,
    layer: RedisSessionLayer,
    loaded: Arc<Semaphore>,
    go: Arc<Semaphore>,
}

impl Held {
    async fn act(&self, session: &SessionContext) -> Result<(), Error> {
        let _ = session.user_id().await?;
        self.loaded.add_permits(1);
        self.go.acquire().await.unwrap().forget();
        match self.op {
            Op::Read => session.get::<String>("basket").await.map(drop),
            Op::Write => session.insert(&format!("write{}", self.number), &true).await,
            Op::Update => {
                let more = |sum: Option<u32>| sum.unwrap_or(0) + 1;
                session.update("sum", more).await.map(drop)
            }
            Op::Renew => session.renew().await,
            Op::Login => session.login("alice").await,
            Op::Logout => session.logout().await,
            Op::Revoke => match &self.first_id {
                Some(id) => self.layer.admin().revoke("alice", id).await.map(drop),
                None => Ok(()),
            },
        }
    }
}

async fn send(held: Held, cookie: Option<String>) -> Response<String> {
    let layer = held.layer.clone();
    let service = layer.layer(tower::service_fn(move |request: Request<()>| {
        let held = held.clone();
        async move {
            let session = request.extensions().get::<SessionContext>().unwrap();
            let answer = held.act(session).await;
            Ok::<_, Infallible>(
                answer.map_or_else(|error| error.response(), |()| Response::new(String::new())),
            )
        }
    }));
    let mut request = Request::new(());
    if let Some(cookie) = cookie {
        request.headers_mut().insert(header::COOKIE, cookie.try_into().unwrap());
    }
    let (head, _) = service.oneshot(request).await.unwrap().into_parts();
    Response::from_parts(head, String::new())
}

/// What the browser keeps after an answer.
fn receive(jar: &mut Option<String>, answer: &Response<String>) {
    for line in answer.headers().get_all(header::SET_COOKIE) {
        let line = line.to_str().unwrap();
        let pair = line.split(';').next().unwrap().to_owned();
        *jar = if line.contains("Max-Age=0") { None } else { Some(pair) };
    }
}

/// What stands in the session that the jar opens, after a write of its own: `None` for no session.
async fn look(layer: &RedisSessionLayer, jar: &Option<String>) -> Option<Seen> {
    let seen: Arc<std::sync::Mutex<Option<Seen>>> = Arc::default();
    for _ in 0..2 {
        let into = Arc::clone(&seen);
        let service = layer.layer(tower::service_fn(move |request: Request<()>| {
            let into = Arc::clone(&into);
            async move {
                let session = request.extensions().get::<SessionContext>().unwrap();
                if session.id().await.unwrap().is_some() {
                    let names = session.keys().await.unwrap();
                    let user = session.user_id().await.unwrap();
                    let sum = session.get("sum").await.unwrap();
                    *into.lock().unwrap() = Some(Seen { user, names, sum });
                    session.insert("after", &true).await.unwrap();
                }
                Ok::<_, Infallible>(Response::new(String::new()))
            }
        }));
        let mut request = Request::new(());
        if let Some(cookie) = jar {
            request.headers_mut().insert(header::COOKIE, cookie.as_str().try_into().unwrap());
        }
        let answer = service.oneshot(request).await.unwrap();
        assert!(!answer.headers().contains_key(header::SET_COOKIE), "a look changes the cookie");
    }
    let seen = seen.lock().unwrap().take();
    seen.inspect(|seen| assert!(seen.has("after"), "what is written now is lost: {seen:?}"))
}

#[derive(Debug)]
struct Seen {
    user: Option<String>,
    names: Vec<String>,
    sum: Option<u32>,
}

impl Seen {
    fn has(&self, name: &str) -> bool {
        self.names.iter().any(|known| known == name)
    }
}

/// One case: two requests with the same cookie, and the order in which their answers arrive.
async fn case(layers: &[RedisSessionLayer], ops: [Op; 2], schedule: Schedule, signed_in: bool) {
    for last in [0, 1] {
        let what = format!("{ops:?} {schedule:?}, signed in: {signed_in}, last answer: {last}");
        let mut jar = None;
        let first_id = begin(&layers[0], &mut jar, signed_in).await;
        let held = ops.iter().enumerate().map(|(number, op)| Held {
            op: *op,
            number,
            first_id,
            layer: layers[number % layers.len()].clone(),
            loaded: Arc::new(Semaphore::new(0)),
            go: Arc::new(Semaphore::new(0)),
        });
        let held: Vec<Held> = held.collect();
        let mut sent = Vec::new();
        if let Schedule::Overlapping = schedule {
            for one in &held {
                sent.push(tokio::spawn(send(one.clone(), jar.clone())));
                one.loaded.acquire().await.unwrap().forget();
            }
        }
        let mut answers = Vec::new();
        for (number, one) in held.iter().enumerate() {
            if let Schedule::Late = schedule {
                sent.push(tokio::spawn(send(one.clone(), jar.clone())));
                one.loaded.acquire().await.unwrap().forget();
            }
            one.go.add_permits(1);
            answers.push((&mut sent[number]).await.unwrap());
        }
        for (answer, op) in answers.iter().zip(ops) {
            // To be told that the session has ended or moved is an answer too.
            let fair = answer.status().is_success()
                || op == Op::Update
                    && [StatusCode::UNAUTHORIZED, StatusCode::CONFLICT].contains(&answer.status());
            assert!(fair, "{what}: {op:?} is answered {}", answer.status());
        }
        receive(&mut jar, &answers[1 - last]);
        receive(&mut jar, &answers[last]);
        let seen = look(&layers[0], &jar).await;
        judge(&what, ops, signed_in, last, seen);
    }
}

/// `ops` in the order in which they took effect; the answer of the `last` came last.
fn judge(what: &str, ops: [Op; 2], signed_in: bool, last: usize, seen: Option<Seen>) {
    let ends = |op: &Op| *op == Op::Logout || *op == Op::Revoke && signed_in;
    let end = ops.iter().rposition(ends);
    let login = ops.iter().rposition(|op| *op == Op::Login);
    let user = seen.as_ref().and_then(|seen| seen.user.as_deref());
    if let Some(end) = end {
        match login.filter(|login| *login > end) {
            // Whoever signs in after a logout is signed in, unless its removal comes last.
            Some(login) if last == login || ops[end] == Op::Revoke => {
                assert_eq!(user, Some("alice"), "{what}");
            }
            Some(_) => {}
            None => {
                assert_eq!(user, None, "{what}: signed in after the end");
                let basket = seen.is_some_and(|seen| seen.has("basket"));
                assert!(!basket, "{what}: what had ended is there");
            }
        }
        return;
    }
    let seen = seen.unwrap_or_else(|| panic!("{what}: no session is left"));
    // A renewal before a sign-in has handed out a cookie that the sign-in cannot know: where that
    // one comes last it opens the session of a visitor, and never the one of whoever signed in.
    let renewed = login == Some(1) && ops[0] == Op::Renew && last == 0;
    let expected = (signed_in || login.is_some() && !renewed).then_some("alice");
    assert_eq!(seen.user.as_deref(), expected, "{what}");
    assert!(seen.has("basket"), "{what}: the basket is lost: {seen:?}");
    if ops.iter().any(|op| matches!(op, Op::Renew | Op::Login)) {
        return;
    }
    for (number, op) in ops.iter().enumerate() {
        let kept = *op != Op::Write || seen.has(&format!("write{number}"));
        assert!(kept, "{what}: write {number} is lost");
    }
    let updates = ops.iter().filter(|op| **op == Op::Update).count();
    assert_eq!(seen.sum.unwrap_or(0) as usize, updates, "{what}");
}

/// A session with a basket; its public id.
async fn begin(
    layer: &RedisSessionLayer,
    jar: &mut Option<String>,
    signed_in: bool,
) -> Option<SessionId> {
    let id: Arc<std::sync::Mutex<Option<SessionId>>> = Arc::default();
    let into = Arc::clone(&id);
    let service = layer.layer(tower::service_fn(move |request: Request<()>| {
        let into = Arc::clone(&into);
        async move {
            let session = request.extensions().get::<SessionContext>().unwrap();
            session.insert("basket", "a book").await.unwrap();
            if signed_in {
                session.login("alice").await.unwrap();
            }
            session.save().await.unwrap();
            *into.lock().unwrap() = session.id().await.unwrap();
            Ok::<_, Infallible>(Response::new(String::new()))
        }
    }));
    let (head, _) = service.oneshot(Request::new(())).await.unwrap().into_parts();
    receive(jar, &Response::from_parts(head, String::new()));
    assert!(jar.is_some());
    let id = id.lock().unwrap().take();
    id.filter(|_| signed_in)
}

/// Every pair of requests, in every order.
async fn every_order(layers: &[RedisSessionLayer]) {
    for one in OPS {
        for other in OPS {
            for schedule in [Schedule::Overlapping, Schedule::Late] {
                for signed_in in [false, true] {
                    case(layers, [one, other], schedule, signed_in).await;
                }
            }
        }
    }
}

fn layer(store: impl tower_redis_session::store::UserStore) -> RedisSessionLayer {
    let budget = std::time::Duration::from_secs(20);
    RedisSessionLayer::builder(store).budget(budget).build().unwrap()
}

#[tokio::test]
async fn every_order_of_two_requests_on_memory() {
    every_order(&[layer(MemoryStore::new())]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_order_of_two_requests_on_redis_and_two_instances() {
    let redis = test_support::RedisServer::start().await;
    let store =
        || tower_redis_session::RedisStore::new(test_support::patient(&redis.url())).unwrap();
    every_order(&[layer(store()), layer(store())]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_order_of_two_requests_on_sqlite_and_two_instances() {
    let folder = tempfile::tempdir().unwrap();
    on_database(&format!("sqlite:{}", folder.path().join("sessions.db").display())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_order_of_two_requests_on_postgresql_and_two_instances() {
    let database = test_support::PostgresServer::shared().await.database().await;
    on_database(&database.url()).await;
}

async fn on_database(url: &str) {
    use tower_redis_session::{DatabaseConfig, DatabaseStore};
    let long = std::time::Duration::from_secs(10);
    let store = || DatabaseStore::new(DatabaseConfig::new(url).timeout(long)).unwrap();
    store().migrate().await.unwrap();
    every_order(&[layer(store()), layer(store())]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_order_of_two_requests_on_redis_before_sqlite_and_two_instances() {
    let redis = test_support::RedisServer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = format!("sqlite:{}", folder.path().join("sessions.db").display());
    let stores = [
        crate::contract::durable(&redis, &file).await,
        crate::contract::durable(&redis, &file).await,
    ];
    let layers = stores.map(layer);
    every_order(&layers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_order_of_two_requests_on_redis_before_postgresql_and_two_instances() {
    let redis = test_support::RedisServer::start().await;
    let database = test_support::PostgresServer::shared().await.database().await;
    let stores = [
        crate::contract::durable(&redis, &database.url()).await,
        crate::contract::durable(&redis, &database.url()).await,
    ];
    let layers = stores.map(layer);
    every_order(&layers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_order_of_two_requests_on_a_cluster_and_behind_sentinels() {
    for stores in crate::stores::Stores::shared().await {
        println!("{}", stores.name);
        let layers = [stores.instance(|builder| builder).await, stores.instance(|b| b).await];
        every_order(&layers).await;
    }
}
