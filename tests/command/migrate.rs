//! Sessions of one store in another.
//!
//! To see these fail: list a session in the state file after it is written; confirm before the
//! writes; leave out `unconfirmed`, `Ending`, `look_up`, the set of `renewals`, `Need::Renew`, the
//! load of `finish`, the activity of copies, `has_lost`, `most` or `set_len`; end a session
//! whatever its line says; continue at the position of another run of Redis; pass over unreadable
//! records; leave out `check_run`, `NotStored`, the comparison of the first page, the lock, the
//! share of a page, `behind`, `in_flight`; confirm in `written`; in `write_all` return at the first
//! error.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde_json::{Value, json};
use tempfile::TempDir;
use test_support::{
    Gate, Held, Matching, PASSWORD, PgProxy, PostgresServer, RespProxy, eventually, leak_monitor,
    record_key,
};
use tokio::time::timeout;
use tower_redis_session::{
    RedisSessionLayer, SessionContext, SessionId, Timestamp,
    store::{Expected, Record, SaveOutcome, Touch, UserStore},
    testing::TestClient,
};

use crate::{
    enumeration::{each, ids, living, of_user},
    places::{OPERATOR, Place, Ran, Variables, grant, run},
};

type Client = TestClient<()>;
type Contents = BTreeMap<SessionId, (u64, Vec<u8>)>;

/// A migration with its files.
struct Migration {
    folder: TempDir,
}

impl Migration {
    fn new(from: &Variables, to: &Variables) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, variables) in [("from", from), ("to", to)] {
            let lines = variables.iter().map(|(name, value)| format!("{name}=\"{value}\"\n"));
            let text: String = lines.collect();
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        Self { folder }
    }

    fn between(from: &Place, to: &Place) -> Self {
        Self::new(&from.variables, &to.variables)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, more: &[&str]) -> impl Future<Output = Ran> + use<> {
        let [from, to, state] =
            ["from", "to", "state"].map(|name| self.file(name).display().to_string());
        let arguments = ["migrate", "--json", "--from", &from, "--to", &to, "--state", &state];
        let arguments = [&arguments, more].concat().join("\n");
        async move {
            let arguments: Vec<&str> = arguments.split('\n').collect();
            run(&Variables::new(), &arguments).await
        }
    }

    async fn done(&self) -> Value {
        self.run(&[]).await.expect(0).json()
    }

    /// Runs until the state file has grown by so many lines, then kills the process; false if it
    /// ended by itself.
    async fn killed_after(&self, lines: u64) -> bool {
        let length = || self.file("state").metadata().map_or(0, |file| file.len());
        let until = length() + lines * 60;
        let run = tokio::spawn(self.run(&[]));
        eventually("the state file grows", async || length() > until || run.is_finished()).await;
        let killed = !run.is_finished();
        run.abort();
        let _ = run.await;
        killed
    }
}

/// What the store has under these ids.
async fn contents(store: &Arc<dyn UserStore>, ids: &[SessionId]) -> Contents {
    let mut contents = Contents::new();
    for ids in ids.chunks(500) {
        for (id, found) in ids.iter().zip(store.load_many(ids).await.unwrap()) {
            if let Some(record) = found.unwrap().filter(|record| record.moved_to().is_none()) {
                let _ = contents.insert(*id, (record.version(), record.to_bytes()));
            }
        }
    }
    contents
}

/// Sessions of 500 users; each seventh of no user, changed, and with an absolute end.
async fn fill(store: &Arc<dyn UserStore>, ids: &[SessionId]) {
    each(ids, |id| {
        let store = Arc::clone(store);
        let number = usize::from(id.as_bytes()[0]) << 8 | usize::from(id.as_bytes()[1]);
        async move {
            let record = if number % 7 == 0 { anonymous() } else { of_user(number % 500) };
            save(&store, &id, Expected::Absent, &record).await;
            if number % 7 == 0 {
                save(&store, &id, Expected::Version(1), &version(&record, 2)).await;
            }
        }
    })
    .await;
}

async fn save(store: &Arc<dyn UserStore>, id: &SessionId, expected: Expected, record: &Record) {
    let saved = store.save(id, expected, record).await.unwrap();
    assert!(matches!(saved, SaveOutcome::Saved), "{saved:?}");
}

fn version(record: &Record, version: u64) -> Record {
    Record::from_bytes(version, record.to_bytes().into()).unwrap()
}

fn now() -> Timestamp {
    Timestamp::from(SystemTime::now())
}

/// Active `seconds` from now, and alive an hour longer.
fn active(seconds: u64) -> Touch {
    let at = now().saturating_add(Duration::from_secs(seconds));
    let end = at.saturating_add(Duration::from_secs(3_600));
    Touch::new(at, end, end)
}

/// Of no user, with an absolute end.
fn anonymous() -> Record {
    let bytes = living().to_bytes();
    let place = bytes.windows(5).position(|name| name == b"alice").unwrap();
    let mut bytes = [&bytes[..place - 2], &[0xff, 0xff], &bytes[place + 5..]].concat();
    let end = now().saturating_add(Duration::from_secs(86_400)).as_millis();
    bytes[36..44].copy_from_slice(&end.to_be_bytes());
    // Without a time of authentication, which would make it a claim.
    bytes[60..68].fill(0);
    Record::from_bytes(1, bytes.into()).unwrap()
}

async fn delete(store: &Arc<dyn UserStore>, ids: &[SessionId]) {
    for id in ids {
        assert!(store.delete(id).await.unwrap());
    }
}

/// Both stores have the same under these ids, and nothing else; and the same lists of users.
async fn assert_equal(
    name: &str,
    source: &Arc<dyn UserStore>,
    to: &Place,
    all: &[SessionId],
) -> u64 {
    let target: Arc<dyn UserStore> = to.store().await.into();
    let (wanted, found) = (contents(source, all).await, contents(&target, all).await);
    let lost = wanted.keys().filter(|id| !found.contains_key(*id)).count();
    let revived = found.keys().filter(|id| !wanted.contains_key(*id)).count();
    assert_eq!((lost, revived), (0, 0), "{name}: lost and revived, of {}", wanted.len());
    for (id, (version, wanted)) in &wanted {
        let (found_version, found) = &found[id];
        let mut wanted = wanted.clone();
        // With Redis in front, what is loaded may lag behind the copy by activity.
        if name.starts_with("durable") && found[12..20] > wanted[12..20] {
            wanted[12..28].copy_from_slice(&found[12..28]);
        }
        assert!(version == found_version && wanted == *found, "{name}: {wanted:?} {found:?}");
    }
    let counted = to.run(&["sessions", "count", "--json"]).await.expect(0).json();
    assert_eq!(counted["sessions"], wanted.len(), "{name}: {counted}");
    for user in ["u0001", "u0003", "u0250"] {
        let [mut wanted, mut found] =
            [source.sessions_of(user).await.unwrap(), target.sessions_of(user).await.unwrap()]
                .map(|list| list.into_iter().map(|(id, _)| id.to_string()).collect::<Vec<_>>());
        wanted.sort_unstable();
        found.sort_unstable();
        assert_eq!(wanted, found, "{name}: {user}");
    }
    wanted.len() as u64
}

fn nothing_more(name: &str, report: &Value, sessions: u64) {
    let found = ["copied", "changed", "touched", "kept", "ended_in_target", "ended", "unreadable"]
        .map(|field| report[field].as_u64().unwrap());
    assert_eq!(found, [0; 7], "{name}: {report}");
    assert!(report["unchanged"].as_u64().unwrap() >= sessions, "{name}: {report}");
    assert_eq!(report["complete"], true, "{name}: {report}");
}

/// There, with kills, sessions that end between them, and back to a store that is empty.
async fn there_and_back(name: &str, places: [Place; 3], kills: u64, count: u32) {
    let [from, to, back] = places;
    let source: Arc<dyn UserStore> = from.store().await.into();
    let _ = (to.store().await, back.store().await);
    let all = ids(1, count);
    fill(&source, &all).await;
    let migration = Migration::between(&from, &to);
    let dry = migration.run(&["--dry-run"]).await.expect(0).json();
    assert_eq!((&dry["copied"], &dry["dry_run"]), (&json!(count), &json!(true)), "{name}: {dry}");
    assert!(!migration.file("state").exists(), "{name}");
    let untouched = to.run(&["sessions", "count", "--json"]).await.expect(0).json();
    assert_eq!(untouched["sessions"], 0, "{name}");
    let (mut killed, mut ended, mut seen) = (0, 0, BTreeSet::new());
    for round in 0..kills {
        // More lines than a run appends for what the one before it left unconfirmed.
        killed += u64::from(migration.killed_after(260 + round % 3 * 40).await);
        let copied = listed(&to).await;
        // Of what was copied last, perhaps unconfirmed, and of what was not.
        let last = copied.difference(&seen).step_by(10);
        let others = all.iter().filter(|id| !copied.contains(*id)).take(5);
        let leave: Vec<SessionId> = last.chain(others).copied().collect();
        let leave = contents(&source, &leave).await.into_keys().collect::<Vec<_>>();
        delete(&source, &leave).await;
        ended += leave.len() as u64;
        seen = copied;
    }
    assert!(ended > kills * 10, "{name}: {ended}");
    assert!(killed + 2 >= kills, "{name}: {killed} of {kills} were killed in the middle");
    let report = migration.done().await;
    let sessions = assert_equal(name, &source, &to, &all).await;
    assert_eq!(sessions, u64::from(count) - ended, "{name}: {report}");
    nothing_more(name, &migration.done().await, sessions);
    let home = Migration::between(&to, &back);
    while home.killed_after(u64::from(count) / 4).await {}
    let target = to.store().await.into();
    assert_equal(&format!("{name} and back"), &target, &back, &all).await;
    nothing_more(name, &home.done().await, sessions);
}

async fn listed(place: &Place) -> BTreeSet<SessionId> {
    let lines = place.run(&["sessions", "list", "--all", "--json"]).await.expect(0).lines();
    lines.iter().map(|line| line["id"].as_str().unwrap().parse().unwrap()).collect()
}

/// So many sessions, or as many as `MIGRATED_SESSIONS` says.
fn sessions(count: u32) -> u32 {
    std::env::var("MIGRATED_SESSIONS").map_or(count, |count| count.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_ten_points_it_moves_sqlite_to_redis_and_back() {
    let places = [Place::sqlite(), Place::redis().await, Place::sqlite()];
    there_and_back("sqlite to redis", places, 10, sessions(5_500)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_five_points_it_moves_postgresql_to_durable_and_back() {
    let durable = Place::durable(Place::postgres().await).await;
    let places = [Place::postgres().await, durable, Place::postgres().await];
    there_and_back("postgresql to durable", places, 5, sessions(2_750)).await;
}

/// A write that arrives after its sender was killed; then the source restarts, so that the position
/// in it is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_write_and_a_lost_position_lose_and_revive_nothing() {
    let (from, to) = (Place::redis().await, Place::redis().await);
    let source: Arc<dyn UserStore> = from.store().await.into();
    let all = ids(1, 2_500);
    fill(&source, &all).await;
    let server = to.redis.as_ref().unwrap();
    let proxy = RespProxy::start(server.addr()).await;
    let mut variables = to.variables.clone();
    variables[1].1 = server.url_as(OPERATOR, PASSWORD, proxy.port());
    let migration = Migration::new(&from.variables, &variables);
    // Some are of the check.
    let late = proxy.hold(Matching::command("EVALSHA").nth(1_700));
    let running = tokio::spawn(migration.run(&[]));
    late.reached().await;
    running.abort();
    let _ = running.await;
    late.release().await;
    let state = std::fs::read_to_string(migration.file("state")).unwrap();
    assert!(state.contains("\nc scan "), "a position in the first pass");
    // Half a line, as of a machine that lost its power.
    std::fs::write(migration.file("state"), format!("{state}s AAAA")).unwrap();
    let redis = from.redis.as_ref().unwrap();
    redis.restart_from(&redis.snapshot().await).await;
    grant(redis).await;
    // Some that the killed run had written and not confirmed.
    let leave: Vec<SessionId> = listed(&to).await.into_iter().step_by(10).collect();
    delete(&source, &leave).await;
    let report = migration.done().await;
    let sessions = assert_equal("late", &source, &to, &all).await;
    assert_eq!(sessions, 2_500 - leave.len() as u64, "{report}");
    nothing_more("late", &migration.done().await, sessions);
}

/// One hundred writes a second, of every kind, until two passes are over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changes_in_the_source_in_the_meantime_is_the_same_after_the_next_run() {
    let pairs = [
        (Place::sqlite(), Place::redis().await),
        (Place::redis().await, Place::durable(Place::postgres().await).await),
        (Place::durable(Place::postgres().await).await, Place::sqlite()),
    ];
    for (from, to) in pairs {
        let name = format!("{} to {}", from.name, to.name);
        let source: Arc<dyn UserStore> = from.store().await.into();
        let _ = to.store().await;
        let all = ids(1, 1_500);
        fill(&source, &all).await;
        let migration = Migration::between(&from, &to);
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let writer = tokio::spawn(busy(Arc::clone(&source), all.clone(), stopped));
        let first = migration.done().await;
        assert_eq!(first["complete"], true, "{name}: {first}");
        let second = migration.done().await;
        let _ = stop.send(());
        let everything = writer.await.unwrap();
        // Finishes the renewals of the last moment, as their clients would.
        let _ = contents(&source, &everything).await;
        let last = migration.done().await;
        let sessions = assert_equal(&name, &source, &to, &everything).await;
        let changes = ["copied", "changed", "touched", "ended"];
        let changes =
            changes.map(|field| second[field].as_u64().unwrap() + last[field].as_u64().unwrap());
        assert!(changes.iter().all(|count| *count > 0), "{name}: {changes:?}");
        nothing_more(&name, &migration.done().await, sessions);
    }
}

/// Writes until it is told to stop; returns every id that there was.
async fn busy(
    source: Arc<dyn UserStore>,
    mut all: Vec<SessionId>,
    mut stopped: tokio::sync::oneshot::Receiver<()>,
) -> Vec<SessionId> {
    let mut tick = tokio::time::interval(Duration::from_millis(10));
    let mut fresh = ids(2, 60_000).into_iter();
    let mut step = 0;
    // A few of each kind at least, however fast the passes are.
    while step < 200 || stopped.try_recv().is_err() {
        let _ = tick.tick().await;
        step += 1;
        let id = all[step * 7 % all.len()];
        let found = source.load(&id).await.unwrap().filter(|found| found.moved_to().is_none());
        let (Some(found), new) = (found, fresh.next().unwrap()) else { continue };
        let expected = Expected::Version(found.version());
        match step % 5 {
            0 => save(&source, &id, expected, &version(&found, found.version() + 1)).await,
            1 => drop(source.touch(&id, found.version(), active(step as u64)).await.unwrap()),
            2 => assert!(source.delete(&id).await.unwrap()),
            3 => {
                save(&source, &new, Expected::Absent, &of_user(step)).await;
                all.push(new);
            }
            _ => {
                let (at, next) = (found.version(), version(&found, 1));
                let begun = source.begin_renew(&id, at, &new, &next).await.unwrap();
                assert!(matches!(begun, SaveOutcome::Saved), "{begun:?}");
                all.push(new);
                // Some are never finished.
                if step % 2 == 0 {
                    let _ = source.finish_renew(&id, at, &new).await.unwrap();
                }
            }
        }
    }
    all
}

async fn signed_in(layer: &RedisSessionLayer, user: &str) -> Client {
    let client = TestClient::new(layer, ());
    client.login(user).await;
    client
}

/// The same browser at a service on another store.
fn at(layer: &RedisSessionLayer, client: &Client) -> Client {
    let moved = TestClient::new(layer, ());
    let cookie = client.cookie("__Host-session").unwrap();
    moved.set_cookie(&format!("__Host-session={cookie}; Path=/; Secure"));
    moved
}

async fn user(client: &Client) -> Option<String> {
    client.session(|session| async move { session.user_id().await }).await.unwrap()
}

async fn set(client: &Client, value: &'static str) {
    let work = |session: tower_redis_session::SessionContext| async move {
        session.insert("value", value).await
    };
    client.session(work).await.unwrap();
}

async fn get(client: &Client) -> Option<String> {
    client.session(|session| async move { session.get("value").await }).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_used_or_ended_in_the_target_stays_as_it_is_there() {
    let pairs = [(Place::sqlite(), Place::redis().await), (Place::redis().await, Place::sqlite())];
    for (from, to) in pairs {
        let name = format!("{} to {}", from.name, to.name);
        let (before, after) = (from.layer().await, to.layer().await);
        let clients = [
            signed_in(&before, "left").await,
            signed_in(&before, "changed").await,
            signed_in(&before, "renewed").await,
            signed_in(&before, "stayed").await,
            signed_in(&before, "ended").await,
            signed_in(&before, "both").await,
        ];
        let migration = Migration::between(&from, &to);
        assert_eq!(migration.done().await["copied"], 6, "{name}");
        let [left, changed, renewed, stayed, ended, both] =
            clients.each_ref().map(|client| at(&after, client));
        for (client, user_name) in
            [(&left, "left"), (&changed, "changed"), (&renewed, "renewed"), (&stayed, "stayed")]
        {
            assert_eq!(user(client).await.as_deref(), Some(user_name), "{name}");
        }
        let work =
            |session: tower_redis_session::SessionContext| async move { session.logout().await };
        left.session(work).await.unwrap();
        set(&changed, "in the target").await;
        set(&both, "in the target").await;
        renewed.session(|session| async move { session.renew().await }).await.unwrap();
        // The old service is still used too.
        for client in &clients[..4] {
            set(client, "in the source").await;
        }
        clients[4].session(work).await.unwrap();
        clients[5].session(work).await.unwrap();
        if let Some(redis) = &to.redis {
            // As if the minute of a tombstone were over.
            let mut connection = redis.connection().await;
            for (key, value) in redis.dump().await {
                if value == b"T" || value.starts_with(b"M") {
                    let _: () =
                        redis::cmd("DEL").arg(key).query_async(&mut connection).await.unwrap();
                }
            }
        }
        if let Some(folder) = &to.folder {
            let file = folder.path().join("sessions.db");
            let rows = "DELETE FROM trs_sessions WHERE NOT alive";
            let ran = std::process::Command::new("sqlite3").arg(file).arg(rows).status().unwrap();
            assert!(ran.success());
        }
        let report = migration.done().await;
        let counts = ["copied", "changed", "kept", "ended_in_target", "ended"]
            .map(|field| report[field].as_u64().unwrap());
        assert_eq!(counts, [0, 1, 1, 2, 1], "{name}: {report}");
        assert_eq!(user(&left).await, None, "{name}: signed out in the target");
        assert_eq!(get(&changed).await.as_deref(), Some("in the target"), "{name}");
        assert_eq!(user(&renewed).await.as_deref(), Some("renewed"), "{name}");
        assert_eq!(user(&at(&after, &clients[2])).await, None, "{name}: the id from before");
        assert_eq!(get(&stayed).await.as_deref(), Some("in the source"), "{name}");
        assert_eq!(user(&ended).await, None, "{name}: signed out in the source");
        assert_eq!(user(&both).await.as_deref(), Some("both"), "{name}: used in the target");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_lost_its_data_signs_nobody_out() {
    let (from, to) = (Place::redis().await, Place::sqlite());
    let source: Arc<dyn UserStore> = from.store().await.into();
    let target: Arc<dyn UserStore> = to.store().await.into();
    let all = ids(1, 300);
    fill(&source, &all).await;
    let migration = Migration::between(&from, &to);
    assert_eq!(migration.done().await["copied"], 300);
    let mut connection = from.redis.as_ref().unwrap().connection().await;
    let _: () = redis::cmd("FLUSHALL").query_async(&mut connection).await.unwrap();
    let stopped = migration.run(&[]).await.expect(1);
    assert!(stopped.err.contains("--end-most"), "{stopped:?}");
    assert_eq!(stopped.json()["complete"], false);
    assert_eq!(contents(&target, &all).await.len(), 300);
    let report = migration.run(&["--end-most"]).await.expect(0).json();
    assert_eq!(report["ended"], 300, "{report}");
    assert_eq!(contents(&target, &all).await.len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_lost_its_data_gets_it_again() {
    let (from, to) = (Place::sqlite(), Place::redis().await);
    let source: Arc<dyn UserStore> = from.store().await.into();
    let all = ids(1, 300);
    fill(&source, &all).await;
    let migration = Migration::between(&from, &to);
    let redis = to.redis.as_ref().unwrap();
    let empty = redis.snapshot().await;
    assert_eq!(migration.done().await["copied"], 300);
    let half = redis.snapshot().await;
    redis.restart_from(&empty).await;
    grant(redis).await;
    let lost = migration.run(&[]).await.expect(1);
    assert!(lost.err.contains("--copy-missing"), "{lost:?}");
    assert_eq!((&lost.json()["copied"], &lost.json()["ended_in_target"]), (&json!(0), &json!(300)));
    assert_eq!(migration.run(&["--copy-missing"]).await.expect(0).json()["copied"], 300);
    nothing_more("again", &migration.done().await, 300);
    // A few of them, by a restart.
    fill(&source, &ids(2, 20)).await;
    assert_eq!(migration.done().await["copied"], 20);
    redis.restart_from(&half).await;
    grant(redis).await;
    let lost = migration.run(&[]).await.expect(1).json();
    assert_eq!((&lost["copied"], &lost["ended_in_target"]), (&json!(0), &json!(20)), "{lost}");
    assert_eq!(migration.run(&["--copy-missing"]).await.expect(0).json()["copied"], 20);
    assert_equal("again", &source, &to, &[all, ids(2, 20)].concat()).await;
}

/// Either id may be the one that the client has, as in the source.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unfinished_renewal_is_unfinished_in_the_target_and_finished_with_the_source() {
    let (from, to) = (Place::postgres().await, Place::sqlite());
    let source: Arc<dyn UserStore> = from.store().await.into();
    let target: Arc<dyn UserStore> = to.store().await.into();
    // In both orders of the enumeration.
    let all = ids(1, 8);
    let pairs: Vec<(SessionId, SessionId)> =
        all.chunks(2).enumerate().map(|(at, two)| (two[at % 2], two[1 - at % 2])).collect();
    for (old, new) in &pairs {
        save(&source, old, Expected::Absent, &living()).await;
        let begun = source.begin_renew(old, 1, new, &living()).await.unwrap();
        assert!(matches!(begun, SaveOutcome::Saved), "{begun:?}");
    }
    let migration = Migration::between(&from, &to);
    assert_eq!(migration.done().await["copied"], 8);
    nothing_more("unfinished", &migration.done().await, 8);
    let alive = async |store: &Arc<dyn UserStore>, id: &SessionId| {
        let found = store.load(id).await.unwrap();
        found.is_some_and(|found| found.moved_to().is_none())
    };
    let [(old, _), (left, used), (ended, ended_too), (before, finished)] = *pairs else { panic!() };
    assert!(alive(&target, &old).await, "the client may have the old one");
    assert!(alive(&target, &used).await, "the client may have the new one");
    assert!(!alive(&target, &left).await, "once the new one was used");
    assert!(source.delete(&ended).await.unwrap());
    assert!(alive(&source, &finished).await, "which finishes it");
    let changed = version(&source.load(&finished).await.unwrap().unwrap(), 7);
    let at = Expected::Version(changed.version() - 6);
    let at =
        source.load(&finished).await.unwrap().map_or(at, |now| Expected::Version(now.version()));
    save(&source, &finished, at, &changed).await;
    let report = migration.done().await;
    assert!(!alive(&target, &ended).await && !alive(&target, &ended_too).await, "{report}");
    assert!(alive(&target, &finished).await, "{report}");
    assert!(!alive(&target, &before).await, "{report}");
    assert_eq!(target.load(&finished).await.unwrap().unwrap().version(), 7, "{report}");
    assert!(alive(&target, &old).await && alive(&target, &used).await, "{report}");
}

/// It is finished after it was found unfinished, and before its former id is found to have ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewal_that_is_finished_between_the_two_passes_of_a_run_signs_nobody_out() {
    let (from, to) = (Place::postgres().await, Place::sqlite());
    let source: Arc<dyn UserStore> = from.store().await.into();
    let target: Arc<dyn UserStore> = to.store().await.into();
    let [old, new] = ids(1, 2)[..] else { panic!() };
    save(&source, &old, Expected::Absent, &living()).await;
    let begun = source.begin_renew(&old, 1, &new, &living()).await.unwrap();
    assert!(matches!(begun, SaveOutcome::Saved), "{begun:?}");
    let proxy = PgProxy::start(PostgresServer::shared().await.addr()).await;
    let mut variables = from.variables.clone();
    variables[1].1 = from.postgres.as_ref().unwrap().url_through(proxy.port());
    let migration = Migration::new(&variables, &to.variables);
    assert_eq!(migration.done().await["copied"], 2);
    // To compare; of the renewals; and of what may have ended.
    let third = Matching::part("id = ANY").containing(new.to_string()).nth(3);
    let third = proxy.hold(third);
    let running = tokio::spawn(migration.run(&[]));
    third.reached().await;
    assert!(source.load(&new).await.unwrap().is_some());
    third.release().await;
    let report = running.await.unwrap().expect(0).json();
    assert_eq!(report["ended"], 0, "{report}");
    assert_eq!(migration.done().await["changed"], 1);
    assert!(target.load(&new).await.unwrap().is_some());
    let before = target.load(&old).await.unwrap();
    assert!(before.is_none_or(|before| before.moved_to().is_some()));
}

/// The row of a session with Redis in front lags behind its copy.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_latest_activity_comes_along_from_a_copy_in_redis() {
    let (from, to) = (Place::durable(Place::postgres().await).await, Place::redis().await);
    let source: Arc<dyn UserStore> = from.store().await.into();
    let target: Arc<dyn UserStore> = to.store().await.into();
    let id = ids(1, 1)[0];
    save(&source, &id, Expected::Absent, &living()).await;
    let copied = async || {
        let _ = source.load(&id).await.unwrap();
        let keys = from.redis.as_ref().unwrap().keys().await;
        keys.iter().any(|(key, _)| key.contains(":s:"))
    };
    eventually("a copy", copied).await;
    let activity = active(60);
    assert!(source.touch(&id, 1, activity).await.unwrap());
    let row = from.postgres.as_ref().unwrap().sql("SELECT last_activity FROM trs_sessions").await;
    assert_ne!(row, activity.last_activity.as_millis().to_string(), "the row lags behind");
    let migration = Migration::between(&from, &to);
    assert_eq!(migration.done().await["copied"], 1);
    let found = target.load(&id).await.unwrap().unwrap();
    assert_eq!(found.last_activity(), activity.last_activity);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unreadable_record_is_named_and_stays_in_the_source() {
    let (from, to) = (Place::redis().await, Place::sqlite());
    let source: Arc<dyn UserStore> = from.store().await.into();
    let _ = to.store().await;
    let all = ids(1, 20);
    fill(&source, &all).await;
    let redis = from.redis.as_ref().unwrap();
    let key = record_key(all[7]);
    let mut connection = redis.connection().await;
    let mut set = redis::cmd("SET");
    let _: () = set
        .arg(&key)
        .arg("no record")
        .arg("EX")
        .arg(900)
        .query_async(&mut connection)
        .await
        .unwrap();
    let ran = Migration::between(&from, &to).run(&[]).await.expect(1);
    assert!(ran.err.contains(&all[7].to_string()), "{ran:?}");
    let report = ran.json();
    assert_eq!((&report["copied"], &report["unreadable"]), (&json!(19), &json!(1)), "{report}");
    let kept: String = redis::cmd("GET").arg(&key).query_async(&mut connection).await.unwrap();
    assert_eq!(kept, "no record");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_migrated_has_an_exit_code_and_prints_no_secret() {
    let (from, to) = (Place::redis().await, Place::sqlite());
    let migration = Migration::between(&from, &to);
    let missing = migration.run(&[]).await.expect(5);
    assert!(missing.err.contains("unusable"), "{missing:?}");
    let _ = to.store().await;
    let same = Migration::between(&from, &from).run(&[]).await.expect(4);
    assert!(same.err.contains("is the store of --from"), "{same:?}");
    std::fs::write(migration.file("state"), "tower-redis-session migration 1\nfrom a\nto b\n")
        .unwrap();
    let other = migration.run(&[]).await.expect(4);
    assert!(other.err.contains("another migration"), "{other:?}");
    std::fs::write(migration.file("from"), format!("REDIS_PASSWORD={PASSWORD}\n{PASSWORD}\n"))
        .unwrap();
    let faulty = migration.run(&[]).await.expect(4);
    assert!(faulty.err.contains("line 2"), "{faulty:?}");
    for ran in [missing, same, other, faulty] {
        leak_monitor::said("what a migration complained of", &ran.err);
        assert!(!ran.err.contains(PASSWORD), "{ran:?}");
    }
    run(&from.variables, &["migrate"]).await.expect(2);
    let dry = ["migrate", "--dry-run", "--to", &path(&migration.file("to"))];
    let report = run(&from.variables, &dry).await.expect(0);
    assert!(report.out.contains("to be created"), "{report:?}");
}

fn path(file: &Path) -> String {
    file.display().to_string()
}

/// The same migration, with the source's or the target's Redis behind a proxy.
fn behind(place: &Place, proxy: &RespProxy) -> Variables {
    let mut variables = place.variables.clone();
    let server = place.redis.as_ref().unwrap();
    variables[1].1 = server.url_as(OPERATOR, PASSWORD, proxy.port());
    variables
}

/// A cursor of the run before, in a table with another hash seed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_restarts_during_a_pass_loses_no_session() {
    let (from, to) = (Place::redis().await, Place::sqlite());
    let source: Arc<dyn UserStore> = from.store().await.into();
    let _ = to.store().await;
    let all = ids(1, 2_500);
    fill(&source, &all).await;
    let redis = from.redis.as_ref().unwrap();
    let proxy = RespProxy::start(redis.addr()).await;
    let migration = Migration::new(&behind(&from, &proxy), &to.variables);
    let second = proxy.hold(Matching::command("SCAN").nth(2));
    let running = tokio::spawn(migration.run(&[]));
    second.reached().await;
    proxy.set(Gate::Refuse);
    redis.restart_from(&redis.snapshot().await).await;
    grant(redis).await;
    proxy.set(Gate::Pass);
    second.drop_it();
    let stopped = running.await.unwrap().expect(3);
    assert!(stopped.err.contains("restarted during the pass"), "{stopped:?}");
    assert_eq!(stopped.json()["complete"], false, "{stopped:?}");
    assert!(!std::fs::read_to_string(migration.file("state")).unwrap().contains("\ne\n"));
    migration.done().await;
    let source: Arc<dyn UserStore> = from.store().await.into();
    assert_equal("restarted", &source, &to, &all).await;
}

/// It rejects a new session like a used id if the command was late.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_the_target_did_not_accept_is_a_finding_and_is_copied_later() {
    let (from, to) = (Place::sqlite(), Place::redis().await);
    let source: Arc<dyn UserStore> = from.store().await.into();
    let all = ids(1, 20);
    fill(&source, &all).await;
    let key = record_key(all[7]);
    let mut connection = to.redis.as_ref().unwrap().connection().await;
    let mut set = redis::cmd("SET");
    let _: () =
        set.arg(&key).arg("T").arg("PX").arg(600_000).query_async(&mut connection).await.unwrap();
    let migration = Migration::between(&from, &to);
    for _ in 0..2 {
        let report = migration.run(&[]).await.expect(1).json();
        assert!(report["not_stored"].as_u64().unwrap() > 0, "{report}");
        assert_eq!(report["ended_in_target"], 0, "{report}");
    }
    let _: () = redis::cmd("DEL").arg(&key).query_async(&mut connection).await.unwrap();
    assert_eq!(migration.done().await["copied"], 1);
    assert_equal("accepted", &source, &to, &all).await;
    nothing_more("accepted", &migration.done().await, 20);
}

/// One write is rejected at once, and another needs several attempts until it has a result.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_fails_leaves_no_other_one_without_a_result() {
    let (from, to) = (Place::sqlite(), Place::redis().await);
    let source: Arc<dyn UserStore> = from.store().await.into();
    let all = ids(1, 20);
    fill(&source, &all).await;
    let redis = to.redis.as_ref().unwrap();
    let proxy = RespProxy::start(redis.addr()).await;
    let migration = Migration::new(&from.variables, &behind(&to, &proxy));
    let key = record_key(all[7]);
    let mut connection = redis.connection().await;
    let mut set = redis::cmd("SET");
    let _: () =
        set.arg(&key).arg("T").arg("PX").arg(600_000).query_async(&mut connection).await.unwrap();
    let write = Matching::command("EVALSHA").containing(all[3].to_string());
    let _rejected = proxy.side_track(write, "-NOPERM no permissions\r\n");
    let failed = migration.run(&[]).await.expect(5);
    assert!(failed.err.contains("unusable"), "{failed:?}");
    let state = std::fs::read_to_string(migration.file("state")).unwrap();
    assert!(state.contains(&format!("\nn {}\n", all[7])), "{state}");
    assert_eq!(listed(&to).await.len(), 18);
}

/// A target that is slow for their size would receive them too late to accept them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_sessions_are_written_one_after_the_other() {
    let (from, to) = (Place::sqlite(), Place::redis().await);
    let source: Arc<dyn UserStore> = from.store().await.into();
    let builder = RedisSessionLayer::builder(source).max_record_size(1 << 20);
    let layer = builder.build().unwrap();
    let large = |session: SessionContext| async move {
        session.insert("text", &"x".repeat(600 * 1024)).await?;
        session.save().await?;
        session.id().await
    };
    let mut all = Vec::new();
    for _ in 0..2 {
        all.push(TestClient::new(&layer, ()).session(large).await.unwrap().unwrap());
    }
    let proxy = RespProxy::start(to.redis.as_ref().unwrap().addr()).await;
    let write = |id: &SessionId| Matching::command("EVALSHA").containing(id.to_string());
    let replies: Vec<Held> = all.iter().map(|id| proxy.hold_reply(write(id))).collect();
    let sent = async |count| {
        let sent = || replies.iter().filter(|reply| reply.is_reached()).count();
        eventually("writes", async || sent() >= count).await;
    };
    let migration = Migration::new(&from.variables, &behind(&to, &proxy));
    let running = tokio::spawn(migration.run(&[]));
    sent(1).await;
    // The other one would follow at once.
    assert!(timeout(Duration::from_millis(300), sent(2)).await.is_err());
    drop(replies);
    let report = running.await.unwrap().expect(0).json();
    assert_eq!((&report["copied"], &report["complete"]), (&json!(2), &json!(true)), "{report}");
}

/// What a killed run had read is read again: its page from the last position, and what it did not
/// confirm.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resumed_run_revives_and_overwrites_nothing() {
    for confirmed in [true, false] {
        let (from, to) = (Place::sqlite(), Place::redis().await);
        let source: Arc<dyn UserStore> = from.store().await.into();
        let target: Arc<dyn UserStore> = to.store().await.into();
        let all = ids(1, 20);
        fill(&source, &all).await;
        let migration = Migration::between(&from, &to);
        assert_eq!(migration.done().await["copied"], 20);
        // As a run leaves it that is killed before the next position.
        let state = std::fs::read_to_string(migration.file("state")).unwrap();
        let position = "c row -\n";
        let state = state.strip_suffix("e\n").unwrap();
        let state = if confirmed {
            format!("{state}{position}")
        } else {
            let first = state.find("\ns ").unwrap() + 1;
            format!("{}{position}{}", &state[..first], state[first..].replace("\nk\n", "\n"))
        };
        std::fs::write(migration.file("state"), state).unwrap();
        let [changed, ended] = all[..2] else { panic!() };
        for (store, by) in [(&target, 1), (&source, 2)] {
            let found = store.load(&changed).await.unwrap().unwrap();
            let later = version(&found, found.version() + by);
            save(store, &changed, Expected::Version(found.version()), &later).await;
        }
        let kept = target.load(&changed).await.unwrap().unwrap().version();
        delete(&target, &[ended]).await;
        let mut connection = to.redis.as_ref().unwrap().connection().await;
        let key = record_key(ended);
        let _: () = redis::cmd("DEL").arg(key).query_async(&mut connection).await.unwrap();
        let report = migration.done().await;
        assert_eq!(target.load(&changed).await.unwrap().unwrap().version(), kept, "{report}");
        let counts =
            ["copied", "changed", "ended_in_target"].map(|field| report[field].as_u64().unwrap());
        // What is not confirmed may not have been written.
        let wanted = if confirmed { [0, 0, 1] } else { [1, 0, 0] };
        assert_eq!(counts, wanted, "confirmed: {confirmed}: {report}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewal_is_not_confirmed_before_it_is_written() {
    let (from, to) = (Place::postgres().await, Place::redis().await);
    let source: Arc<dyn UserStore> = from.store().await.into();
    let [old, new] = ids(1, 2)[..] else { panic!() };
    save(&source, &old, Expected::Absent, &living()).await;
    let begun = source.begin_renew(&old, 1, &new, &living()).await.unwrap();
    assert!(matches!(begun, SaveOutcome::Saved), "{begun:?}");
    let proxy = RespProxy::start(to.redis.as_ref().unwrap().addr()).await;
    let migration = Migration::new(&from.variables, &behind(&to, &proxy));
    let renewal = proxy.hold(Matching::command("EVALSHA").containing(new.to_string()));
    let running = tokio::spawn(migration.run(&[]));
    renewal.reached().await;
    running.abort();
    let _ = running.await;
    let state = std::fs::read_to_string(migration.file("state")).unwrap();
    assert!(state.contains("\np ") && !state.contains("\nk\n"), "{state}");
    renewal.drop_it();
}

/// Most of those that it checked last, and few of all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_loses_its_data_during_a_run_signs_few_out() {
    let (from, to) = (Place::sqlite(), Place::sqlite());
    let source: Arc<dyn UserStore> = from.store().await.into();
    let target: Arc<dyn UserStore> = to.store().await.into();
    let mut all = ids(1, 1_500);
    fill(&source, &all).await;
    let migration = Migration::between(&from, &to);
    assert_eq!(migration.done().await["copied"], 1_500);
    // In the order of the rows.
    all.sort_unstable_by_key(ToString::to_string);
    delete(&source, &all[1_000..]).await;
    let stopped = migration.run(&[]).await.expect(1);
    assert!(stopped.err.contains("--end-most"), "{stopped:?}");
    assert_eq!(contents(&target, &all).await.len(), 1_500);
    let report = migration.run(&["--end-most"]).await.expect(0).json();
    assert_eq!(report["ended"], 500, "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_runs_never_share_a_state_file() {
    let (from, to) = (Place::sqlite(), Place::redis().await);
    let source: Arc<dyn UserStore> = from.store().await.into();
    let all = ids(1, 20);
    fill(&source, &all).await;
    let proxy = RespProxy::start(to.redis.as_ref().unwrap().addr()).await;
    let migration = Migration::new(&from.variables, &behind(&to, &proxy));
    let write = proxy.hold(Matching::command("EVALSHA").containing(all[3].to_string()));
    let running = tokio::spawn(migration.run(&[]));
    write.reached().await;
    let other = migration.run(&[]).await.expect(4);
    assert!(other.err.contains("another run uses the state file"), "{other:?}");
    write.release().await;
    assert_eq!(running.await.unwrap().json()["complete"], true);
    migration.done().await;
    assert_equal("locked", &source, &to, &all).await;
}

/// The allowance for activity that has not reached the row is not for one that has its copy.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_has_expired_by_its_copy_is_not_copied() {
    let (from, to) = (Place::durable(Place::postgres().await).await, Place::redis().await);
    let source: Arc<dyn UserStore> = from.store().await.into();
    let id = ids(1, 1)[0];
    save(&source, &id, Expected::Absent, &living()).await;
    let copied = async || {
        let _ = source.load(&id).await.unwrap();
        let keys = from.redis.as_ref().unwrap().keys().await;
        keys.iter().any(|(key, _)| key.contains(":s:"))
    };
    eventually("a copy", copied).await;
    // With an idle timeout of an hour, of which three seconds are left.
    let mut bytes = source.load(&id).await.unwrap().unwrap().to_bytes();
    let last = now().as_millis() - 3_597_000;
    bytes[12..20].copy_from_slice(&last.to_be_bytes());
    bytes[20..28].copy_from_slice(&(last + 3_600_000).to_be_bytes());
    let aged = Record::from_bytes(2, bytes.into()).unwrap();
    save(&source, &id, Expected::Version(1), &aged).await;
    // The command reads the system's clock, which a test cannot move.
    let end = aged.end().saturating_add(Duration::from_millis(100));
    eventually("the end by its copy", async || now() > end).await;
    let report = Migration::between(&from, &to).done().await;
    assert_eq!((&report["copied"], &report["expired"]), (&json!(0), &json!(1)), "{report}");
}
