//! What a request costs the server, next to servers that do no more than they must.
//!
//! Each server is a process of its own: this binary, started again for one purpose. All have the
//! same runtime, the same hyper and 64 keep-alive connections from this process. Only the CPU time
//! of the server process is counted, so the load generator and Redis do not matter, and only
//! ratios within one run mean anything. The servers take turns, many times, in changing order, and
//! a ratio is the median over the rounds of the ratio in one round. Two processes of the same
//! server differ by up to 2 %, for as long as they live, so each is started anew several times.
//!
//! ```text
//! cargo bench --bench http_ratio                       two worker threads
//! cargo bench --bench http_ratio -- --workers 0        a runtime on one thread
//! cargo bench --bench http_ratio -- --sittings 2       less exact, sooner done
//! cargo bench --bench http_ratio -- --clusters         clusters of 1, 3 and 6 primaries beside one server
//! cargo bench --bench http_ratio -- --instructions     instructions instead of time; needs valgrind
//! ```
//!
//! Needs a `redis-server`, named by `REDIS_SERVER` or in the `PATH`. A bar that is missed is
//! reported and does not fail the run.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic is the report of a run that cannot go on"
)]

mod instructions;
mod load;
mod process;
mod report;
mod seed;
mod server;

use std::time::Instant;

use load::Load;
use process::ServerProcess;
use report::{Bar, Report, Round};
use server::{CLUSTER, Variant};
use test_support::{RedisCluster, RedisServer};

/// Connections to each server, every one with a session of its own.
pub const CONNECTIONS: usize = 64;
/// Requests on each connection in a round.
const REQUESTS: usize = 50;
/// Rounds in which every server has its turn, before all are started anew.
const ROUNDS: usize = 10;
/// Rounds of requests to a new server that are not counted.
const WARM_UP: usize = 3;

/// What the command line asks for.
struct Options {
    /// Times that all servers are started.
    sittings: usize,
    /// Threads of a server's runtime; 0 for one that runs on the thread it is called from.
    workers: usize,
    measure: Measure,
}

enum Measure {
    Layer,
    Clusters,
    Instructions,
}

/// A Redis and the sessions in it.
struct Bed {
    name: &'static str,
    /// What the layer connects to.
    redis: String,
    cookies: Vec<String>,
}

/// All connections with the same session.
const ONE_SESSION: &str = "one session";

/// The most that the layer may cost on a cluster, of what it costs on one server.
const CLUSTERS: [(usize, &str, f64); 3] =
    [(1, "1 primary", 1.05), (3, "3 primaries", 1.15), (6, "6 primaries", 1.30)];

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut options = Options { sittings: 10, workers: 2, measure: Measure::Layer };
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next().and_then(|n| n.parse().ok()).expect("a number");
        match argument.as_str() {
            "--sittings" => options.sittings = number(),
            "--workers" => options.workers = number(),
            "--clusters" => options.measure = Measure::Clusters,
            "--instructions" => options.measure = Measure::Instructions,
            "--until-end-of-input" => instructions::exit_at_the_end_of_input(),
            "--serve" => {
                let workers = number();
                let variant = arguments.next().expect("a variant");
                let redis = arguments.next().expect("the address of a redis");
                return server::serve(Variant::named(&variant), &redis, workers);
            }
            // Cargo's own.
            "--bench" => {}
            other => panic!("unknown argument {other}"),
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        match options.measure {
            Measure::Layer => measure_layer(&options).await,
            Measure::Clusters => measure_clusters(&options).await,
            Measure::Instructions => count_instructions().await,
        }
    });
}

/// The layer beside servers without it, on one Redis.
async fn measure_layer(options: &Options) {
    let redis = RedisServer::start().await;
    let [bed, hot] = &beds(&redis).await;
    let mut servers = Variant::ALL.map(|variant| (variant, bed)).to_vec();
    servers.push((Variant::Update, hot));
    measure(options, &servers, &Bar::of_the_layer()).await;
}

/// The same, by instructions.
async fn count_instructions() {
    let redis = RedisServer::start().await;
    let [bed, hot] = &beds(&redis).await;
    let mut counts = Vec::new();
    for variant in Variant::ALL {
        counts.push(instructions::of_a_request(variant, bed).await);
    }
    counts.push(instructions::of_a_request(Variant::Update, hot).await);
    println!("server              instructions a request");
    for (name, count) in counts {
        println!("{name:<19} {count:>22.0}");
    }
}

/// A session a connection, and one session for all.
async fn beds(redis: &RedisServer) -> [Bed; 2] {
    let cookies = seed::sessions(&redis.admin_url()).await;
    seed::plain_keys(redis, &cookies).await;
    let one = vec![cookies[0].clone(); CONNECTIONS];
    [("", cookies), (ONE_SESSION, one)].map(|(name, cookies)| Bed {
        name,
        redis: redis.admin_url(),
        cookies,
    })
}

/// The layer on clusters beside the layer on one Redis.
async fn measure_clusters(options: &Options) {
    let redis = RedisServer::start().await;
    let cookies = seed::sessions(&redis.admin_url()).await;
    let mut beds = vec![Bed { name: "", redis: redis.admin_url(), cookies }];
    let mut clusters = Vec::new();
    for (primaries, name, _) in CLUSTERS {
        let cluster = RedisCluster::builder().primaries(primaries).replicas(0).start().await;
        let redis = format!("{CLUSTER}{}", cluster.seeds().join(","));
        beds.push(Bed { name, cookies: seed::sessions(&redis).await, redis });
        clusters.push(cluster);
    }
    let (mut servers, mut bars) = (Vec::new(), Vec::new());
    for variant in [Variant::Read, Variant::Update] {
        servers.extend(beds.iter().map(|bed| (variant, bed)));
        let bar = |(_, name, most)| Bar::new(named(variant, name), named(variant, ""), most);
        bars.extend(CLUSTERS.map(bar));
    }
    measure(options, &servers, &bars).await;
}

/// Each server is next to the one it is held against, so that what else the machine does meets
/// both.
async fn measure(options: &Options, servers: &[(Variant, &Bed)], bars: &[Bar]) {
    let rounds = options.sittings * ROUNDS;
    let mut report = Report::new(options.workers, CONNECTIONS * REQUESTS, rounds, bars);
    for _ in 0..options.sittings {
        let mut contenders = Vec::new();
        for (variant, bed) in servers {
            contenders.push(Contender::new(*variant, bed, options).await);
        }
        for round in 0..ROUNDS {
            let count = contenders.len();
            for turn in 0..count {
                contenders[(round + turn) % count].take_turn(&mut report).await;
            }
        }
    }
    print!("{report}");
}

fn named(variant: Variant, bed: &str) -> String {
    format!("{} {bed}", variant.name()).trim_end().to_owned()
}

struct Contender {
    name: String,
    process: ServerProcess,
    load: Load,
}

impl Contender {
    async fn new(variant: Variant, bed: &Bed, options: &Options) -> Self {
        let mut process = ServerProcess::start(variant, &bed.redis, options.workers);
        let mut load = Load::connect(process.addr(), &bed.cookies).await;
        load.run(WARM_UP * REQUESTS).await;
        let _ = process.cpu_time_since_last();
        Self { name: named(variant, bed.name), process, load }
    }

    async fn take_turn(&mut self, report: &mut Report) {
        let idle = self.process.cpu_time_since_last();
        let start = Instant::now();
        self.load.run(REQUESTS).await;
        let (took, used) = (start.elapsed(), self.process.cpu_time_since_last());
        let requests = (CONNECTIONS * REQUESTS) as f64;
        let cpu = used.as_nanos() as f64 / requests;
        report.add(&self.name, Round { cpu, rate: requests / took.as_secs_f64() }, idle);
    }
}
