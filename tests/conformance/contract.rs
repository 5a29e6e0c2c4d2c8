//! The stores of this crate keep the contract of `Store`, and a store that breaks it anywhere does
//! not pass.

use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use tower_redis_session::{
    MemoryStore, SessionId,
    clock::ManualClock,
    store::{Expected, LoginWrite, Record, SaveOutcome, Store, StoreFuture, Touch, UserStore},
    testing::conformance,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_memory_store_keeps_its_contract() {
    conformance(MemoryStore::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_memory_store_keeps_its_contract_under_a_clock_that_stands_still() {
    conformance(MemoryStore::with_clock(ManualClock::new().clock())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_redis_store_keeps_its_contract() {
    let redis = test_support::RedisServer::start().await;
    conformance(tower_redis_session::RedisStore::new(test_support::patient(&redis.url())).unwrap())
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_redis_store_keeps_its_contract_on_other_servers() {
    for version in ["redis-6.2", "valkey-8.1", "valkey-9.1"] {
        let redis = test_support::RedisServer::start_version(version).await;
        let config = test_support::patient(&redis.url());
        conformance(tower_redis_session::RedisStore::new(config).unwrap()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_redis_store_keeps_its_contract_over_one_connection() {
    let redis = test_support::RedisServer::start().await;
    let config = test_support::patient(&redis.url()).pool_size(1);
    conformance(tower_redis_session::RedisStore::new(config).unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_durable_store_keeps_its_contract_on_sqlite_and_every_redis() {
    for version in ["", "redis-6.2", "valkey-8.1", "valkey-9.1"] {
        let redis = match version {
            "" => test_support::RedisServer::start().await,
            version => test_support::RedisServer::start_version(version).await,
        };
        let folder = tempfile::tempdir().unwrap();
        let file = format!("sqlite:{}", folder.path().join("sessions.db").display());
        conformance(durable(&redis, &file).await).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_durable_store_keeps_its_contract_on_postgres() {
    let redis = test_support::RedisServer::start().await;
    let database = test_support::PostgresServer::shared().await.database().await;
    conformance(durable(&redis, &database.url()).await).await;
}

/// A store that waits as long as it takes, and believes Redis.
pub async fn durable(
    redis: &test_support::RedisServer,
    url: &str,
) -> tower_redis_session::DurableStore {
    durable_on(test_support::patient(&redis.durable_url()), url).await
}

pub async fn durable_on(
    redis: tower_redis_session::RedisConfig,
    url: &str,
) -> tower_redis_session::DurableStore {
    use tower_redis_session::{DatabaseConfig, DurableStore};
    let long = std::time::Duration::from_secs(4);
    let database = DatabaseConfig::new(url).timeout(long);
    let store = DurableStore::builder(redis, database)
        .redis_timeout(long)
        .lease(std::time::Duration::from_secs(20))
        .build()
        .unwrap();
    store.migrate().await.unwrap();
    store.check().await.unwrap();
    test_support::eventually("the store believes redis", async || {
        let nobody = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8".parse().unwrap();
        assert!(store.load(&nobody).await.unwrap().is_none());
        store.health().copies.is_some_and(|copies| copies.trusted)
    })
    .await;
    store
}

/// A way to break the contract, and a word of the sentence that has to be named.
const BREACHES: &[(Breach, &str)] = &[
    (Breach::LoadForgetsAPlatform, "every field"),
    (Breach::LoadCutsValues, "every field"),
    (Breach::LoadsInAnyOrder, "in the order"),
    (Breach::LoadSkipsWhatIsAbsent, "in the order"),
    (Breach::CreateOverwrites, "never adopted"),
    (Breach::CreateAnswersSavedAndKeepsTheOld, "never adopted"),
    (Breach::CreateIsInTwoSteps, "never adopted"),
    (Breach::SaveAsksForNoVersion, "at the version they expect"),
    (Breach::SaveTakesANewerVersion, "at the version they expect"),
    (Breach::SaveIsInTwoSteps, "at the version they expect"),
    (Breach::SaveCreates, "at the version they expect"),
    (Breach::SaveRevives, "under that id"),
    (Breach::ConflictIsSilent, "at the version they expect"),
    (Breach::ConflictCarriesTheCallersRecord, "at the version they expect"),
    (Breach::RenewKeepsTheOld, "no reader sees both"),
    (Breach::RenewStoresNothing, "no reader sees both"),
    (Breach::RenewAsksForNoVersion, "at the version they expect"),
    (Breach::RenewOverwrites, "no reader sees both"),
    (Breach::RenewCreates, "under that id"),
    (Breach::RenewKillsBeforeItAsks, "no reader sees both"),
    (Breach::RenewIsInTwoSteps, "at once"),
    (Breach::RenewCanBeDroppedHalfWay, "half-written"),
    (Breach::MoveIsForgotten, "as moved"),
    (Breach::MoveChangesTheRecord, "as moved"),
    (Breach::MoveIsToldOfOneAlone, "as moved"),
    (Breach::DeleteFollowsNoMove, "as moved"),
    (Breach::DeleteFollowsOneMove, "as moved"),
    (Breach::TouchMakesAVersion, "new version"),
    (Breach::TouchGoesBack, "earlier end"),
    (Breach::TouchAsksForNoVersion, "at the version they expect"),
    (Breach::TouchCreates, "under that id"),
    (Breach::TouchDoesNothing, "earlier end"),
    (Breach::TouchChangesNoActivity, "earlier end"),
    (Breach::DeleteDoesNothing, "under that id"),
    (Breach::DeleteFailsOnNothing, "delete"),
    (Breach::DeleteRemovesAll, "removes whatever is there"),
    (Breach::DeleteAlwaysAnswersYes, "whether anything was"),
    (Breach::DeleteIsLate, "under that id"),
    (Breach::DeleteIfAsksForNoVersion, "at the version they expect"),
    (Breach::DeleteIfDoesNothing, "under that id"),
    (Breach::DeleteIfOfNothingIsSaved, "under that id"),
    (Breach::DeleteIfIsInTwoSteps, "at the version they expect"),
    (Breach::LoginAsksForNoEpoch, "revoke_all"),
    (Breach::LoginAsksForNoVersion, "revoke_all"),
    (Breach::LoginIsInTwoSteps, "revoke_all"),
    (Breach::LoginKnowsNoLimit, "than it allows"),
    (Breach::LoginEndsTheLatest, "than it allows"),
    (Breach::LoginEndsOthers, "than it allows"),
    (Breach::LoginCountsItsOld, "than it allows"),
    (Breach::RevocationForgetsOne, "revoke_all"),
    (Breach::RevocationEndsAll, "revoke_all"),
    (Breach::RevocationKeepsTheEpoch, "revoke_all"),
    (Breach::RevocationMiscounts, "revoke_all"),
    (Breach::RevocationKeepsNobody, "revoke_all"),
    (Breach::ListTellsOfOthers, "sessions_of"),
    (Breach::ListForgetsOne, "sessions_of"),
    (Breach::ListIsDisowned, "lists no sessions"),
    (Breach::CloseIsFinal, "serves other layers"),
    (Breach::CloseCannotBeRepeated, "serves other layers"),
];

/// The same for a store that renews in two steps.
const BREACHES_IN_TWO_STEPS: &[(Breach, &str)] = &[
    (Breach::RenewStoresNothing, "no reader sees both"),
    (Breach::RenewAsksForNoVersion, "at the version they expect"),
    (Breach::RenewOverwrites, "no reader sees both"),
    (Breach::RenewCreates, "under that id"),
    (Breach::FinishDoesNothing, "no reader sees both"),
    (Breach::FinishAsksForNoVersion, "at the version they expect"),
    (Breach::AbandonLeavesTheNew, "at the version they expect"),
    (Breach::FinishRemovesTheNewBesideAConflict, "at the version they expect"),
    (Breach::FinishCannotBeRepeated, "to repeat"),
    (Breach::LoadOfTheNewLeavesTheOld, "no reader sees both"),
    (Breach::EndOfTheOldLeavesTheNew, "no reader sees both"),
];

#[derive(Clone, Copy, Debug, PartialEq)]
enum Breach {
    None,
    LoadForgetsAPlatform,
    LoadCutsValues,
    LoadsInAnyOrder,
    LoadSkipsWhatIsAbsent,
    CreateOverwrites,
    CreateAnswersSavedAndKeepsTheOld,
    CreateIsInTwoSteps,
    SaveAsksForNoVersion,
    SaveTakesANewerVersion,
    SaveIsInTwoSteps,
    SaveCreates,
    SaveRevives,
    ConflictIsSilent,
    ConflictCarriesTheCallersRecord,
    RenewKeepsTheOld,
    RenewStoresNothing,
    RenewAsksForNoVersion,
    RenewOverwrites,
    RenewCreates,
    RenewKillsBeforeItAsks,
    RenewIsInTwoSteps,
    RenewCanBeDroppedHalfWay,
    FinishDoesNothing,
    FinishAsksForNoVersion,
    AbandonLeavesTheNew,
    FinishRemovesTheNewBesideAConflict,
    FinishCannotBeRepeated,
    LoadOfTheNewLeavesTheOld,
    EndOfTheOldLeavesTheNew,
    MoveIsForgotten,
    MoveChangesTheRecord,
    MoveIsToldOfOneAlone,
    DeleteFollowsNoMove,
    DeleteFollowsOneMove,
    DeleteAlwaysAnswersYes,
    TouchMakesAVersion,
    TouchGoesBack,
    TouchAsksForNoVersion,
    TouchCreates,
    TouchDoesNothing,
    TouchChangesNoActivity,
    DeleteDoesNothing,
    DeleteFailsOnNothing,
    DeleteRemovesAll,
    DeleteIsLate,
    DeleteIfAsksForNoVersion,
    DeleteIfDoesNothing,
    DeleteIfOfNothingIsSaved,
    DeleteIfIsInTwoSteps,
    LoginAsksForNoEpoch,
    LoginAsksForNoVersion,
    LoginIsInTwoSteps,
    LoginKnowsNoLimit,
    LoginEndsTheLatest,
    LoginEndsOthers,
    LoginCountsItsOld,
    RevocationForgetsOne,
    RevocationEndsAll,
    RevocationKeepsTheEpoch,
    RevocationMiscounts,
    RevocationKeepsNobody,
    ListTellsOfOthers,
    ListForgetsOne,
    ListIsDisowned,
    CloseIsFinal,
    CloseCannotBeRepeated,
}

#[test]
fn a_store_that_breaks_any_sentence_does_not_pass() {
    // Whose own hook comes before ours.
    test_support::leak_monitor::start();
    // The panics of this thread are the point; their backtraces are not.
    let this = std::thread::current().id();
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if std::thread::current().id() != this {
            usual(panic);
        }
    }));
    let mut wrong = Vec::new();
    let at_once = BREACHES.iter().map(|breach| (breach, false));
    let in_two_steps = BREACHES_IN_TWO_STEPS.iter().map(|breach| (breach, true));
    for ((breach, word), two_steps) in at_once.chain(in_two_steps) {
        match verdict(*breach, two_steps) {
            None => wrong.push(format!("{breach:?} passed")),
            Some(report) if !report.contains(word) => {
                wrong.push(format!("{breach:?} is reported as: {report}"));
            }
            Some(_) => {}
        }
    }
    for two_steps in [false, true] {
        let sound = verdict(Breach::None, two_steps);
        assert_eq!(sound, None, "the store without a breach, in two steps: {two_steps}");
    }
    drop(std::panic::take_hook());
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn verdict(breach: Breach, two_steps: bool) -> Option<String> {
    // One thread: tasks switch only where a broken store waits between its two steps.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let store = Broken {
        breach,
        records: Mutex::default(),
        dead: Mutex::default(),
        epochs: Mutex::default(),
        turn: tokio::sync::Mutex::default(),
        two_steps,
        begun: Mutex::default(),
        moved: Mutex::default(),
        closed: AtomicBool::default(),
    };
    let checked = || runtime.block_on(conformance(store));
    let panic = catch_unwind(AssertUnwindSafe(checked)).err()?;
    let text = panic.downcast_ref::<String>().cloned();
    Some(text.unwrap_or_else(|| "a panic without a text".into()))
}

/// A small store, sound but for one breach.
struct Broken {
    breach: Breach,
    records: Mutex<HashMap<SessionId, Record>>,
    dead: Mutex<HashMap<SessionId, Record>>,
    epochs: Mutex<HashMap<String, u64>>,
    turn: tokio::sync::Mutex<()>,
    /// Whether `begin_renew` leaves the old record to `finish_renew`.
    two_steps: bool,
    /// The old id of a new one whose second step has not happened.
    begun: Mutex<HashMap<SessionId, SessionId>>,
    /// What sessions were before they moved.
    moved: Mutex<HashMap<SessionId, Record>>,
    closed: AtomicBool,
}

impl Broken {
    fn is(&self, breach: Breach) -> bool {
        self.breach == breach
    }

    fn found(&self, id: &SessionId) -> Option<Record> {
        self.records.lock().unwrap().get(id).cloned()
    }

    fn put(&self, id: &SessionId, record: &Record) {
        self.records.lock().unwrap().insert(*id, record.clone());
    }

    fn kill(&self, id: &SessionId) {
        if let Some(record) = self.records.lock().unwrap().remove(id) {
            self.dead.lock().unwrap().insert(*id, record);
        }
    }

    /// Ends `old`, which lives on as `new`.
    fn leave(&self, old: &SessionId, new: &SessionId) {
        let dead = self.dead.lock().unwrap().get(old).cloned();
        let Some(before) = self.found(old).or(dead) else { return };
        self.kill(old);
        let before = match self.breach {
            Breach::MoveIsForgotten => return,
            Breach::MoveChangesTheRecord => self.found(new).unwrap_or(before),
            _ => before,
        };
        let at = self.clock().now();
        self.moved.lock().unwrap().insert(*old, before.moved(*new, at));
    }

    fn before_move(&self, id: &SessionId) -> Option<Record> {
        self.moved.lock().unwrap().get(id).cloned()
    }

    /// Where the session is that was under `id`.
    fn follow(&self, id: &SessionId) -> SessionId {
        let (mut id, mut moves) = (*id, 0);
        while let Some(before) = self.moved.lock().unwrap().remove(&id) {
            moves += 1;
            match self.breach {
                Breach::DeleteFollowsNoMove => break,
                Breach::DeleteFollowsOneMove if moves > 1 => break,
                _ => id = *before.moved_to().unwrap(),
            }
        }
        id
    }

    /// Lets everybody else go first, if this is the breach.
    async fn waits(&self, breach: Breach) {
        if self.is(breach) {
            tokio::task::yield_now().await;
        }
    }

    /// One writer at a time, where a breach is to be seen only when a future is dropped.
    async fn turn(&self) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        if self.is(Breach::RenewCanBeDroppedHalfWay) { Some(self.turn.lock().await) } else { None }
    }

    fn conflict(&self, current: Record, wanted: &Record) -> SaveOutcome {
        match self.breach {
            Breach::ConflictIsSilent => SaveOutcome::Saved,
            Breach::ConflictCarriesTheCallersRecord => SaveOutcome::Conflict(wanted.clone()),
            _ => SaveOutcome::Conflict(current),
        }
    }

    async fn create(&self, id: &SessionId, record: &Record) -> SaveOutcome {
        let found = self.found(id);
        self.waits(Breach::CreateIsInTwoSteps).await;
        if found.is_some() && self.is(Breach::CreateAnswersSavedAndKeepsTheOld) {
            return SaveOutcome::Saved;
        }
        if found.is_some() && !self.is(Breach::CreateOverwrites) {
            return SaveOutcome::IdInUse;
        }
        self.put(id, record);
        SaveOutcome::Saved
    }

    async fn replace(&self, id: &SessionId, expected: u64, record: &Record) -> SaveOutcome {
        let found = self.found(id);
        self.waits(Breach::SaveIsInTwoSteps).await;
        let Some(current) = found else {
            let was_there = self.dead.lock().unwrap().contains_key(id);
            let revives = was_there && self.is(Breach::SaveRevives);
            if revives || !was_there && self.is(Breach::SaveCreates) {
                self.put(id, record);
                return SaveOutcome::Saved;
            }
            return SaveOutcome::Gone;
        };
        let fits = match self.breach {
            Breach::SaveAsksForNoVersion => true,
            Breach::SaveTakesANewerVersion => current.version() <= expected,
            _ => current.version() == expected,
        };
        if !fits {
            return self.conflict(current, record);
        }
        self.put(id, record);
        SaveOutcome::Saved
    }

    async fn move_to(
        &self,
        old: &SessionId,
        expected: u64,
        new: &SessionId,
        record: &Record,
        two_steps: bool,
    ) -> SaveOutcome {
        let found = self.found(old);
        self.waits(Breach::RenewIsInTwoSteps).await;
        let Some(current) = found else {
            if self.is(Breach::RenewCreates) {
                self.put(new, record);
                return SaveOutcome::Saved;
            }
            return SaveOutcome::Gone;
        };
        if current.version() != expected && !self.is(Breach::RenewAsksForNoVersion) {
            return self.conflict(current, record);
        }
        if self.is(Breach::RenewKillsBeforeItAsks) {
            self.kill(old);
        }
        if self.found(new).is_some() && !self.is(Breach::RenewOverwrites) {
            return SaveOutcome::IdInUse;
        }
        if !self.is(Breach::RenewStoresNothing) {
            self.put(new, record);
        }
        self.waits(Breach::RenewCanBeDroppedHalfWay).await;
        if two_steps {
            self.begun.lock().unwrap().insert(*new, *old);
        } else if !self.is(Breach::RenewKeepsTheOld) {
            self.leave(old, new);
        }
        SaveOutcome::Saved
    }

    /// The second step; by a load at whatever version.
    fn finish(&self, new: &SessionId, expected: Option<u64>) -> SaveOutcome {
        let Some(old) = self.begun.lock().unwrap().remove(new) else {
            let odd = self.two_steps && self.is(Breach::FinishCannotBeRepeated);
            return if odd { SaveOutcome::Gone } else { SaveOutcome::Saved };
        };
        match self.found(&old) {
            None => {
                if !self.is(Breach::EndOfTheOldLeavesTheNew) {
                    self.kill(new);
                }
                SaveOutcome::Gone
            }
            Some(current)
                if expected.is_some_and(|expected| expected != current.version())
                    && !self.is(Breach::FinishAsksForNoVersion) =>
            {
                if self.is(Breach::FinishRemovesTheNewBesideAConflict) {
                    self.kill(new);
                } else {
                    self.begun.lock().unwrap().insert(*new, old);
                }
                SaveOutcome::Conflict(current)
            }
            Some(_) => {
                if !self.is(Breach::FinishDoesNothing) {
                    self.leave(&old, new);
                }
                SaveOutcome::Saved
            }
        }
    }

    async fn sign_in(&self, login: LoginWrite<'_>) -> SaveOutcome {
        let LoginWrite { old, new, record, epoch, limit, .. } = login;
        let user = record.user().unwrap();
        let known = self.epochs.lock().unwrap().get(user).copied().unwrap_or_default();
        let revoked = epoch.is_some_and(|epoch| epoch != known);
        self.waits(Breach::LoginIsInTwoSteps).await;
        if revoked && !self.is(Breach::LoginAsksForNoEpoch) {
            return SaveOutcome::Revoked;
        }
        let made = match old {
            Some((old, _)) if self.is(Breach::LoginAsksForNoVersion) => {
                self.kill(old);
                self.put(new, record);
                SaveOutcome::Saved
            }
            Some((old, expected)) => self.move_to(old, expected, new, record, false).await,
            None => self.create(new, record).await,
        };
        if let (SaveOutcome::Saved, Some(limit)) = (&made, limit)
            && !self.is(Breach::LoginKnowsNoLimit)
        {
            let counts = usize::from(old.is_some() && self.is(Breach::LoginCountsItsOld));
            self.make_room(user, new, limit.get() as usize - 1 - counts);
        }
        made
    }

    fn make_room(&self, user: &str, new: &SessionId, kept: usize) {
        let records = self.records.lock().unwrap().clone();
        let theirs = |record: &Record| record.user() == Some(user);
        let elses = self.is(Breach::LoginEndsOthers);
        let mut others: Vec<_> = records
            .into_iter()
            .filter(|(id, record)| id != new && (elses || theirs(record)))
            .map(|(id, record)| (record.created(), id))
            .collect();
        others.sort();
        if !self.is(Breach::LoginEndsTheLatest) {
            others.reverse();
        }
        others.iter().skip(kept).for_each(|(_, id)| self.kill(id));
    }

    fn list(&self, user: &str) -> Vec<(SessionId, Record)> {
        let all = self.is(Breach::ListTellsOfOthers);
        let records = self.records.lock().unwrap().clone();
        let theirs = records.into_iter().filter(|(_, record)| all || record.user() == Some(user));
        let mut listed: Vec<_> = theirs.collect();
        if self.is(Breach::ListForgetsOne) {
            listed.pop();
        }
        listed
    }

    fn revoke(&self, user: &str, keep: Option<&SessionId>) -> u64 {
        if !self.is(Breach::RevocationKeepsTheEpoch) {
            *self.epochs.lock().unwrap().entry(user.to_owned()).or_default() += 1;
        }
        let records = self.records.lock().unwrap().clone();
        let all = self.is(Breach::RevocationEndsAll);
        let theirs = records.iter().filter(|(_, record)| all || record.user() == Some(user));
        let mut ids: Vec<_> = theirs.map(|(id, _)| *id).collect();
        if !self.is(Breach::RevocationKeepsNobody) {
            ids.retain(|id| keep != Some(id));
        }
        let count = ids.len() as u64;
        if self.is(Breach::RevocationForgetsOne) {
            ids.pop();
        }
        ids.iter().for_each(|id| self.kill(id));
        if self.is(Breach::RevocationMiscounts) { count + 1 } else { count }
    }

    fn touch_now(&self, id: &SessionId, version: u64, activity: Touch) -> bool {
        let Some(record) = self.found(id) else {
            if self.is(Breach::TouchCreates) {
                self.put(id, &Record::example());
            }
            return false;
        };
        if record.version() != version && !self.is(Breach::TouchAsksForNoVersion) {
            return false;
        }
        let mut touched = record.clone();
        let newer = touched.touch(activity);
        match self.breach {
            Breach::TouchDoesNothing => return true,
            Breach::TouchChangesNoActivity => {
                let last_activity = record.last_activity();
                touched = record;
                let Touch { idle_deadline, end, .. } = activity;
                touched.touch(Touch::new(last_activity, idle_deadline, end));
            }
            Breach::TouchMakesAVersion => {
                let bytes = touched.to_bytes();
                touched = Record::from_bytes(version + 1, bytes.into()).unwrap();
            }
            Breach::TouchGoesBack if !newer => {
                let mut bytes = record.to_bytes();
                bytes[20..28].copy_from_slice(&activity.idle_deadline.as_millis().to_be_bytes());
                touched = Record::from_bytes(version, bytes.into()).unwrap();
            }
            _ => {}
        }
        self.put(id, &touched);
        newer
    }
}

impl Store for Broken {
    fn load<'a>(&'a self, id: &'a SessionId) -> StoreFuture<'a, Option<Record>> {
        Box::pin(async move {
            if !self.is(Breach::LoadOfTheNewLeavesTheOld) {
                let _ = self.finish(id, None);
            }
            let Some(record) = self.found(id) else { return Ok(self.before_move(id)) };
            let bytes = record.to_bytes();
            let bytes = match self.breach {
                // The platform of the suite's records, as the format has it, becomes none.
                Breach::LoadForgetsAPlatform => {
                    let platform = b"\0\x0aa platform";
                    let at = bytes.windows(12).position(|part| part == platform);
                    at.map_or(bytes.clone(), |at| {
                        let (head, len, values) =
                            (&bytes[..at - 4], &bytes[at - 4..at], &bytes[at + 12..]);
                        let len = u32::from_be_bytes(len.try_into().unwrap()) - 10;
                        [head, &len.to_be_bytes(), b"\xff\xff", values].concat()
                    })
                }
                Breach::LoadCutsValues => match bytes.len() {
                    50_000.. => Record::example().to_bytes(),
                    _ => bytes,
                },
                _ => bytes,
            };
            Record::from_bytes(record.version(), bytes.into()).map(Some)
        })
    }

    fn load_many<'a>(
        &'a self,
        ids: &'a [SessionId],
    ) -> StoreFuture<'a, Vec<Result<Option<Record>, tower_redis_session::Error>>> {
        Box::pin(async move {
            let before =
                |id| self.before_move(id).filter(|_| !self.is(Breach::MoveIsToldOfOneAlone));
            let find = |id| Ok(self.found(id).or_else(|| before(id)));
            let mut found: Vec<_> = ids.iter().map(find).collect();
            match self.breach {
                Breach::LoadsInAnyOrder => found.rotate_left(1),
                Breach::LoadSkipsWhatIsAbsent => found.retain(|one| !matches!(one, Ok(None))),
                _ => {}
            }
            Ok(found)
        })
    }

    fn save<'a>(
        &'a self,
        id: &'a SessionId,
        expected: Expected,
        record: &'a Record,
    ) -> StoreFuture<'a, SaveOutcome> {
        Box::pin(async move {
            let _turn = self.turn().await;
            if self.is(Breach::CloseIsFinal) && self.closed.load(Ordering::SeqCst) {
                return Err(tower_redis_session::Error::unavailable("the store is closed"));
            }
            Ok(match expected {
                Expected::Absent => self.create(id, record).await,
                Expected::Version(version) => self.replace(id, version, record).await,
            })
        })
    }

    fn begin_renew<'a>(
        &'a self,
        old: &'a SessionId,
        expected: u64,
        new: &'a SessionId,
        record: &'a Record,
    ) -> StoreFuture<'a, SaveOutcome> {
        Box::pin(async move {
            let _turn = self.turn().await;
            Ok(self.move_to(old, expected, new, record, self.two_steps).await)
        })
    }

    fn finish_renew<'a>(
        &'a self,
        _: &'a SessionId,
        expected: u64,
        new: &'a SessionId,
    ) -> StoreFuture<'a, SaveOutcome> {
        Box::pin(async move { Ok(self.finish(new, Some(expected))) })
    }

    fn abandon_renew<'a>(&'a self, _: &'a SessionId, new: &'a SessionId) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let begun = self.begun.lock().unwrap().remove(new).is_some();
            if begun && !self.is(Breach::AbandonLeavesTheNew) {
                self.kill(new);
            }
            Ok(())
        })
    }

    fn touch<'a>(
        &'a self,
        id: &'a SessionId,
        version: u64,
        activity: Touch,
    ) -> StoreFuture<'a, bool> {
        Box::pin(async move { Ok(self.touch_now(id, version, activity)) })
    }

    fn delete_version<'a>(
        &'a self,
        id: &'a SessionId,
        expected: u64,
    ) -> StoreFuture<'a, SaveOutcome> {
        Box::pin(async move {
            let _turn = self.turn().await;
            let found = self.found(id);
            self.waits(Breach::DeleteIfIsInTwoSteps).await;
            let Some(current) = found else {
                let of_nothing = self.is(Breach::DeleteIfOfNothingIsSaved);
                return Ok(if of_nothing { SaveOutcome::Saved } else { SaveOutcome::Gone });
            };
            if current.version() != expected && !self.is(Breach::DeleteIfAsksForNoVersion) {
                return Ok(self.conflict(current.clone(), &current));
            }
            if !self.is(Breach::DeleteIfDoesNothing) {
                self.kill(id);
            }
            Ok(SaveOutcome::Saved)
        })
    }

    fn delete<'a>(&'a self, id: &'a SessionId) -> StoreFuture<'a, bool> {
        Box::pin(async move {
            let _turn = self.turn().await;
            let id = &self.follow(id);
            let there = self.found(id).is_some();
            match self.breach {
                Breach::DeleteDoesNothing => {}
                Breach::DeleteFailsOnNothing if !there => {
                    return Err(tower_redis_session::Error::unavailable("nothing to delete"));
                }
                Breach::DeleteRemovesAll => self.records.lock().unwrap().clear(),
                Breach::DeleteIsLate => {
                    // Answers, and does its work at the next question but one.
                    let late = std::mem::take(&mut *self.dead.lock().unwrap());
                    for id in late.keys() {
                        self.records.lock().unwrap().remove(id);
                    }
                    if let Some(record) = self.found(id) {
                        self.dead.lock().unwrap().insert(*id, record);
                    }
                }
                _ => self.kill(id),
            }
            Ok(there || self.is(Breach::DeleteAlwaysAnswersYes))
        })
    }

    fn close(&self) -> StoreFuture<'_, ()> {
        let again = self.closed.swap(true, Ordering::SeqCst);
        let refused = again && self.is(Breach::CloseCannotBeRepeated);
        let error = || tower_redis_session::Error::unavailable("the store is closed");
        Box::pin(std::future::ready(if refused { Err(error()) } else { Ok(()) }))
    }
}

impl UserStore for Broken {
    fn revocation_epoch<'a>(&'a self, user: &'a str) -> StoreFuture<'a, u64> {
        let epoch = self.epochs.lock().unwrap().get(user).copied().unwrap_or_default();
        Box::pin(async move { Ok(epoch) })
    }

    fn login<'a>(&'a self, login: LoginWrite<'a>) -> StoreFuture<'a, SaveOutcome> {
        Box::pin(async move { Ok(self.sign_in(login).await) })
    }

    fn sessions_of<'a>(&'a self, user: &'a str) -> StoreFuture<'a, Vec<(SessionId, Record)>> {
        Box::pin(async move { Ok(self.list(user)) })
    }

    fn revoke_all<'a>(
        &'a self,
        user: &'a str,
        keep: Option<&'a SessionId>,
    ) -> StoreFuture<'a, u64> {
        Box::pin(async move { Ok(self.revoke(user, keep)) })
    }

    fn lists_sessions(&self) -> bool {
        !self.is(Breach::ListIsDisowned)
    }
}
