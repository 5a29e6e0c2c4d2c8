//! A server process and the CPU time that it uses.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::instructions::{self, VALGRIND};
use crate::server::Variant;
use test_support::Child;

/// User and system time of all threads of a process.
pub type CpuTime = Duration;

/// This binary as one of the servers; killed when dropped.
pub struct ServerProcess {
    child: Child,
    addr: SocketAddr,
    last: CpuTime,
}

impl ServerProcess {
    pub fn start(variant: Variant, redis: &str, workers: usize) -> Self {
        let mut command = Child::command(&std::env::current_exe().unwrap());
        command.stdin(Stdio::null());
        Self::announced(command, variant, redis, workers)
    }

    /// The same under valgrind, on one thread.
    pub fn counted(variant: Variant, redis: &str) -> Self {
        let [valgrind, options @ ..] = VALGRIND;
        let mut command = Child::command(Path::new(valgrind));
        command.args(options).arg(std::env::current_exe().unwrap()).arg("--until-end-of-input");
        command.stdin(Stdio::piped()).stderr(Stdio::piped());
        Self::announced(command, variant, redis, 1)
    }

    fn announced(mut command: Command, variant: Variant, redis: &str, workers: usize) -> Self {
        command.arg("--serve").arg(workers.to_string()).arg(variant.name()).arg(redis);
        command.stdout(Stdio::piped());
        let mut child = Child::spawn(command).expect("starting this binary again");
        let mut line = String::new();
        let output = child.inner().stdout.take().unwrap();
        BufReader::new(output).read_line(&mut line).unwrap();
        let addr = line.trim().parse().unwrap_or_else(|_| panic!("no {} server", variant.name()));
        Self { child, addr, last: CpuTime::ZERO }
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Ends it; the instructions since its start.
    pub fn instructions(&mut self) -> u64 {
        let child = self.child.inner();
        drop(child.stdin.take());
        instructions::sum(child.stderr.take().unwrap())
    }

    /// What the process has used since the last call.
    pub fn cpu_time_since_last(&mut self) -> CpuTime {
        let now = cpu_time(self.child.pid());
        let since = now.saturating_sub(self.last);
        self.last = now;
        since
    }
}

/// From the scheduler's own account, in nanoseconds: `/proc/<pid>/stat` counts in ticks of 10 ms.
fn cpu_time(pid: u32) -> CpuTime {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).expect("a server process has ended");
    let nanos = threads.map(|thread| {
        let account = fs::read_to_string(thread.unwrap().path().join("schedstat")).unwrap();
        account.split(' ').next().and_then(|nanos| nanos.parse::<u64>().ok()).unwrap()
    });
    CpuTime::from_nanos(nanos.sum())
}
