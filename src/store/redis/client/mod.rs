//! The client: a few multiplexed connections, checked, replaced when they break.
//!
//! | file | holds |
//! |---|---|
//! | `config` | `RedisConfig`: address, keys, limits |
//! | `address` | the address as an URL |
//! | `limits` | how many connections, how long to wait |
//! | `pool` | `Connections`: the few there are, and how they come |
//! | `places` | what bb8 holds for it; other places where it has lost some |
//! | `sending` | read and write over them, once more where that is safe |
//! | `attempts` | what became of attempts to connect |
//! | `connection` | one connection, shared by many requests |
//! | `connector` | opens connections: sign-in, clock, scripts |
//! | `endpoint` | the socket, and TLS over it |
//! | `tls` | whom to trust, who we are |
//! | `health` | whether a connection is still of use |
//! | `answer` | what a server's refusal means: the table |
//! | `failure` | errors of the library and the server, classified |
//! | `check` | start-up check: reachable, a Redis server, usable |
//! | `trial` | every command and script once, for the check |
//! | `incarnation` | which life of which Redis process it is |
//! | `greet` | who decides whether that one is trusted |
//! | `script` | the Lua scripts |

mod address;
mod answer;
mod attempts;
pub(crate) mod check;
pub(crate) mod config;
pub(crate) mod connection;
pub(crate) mod connector;
mod endpoint;
pub(crate) mod failure;
pub(crate) mod greet;
pub(crate) mod health;
pub(crate) mod incarnation;
mod limits;
mod places;
pub(crate) mod pool;
pub(crate) mod script;
mod sending;
#[cfg(feature = "tls")]
mod tls;
mod trial;
