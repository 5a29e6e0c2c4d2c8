//! What an operator can see: events, counters, status.
//!
//! | file | holds |
//! |---|---|
//! | `event` | `Event`: what happens to sessions and stores |
//! | `events` | the stream of events, and the log |
//! | `counters` | how often each event has happened |
//! | `health` | `Health`: how the stores do |
//! | `report` | status and counters as JSON and as metrics |

pub(crate) mod counters;
pub(crate) mod event;
pub(crate) mod events;
pub(crate) mod health;
pub(crate) mod report;
