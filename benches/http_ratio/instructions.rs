//! Instructions of a request, counted by valgrind: the same on a busy machine as on a quiet one.
//!
//! What the kernel does is not counted, and SHA-256 is computed in software, since valgrind lends a
//! program no SHA instructions.

use std::io::Read as _;

use crate::load::Load;
use crate::process::ServerProcess;
use crate::server::Variant;
use crate::{Bed, CONNECTIONS, named};

/// Requests on each connection in the shorter and in the longer run; the difference is counted.
const RUNS: [usize; 2] = [10, 60];

/// Instructions of one request to a server on one thread.
pub async fn of_a_request(variant: Variant, bed: &Bed) -> (String, f64) {
    let (short, long) =
        (counted(variant, bed, RUNS[0]).await, counted(variant, bed, RUNS[1]).await);
    let requests = CONNECTIONS * (RUNS[1] - RUNS[0]);
    (named(variant, bed.name), (long - short) as f64 / requests as f64)
}

async fn counted(variant: Variant, bed: &Bed, requests: usize) -> u64 {
    let mut process = ServerProcess::counted(variant, &bed.redis);
    let mut load = Load::connect(process.addr(), &bed.cookies).await;
    load.run(requests).await;
    process.instructions()
}

/// Before a server's command line.
pub const VALGRIND: [&str; 4] =
    ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"];

/// The sum at the end of what valgrind reports.
pub fn sum(mut report: impl std::io::Read) -> u64 {
    let mut text = String::new();
    report.read_to_string(&mut text).unwrap();
    let line = text.lines().rfind(|line| line.contains("refs:"));
    let number = line.and_then(|line| line.rsplit(':').next()).unwrap_or_else(|| panic!("{text}"));
    number.trim().replace(',', "").parse().unwrap()
}

/// Ends a server when the process that started it says so, since a killed one reports nothing.
pub fn exit_at_the_end_of_input() {
    drop(std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    }));
}
