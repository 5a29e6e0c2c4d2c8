//! Configuration from environment variables.
//!
//! | file | holds |
//! |---|---|
//! | `config` | `EnvConfig`: the variables, and the layer they make |
//! | `names` | the names of all variables, and which one somebody may have meant |
//! | `storage` | which store |
//! | `variables` | variables as texts, numbers and switches |

mod config;
mod names;
mod storage;
mod variables;

pub use crate::env::config::EnvConfig;
