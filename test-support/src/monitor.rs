//! What a Redis server was asked: counts, and a `MONITOR` capture.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::eventually;
use super::redis_server::RedisServer;

/// A running capture.
#[derive(Debug)]
pub struct Monitor<'a> {
    server: &'a RedisServer,
    lines: Arc<Mutex<Vec<Vec<u8>>>>,
    reader: JoinHandle<()>,
    marks: u32,
}

/// Who sent a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A client, by its address.
    Client(String),
    /// A script.
    Lua,
}

/// One command that the server executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    pub source: Source,
    pub args: Vec<Vec<u8>>,
}

impl RedisServer {
    /// How often each command ran since the start or [`RedisServer::reset_stats`]: from clients,
    /// the test's own, and scripts.
    pub async fn command_counts(&self) -> BTreeMap<String, u64> {
        let mut connection = self.connection().await;
        let info: String =
            redis::cmd("INFO").arg("commandstats").query_async(&mut connection).await.unwrap();
        info.lines()
            .filter_map(|line| {
                let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
                Some((name.to_owned(), rest.split(',').next()?.parse().ok()?))
            })
            .collect()
    }

    pub async fn reset_stats(&self) {
        let mut connection = self.connection().await;
        let () = redis::cmd("CONFIG").arg("RESETSTAT").query_async(&mut connection).await.unwrap();
    }
}

impl Monitor<'_> {
    pub(super) async fn start(server: &RedisServer, mut stream: TcpStream) -> Monitor<'_> {
        stream.write_all(b"MONITOR\r\n").await.unwrap();
        let mut stream = BufReader::new(stream);
        let mut ok = String::new();
        stream.read_line(&mut ok).await.unwrap();
        assert_eq!(ok, "+OK\r\n", "MONITOR");
        let lines = Arc::new(Mutex::new(Vec::new()));
        let reader = tokio::spawn({
            let lines = Arc::clone(&lines);
            async move {
                let mut line = Vec::new();
                while stream.read_until(b'\n', &mut line).await.is_ok_and(|length| length > 0) {
                    lines.lock().unwrap().push(std::mem::take(&mut line));
                }
            }
        });
        Monitor { server, lines, reader, marks: 0 }
    }

    /// The commands of the clients that are not the test's own, and of their scripts, since the
    /// start or the last call: every one that was answered before this call, in order.
    pub async fn take(&mut self) -> Vec<Command> {
        self.marks += 1;
        let mark = format!("mark {} of the monitor", self.marks);
        let mut connection = self.server.connection().await;
        let _: String = redis::cmd("ECHO").arg(&mark).query_async(&mut connection).await.unwrap();
        let mark = mark.as_bytes();
        let lines = Arc::clone(&self.lines);
        let position = || {
            let lines = lines.lock().unwrap();
            lines.iter().position(|line| line.windows(mark.len()).any(|window| window == mark))
        };
        eventually("the mark in the MONITOR capture", async || position().is_some()).await;
        let end = position().expect("seen above");
        let seen: Vec<_> = self.lines.lock().unwrap().drain(..=end).collect();
        let ours = self.server.ours();
        let mut commands = Vec::new();
        // A script's commands follow its EVALSHA, and belong to whoever sent that.
        let mut by_us = false;
        for command in seen.iter().map(|line| parse(line)) {
            if let Source::Client(address) = &command.source {
                by_us = ours.contains(address);
            }
            if !by_us {
                commands.push(command);
            }
        }
        commands
    }

    /// As [`Monitor::take`], for the last time.
    pub async fn stop(mut self) -> Vec<Command> {
        self.take().await
    }

    /// The names of what clients sent since the last call, without the set-up of connections:
    /// what a request cost.
    pub async fn take_names(&mut self) -> Vec<String> {
        names(&self.take().await)
    }
}

impl Drop for Monitor<'_> {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Command {
    /// In capitals.
    pub fn name(&self) -> String {
        String::from_utf8_lossy(&self.args[0]).to_uppercase()
    }

    pub fn is_from_a_client(&self) -> bool {
        self.source != Source::Lua
    }

    /// Whether a client sends it once for each connection and not for each request.
    pub fn is_set_up(&self) -> bool {
        matches!(self.name().as_str(), "AUTH" | "CLIENT" | "HELLO" | "READONLY" | "SELECT")
    }

    /// Whether it stores a string without saying in the same command when it ends.
    pub fn is_bare_set(&self) -> bool {
        const ENDS: [&str; 5] = ["EX", "PX", "EXAT", "PXAT", "KEEPTTL"];
        let names_an_end = || {
            self.args
                .iter()
                .skip(3)
                .any(|arg| ENDS.iter().any(|end| arg.eq_ignore_ascii_case(end.as_bytes())))
        };
        match self.name().as_str() {
            "SET" => !names_an_end(),
            "SETNX" | "GETSET" | "MSET" | "MSETNX" | "APPEND" => true,
            _ => false,
        }
    }

    pub fn mentions(&self, needle: &[u8]) -> bool {
        self.args.iter().any(|arg| super::redis_contents::contains(arg, needle))
    }
}

/// The names of the commands that clients sent, without the set-up of connections.
pub fn names(commands: &[Command]) -> Vec<String> {
    let sent = commands.iter().filter(|command| command.is_from_a_client() && !command.is_set_up());
    sent.map(Command::name).collect()
}

/// Reads `+1700000000.123456 [0 127.0.0.1:4711] "GET" "a\x00b"`.
fn parse(line: &[u8]) -> Command {
    let text = || String::from_utf8_lossy(line).into_owned();
    let open = line.iter().position(|byte| *byte == b'[').unwrap_or_else(|| panic!("{}", text()));
    let close = line.iter().position(|byte| *byte == b']').unwrap_or_else(|| panic!("{}", text()));
    let origin = String::from_utf8_lossy(&line[open + 1..close]).into_owned();
    let source = match origin.split(' ').nth(1) {
        Some("lua") => Source::Lua,
        Some(address) => Source::Client(address.to_owned()),
        None => panic!("{}", text()),
    };
    Command { source, args: unquote(&line[close + 1..]) }
}

fn unquote(quoted: &[u8]) -> Vec<Vec<u8>> {
    let mut args: Vec<Vec<u8>> = Vec::new();
    let mut inside = false;
    let mut bytes = quoted.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => {
                inside = !inside;
                if inside {
                    args.push(Vec::new());
                }
            }
            _ if !inside => {}
            b'\\' => {
                let meant = match bytes.next() {
                    Some(b'n') => b'\n',
                    Some(b'r') => b'\r',
                    Some(b't') => b'\t',
                    Some(b'a') => 7,
                    Some(b'b') => 8,
                    Some(b'x') => {
                        let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
                        u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
                    }
                    Some(other) => other,
                    None => break,
                };
                args.last_mut().unwrap().push(meant);
            }
            other => args.last_mut().unwrap().push(other),
        }
    }
    args
}
