//! Sentinel: finds the primary, and leaves one that has been replaced.
//!
//! | file | holds |
//! |---|---|
//! | `choice` | the primary among the replies of several sentinels |
//! | `reply` | replies of a sentinel, decoded and classified |
//! | `line` | a connection to one sentinel |
//! | `known` | the primary in use, and the switch to another one |
//! | `question` | the same question to all sentinels |
//! | `watch` | the task that notices a switch |
//! | `settings` | how connections to sentinels authenticate, as configured |
//! | `open` | connections to the primary |

mod choice;
mod known;
pub(in crate::store::redis) mod line;
pub(in crate::store::redis) mod open;
mod question;
mod reply;
pub(in crate::store::redis) mod settings;
mod watch;
