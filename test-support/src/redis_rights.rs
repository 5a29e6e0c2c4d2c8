//! The users of a Redis server: the store under test connects as one that has the rights which
//! `SECURITY.md` documents and no more, the test's own commands as the one that may do everything.

use std::sync::LazyLock;

use super::redis_server::{Builder, RedisServer};

/// Whom `SECURITY.md` describes, with the prefix `session:`.
pub const SESSIONS: &str = "sessions";

/// The same with `+info`, which a durable store needs.
pub const DURABLE: &str = "durable";

/// The same as [`SESSIONS`] with what is documented for servers with replicas.
pub const CONFIRMED: &str = "confirmed";

/// Theirs, and a secret that nothing may print.
pub const PASSWORD: &str = "a-redis-password-that-nothing-may-print";

pub(super) const PREFIX: &str = "session:";

/// The words of the documented line behind `ACL SETUSER sessions`, as they stand there.
pub fn documented() -> Vec<&'static str> {
    let (_, line) = security().split_once("\nACL SETUSER sessions ").expect("the ACL line");
    line.split("```").next().unwrap().split_whitespace().collect()
}

/// Read when it is asked for: to edit a document is no reason to compile anything.
fn security() -> &'static str {
    static SECURITY: LazyLock<String> = LazyLock::new(|| {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../SECURITY.md");
        std::fs::read_to_string(file).unwrap()
    });
    &SECURITY
}

/// The documented rights for keys that start with `prefix`.
fn rights(prefix: &str) -> Vec<String> {
    let words = documented();
    assert!(words.contains(&">PASSWORD") && words.contains(&"~session:*"), "{words:?}");
    let filled_in = |word: &str| match word {
        ">PASSWORD" => format!(">{PASSWORD}"),
        "~session:*" => format!("~{prefix}*"),
        word => word.to_owned(),
    };
    words.into_iter().map(filled_in).collect()
}

/// On the command line, so that a server that starts again knows them from its first answer on.
/// On a node of a cluster with those that are documented for it.
pub(super) fn users(in_cluster: bool) -> Vec<String> {
    let more = if in_cluster { documented_in_cluster() } else { Vec::new() };
    let more = || more.iter().map(|word| (*word).to_owned());
    let mut args = user(SESSIONS, PREFIX);
    args.extend(more());
    args.extend(user(DURABLE, PREFIX));
    args.extend(more());
    args.push("+info".to_owned());
    args.extend(user(CONFIRMED, PREFIX));
    args.extend(more());
    args.extend(documented_with_replicas().into_iter().map(str::to_owned));
    args
}

/// The words of the documented line for servers with replicas.
pub fn documented_with_replicas() -> Vec<&'static str> {
    line_behind("on servers with replicas")
}

/// The words of the documented line for the nodes of a cluster.
pub fn documented_in_cluster() -> Vec<&'static str> {
    line_behind("every node of a Redis Cluster")
}

fn line_behind(words: &str) -> Vec<&'static str> {
    let (_, rest) = security().split_once(words).expect("that line");
    let (_, line) = rest.split_once("\nACL SETUSER sessions ").expect("the ACL line");
    line.split("```").next().unwrap().split_whitespace().collect()
}

fn user(name: &str, prefix: &str) -> Vec<String> {
    [vec!["--user".to_owned(), name.to_owned()], rights(prefix)].concat()
}

impl Builder {
    /// One more user with the documented rights, for keys that start with `prefix`: see
    /// [`RedisServer::url_as`] and [`PASSWORD`].
    pub fn user(self, name: &str, prefix: &str) -> Self {
        self.args(user(name, prefix))
    }
}

impl RedisServer {
    /// The address for a store: its user has the documented rights to `session:*`. Where the test
    /// asked for [`Builder::requirepass`], that of the default user with its password.
    pub fn url(&self) -> String {
        self.url_at(self.port())
    }

    /// The address by way of something else that listens on `port`, such as a proxy.
    pub fn url_at(&self, port: u16) -> String {
        match self.password() {
            Some(_) => self.admin_url_at(port),
            None => self.url_as(SESSIONS, PASSWORD, port),
        }
    }

    /// As [`RedisServer::url`], for a store that has to know who the server is.
    pub fn durable_url(&self) -> String {
        self.durable_url_at(self.port())
    }

    /// As [`RedisServer::url`], for a store whose ends of sessions replicas confirm.
    pub fn confirmed_url(&self) -> String {
        self.confirmed_url_at(self.port())
    }

    /// As [`RedisServer::confirmed_url`], by way of `port`.
    pub fn confirmed_url_at(&self, port: u16) -> String {
        self.url_as(CONFIRMED, PASSWORD, port)
    }

    /// As [`RedisServer::durable_url`], by way of `port`.
    pub fn durable_url_at(&self, port: u16) -> String {
        self.url_as(DURABLE, PASSWORD, port)
    }

    /// The address for the test's own commands.
    pub fn admin_url(&self) -> String {
        self.admin_url_at(self.port())
    }

    /// As [`RedisServer::admin_url`], by way of `port`.
    pub fn admin_url_at(&self, port: u16) -> String {
        match self.password() {
            Some(password) => format!("redis://:{password}@127.0.0.1:{port}/"),
            None => format!("redis://127.0.0.1:{port}/"),
        }
    }

    /// The address for any other user, by way of `port`: the server's own or a proxy's.
    pub fn url_as(&self, user: &str, password: &str, port: u16) -> String {
        format!("redis://{user}:{password}@127.0.0.1:{port}/")
    }
}
