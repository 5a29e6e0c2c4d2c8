//! Configuration from environment variables.
//!
//! | file | holds |
//! |---|---|
//! | `config` | `Config`: the variables, and the layer they make |
//! | `storage` | which store |
//! | `variables` | variables as texts, numbers and switches |

mod config;
mod storage;
mod variables;

pub use crate::env::config::Config;
