//! The client: a few multiplexed connections, checked, replaced when they break.
//!
//! | file | holds |
//! |---|---|
//! | `config` | `RedisConfig`: address, keys, limits |
//! | `pool` | `Connections`: get, read, write over the few there are |
//! | `connection` | one connection, shared by many requests |
//! | `connector` | opens connections for the pool |
//! | `health` | whether a connection is still of use |
//! | `failure` | errors of the library and the server, classified |
//! | `check` | start-up check: reachable, a Redis server, usable |
//! | `incarnation` | which life of which Redis process it is |
//! | `greet` | who decides whether that one is trusted |
//! | `script` | the Lua scripts |

pub(crate) mod check;
pub(crate) mod config;
pub(crate) mod connection;
pub(crate) mod connector;
pub(crate) mod failure;
pub(crate) mod greet;
pub(crate) mod health;
pub(crate) mod incarnation;
pub(crate) mod pool;
pub(crate) mod script;
