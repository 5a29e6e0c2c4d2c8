//! A sentinel that says what a test tells it to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use test_support::{RedisServer, Resp, Wire as _, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, watch};
use tokio::task::{JoinHandle, JoinSet};

/// What it replies from now on.
#[derive(Clone, Debug)]
pub enum Says {
    /// The host, port and flags of a primary, and its configuration epoch.
    Primary(String, u16, &'static str, u64),
    /// The same, and another port as the address by name, as during a failover.
    Promotes(u16, u16, u64),
    /// These bytes to every command.
    Bytes(Vec<u8>),
    /// It accepts connections, and is silent.
    Nothing,
    /// It closes connections.
    Gone,
}

pub fn primary(server: &RedisServer, epoch: u64) -> Says {
    Says::Primary("127.0.0.1".into(), server.port(), "master", epoch)
}

/// The guard of the sentinel.
#[derive(Debug)]
pub struct Scripted {
    port: u16,
    says: watch::Sender<Says>,
    announced: broadcast::Sender<()>,
    shared: Arc<Shared>,
    listener: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    /// How often each command came.
    commands: Mutex<BTreeMap<String, usize>>,
    open: watch::Sender<usize>,
    rejects_subscriptions: watch::Sender<bool>,
}

impl Scripted {
    pub async fn start(says: Says) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (says, announced) = (watch::Sender::new(says), broadcast::Sender::new(16));
        let shared = Arc::new(Shared::default());
        let all = (says.clone(), announced.clone(), Arc::clone(&shared));
        let listener = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (says, announced, shared) = all.clone();
                connections.spawn(serve(stream, says.subscribe(), announced.subscribe(), shared));
            }
        });
        Self { port, says, announced, shared, listener }
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Of the next replies; with [`Says::Gone`] and [`Says::Nothing`] of connections that are open
    /// as well.
    pub fn says(&self, says: Says) {
        self.says.send_replace(says);
    }

    /// To those that have subscribed.
    pub fn announce(&self) {
        let _ = self.announced.send(());
    }

    pub fn reject_subscriptions(&self) {
        self.shared.rejects_subscriptions.send_replace(true);
    }

    pub fn count(&self, command: &str) -> usize {
        self.shared.commands.lock().unwrap().get(command).copied().unwrap_or(0)
    }

    pub fn connections(&self) -> usize {
        *self.shared.open.borrow()
    }

    /// Waits until it was asked `more` times again.
    pub async fn is_asked(&self, more: usize) {
        let before = self.count("MASTER");
        eventually("a sentinel that is asked", async || self.count("MASTER") >= before + more)
            .await;
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

struct Open<'a>(&'a watch::Sender<usize>);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|open| *open -= 1);
    }
}

async fn serve(
    mut stream: TcpStream,
    mut says: watch::Receiver<Says>,
    mut announced: broadcast::Receiver<()>,
    shared: Arc<Shared>,
) {
    shared.open.send_modify(|open| *open += 1);
    let _open = Open(&shared.open);
    let (mut wire, mut bytes, mut has_subscribed) = (Resp::default(), Vec::new(), false);
    loop {
        if matches!(*says.borrow_and_update(), Says::Gone) {
            return;
        }
        while let Some(request) = wire.request(&mut bytes) {
            let texts: Vec<_> = request
                .texts
                .iter()
                .map(|text| String::from_utf8_lossy(text).into_owned())
                .collect();
            let reply = reply(&texts, &says.borrow(), &shared);
            has_subscribed |= reply.starts_with(b"*3\r\n$9\r\nsubscribe");
            if stream.write_all(&reply).await.is_err() {
                return;
            }
        }
        tokio::select! {
            read = stream.read_buf(&mut bytes) => {
                if read.map_or(true, |read| read == 0) {
                    return;
                }
            }
            _ = announced.recv(), if has_subscribed => {
                let message = array(&["message", "+switch-master", "main a 1 b 2"]);
                let _ = stream.write_all(&message).await;
            }
            _ = says.changed() => {}
        }
    }
}

fn reply(texts: &[String], says: &Says, shared: &Shared) -> Vec<u8> {
    let texts: Vec<_> = texts.iter().map(String::as_str).collect();
    let command = if texts[0] == "SENTINEL" { texts[1] } else { texts[0] };
    *shared.commands.lock().unwrap().entry(command.to_owned()).or_default() += 1;
    let (host, (port, named), flags, epoch) = match says {
        Says::Nothing | Says::Gone => return Vec::new(),
        Says::Bytes(bytes) => return bytes.clone(),
        Says::Primary(host, port, flags, epoch) => (&**host, (*port, *port), *flags, *epoch),
        Says::Promotes(port, named, epoch) => {
            ("127.0.0.1", (*port, *named), "master,failover_in_progress", *epoch)
        }
    };
    let (port, named, epoch) = (port.to_string(), named.to_string(), epoch.to_string());
    match command {
        "MASTER" => array(&["ip", host, "port", &port, "flags", flags, "config-epoch", &epoch]),
        "GET-MASTER-ADDR-BY-NAME" => array(&[host, &named]),
        "SUBSCRIBE" if *shared.rejects_subscriptions.borrow() => {
            b"-NOPERM this user has no permissions to access one of the channels\r\n".to_vec()
        }
        "SUBSCRIBE" => {
            let channel = texts[1];
            let length = channel.len();
            format!("*3\r\n$9\r\nsubscribe\r\n${length}\r\n{channel}\r\n:1\r\n").into_bytes()
        }
        _ => b"-ERR unknown command\r\n".to_vec(),
    }
}

fn array(texts: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", texts.len()).into_bytes();
    for text in texts {
        bytes.extend(format!("${}\r\n{text}\r\n", text.len()).into_bytes());
    }
    bytes
}
