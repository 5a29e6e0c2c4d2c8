//! Storage of session records: the [`Store`] and [`UserStore`] traits, for authors of stores.
//!
//! The stores themselves, `DurableStore`, [`RedisStore`](crate::RedisStore), `DatabaseStore` and
//! [`MemoryStore`](crate::MemoryStore), are in the crate's root. To write another:
//!
//! 1. Implement [`Store`]: six methods that read and write records.
//! 2. Implement [`UserStore`], if the store can keep an index of each user's sessions. Otherwise
//!    wrap it in [`WithoutUsers`].
//! 3. Run `testing::conformance` (feature `testing`) against it in a test.
//!
//! Layers share a store through `Arc`: `Arc<S>` is a store where `S` is one.
//!
//! # Example
//!
//! A complete store in memory. One lock makes each write atomic.
//!
//! ```
//! use std::{
//!     cmp::Reverse,
//!     collections::HashMap,
//!     future::ready,
//!     sync::{Mutex, MutexGuard},
//!     time::Duration,
//! };
//! use tower_redis_session::{
//!     RedisSessionLayer, SessionId, Timestamp,
//!     clock::Clock,
//!     store::{Expected, LoginWrite, Record, SaveOutcome, Store, StoreFuture, Touch, UserStore},
//! };
//!
//! #[derive(Default)]
//! struct Sessions {
//!     /// Under the old id of a session that has moved, for a minute: the record from before.
//!     records: HashMap<SessionId, Record>,
//!     /// When those were moved.
//!     moved: HashMap<SessionId, Timestamp>,
//!     epochs: HashMap<String, u64>,
//! }
//!
//! impl Sessions {
//!     fn current(&self, id: &SessionId, version: u64) -> Result<(), SaveOutcome> {
//!         match self.records.get(id).filter(|record| record.moved_to().is_none()) {
//!             Some(found) if found.version() == version => Ok(()),
//!             Some(found) => Err(SaveOutcome::Conflict(found.clone())),
//!             None => Err(SaveOutcome::Gone),
//!         }
//!     }
//!
//!     fn create(&mut self, id: &SessionId, record: &Record) -> Result<(), SaveOutcome> {
//!         if self.records.contains_key(id) {
//!             return Err(SaveOutcome::IdInUse);
//!         }
//!         self.records.insert(*id, record.clone());
//!         Ok(())
//!     }
//!
//!     fn renew(
//!         &mut self,
//!         old: &SessionId,
//!         expected: u64,
//!         new: &SessionId,
//!         record: &Record,
//!     ) -> Result<(), SaveOutcome> {
//!         self.current(old, expected)?;
//!         self.create(new, record)?;
//!         let at = Clock::system().now();
//!         self.moved.insert(*old, at);
//!         self.records.entry(*old).and_modify(|before| *before = before.clone().moved(*new, at));
//!         Ok(())
//!     }
//!
//!     fn login(&mut self, login: LoginWrite<'_>) -> Result<(), SaveOutcome> {
//!         let user = login.record.user().unwrap_or_default();
//!         if login.epoch.is_some_and(|epoch| epoch != self.epoch(user)) {
//!             return Err(SaveOutcome::Revoked);
//!         }
//!         match login.old {
//!             Some((old, expected)) => self.renew(old, expected, login.new, login.record)?,
//!             None => self.create(login.new, login.record)?,
//!         }
//!         if let Some(limit) = login.limit {
//!             let mut others = self.sessions_of(user);
//!             others.retain(|(id, _)| id != login.new);
//!             others.sort_by_key(|(_, record)| Reverse(record.created()));
//!             for (oldest, _) in others.iter().skip(limit.get() as usize - 1) {
//!                 self.records.remove(oldest);
//!             }
//!         }
//!         Ok(())
//!     }
//!
//!     fn epoch(&self, user: &str) -> u64 {
//!         self.epochs.get(user).copied().unwrap_or_default()
//!     }
//!
//!     fn sessions_of(&self, user: &str) -> Vec<(SessionId, Record)> {
//!         let records = self.records.iter().filter(|(_, record)| record.moved_to().is_none());
//!         let theirs = records.filter(|(_, record)| record.user() == Some(user));
//!         theirs.map(|(id, record)| (*id, record.clone())).collect()
//!     }
//! }
//!
//! #[derive(Default)]
//! struct HashMapStore(Mutex<Sessions>);
//!
//! impl HashMapStore {
//!     /// Without what has expired. A larger store removes it in the background.
//!     fn sessions(&self) -> MutexGuard<'_, Sessions> {
//!         let mut sessions = self.0.lock().unwrap();
//!         let now = self.clock().now();
//!         let Sessions { records, moved, .. } = &mut *sessions;
//!         let minute = Duration::from_secs(60);
//!         moved.retain(|_, at| at.saturating_add(minute) > now);
//!         records.retain(|id, record| {
//!             record.end() > now && (record.moved_to().is_none() || moved.contains_key(id))
//!         });
//!         sessions
//!     }
//! }
//!
//! fn done<'a, T: Send + 'a>(value: T) -> StoreFuture<'a, T> {
//!     Box::pin(ready(Ok(value)))
//! }
//!
//! fn outcome<'a>(result: Result<(), SaveOutcome>) -> StoreFuture<'a, SaveOutcome> {
//!     done(result.err().unwrap_or(SaveOutcome::Saved))
//! }
//!
//! impl Store for HashMapStore {
//!     fn load<'a>(&'a self, id: &'a SessionId) -> StoreFuture<'a, Option<Record>> {
//!         done(self.sessions().records.get(id).cloned())
//!     }
//!
//!     fn save<'a>(
//!         &'a self,
//!         id: &'a SessionId,
//!         expected: Expected,
//!         record: &'a Record,
//!     ) -> StoreFuture<'a, SaveOutcome> {
//!         let mut sessions = self.sessions();
//!         outcome(match expected {
//!             Expected::Absent => sessions.create(id, record),
//!             Expected::Version(version) => sessions.current(id, version).map(|()| {
//!                 sessions.records.insert(*id, record.clone());
//!             }),
//!         })
//!     }
//!
//!     fn begin_renew<'a>(
//!         &'a self,
//!         old: &'a SessionId,
//!         expected: u64,
//!         new: &'a SessionId,
//!         record: &'a Record,
//!     ) -> StoreFuture<'a, SaveOutcome> {
//!         outcome(self.sessions().renew(old, expected, new, record))
//!     }
//!
//!     fn touch<'a>(
//!         &'a self,
//!         id: &'a SessionId,
//!         version: u64,
//!         activity: Touch,
//!     ) -> StoreFuture<'a, bool> {
//!         let mut sessions = self.sessions();
//!         let current = sessions.current(id, version).is_ok();
//!         let record = sessions.records.get_mut(id).filter(|_| current);
//!         done(record.is_some_and(|record| record.touch(activity)))
//!     }
//!
//!     fn delete<'a>(&'a self, id: &'a SessionId) -> StoreFuture<'a, bool> {
//!         let (mut sessions, mut id) = (self.sessions(), *id);
//!         while let Some(to) = sessions.records.get(&id).and_then(Record::moved_to) {
//!             id = *to;
//!         }
//!         done(sessions.records.remove(&id).is_some())
//!     }
//!
//!     fn delete_version<'a>(
//!         &'a self,
//!         id: &'a SessionId,
//!         at: u64,
//!     ) -> StoreFuture<'a, SaveOutcome> {
//!         let mut sessions = self.sessions();
//!         outcome(sessions.current(id, at).map(|()| {
//!             sessions.records.remove(id);
//!         }))
//!     }
//! }
//!
//! impl UserStore for HashMapStore {
//!     fn revocation_epoch<'a>(&'a self, user: &'a str) -> StoreFuture<'a, u64> {
//!         done(self.sessions().epoch(user))
//!     }
//!
//!     fn login<'a>(&'a self, login: LoginWrite<'a>) -> StoreFuture<'a, SaveOutcome> {
//!         outcome(self.sessions().login(login))
//!     }
//!
//!     fn sessions_of<'a>(&'a self, user: &'a str) -> StoreFuture<'a, Vec<(SessionId, Record)>> {
//!         done(self.sessions().sessions_of(user))
//!     }
//!
//!     fn revoke_all<'a>(
//!         &'a self,
//!         user: &'a str,
//!         keep: Option<&'a SessionId>,
//!     ) -> StoreFuture<'a, u64> {
//!         let mut sessions = self.sessions();
//!         *sessions.epochs.entry(user.to_owned()).or_default() += 1;
//!         let mut theirs = sessions.sessions_of(user);
//!         theirs.retain(|(id, _)| Some(id) != keep);
//!         for (id, _) in &theirs {
//!             sessions.records.remove(id);
//!         }
//!         done(theirs.len() as u64)
//!     }
//! }
//!
//! let layer = RedisSessionLayer::builder(HashMapStore::default()).build()?;
//! # drop(layer);
//! # #[cfg(feature = "testing")]
//! # fn check() {
//! #     use tower_redis_session::{store::WithoutUsers, testing::conformance};
//! #     let runtime = tokio::runtime::Runtime::new().unwrap();
//! #     runtime.block_on(conformance(HashMapStore::default()));
//! #     runtime.block_on(conformance(WithoutUsers::new(HashMapStore::default())));
//! # }
//! # #[cfg(feature = "testing")]
//! # check();
//! # Ok::<(), tower_redis_session::ConfigError>(())
//! ```

// | file | holds |
// |---|---|
// | `contract` | `Store`: the trait that every store implements |
// | `user_contract` | `UserStore`: a store that keeps an index of each user's sessions |
// | `without_users` | `WithoutUsers`: the adaptor for a store that keeps none |
// | `forward` | a store behind an `Arc` |
// | `login` | `LoginWrite`: the parameters of a sign-in |
// | `future` | the future of a store's methods |
// | `attempt_contract` | `AttemptStore`: where a limiter counts failed attempts |
// | `attempts` | pure: rows of failed attempts, and the decision on the next one |
// | `audit` | what the command `validate` needs of a store |
// | `certificates` | certificates for TLS, and why a handshake fails |
// | `credentials` | `ServerCredentials`: user name and password of a server, by a function |
// | `cursor` | position in an enumeration, for the command line |
// | `maintenance` | what the command line needs of a store beyond its contract |
// | `outcome` | `Expected` and `SaveOutcome`: the condition of a write and its result |
// | `availability` | availability of a store that serves alone |
// | `memory` | `MemoryStore`: the reference model, for tests |
// | `redis` | `RedisStore`, and the copies in front of a database |
// | `database` | `DatabaseStore` on SQLite or PostgreSQL |
// | `durable` | `DurableStore`: a database with Redis in front |

mod attempt_contract;
pub(crate) mod attempts;
#[cfg(feature = "cli")]
pub(crate) mod audit;
#[cfg(any(feature = "redis", feature = "_database"))]
pub(crate) mod availability;
#[cfg(any(feature = "redis", feature = "_database"))]
mod certificates;
mod contract;
#[cfg(any(feature = "redis", feature = "_database"))]
mod credentials;
#[cfg(feature = "cli")]
pub(crate) mod cursor;
#[cfg(feature = "_database")]
#[cfg_attr(not(feature = "redis"), allow(dead_code, unused_imports, reason = "for Durable"))]
pub(crate) mod database;
#[cfg(all(feature = "redis", feature = "_database"))]
pub(crate) mod durable;
mod forward;
mod future;
mod login;
#[cfg(feature = "cli")]
pub(crate) mod maintenance;
pub(crate) mod memory;
mod outcome;
#[cfg(feature = "redis")]
pub(crate) mod redis;
mod user_contract;
mod without_users;

pub use crate::session::placement::Placement;
pub use crate::session::record::{Record, Touch};
pub use crate::store::attempt_contract::AttemptStore;
pub use crate::store::attempts::{AttemptOutcome, AttemptWrite};
pub use crate::store::contract::Store;
#[cfg(any(feature = "redis", feature = "_database"))]
pub use crate::store::credentials::ServerCredentials;
#[cfg(all(feature = "sqlx-pool", feature = "_database"))]
pub use crate::store::database::DatabasePool;
pub use crate::store::future::StoreFuture;
pub use crate::store::login::LoginWrite;
pub use crate::store::memory::attempts::AttemptTable;
pub use crate::store::outcome::{Expected, SaveOutcome};
pub use crate::store::user_contract::UserStore;
pub use crate::store::without_users::WithoutUsers;
