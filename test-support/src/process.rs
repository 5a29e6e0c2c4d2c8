//! A second server process, for what must hold across processes.
//!
//! The test binary starts itself again with the name of one of its own tests, and an environment
//! variable that turns this test into a server:
//!
//! ```ignore
//! #[tokio::test]
//! async fn server_process() {
//!     let Some(redis) = test_support::asked_to_serve() else { return /* or test something */ };
//!     let running = test_support::serve(app(&redis)).await;
//!     test_support::announce(running.addr).await;
//! }
//! ```

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::mpsc;
use std::thread;

use super::PATIENCE;
use super::child::Child;

const ASKED: &str = "SESSION_TEST_SERVER";
const LISTENING: &str = "listening on ";

/// The guard of a server process.
#[derive(Debug)]
pub struct ServerProcess {
    child: Child,
    addr: SocketAddr,
}

impl ServerProcess {
    /// Runs the test `name` of this binary as a server; `argument` is what
    /// [`asked_to_serve`] returns there.
    pub fn start(name: &str, argument: &str) -> Self {
        Self::start_at(name, argument, None)
    }

    /// The same with another time of day, in a process whose clock is that much ahead (`+2h`), or
    /// behind (`-90m`). Its monotonic clocks are right.
    pub fn start_at(name: &str, argument: &str, clock: Option<&str>) -> Self {
        let mut command = Child::command(&std::env::current_exe().unwrap());
        command
            .args(["--exact", name, "--nocapture"])
            .env(ASKED, argument)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        if let Some(clock) = clock {
            command.env("LD_PRELOAD", faketime()).env("FAKETIME", clock);
            command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("DONT_FAKE_MONOTONIC", "1");
        }
        let mut child = Child::spawn(command).expect("starting this test binary again");
        let output = child.inner().stdout.take().expect("piped above");
        let (sender, receiver) = mpsc::channel();
        // Reads to the end, so that the pipe never fills up.
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if let Some((_, addr)) = line.split_once(LISTENING) {
                    let _ = sender.send(addr.trim().parse().expect("an address"));
                }
            }
        });
        let addr = receiver
            .recv_timeout(PATIENCE)
            .unwrap_or_else(|_| panic!("the test {name} does not announce() a server"));
        Self { child, addr }
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub fn pid(&self) -> u32 {
        self.child.pid()
    }

    pub fn hang(&self) {
        self.child.stop();
    }

    pub fn resume(&self) {
        self.child.go_on();
    }

    /// Kills the process at once.
    pub fn kill(mut self) {
        self.die();
    }

    /// As [`ServerProcess::kill`], where its owner keeps what is left.
    pub fn die(&mut self) {
        self.child.kill();
    }

    /// Lets [`announce`] return, and waits until the process has ended by itself.
    pub fn finish(mut self) {
        drop(self.child.inner().stdin.take());
        let status = self.child.inner().wait().unwrap();
        assert!(status.success(), "the server process ended with {status}");
    }
}

/// The library of Debian's package `libfaketime`.
pub fn faketime() -> std::path::PathBuf {
    let libraries = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let found = libraries.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    found
        .into_iter()
        .find(|path| path.exists())
        .expect("libfaketime is not installed: scripts/install.sh does it")
}

/// In the server process: what its parent asks it to serve.
pub fn asked_to_serve() -> Option<String> {
    std::env::var(ASKED).ok()
}

/// In the server process: tells the parent the address, and waits until the parent has had enough.
pub async fn announce(addr: SocketAddr) {
    // The line before may be an unfinished one of the test harness.
    println!("\n{LISTENING}{addr}");
    let parent_is_done = tokio::task::spawn_blocking(|| {
        let mut end = String::new();
        while std::io::stdin().read_line(&mut end).is_ok_and(|length| length > 0) {}
    });
    parent_is_done.await.unwrap();
}
