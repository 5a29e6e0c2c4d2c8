//! `Maintenance` of a database with Redis in front.
//!
//! Sessions are those of the database. Redis is observed over connections of its own, which never
//! invalidate copies: a command with another prefix or another Redis than the service's must not
//! cost its users their copies. Only commands that change sessions use the store itself.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::{
    clock::{
        Clock,
        compared::{Compared, Whose},
        moment::Moment,
        uptime::Uptime,
    },
    error::{ConfigError, Error},
    session::{page::SessionCursor, record::Record, token::SessionId},
    store::{
        StoreFuture, UserStore,
        audit::Audit,
        cursor::Cursor,
        database::{Database, DatabaseConfig, maintenance as rows},
        durable::DurableStore,
        maintenance::{
            Checked, CopiesStatus, Enumeration, Found, Maintenance, Page, Part, Removed, Status,
            Stored, Tables,
        },
        outcome::clocks_differ,
        redis::{
            RedisConfig,
            client::{greet::Greeter, incarnation::Incarnation},
            copies::{Cache, Found as Copy},
            maintenance::address,
        },
    },
};

/// Journal rows that a status counts.
const PENDING_MAX: usize = 1_000;

/// How long copies are not read after Redis was unavailable: a walk does not wait for it again at
/// each page.
const PAUSE: Duration = Duration::from_secs(10);

/// A `DurableStore`, and its Redis without an effect on the copies.
pub(crate) struct DurableMaintenance {
    pub(super) store: DurableStore,
    pub(super) redis: Cache,
    pub(super) compared: Compared,
    redis_address: String,
    /// Until when copies are not read.
    paused_until: Mutex<Option<Moment>>,
    uptime: Uptime,
}

impl DurableMaintenance {
    /// Opens no connection.
    pub(crate) fn new(
        redis: RedisConfig,
        database: DatabaseConfig,
        strict: bool,
    ) -> Result<Self, ConfigError> {
        let (redis_address, compared) = (address(&redis)?, Compared::default());
        let observer = Arc::new(Observer::default());
        let clock = Clock::system().beside(&compared);
        let observed = Cache::new(&redis, observer, clock, compared.clone(), Duration::ZERO)?;
        let builder = DurableStore::builder(redis, database);
        let store = if strict { builder.strict() } else { builder }.build()?;
        let (paused_until, uptime) = (Mutex::default(), Uptime::default());
        Ok(Self { store, redis: observed, compared, redis_address, paused_until, uptime })
    }

    pub(super) fn database(&self) -> &Database {
        self.store.engine.database()
    }

    async fn check_each(&self) -> Vec<Checked> {
        let redis = async {
            let _ = self.redis.link().await?;
            self.redis.check().await
        };
        let (database, redis) = tokio::join!(self.database().check(), redis);
        if self.database().has_a_clock() && database.is_ok() {
            let asked = self.compared.uptime();
            if let Ok(polled) = self.database().poll(0).await {
                self.compared.note(Whose::Database, polled.now, asked);
            }
        }
        let beyond = self.compared.beyond_check();
        let clocks = beyond.map_or(Ok(()), |(whose, seconds)| Err(clocks_differ(whose, seconds)));
        [("database", database), ("redis", redis), ("clocks", clocks)]
            .map(|(part, result)| Checked { part, result })
            .into()
    }

    async fn each_status(&self) -> Status {
        let (database, redis) = tokio::join!(
            rows::status(self.database()),
            self.redis.status(self.redis_address.clone())
        );
        let copies = self.copies().await.ok().filter(|_| database.schema.is_some());
        Status { redis: Some(redis), database: Some(database), copies }
    }

    async fn copies(&self) -> Result<CopiesStatus, Error> {
        let polled = self.database().poll(PENDING_MAX).await?;
        let link = self.redis.link().await.ok();
        let of_this_redis =
            link.map(|link| *polled.epoch.incarnation == *link.peer().incarnation().as_str());
        let generation = format!("{:016x}", polled.epoch.generation);
        Ok(CopiesStatus { generation, of_this_redis, pending: polled.journal.len() })
    }

    /// The rows, with the activity of their copies, or the allowance for what may be lost.
    async fn newest(&self, ids: &[SessionId]) -> Result<Vec<Found>, Error> {
        let mut found = rows::find_each(self.database(), ids).await?;
        let copies = self.copies_of(ids).await.into_iter();
        let copies = copies.chain(std::iter::repeat(None));
        let (engine, now) = (&self.store.engine, self.store.engine.clock().now());
        for (stored, copy) in found.iter_mut().zip(copies) {
            let Ok(Some(Stored { record, .. })) = stored else { continue };
            let copy = copy.filter(|(copy, _)| copy.version() == record.version());
            if let Some((copy, behind)) = copy {
                let _ = record.touch(copy.activity());
                if !behind {
                    // Its activity is the latest: what has expired by it has expired.
                    continue;
                }
            }
            record.allow_for_late_activity(now, |idle| engine.touch_interval(idle));
        }
        Ok(found)
    }

    /// The copies under these ids, each with whether it may lack activity. Only the activity is
    /// used: one that is not trusted says nothing wrong about the version that it has. Empty while
    /// Redis is unavailable.
    async fn copies_of(&self, ids: &[SessionId]) -> Vec<Option<(Record, bool)>> {
        let paused = *self.paused_until.lock().unwrap_or_else(PoisonError::into_inner);
        if paused.is_some_and(|until| until > self.uptime.now()) {
            return Vec::new();
        }
        let asked = async {
            let epoch = self.database().poll(0).await?.epoch;
            let mut link = self.redis.link().await?;
            // Another run of Redis may have lost activity.
            let is_of_epoch = *epoch.incarnation == *link.peer().incarnation().as_str();
            let found = link.get_many(epoch.generation, ids).await;
            found.map(|found| (found, is_of_epoch)).map_err(|fault| fault.error)
        };
        match asked.await {
            Ok((copies, is_of_epoch)) => {
                let record = |copy| match copy {
                    Copy::Copy { record, behind } => Some((record, behind || !is_of_epoch)),
                    Copy::Nothing | Copy::Absent | Copy::Unreadable => None,
                };
                copies.into_iter().map(record).collect()
            }
            Err(error) => {
                tracing::warn!(%error, "copies not read: activity is that of the database");
                let until = self.uptime.now().after(PAUSE);
                *self.paused_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
                Vec::new()
            }
        }
    }

    /// A page of rows, with the allowance for activity that has not reached the database.
    async fn page_of_rows(&self, after: Option<&Cursor>, part: Part) -> Result<Page, Error> {
        let mut page = rows::page(self.database(), after, part).await?;
        let (engine, now) = (&self.store.engine, self.store.engine.clock().now());
        for record in page.sessions.iter_mut().filter_map(|(_, record)| record.as_mut().ok()) {
            record.allow_for_late_activity(now, |idle| engine.touch_interval(idle));
        }
        Ok(page)
    }
}

impl Enumeration for DurableMaintenance {
    fn store(&self) -> &dyn UserStore {
        &self.store
    }

    fn page<'a>(&'a self, after: Option<&'a Cursor>, part: Part) -> StoreFuture<'a, Page> {
        Box::pin(self.page_of_rows(after, part))
    }

    fn user_page<'a>(
        &'a self,
        user: &'a str,
        after: Option<&'a SessionCursor>,
        limit: usize,
    ) -> StoreFuture<'a, Vec<(SessionId, Record)>> {
        Box::pin(self.store.engine.sessions_page(user, after, limit))
    }
}

impl Maintenance for DurableMaintenance {
    fn check(&self) -> Pin<Box<dyn Future<Output = Vec<Checked>> + Send + '_>> {
        Box::pin(self.check_each())
    }

    fn status(&self) -> Pin<Box<dyn Future<Output = Status> + Send + '_>> {
        Box::pin(self.each_status())
    }

    fn find<'a>(&'a self, id: &'a SessionId) -> StoreFuture<'a, Option<Record>> {
        Box::pin(rows::find(self.database(), id))
    }

    fn find_each<'a>(&'a self, ids: &'a [SessionId]) -> StoreFuture<'a, Vec<Found>> {
        Box::pin(self.newest(ids))
    }

    fn purge(&self) -> StoreFuture<'_, Option<Removed>> {
        let longer = self.store.engine.parameters.stretch;
        Box::pin(async move { rows::purge(self.database(), longer).await.map(Some) })
    }

    fn tables(&self) -> Option<Tables> {
        Some(self.database().tables())
    }

    fn schema_version(&self) -> StoreFuture<'_, Option<i64>> {
        Box::pin(self.database().schema_version())
    }

    fn audit(&self) -> &dyn Audit {
        self
    }
}

/// Accepts every Redis: what is read here is never used for a session.
#[derive(Default)]
struct Observer(Uptime);

impl Greeter for Observer {
    fn greet<'a>(&'a self, _: &'a Incarnation) -> StoreFuture<'a, ()> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn vouches(&self, _: &Incarnation) -> bool {
        true
    }

    fn reconnected(&self) {}

    fn now(&self) -> Moment {
        self.0.now()
    }
}
