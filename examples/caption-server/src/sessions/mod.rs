//! The session store: where it is, and the Redis of the guided demonstration.

pub(crate) mod outage;
pub(crate) mod storage;
