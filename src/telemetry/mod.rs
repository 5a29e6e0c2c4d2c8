//! Room.

pub(crate) mod counters;
pub(crate) mod event;
pub(crate) mod events;
pub(crate) mod report;
pub(crate) mod status;
