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

mod load;
mod process;
mod report;
mod seed;
mod server;
use load::Load;
use process::ServerProcess;
use report::Report;
use server::Variant;

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
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut options = Options { sittings: 10, workers: 2 };
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next().and_then(|n| n.parse().ok()).expect("a number");
        match argument.as_str() {
            "--sittings" => options.sittings = number(),
            "--workers" => options.workers = number(),
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
    runtime.block_on(measure(&options));
}

async fn measure(options: &Options) {
    let redis = test_support::RedisServer::start().await;
    let cookies = seed::sessions(&redis).await;
    let rounds = options.sittings * ROUNDS;
    let mut report = Report::new(options.workers, CONNECTIONS * REQUESTS, rounds);
    for _ in 0..options.sittings {
        let mut contenders = Vec::new();
        for variant in Variant::ALL {
            contenders.push(Contender::new(variant, &redis.admin_url(), &cookies, options).await);
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

struct Contender {
    variant: Variant,
    process: ServerProcess,
    load: Load,
}

impl Contender {
    async fn new(variant: Variant, redis: &str, cookies: &[String], options: &Options) -> Self {
        let mut process = ServerProcess::start(variant, redis, options.workers);
        let mut load = Load::connect(process.addr(), cookies).await;
        load.run(WARM_UP * REQUESTS).await;
        let _ = process.cpu_time_since_last();
        Self { variant, process, load }
    }

    async fn take_turn(&mut self, report: &mut Report) {
        let idle = self.process.cpu_time_since_last();
        self.load.run(REQUESTS).await;
        let used = self.process.cpu_time_since_last();
        report.add(self.variant, used.as_nanos() as f64 / (CONNECTIONS * REQUESTS) as f64, idle);
    }
}
