//! Sentinels for one test: a primary with its replicas, and who watches them. Gone when dropped.
//!
//! ```ignore
//! let sentinels = Sentinels::start().await;
//! let old = sentinels.primary().await;
//! sentinels.kill_primary().await;
//! sentinels.wait_until_ok().await;
//! assert_ne!(sentinels.primary().await, old);
//! ```

use std::collections::BTreeMap;
use std::net::SocketAddr;

use futures_util::future::join_all;
use redis::RedisResult;

use super::authority::{Authority, Identity};
use super::free_port::free_port;
use super::redis_launch::Kind;
use super::redis_server::Builder;
use super::{RedisServer, copying, eventually};

/// The name of the primary.
const NAME: &str = "main";

/// The guard of the servers and the sentinels. Servers are named by their numbers: the primary of
/// the start is 0.
#[derive(Debug)]
pub struct Sentinels {
    servers: Vec<RedisServer>,
    sentinels: Vec<RedisServer>,
    tls_ports: Vec<u16>,
}

/// What they are started with.
#[derive(Debug)]
#[must_use]
pub struct SentinelsBuilder {
    version: Option<String>,
    replicas: usize,
    sentinels: usize,
    server_args: Vec<(String, String)>,
    server_password: Option<String>,
    args: Vec<(String, String)>,
    password: Option<String>,
    tls: Option<(Identity, String)>,
}

impl SentinelsBuilder {
    /// Of servers and sentinels: see [`Builder::version`].
    pub fn version(mut self, name: &str) -> Self {
        self.version = Some(name.to_owned());
        self
    }

    /// Defaults to 1. A sentinel may need ten seconds to find more.
    pub fn replicas(mut self, count: usize) -> Self {
        self.replicas = count;
        self
    }

    /// Defaults to 3, of which 2 decide.
    pub fn sentinels(mut self, count: usize) -> Self {
        self.sentinels = count;
        self
    }

    /// See [`Builder::arg`]; for the servers.
    pub fn server_arg(mut self, name: &str, value: &str) -> Self {
        self.server_args.push((name.to_owned(), value.to_owned()));
        self
    }

    /// See [`Builder::requirepass`]; for the servers, and known to all.
    pub fn server_password(mut self, password: &str) -> Self {
        self.server_password = Some(password.to_owned());
        self
    }

    /// See [`Builder::arg`]; for the sentinels: `.arg("--user", "app on >secret
    /// +sentinel|master")`.
    pub fn arg(mut self, name: &str, value: &str) -> Self {
        self.args.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Of the sentinels' default user; they know it of each other.
    pub fn requirepass(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self
    }

    /// The sentinels have a TLS port each as well: see [`Sentinels::tls_addrs`].
    pub fn tls(mut self, identity: &Identity, authority: &Authority) -> Self {
        let ca = authority.file().to_str().unwrap().to_owned();
        self.tls = Some((identity.clone(), ca));
        self
    }

    /// Returns when every sentinel knows the others and the replicas.
    pub async fn start(self) -> Sentinels {
        let primary = self.server().start().await;
        let replicas = (0..self.replicas).map(|_| self.server().replica_of(&primary).start());
        let mut servers = join_all(replicas).await;
        for replica in &servers {
            replica.has_all_of(&primary).await;
        }
        let tls_ports: Vec<_> = match self.tls {
            Some(_) => (0..self.sentinels).map(|_| free_port()).collect(),
            None => Vec::new(),
        };
        let sentinels = (0..self.sentinels)
            .map(|number| self.sentinel(&primary, tls_ports.get(number)).start());
        let sentinels = join_all(sentinels).await;
        servers.insert(0, primary);
        let all = Sentinels { servers, sentinels, tls_ports };
        all.wait_until_ok().await;
        all
    }

    fn server(&self) -> Builder {
        let mut server = copying();
        if let Some(version) = &self.version {
            server = server.version(version);
        }
        if let Some(password) = &self.server_password {
            server = server.requirepass(password).arg("--masterauth", password);
        }
        for (name, value) in &self.server_args {
            server = server.arg(name, value);
        }
        server
    }

    fn sentinel(&self, primary: &RedisServer, tls_port: Option<&u16>) -> Builder {
        let quorum = self.sentinels / 2 + 1;
        let watch = format!("monitor {NAME} 127.0.0.1 {} {quorum}", primary.port());
        let mut sentinel = RedisServer::builder()
            .kind(Kind::sentinel())
            .arg("--sentinel", &watch)
            .arg("--sentinel", &format!("down-after-milliseconds {NAME} 500"))
            .arg("--sentinel", &format!("failover-timeout {NAME} 2000"));
        if let Some(version) = &self.version {
            sentinel = sentinel.version(version);
        }
        if let Some(password) = &self.server_password {
            sentinel = sentinel.arg("--sentinel", &format!("auth-pass {NAME} {password}"));
        }
        if let Some(password) = &self.password {
            sentinel = sentinel.requirepass(password);
            sentinel = sentinel.arg("--sentinel", &format!("sentinel-pass {password}"));
        }
        if let (Some(port), Some((identity, ca))) = (tls_port, &self.tls) {
            sentinel = sentinel
                .arg("--tls-port", &port.to_string())
                .arg("--tls-cert-file", identity.certificate_file.to_str().unwrap())
                .arg("--tls-key-file", identity.key_file.to_str().unwrap())
                .arg("--tls-ca-cert-file", ca)
                .arg("--tls-auth-clients", "no");
        }
        for (name, value) in &self.args {
            sentinel = sentinel.arg(name, value);
        }
        sentinel
    }
}

impl Sentinels {
    /// A primary, a replica and three sentinels, of the system's version.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    pub fn builder() -> SentinelsBuilder {
        SentinelsBuilder {
            version: None,
            replicas: 1,
            sentinels: 3,
            server_args: Vec::new(),
            server_password: None,
            args: Vec::new(),
            password: None,
            tls: None,
        }
    }

    /// Of the primary, for sentinels.
    pub fn name(&self) -> &'static str {
        NAME
    }

    pub fn server(&self, number: usize) -> &RedisServer {
        &self.servers[number]
    }

    /// To kill, hang and resume it.
    pub fn sentinel(&self, number: usize) -> &RedisServer {
        &self.sentinels[number]
    }

    /// Of the sentinels.
    pub fn addrs(&self) -> Vec<SocketAddr> {
        self.sentinels.iter().map(RedisServer::addr).collect()
    }

    /// Of the sentinels, where they speak TLS.
    pub fn tls_addrs(&self) -> Vec<SocketAddr> {
        self.tls_ports.iter().map(|port| ([127, 0, 0, 1], *port).into()).collect()
    }

    /// The number of the primary that most sentinels name.
    pub async fn primary(&self) -> usize {
        let named = self.named().await;
        let count = |port: &u16| named.iter().filter(|other| *other == port).count();
        let most = named.iter().max_by_key(|port| count(port)).expect("a sentinel that answers");
        let is = |server: &RedisServer| server.port() == *most;
        self.servers.iter().position(is).expect("a primary of ours")
    }

    pub async fn primary_addr(&self) -> SocketAddr {
        self.server(self.primary().await).addr()
    }

    /// Another server takes over as planned; its number. The old primary becomes a replica, some
    /// seconds later.
    pub async fn fail_over(&self) -> usize {
        let old = self.primary().await;
        let mut connection = self.sentinels[0].connection().await;
        eventually("a sentinel that agrees to a failover", async || {
            let mut order = redis::cmd("SENTINEL");
            order.arg("FAILOVER").arg(NAME);
            // It refuses while it knows of no replica that is fit.
            let begun: RedisResult<()> = order.query_async(&mut connection).await;
            begun.is_ok()
        })
        .await;
        self.switched_from(old).await
    }

    /// Kills the primary at once, and waits until another has taken over; its number.
    pub async fn kill_primary(&self) -> usize {
        let old = self.primary().await;
        self.servers[old].kill();
        self.switched_from(old).await
    }

    /// Waits until all sentinels that answer name another primary, which is one; its number.
    pub async fn switched_from(&self, old: usize) -> usize {
        let old = self.servers[old].port();
        eventually("sentinels that name another primary", async || {
            let named = self.named().await;
            let new = named.first().filter(|new| **new != old);
            new.is_some_and(|new| named.iter().all(|port| port == new))
        })
        .await;
        let new = self.primary().await;
        let mut connection = self.servers[new].connection().await;
        eventually("a server that is primary", async || {
            let role: redis::Value = redis::cmd("ROLE").query_async(&mut connection).await.unwrap();
            format!("{role:?}").contains("master")
        })
        .await;
        new
    }

    /// Waits until every sentinel that answers knows the other sentinels, and a replica that is fit
    /// for each server but the primary.
    pub async fn wait_until_ok(&self) {
        eventually("sentinels that know each other and the replicas", async || {
            let known = join_all(self.sentinels.iter().map(knows)).await;
            let known: Vec<_> = known.into_iter().flatten().collect();
            let is = |facts: &BTreeMap<String, String>, name: &str, least: usize| {
                let number = facts.get(name).and_then(|text| text.parse::<usize>().ok());
                number.is_some_and(|number| number >= least)
            };
            !known.is_empty()
                && known.iter().all(|facts| {
                    facts.get("flags").is_some_and(|flags| flags == "master")
                        && is(facts, "num-slaves", self.servers.len() - 1)
                        && is(facts, "num-other-sentinels", self.sentinels.len() - 1)
                })
        })
        .await;
    }

    /// The ports of the primaries that the sentinels name which answer.
    async fn named(&self) -> Vec<u16> {
        let asked = join_all(self.sentinels.iter().map(knows)).await;
        let ports = asked.into_iter().flatten().filter_map(|facts| facts.get("port")?.parse().ok());
        ports.collect()
    }
}

/// What a sentinel knows of the primary; none for one that was killed or hangs.
async fn knows(sentinel: &RedisServer) -> Option<BTreeMap<String, String>> {
    let client = redis::Client::open(sentinel.admin_url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.ok()?;
    let mut ask = redis::cmd("SENTINEL");
    ask.arg("MASTER").arg(NAME);
    ask.query_async(&mut connection).await.ok()
}
