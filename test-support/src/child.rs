//! A child process that cannot outlive the test process.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::{OnceLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// A running process; dropping it kills and reaps it, also while it is stopped.
#[derive(Debug)]
pub struct Child {
    inner: std::process::Child,
}

impl Child {
    /// Starts what [`Child::command`] made.
    pub fn spawn(command: Command) -> io::Result<Self> {
        let (answer, answered) = mpsc::channel();
        keeper().send((command, answer)).map_err(io::Error::other)?;
        let inner = answered.recv().map_err(io::Error::other)??;
        Ok(Self { inner })
    }

    /// A command for `program` that the kernel kills when the test process dies, so that an
    /// aborted test leaves nothing behind (where util-linux' `setpriv` is installed).
    pub fn command(program: &Path) -> Command {
        match find_program("setpriv".as_ref()) {
            Some(setpriv) => {
                let mut command = Command::new(setpriv);
                command.args(["--pdeathsig", "KILL"]).arg(program);
                command
            }
            None => Command::new(program),
        }
    }

    pub fn pid(&self) -> u32 {
        self.inner.id()
    }

    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.inner.try_wait().ok().flatten()
    }

    pub fn inner(&mut self) -> &mut std::process::Child {
        &mut self.inner
    }

    /// Stops the process, and returns when the kernel says that it stands still.
    pub fn stop(&self) {
        signal(self.pid(), "STOP");
        self.wait_for_state(|state| state == 'T');
    }

    /// Lets a stopped process go on.
    pub fn go_on(&self) {
        signal(self.pid(), "CONT");
        self.wait_for_state(|state| state != 'T');
    }

    /// Kills the process and reaps it.
    pub fn kill(&mut self) {
        if self.exited().is_none() {
            // Before the KILL: some kernels in containers keep a stopped process for a while.
            signal(self.pid(), "CONT");
            let _ = self.inner.kill();
        }
        let _ = self.inner.wait();
    }

    fn wait_for_state(&self, is_reached: impl Fn(char) -> bool) {
        let started = Instant::now();
        while !state(self.pid()).is_some_and(&is_reached) {
            assert!(
                started.elapsed() < Duration::from_secs(5),
                "process {} does not obey its signal",
                self.pid()
            );
            thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A user and a group by their numbers.
#[derive(Debug, Clone, Copy)]
pub struct User {
    pub user: u32,
    pub group: u32,
}

/// A command that may outlive the test process.
pub fn command_of(program: &Path, user: Option<User>) -> Command {
    let Some(user) = user else { return Command::new(program) };
    let setpriv = find_program("setpriv".as_ref())
        .expect("setpriv, to give root's rights away: install the Debian package util-linux");
    let mut command = Command::new(setpriv);
    let User { user, group } = user;
    command.args([format!("--reuid={user}"), format!("--regid={group}")]);
    command.arg("--clear-groups").arg(program);
    command
}

/// Where `program` stands, by the rules of the shell.
pub fn find_program(program: &OsStr) -> Option<PathBuf> {
    let path = Path::new(program);
    if path.components().count() > 1 {
        return path.is_file().then(|| path.to_owned());
    }
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|directory| directory.join(path))
        .find(|candidate| candidate.is_file())
}

/// Sends a signal through the shell's own `kill`: the crate allows no unsafe code, and the shell
/// is on every machine.
fn signal(pid: u32, name: &str) {
    let _ = Command::new("sh")
        .args(["-c", "kill -\"$1\" \"$2\" 2>/dev/null", "sh", name])
        .arg(pid.to_string())
        .status();
}

fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before it stands in brackets and may hold anything.
    stat.rsplit(')').next()?.trim_start().chars().next()
}

type Order = (Command, mpsc::Sender<io::Result<std::process::Child>>);

/// One thread that starts every child: the kernel ties the death signal to the *thread* that
/// forked, and the runtime's threads and the tests' own threads end long before the process does.
fn keeper() -> &'static mpsc::Sender<Order> {
    static KEEPER: OnceLock<mpsc::Sender<Order>> = OnceLock::new();
    KEEPER.get_or_init(|| {
        let (sender, orders) = mpsc::channel::<Order>();
        thread::spawn(move || {
            for (mut command, answer) in orders {
                let _ = answer.send(command.spawn());
            }
        });
        sender
    })
}
