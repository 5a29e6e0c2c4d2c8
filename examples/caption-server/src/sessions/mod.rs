//! The session store.
//!
//! - [`storage`]: where it is, by the environment
//! - [`start`]: its tables, and whether it will do
//! - [`outage`]: the Redis of the guided demonstration

pub(crate) mod outage;
pub(crate) mod start;
pub(crate) mod storage;
