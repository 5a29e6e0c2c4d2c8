//! The set-up: two instances behind proxies of their own to a Redis, and to a PostgreSQL where they
//! have one, all of which can be killed and started again.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use super::history::{Place, SITES, Site, tag_of};
use super::schedule::Deed;
use super::servers::{Bed, Servers, Ways};
use super::visit::visit;
use crate::two_instances::{Instance, Settings, Status, migrate};
use test_support::{COOKIE, Database, Gate, Interceptor, PgProxy, PostgresServer, Wire};

/// The longest that it may take until all is well after the last fault; some tenths of a second
/// where the machine is not busy.
const RECOVERY: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub struct World {
    pub bed: Bed,
    pub servers: Servers,
    pub ways: Ways,
    pub truth: Option<Truth>,
    pub settings: [Settings; 2],
    instances: [Mutex<Option<Instance>>; 2],
    places: Mutex<HashMap<Place, Arc<tokio::sync::Mutex<()>>>>,
    /// Of each user: see [`World::learn_tags`].
    tags: OnceLock<Vec<String>>,
    /// The node that is the primary of each shard, after the failovers of the plan.
    primaries: Mutex<Vec<usize>>,
}

/// A database, and the way of each instance to it.
#[derive(Debug)]
pub struct Truth {
    pub server: &'static PostgresServer,
    pub database: Database,
    pub ways: [PgProxy; 2],
}

impl Truth {
    async fn start(server: &'static PostgresServer) -> Self {
        let database = server.database().await;
        migrate(&database.url()).await;
        let addr = server.addr();
        let ways = [PgProxy::start(addr).await, PgProxy::start(addr).await];
        Self { server, database, ways }
    }
}

impl World {
    /// With a database where the bed is durable.
    pub async fn start(
        bed: Bed,
        postgres: Option<&'static PostgresServer>,
        change: impl Fn(&mut Settings),
    ) -> Self {
        let servers = bed.start().await;
        let ways = Ways::start(&servers).await;
        let truth = match postgres.filter(|_| bed.is_durable()) {
            Some(postgres) => Some(Truth::start(postgres).await),
            None => None,
        };
        let settings = SITES.map(|site| {
            let (redis, deployment) = ways.deployment(&servers, site);
            let through =
                |truth: &Truth| truth.database.url_through(truth.ways[site.index()].port());
            let database = truth.as_ref().map(through).unwrap_or_default();
            let mut settings = Settings {
                deployment,
                poll_interval: 100,
                poll_timeout: 250,
                lease: 400,
                redis_timeout: if bed.is_durable() { 150 } else { 250 },
                database_timeout: 400,
                budget: 900,
                touch_interval: 300,
                ..Settings::new(redis, database)
            };
            change(&mut settings);
            settings
        });
        let primaries = Mutex::new((0..bed.shards().max(1)).collect());
        let (instances, places, tags) = <_>::default();
        let world =
            Self { bed, servers, ways, truth, settings, instances, places, tags, primaries };
        for site in SITES {
            world.launch(site);
        }
        world
    }

    pub fn truth(&self) -> &Truth {
        self.truth.as_ref().expect("a bed with a database")
    }

    /// The ends of the ids and tokens of these users, which say in which slots they are.
    pub async fn learn_tags(&self, users: &[String]) -> &[String] {
        let mut tags = Vec::new();
        for user in users {
            tags.push(self.tag(user).await);
        }
        self.tags.get_or_init(|| tags)
    }

    pub fn tags(&self) -> &[String] {
        self.tags.get().expect("tags that were learned")
    }

    /// Whether a replica that takes over so may miss what was acknowledged.
    pub fn loses_by(&self, deed: Deed) -> bool {
        !(self.bed == Bed::Cluster && deed == Deed::Switch)
    }

    /// By the plan.
    pub fn replaced(&self, shard: usize, by: usize) {
        self.primaries.lock().unwrap()[shard] = by;
    }

    /// Whether another failover has happened: the machine was so busy that a server looked dead.
    pub async fn was_replaced_unplanned(&self) -> bool {
        let planned = self.primaries.lock().unwrap().clone();
        for (shard, node) in planned.into_iter().enumerate() {
            if self.servers.primary(shard).await.port() != self.servers.nodes()[node].port() {
                return true;
            }
        }
        false
    }

    async fn tag(&self, user: &str) -> String {
        let addr = self.addr(Site::A).expect("an instance");
        for _ in 0..100 {
            let seen = visit(addr, &format!("/login:{user}"), None).await.unwrap();
            let line =
                seen.headers.get(http::header::SET_COOKIE).map(|line| line.to_str().unwrap());
            if let Some((_, token)) = line.and_then(|line| line.split(';').next()?.split_once('='))
            {
                return tag_of(token).to_owned();
            }
        }
        panic!("no sign-in of {user} on a bed that is well");
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
        self.ways.all().for_each(heal);
        self.truth.iter().flat_map(|truth| &truth.ways).for_each(heal);
    }

    /// Waits until both instances use Redis and nothing is left to be told; else says what is.
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
        if let Some(truth) = &self.truth {
            let journal = truth.database.try_sql("SELECT count(*) FROM trs_journal").await?;
            if journal != "0" {
                return Err(format!("{journal} rows are left in the journal"));
            }
        }
        match self.servers.eternal().await {
            Some(key) => Err(format!("{key} has no end")),
            None => Ok(()),
        }
    }
}

fn heal<W: Wire>(proxy: &Interceptor<W>) {
    proxy.forget_rules();
    proxy.cut_every_reply(0);
    proxy.set(Gate::Pass);
}
