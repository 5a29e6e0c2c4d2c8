//! Configuration from environment variables.
//!
//! | file | holds |
//! |---|---|
//! | `cluster` | Redis Cluster, by its variables |
//! | `config` | `EnvConfig`: the variables, and the layer built from them |
//! | `credentials` | credentials by a function, in place of variables |
//! | `maintenance` | the configured store, for the command line |
//! | `names` | the names of all variables, and detection of misspelt ones |
//! | `sentinel` | Redis by its sentinels |
//! | `setting` | an invalid setting, named after its variable |
//! | `storage` | the choice of the store |
//! | `variables` | variables as texts, numbers and switches |

#[cfg(feature = "redis")]
mod cluster;
mod config;
#[cfg(any(feature = "redis", feature = "_database"))]
mod credentials;
#[cfg(feature = "cli")]
mod maintenance;
mod names;
mod sentinel;
mod setting;
mod storage;
mod variables;

pub use crate::env::config::EnvConfig;
