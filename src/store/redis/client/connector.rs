//! Connector: socket, authentication, clock, scripts, and identity of the server.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Instant,
};

use redis::{
    AsyncConnectionConfig, Cmd, FromRedisValue as _, ProtocolVersion, RedisConnectionInfo,
    aio::MultiplexedConnection,
};

use crate::{
    clock::{
        compared::{Compared, Whose},
        timestamp::Timestamp,
    },
    error::{ConfigError, Error},
    store::redis::client::{
        authentication::Authentication,
        config::RedisConfig,
        connection::{Connection, Driver},
        endpoint::{Endpoint, Stream},
        failure::{Failure, named},
        gathered_writes::GatheredWrites,
        greet::Greeter,
        health::{ConnectionHealth, Ended},
        incarnation::{Incarnation, Peer, field, silent},
        limits::Limits,
        replicas::Confirmation,
        script::Script,
        sentinel::open::Sentinels,
        target::Target,
    },
};

/// Maximum number of queued commands per connection; further senders wait.
const PIPELINE: usize = 1024;

/// Opens connections for the pool.
pub(in crate::store::redis) struct Connector {
    lead: Lead,
    authentication: Authentication,
    pub(in crate::store::redis) limits: Limits,
    generation: Arc<AtomicU64>,
    scripts: &'static [Script],
    whole_scripts: Arc<AtomicBool>,
    greeter: Option<Arc<dyn Greeter>>,
    pub(in crate::store::redis) compared: Compared,
    in_cluster: bool,
    /// How ends of sessions are confirmed, if they are.
    confirmation: Option<Arc<Confirmation>>,
    /// Location of our keys in a server: database and prefix.
    place: String,
    /// Whether no connection is opened, to try an outage.
    #[cfg(feature = "cli")]
    pub(super) cut: AtomicBool,
}

/// Where connections lead.
#[derive(Clone, Debug)]
enum Lead {
    Server(Endpoint),
    Sentinel(Arc<Sentinels>),
}

impl Connector {
    pub(in crate::store::redis) fn new(
        config: &RedisConfig,
        scripts: &'static [Script],
        greeter: Option<Arc<dyn Greeter>>,
        compared: Compared,
    ) -> Result<Self, ConfigError> {
        let limits = config.limits()?;
        let prefix = config.checked_prefix()?;
        let (target, authentication) = config.target()?;
        let place = format!("{}/{prefix}", authentication.database());
        let (generation, whole_scripts) = <(Arc<AtomicU64>, _)>::default();
        let lead = match target {
            Target::Server(endpoint) => Lead::Server(endpoint),
            Target::Sentinel(deployment) => {
                let generation = Arc::clone(&generation);
                let limit = limits.connect_timeout;
                Lead::Sentinel(Arc::new(Sentinels::new(*deployment, limit, generation)))
            }
        };
        Ok(Self {
            lead,
            authentication,
            limits,
            generation,
            scripts,
            whole_scripts,
            greeter,
            compared,
            in_cluster: config.is_of_a_cluster(),
            confirmation: None,
            place,
            #[cfg(feature = "cli")]
            cut: AtomicBool::new(false),
        })
    }

    /// Its connections lead to the server of the `other`. With Sentinel they share its watch, and
    /// so are left together with those.
    pub(in crate::store::redis) fn beside(self, other: &Self) -> Self {
        Self { lead: other.lead.clone(), ..self }
    }

    /// Its connections know the replicas of their server.
    pub(in crate::store::redis) fn confirming(self, confirmation: &Arc<Confirmation>) -> Self {
        Self { confirmation: Some(Arc::clone(confirmation)), ..self }
    }

    pub(in crate::store::redis) fn scripts(&self) -> &'static [Script] {
        self.scripts
    }

    /// A new connection, within its time limit.
    pub(in crate::store::redis) async fn connect(&self) -> Result<Connection, Error> {
        let opened = tokio::time::timeout(self.limits.connect_timeout, self.open()).await;
        opened.unwrap_or_else(|_| {
            Err(Error::unavailable(if self.authentication.is_awaited() {
                "the function for the redis credentials did not return in time"
            } else {
                "redis did not accept the connection in time"
            }))
        })
    }

    /// Whether another command may be sent over it.
    pub(in crate::store::redis) fn is_good(&self, connection: &Connection) -> bool {
        let vouched = match (&self.greeter, &connection.peer) {
            (Some(greeter), Some(peer)) => greeter.vouches(peer.incarnation()),
            _ => true,
        };
        !connection.is_broken() && vouched
    }

    /// The sentinels, if they name the server.
    pub(in crate::store::redis) fn sentinels(&self) -> Option<&Sentinels> {
        match &self.lead {
            Lead::Server(_) => None,
            Lead::Sentinel(sentinels) => Some(sentinels),
        }
    }

    /// Reports that there is a connection again.
    pub(in crate::store::redis) fn reconnected(&self) {
        if let Some(greeter) = &self.greeter {
            greeter.reconnected();
        }
    }

    async fn open(&self) -> Result<Connection, Error> {
        #[cfg(feature = "cli")]
        if self.cut.load(Ordering::Relaxed) {
            return Err(Error::unavailable("the connections to redis are cut on purpose"));
        }
        match &self.lead {
            Lead::Server(endpoint) => {
                let health = ConnectionHealth::new(&self.generation);
                self.prepared(self.signed_in(endpoint, health).await?).await
            }
            Lead::Sentinel(sentinels) => {
                sentinels.open(|endpoint, health| self.open_primary(endpoint, health)).await
            }
        }
    }

    /// A connection to a server that is said to be a primary; `None` if it is a replica.
    async fn open_primary(
        &self,
        endpoint: Endpoint,
        health: ConnectionHealth,
    ) -> Result<Option<Connection>, Error> {
        let mut connection = self.signed_in(&endpoint, health).await?;
        let replication = section(&mut connection, "replication").await?;
        if field(&replication, "role") != Some("master") {
            return Ok(None);
        }
        self.prepared(connection).await.map(Some)
    }

    async fn signed_in(
        &self,
        endpoint: &Endpoint,
        health: ConnectionHealth,
    ) -> Result<Connection, Error> {
        let mut connection = self.over(endpoint.connect().await?, Arc::new(health)).await?;
        self.authentication.sign_in(&mut connection).await?;
        Ok(connection)
    }

    async fn prepared(&self, mut connection: Connection) -> Result<Connection, Error> {
        self.measure_clock(&mut connection).await?;
        self.tell_scripts(&mut connection).await?;
        if let Some(confirmation) = &self.confirmation {
            connection.read_replicas(confirmation).await?;
        }
        if let Some(greeter) = &self.greeter {
            // Before its first use; its age counts from before the question.
            let asked_at = greeter.now();
            let server = section(&mut connection, "server").await?;
            let replication = section(&mut connection, "replication").await?;
            let incarnation = Incarnation::parse(&server, &replication, &self.place)?;
            greeter.greet(&incarnation).await?;
            connection.peer = Some(Arc::new(Peer::new(incarnation, asked_at)));
        }
        Ok(connection)
    }

    async fn measure_clock(&self, connection: &mut Connection) -> Result<(), Error> {
        // Together with the identity; separate commands, since in a pipeline the library reports
        // the cause of a failure only if every command got a reply.
        connection.asked_time = Instant::now();
        let asked = self.compared.uptime();
        let time = connection.ask("TIME", &redis::cmd("TIME")).await?;
        let told = redis::from_redis_value::<(u64, u64)>(time);
        let (seconds, micros) = told.map_err(|error| Failure::of(error.into()).error)?;
        connection.server_millis = seconds.saturating_mul(1000).saturating_add(micros / 1000);
        let theirs = Timestamp::from_millis(connection.server_millis);
        self.compared.note(Whose::Redis, theirs, asked);
        Ok(())
    }

    /// Authenticates itself: the library hides the server's reply.
    async fn over(
        &self,
        stream: Box<dyn Stream>,
        health: Arc<ConnectionHealth>,
    ) -> Result<Connection, Error> {
        let config = AsyncConnectionConfig::new()
            .set_pipeline_buffer_size(PIPELINE)
            .set_response_timeout(Some(self.limits.command_timeout));
        // One command fewer that an ACL user must be allowed.
        let nobody = RedisConnectionInfo::default()
            .set_protocol(ProtocolVersion::RESP2)
            .set_skip_set_lib_name();
        let stream = GatheredWrites::new(stream, Arc::clone(&health));
        let opened = MultiplexedConnection::new_with_config(&nobody, stream, config).await;
        let (inner, driver) = opened.map_err(|error| Failure::of(error).error)?;
        let driver = tokio::spawn(Ended(Arc::clone(&health)).after(driver));
        Ok(Connection {
            inner,
            health,
            asked_time: Instant::now(),
            server_millis: 0,
            peer: None,
            whole_scripts: Arc::clone(&self.whole_scripts),
            in_cluster: self.in_cluster,
            driver: Arc::new(Driver::new(driver.abort_handle(), self.limits.command_timeout)),
        })
    }

    async fn tell_scripts(&self, connection: &mut Connection) -> Result<(), Error> {
        if self.scripts.is_empty() || self.whole_scripts.load(Ordering::Relaxed) {
            return Ok(());
        }
        let loads: Vec<Cmd> = self.scripts.iter().map(|script| script.load()).collect();
        let told = connection.send_all(&loads).await.map_err(|failure| failure.error)?;
        match told.into_iter().find_map(Result::err) {
            None => Ok(()),
            // Each call finds out which form the server supports.
            Some(failure) if failure.no_hashes => Ok(()),
            Some(failure) => Err(named(failure.error, "SCRIPT LOAD")),
        }
    }
}

/// One section of `INFO`.
pub(in crate::store::redis) async fn section(
    connection: &mut Connection,
    name: &'static str,
) -> Result<String, Error> {
    let answer = connection.ask("INFO", redis::cmd("INFO").arg(name)).await?;
    String::from_redis_value(answer).map_err(|_| silent())
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("lead", &self.lead).finish_non_exhaustive()
    }
}
