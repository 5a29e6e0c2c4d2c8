//! Who rules the processes of a server, and ends them after the end of ours.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Stdio};

use super::super::child::{User, command_of, find_program};

/// The shell that rules the server's processes: see `reaper.sh`.
#[derive(Debug)]
pub(super) struct Reaper {
    process: std::process::Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Reaper {
    pub(super) fn start(folder: &Path, owner: Option<User>) -> Self {
        let shell = find_program("sh".as_ref()).expect("a shell");
        // It outlives this process for a moment, to tidy up.
        let mut command = command_of(&shell, owner);
        command.args(["-c", include_str!("reaper.sh"), "sh"]).arg(folder);
        command.current_dir("/").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().expect("starting a shell");
        let orders = process.stdin.take();
        let answers = BufReader::new(process.stdout.take().expect("piped above"));
        Self { process, orders, answers }
    }

    pub(super) fn order(&mut self, order: &str) {
        let orders = self.orders.as_mut().expect("open until dropped");
        writeln!(orders, "{order}").expect("an order to the reaper of a server");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        assert_eq!(answer, "done\n", "the reaper's answer to {order}");
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        drop(self.orders.take());
        let _ = self.process.wait();
    }
}
