//! The client: a few multiplexed connections, checked, replaced when they break.
//!
//! | file | holds |
//! |---|---|
//! | `config` | `RedisConfig`: address, credentials, keys, limits |
//! | `address` | the address as a URL |
//! | `limits` | number of connections, timeouts |
//! | `pool` | `Connections`: the connection pool |
//! | `current` | the connection that was given out last |
//! | `waits` | requests that wait for a connection |
//! | `places` | the bb8 pool, replaced when it has lost places |
//! | `status` | health of the pool |
//! | `sending` | read and write over them, with a retry where that is safe |
//! | `attempts` | outcomes of attempts to connect |
//! | `cluster` | commands sent to the node of a cluster that serves their slot |
//! | `connection` | one connection, shared by many requests |
//! | `authentication` | user name and password, again before they expire |
//! | `connector` | opens connections: sign-in, clock, scripts |
//! | `target` | where connections lead: a server, or the primary that sentinels name |
//! | `sentinel` | finds the primary, and leaves one that has been replaced |
//! | `endpoint` | the socket, and TLS over it |
//! | `gathered_writes` | commands of several requests in one write |
//! | `tls` | trusted authorities, client certificate |
//! | `health` | health of a connection |
//! | `answer` | classification of a server's error replies |
//! | `failure` | errors of the library and the server, classified |
//! | `check` | start-up check: reachable, a Redis server, usable |
//! | `trial` | every command and script once, for the start-up check |
//! | `incarnation` | identity of a Redis process and its data |
//! | `replicas` | replicas of a server, and how many confirm an end of sessions |
//! | `confirmed` | ends of sessions, confirmed by replicas |
//! | `queue` | ends that wait while others are in flight |
//! | `batch` | ends in one write, and what confirms them |
//! | `greet` | whether a server is trusted |
//! | `script` | the Lua scripts |
//! | `servers` | one primary or a cluster, for sessions in Redis alone and for entries |

pub(crate) mod address;
mod answer;
mod attempts;
mod authentication;
mod batch;
pub(crate) mod check;
#[allow(dead_code, reason = "for the store")]
pub(crate) mod cluster;
pub(crate) mod config;
pub(crate) mod confirmed;
pub(crate) mod connection;
pub(crate) mod connector;
mod current;
mod endpoint;
pub(crate) mod failure;
mod gathered_writes;
pub(crate) mod greet;
pub(crate) mod health;
pub(crate) mod incarnation;
mod limits;
mod places;
pub(crate) mod pool;
mod queue;
mod replicas;
pub(crate) mod script;
mod sending;
pub(crate) mod sentinel;
pub(crate) mod servers;
mod status;
pub(crate) mod target;
#[cfg(feature = "tls")]
mod tls;
mod trial;
mod waits;
