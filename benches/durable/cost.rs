//! Reads and writes over each store, in turns.

use std::path::Path;

use tower_redis_session::DatabaseConfig;

use crate::load::{CONNECTIONS, Load};
use crate::site::{Site, database_only, durable, redis_only, sqlite};
use test_support::RedisServer;

const ROUNDS: usize = 30;
/// Requests on each connection in a round.
const READS: usize = 30;
const WRITES: usize = 10;

pub async fn measure(redis: &RedisServer, folder: &Path, postgres: &str) {
    let url = redis.admin_url();
    let on_postgres = durable(&url, "p:", DatabaseConfig::new(postgres));
    let sites = [
        Site::on("redis", redis_only(&url)).await,
        Site::on("redis + sqlite", durable(&url, "s:", sqlite(folder, "cost.db"))).await,
        Site::on("redis + postgres", on_postgres).await,
        Site::on("sqlite", database_only(sqlite(folder, "alone.db"))).await,
    ];
    let mut loads = Vec::new();
    for site in &sites {
        let mut load = Load::connect(site.addr()).await;
        site.is_well().await;
        load.run("/read", READS).await;
        load.run("/update", WRITES).await;
        loads.push(load);
    }
    println!(
        "{ROUNDS} rounds, {CONNECTIONS} connections; wall-clock time as a multiple of redis alone"
    );
    for (path, requests) in [("/read", READS), ("/update", WRITES)] {
        let mut times = vec![Vec::new(); sites.len()];
        for round in 0..ROUNDS {
            for turn in 0..sites.len() {
                let index = (round + turn) % sites.len();
                times[index].push(loads[index].run(path, requests).await.as_secs_f64());
            }
        }
        for (site, own) in sites.iter().zip(&times) {
            let ratios = own.iter().zip(&times[0]).map(|(own, base)| own / base).collect();
            let [low, median, high] = quartiles(ratios);
            println!("{path:<8} {:<18} {median:>6.2}  ({low:.2} .. {high:.2})", site.name);
        }
    }
}

fn quartiles(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| values[values.len() * quarter / 4])
}
