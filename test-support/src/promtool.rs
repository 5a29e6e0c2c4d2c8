//! Prometheus' `promtool`, which checks metrics and rules.

use std::ffi::OsStr;
use std::io::Write;
use std::process::{Command, Stdio};

use super::child::find_program;

/// Runs it with `input`; returns whether it succeeded, and what it said.
pub fn promtool<A: AsRef<OsStr>>(arguments: &[A], input: &str) -> (bool, String) {
    let program = find_program("promtool".as_ref()).unwrap_or_else(|| {
        panic!(
            "promtool is not there, and this test needs it: install the Debian package \
             prometheus, or put promtool into the PATH"
        )
    });
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // It may end without having read all.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    (output.status.success(), said.concat())
}
