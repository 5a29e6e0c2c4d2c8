//! A memory store that fails, waits and loses answers as a test tells it, and a small site on it.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::sync::Semaphore;
use tower_redis_session::{
    Error, MemoryStore, SessionId,
    clock::{Clock, ManualClock},
    store::{
        AttemptOutcome, AttemptStore, AttemptTable, AttemptWrite, Expected, LoginWrite, Record,
        SaveOutcome, Store, StoreFuture, Touch, UserStore,
    },
    telemetry::Events,
};

mod visit;

pub use visit::{Answered, Failure, Visitor, answer, cookie_of, full, session_of};

/// The longest wait at a gate: it turns a hang into a failure. Nothing is measured with it.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a store is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Load,
    LoadEach,
    Create,
    /// A sign-in that is held to an epoch or a limit; not among the [`calls`](FaultyStore::calls).
    Login,
    Save,
    Renew,
    Touch,
    DeleteIf,
    Delete,
    /// A call of a limiter.
    Attempt,
}

/// What goes wrong with one call.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Answers an error and does nothing.
    Fails,
    /// Does its work and answers an error.
    FailsAfter,
    /// Does nothing, and says that it may have.
    Unknown,
    /// Does its work, and says that it may have.
    UnknownAfter,
    /// Says that it may have done its work, and does it later: see [`Fault::LandsFirst`].
    UnknownLate,
    /// Everything that is late happens; then the call goes its way.
    LandsFirst,
    /// Stands at the gate before it does its work.
    Before(Gate),
    /// Stands at the gate after it did its work, before it answers.
    After(Gate),
}

/// A place where a call waits for the test.
#[derive(Clone, Debug)]
pub struct Gate(Arc<(Semaphore, Semaphore)>);

impl Gate {
    pub fn new() -> Self {
        Self(Arc::new((Semaphore::new(0), Semaphore::new(0))))
    }

    /// Waits until a call stands here; fails the test if none ever comes.
    pub async fn arrived(&self) {
        let arrived = tokio::time::timeout(PATIENCE, self.0.0.acquire()).await;
        arrived.expect("no call came to its gate").unwrap().forget();
    }

    /// Lets one call go on.
    pub fn open(&self) {
        self.0.1.add_permits(1);
    }

    /// What stands here does: tells that it is here, and waits.
    pub async fn pass(&self) {
        self.0.0.add_permits(1);
        let opened = tokio::time::timeout(PATIENCE, self.0.1.acquire()).await;
        opened.expect("nobody opened a gate").unwrap().forget();
    }
}

/// The store. Clones are one store; those that are [`sound`](Self::sound) have no faults.
#[derive(Clone)]
pub struct FaultyStore {
    shared: Arc<Shared>,
    faulty: bool,
    events: Option<Events>,
}

struct Shared {
    memory: MemoryStore,
    attempts: AttemptTable,
    faults: Mutex<Vec<(Op, Fault)>>,
    calls: Mutex<Vec<Op>>,
    done: Mutex<Vec<Op>>,
    late: Mutex<Vec<Late>>,
    yields: AtomicBool,
}

type Late = Pin<Box<dyn Future<Output = ()> + Send>>;

impl FaultyStore {
    pub fn new() -> Self {
        Self::on(MemoryStore::new())
    }

    pub fn with_clock(clock: &ManualClock) -> Self {
        Self::on(MemoryStore::with_clock(clock.clock()))
    }

    fn on(memory: MemoryStore) -> Self {
        let shared = Shared {
            attempts: AttemptTable::new(memory.clock()),
            memory,
            faults: Mutex::default(),
            calls: Mutex::default(),
            done: Mutex::default(),
            late: Mutex::default(),
            yields: AtomicBool::new(false),
        };
        Self { shared: Arc::new(shared), faulty: true, events: None }
    }

    /// The same records without faults and without waiting: another process.
    pub fn sound(&self) -> Self {
        Self { faulty: false, ..self.clone() }
    }

    /// The same, whose layers share this sink.
    pub fn with_events(&self, events: &Events) -> Self {
        Self { events: Some(events.clone()), ..self.clone() }
    }

    /// The next call of this kind that has no fault yet gets this one.
    pub fn fault(&self, op: Op, fault: Fault) {
        self.shared.faults.lock().unwrap().push((op, fault));
    }

    /// The next call of this kind stands at the gate before it does its work.
    pub fn hold(&self, op: Op) -> Gate {
        let gate = Gate::new();
        self.fault(op, Fault::Before(gate.clone()));
        gate
    }

    /// Every call is pending once before it does its work and once before it answers.
    pub fn yields(&self, yields: bool) {
        self.shared.yields.store(yields, Ordering::SeqCst);
    }

    /// The calls since the last time this was asked, whether they came to an end or not.
    pub fn calls(&self) -> Vec<Op> {
        self.shared.done.lock().unwrap().clear();
        std::mem::take(&mut *self.shared.calls.lock().unwrap())
    }

    /// The calls since [`calls`](Self::calls) that did their work.
    pub fn done(&self) -> Vec<Op> {
        self.shared.done.lock().unwrap().clone()
    }

    /// Faults that no call has met.
    pub fn faults_left(&self) -> usize {
        self.shared.faults.lock().unwrap().len()
    }

    /// How many sessions are alive.
    pub fn len(&self) -> usize {
        self.shared.memory.len()
    }

    /// Rows of failed attempts.
    pub fn attempt_rows(&self) -> usize {
        self.shared.attempts.len()
    }

    /// Everything that is late happens now.
    pub async fn land(&self) {
        let late = std::mem::take(&mut *self.shared.late.lock().unwrap());
        for one in late {
            one.await;
        }
    }

    /// One call: `act` does the work on the memory store, when it is run.
    async fn call<T>(
        &self,
        op: Op,
        act: impl Future<Output = Result<T, Error>> + Send,
        unknown: impl FnOnce() -> Option<T>,
        later: impl FnOnce() -> Late,
    ) -> Result<T, Error> {
        if !self.faulty {
            return act.await;
        }
        let lost = || Error::unavailable("the test loses this answer");
        let fault = self.next_fault(op);
        self.pause().await;
        match &fault {
            Some(Fault::Fails) => return Err(lost()),
            Some(Fault::Unknown) => return unknown().ok_or_else(lost),
            Some(Fault::UnknownLate) => {
                self.shared.late.lock().unwrap().push(later());
                return unknown().ok_or_else(lost);
            }
            Some(Fault::LandsFirst) => self.land().await,
            Some(Fault::Before(gate)) => gate.pass().await,
            _ => {}
        }
        let result = act.await;
        self.shared.done.lock().unwrap().push(op);
        self.pause().await;
        match fault {
            Some(Fault::FailsAfter) => Err(lost()),
            Some(Fault::UnknownAfter) => unknown().ok_or_else(lost),
            Some(Fault::After(gate)) => {
                gate.pass().await;
                result
            }
            _ => result,
        }
    }

    fn next_fault(&self, op: Op) -> Option<Fault> {
        let mut faults = self.shared.faults.lock().unwrap();
        let at = faults.iter().position(|(of, _)| *of == op)?;
        Some(faults.remove(at).1)
    }

    async fn pause(&self) {
        let mut pending = self.shared.yields.load(Ordering::SeqCst);
        std::future::poll_fn(|context| {
            if std::mem::take(&mut pending) {
                context.waker().wake_by_ref();
                return std::task::Poll::Pending;
            }
            std::task::Poll::Ready(())
        })
        .await;
    }

    fn note(&self, op: Op) {
        if self.faulty {
            self.shared.calls.lock().unwrap().push(op);
        }
    }
}

fn unknown() -> Option<SaveOutcome> {
    Some(SaveOutcome::Unknown(Error::unavailable("the test loses this answer")))
}

fn never() -> Late {
    Box::pin(async {})
}

impl Store for FaultyStore {
    fn load<'a>(&'a self, id: &'a SessionId) -> StoreFuture<'a, Option<Record>> {
        self.note(Op::Load);
        let act = async move { self.shared.memory.load(id).await };
        Box::pin(self.call(Op::Load, act, || None, never))
    }

    fn load_many<'a>(
        &'a self,
        ids: &'a [SessionId],
    ) -> StoreFuture<'a, Vec<Result<Option<Record>, Error>>> {
        self.note(Op::LoadEach);
        let act = async move { self.shared.memory.load_many(ids).await };
        Box::pin(self.call(Op::LoadEach, act, || None, never))
    }

    fn save<'a>(
        &'a self,
        id: &'a SessionId,
        expected: Expected,
        record: &'a Record,
    ) -> StoreFuture<'a, SaveOutcome> {
        let op = if expected == Expected::Absent { Op::Create } else { Op::Save };
        self.note(op);
        let act = async move { self.shared.memory.save(id, expected, record).await };
        let (shared, id, record) = (Arc::clone(&self.shared), *id, record.clone());
        let later = move || -> Late {
            Box::pin(async move { drop(shared.memory.save(&id, expected, &record).await) })
        };
        Box::pin(self.call(op, act, unknown, later))
    }

    fn begin_renew<'a>(
        &'a self,
        old: &'a SessionId,
        expected: u64,
        new: &'a SessionId,
        record: &'a Record,
    ) -> StoreFuture<'a, SaveOutcome> {
        self.note(Op::Renew);
        let act = async move { self.shared.memory.begin_renew(old, expected, new, record).await };
        let (shared, old, new, record) = (Arc::clone(&self.shared), *old, *new, record.clone());
        let later = move || -> Late {
            Box::pin(async move {
                drop(shared.memory.begin_renew(&old, expected, &new, &record).await);
            })
        };
        Box::pin(self.call(Op::Renew, act, unknown, later))
    }

    fn touch<'a>(
        &'a self,
        id: &'a SessionId,
        version: u64,
        activity: Touch,
    ) -> StoreFuture<'a, bool> {
        self.note(Op::Touch);
        let act = async move { self.shared.memory.touch(id, version, activity).await };
        Box::pin(self.call(Op::Touch, act, || None, never))
    }

    fn delete_version<'a>(
        &'a self,
        id: &'a SessionId,
        expected: u64,
    ) -> StoreFuture<'a, SaveOutcome> {
        self.note(Op::DeleteIf);
        let act = async move { self.shared.memory.delete_version(id, expected).await };
        let (shared, id) = (Arc::clone(&self.shared), *id);
        let later = move || -> Late {
            Box::pin(async move { drop(shared.memory.delete_version(&id, expected).await) })
        };
        Box::pin(self.call(Op::DeleteIf, act, unknown, later))
    }

    fn delete<'a>(&'a self, id: &'a SessionId) -> StoreFuture<'a, bool> {
        self.note(Op::Delete);
        // The memory store acts when it is asked, so it is asked late.
        let act = async move { self.shared.memory.delete(id).await };
        let (shared, id) = (Arc::clone(&self.shared), *id);
        let later =
            move || -> Late { Box::pin(async move { drop(shared.memory.delete(&id).await) }) };
        Box::pin(self.call(Op::Delete, act, || None, later))
    }

    fn clock(&self) -> Clock {
        self.shared.memory.clock()
    }

    fn events(&self) -> Events {
        self.events.clone().unwrap_or_default()
    }

    fn attempts(&self) -> Option<&dyn AttemptStore> {
        Some(self)
    }
}

impl AttemptStore for FaultyStore {
    fn write<'a>(&'a self, write: &'a AttemptWrite) -> StoreFuture<'a, AttemptOutcome> {
        self.note(Op::Attempt);
        let act = async move { self.shared.attempts.write(write).await };
        Box::pin(self.call(Op::Attempt, act, || None, never))
    }
}

impl UserStore for FaultyStore {
    /// Never at fault.
    fn revocation_epoch<'a>(&'a self, user: &'a str) -> StoreFuture<'a, u64> {
        self.shared.memory.revocation_epoch(user)
    }

    /// A create or a renewal, with their faults.
    fn login<'a>(&'a self, login: LoginWrite<'a>) -> StoreFuture<'a, SaveOutcome> {
        match login.old {
            _ if login.epoch.is_some() || login.limit.is_some() => {
                let act = async move { self.shared.memory.login(login).await };
                Box::pin(self.call(Op::Login, act, unknown, never))
            }
            Some((old, expected)) => self.begin_renew(old, expected, login.new, login.record),
            None => self.save(login.new, Expected::Absent, login.record),
        }
    }

    fn sessions_of<'a>(&'a self, user: &'a str) -> StoreFuture<'a, Vec<(SessionId, Record)>> {
        self.shared.memory.sessions_of(user)
    }

    fn revoke_all<'a>(
        &'a self,
        user: &'a str,
        keep: Option<&'a SessionId>,
    ) -> StoreFuture<'a, u64> {
        self.shared.memory.revoke_all(user, keep)
    }
}
