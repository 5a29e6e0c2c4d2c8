//! The set-up: two instances behind proxies of their own to one Redis and one PostgreSQL, all
//! of which can be killed and started again.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::history::{Place, SITES, Site};
use super::visit::visit;
use crate::two_instances::{Instance, Settings, Status, migrate};
use test_support::{COOKIE, Database, Gate, PgProxy, PostgresServer, RedisServer, RespProxy};

/// The longest that it may take until all is well after the last fault; some tenths of a second
/// where the machine is not busy.
const RECOVERY: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub struct World {
    pub redis: RedisServer,
    pub postgres: &'static PostgresServer,
    pub database: Database,
    pub to_redis: [RespProxy; 2],
    pub to_database: [PgProxy; 2],
    pub settings: [Settings; 2],
    instances: [Mutex<Option<Instance>>; 2],
    places: Mutex<HashMap<Place, Arc<tokio::sync::Mutex<()>>>>,
}

impl World {
    pub async fn start(postgres: &'static PostgresServer, strict: bool, stretch: u64) -> Self {
        let redis = RedisServer::start().await;
        let database = postgres.database().await;
        migrate(&database.url()).await;
        let addr = redis.addr();
        let to_redis = [RespProxy::start(addr).await, RespProxy::start(addr).await];
        let addr = postgres.addr();
        let to_database = [PgProxy::start(addr).await, PgProxy::start(addr).await];
        let settings = SITES.map(|site| {
            let redis = redis.durable_url_at(to_redis[site.index()].addr().port());
            let database = database.url_through(to_database[site.index()].port());
            Settings {
                poll_interval: 100,
                poll_timeout: 250,
                lease: 400,
                redis_timeout: 150,
                database_timeout: 400,
                budget: 900,
                touch_interval: 300,
                strict,
                stretch,
                ..Settings::new(redis, database)
            }
        });
        let (instances, places) = <_>::default();
        let world =
            Self { redis, postgres, database, to_redis, to_database, settings, instances, places };
        for site in SITES {
            world.launch(site);
        }
        world
    }

    /// Blocks until it listens.
    pub fn launch(&self, site: Site) {
        let instance = Instance::start(&self.settings[site.index()]);
        *self.instances[site.index()].lock().unwrap() = Some(instance);
    }

    /// Where the instance listens, unless it was killed.
    pub fn addr(&self, site: Site) -> Option<SocketAddr> {
        let instance = self.instances[site.index()].lock().unwrap();
        instance.as_ref().map(|instance| instance.process.addr())
    }

    /// Blocks until it is gone.
    pub fn kill(&self, site: Site) {
        let instance = self.instances[site.index()].lock().unwrap().take();
        if let Some(instance) = instance {
            instance.kill();
        }
    }

    /// Blocks until the instance stands still, or until it goes on.
    pub fn hang(&self, site: Site, hangs: bool) {
        let instance = self.instances[site.index()].lock().unwrap();
        match (&*instance, hangs) {
            (Some(instance), true) => instance.process.hang(),
            (Some(instance), false) => instance.process.resume(),
            (None, _) => {}
        }
    }

    /// One fault at a time in one place.
    pub async fn turn_at(&self, place: Place) -> tokio::sync::OwnedMutexGuard<()> {
        let turn = Arc::clone(self.places.lock().unwrap().entry(place).or_default());
        turn.lock_owned().await
    }

    pub fn heal_proxies(&self) {
        for proxy in &self.to_redis {
            proxy.forget_rules();
            proxy.cut_every_reply(0);
            proxy.set(Gate::Pass);
        }
        for proxy in &self.to_database {
            proxy.forget_rules();
            proxy.cut_every_reply(0);
            proxy.set(Gate::Pass);
        }
    }

    /// Waits until both instances believe Redis and nothing is left to be told; else says what is.
    pub async fn comes_to_rest(&self) -> Result<(), String> {
        let start = Instant::now();
        loop {
            let rest = self.is_at_rest().await;
            if rest.is_ok() || start.elapsed() > RECOVERY {
                return rest;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn is_at_rest(&self) -> Result<(), String> {
        for site in SITES {
            let addr = self.addr(site).ok_or("an instance is gone")?;
            // A request that needs the store starts what goes on in the background.
            let nobody = format!("{COOKIE}={}", "A".repeat(43));
            let _ = visit(addr, "/user", Some(&nobody)).await;
            let told = visit(addr, "/!status", None).await.map_err(|_| "an instance is gone")?;
            let status: Status = serde_json::from_str(&told.text()).unwrap();
            if !(status.believed && status.redis && status.database) {
                return Err(format!("{site:?} is not well: {status:?}"));
            }
        }
        let journal = self.database.try_sql("SELECT count(*) FROM trs_journal").await?;
        if journal != "0" {
            return Err(format!("{journal} rows are left in the journal"));
        }
        let keys = self.redis.keys().await;
        match keys.iter().find(|(_, ttl)| *ttl < 0) {
            Some((key, _)) => Err(format!("{key} has no end")),
            None => Ok(()),
        }
    }
}
