//! Router: each command is sent to the node of a cluster that serves the slot of its key.
//!
//! The library's cluster client is not used: it repeats commands that may have run, and sends
//! `ASKING` and its command apart, over a connection that others use in between.
//!
//! | file | holds |
//! |---|---|
//! | `slot` | hash slots of keys |
//! | `address` | addresses of nodes, as configured and as announced |
//! | `seeds` | the nodes as they are configured |
//! | `map` | the slot map, by the reply to `CLUSTER SLOTS` |
//! | `node_error` | error replies about a slot |
//! | `decision` | what follows a try that brought no result |
//! | `node` | one node and its connections |
//! | `nodes` | the nodes, by address and by slot |
//! | `discovery` | the slot map, of the first node that has one |
//! | `refresh` | reads the slot map again, in a task of its own |
//! | `sending` | one try: a read or a call of a script, over a connection |
//! | `router` | `Router`: tries until there is a result |
//! | `fuzzed` | what the fuzz targets call |
//! | `status` | state of the nodes, for operators |

pub(in crate::store::redis) mod address;
pub(in crate::store::redis) mod decision;
mod discovery;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzed;
pub(in crate::store::redis) mod map;
pub(in crate::store::redis) mod node;
pub(in crate::store::redis) mod node_error;
pub(in crate::store::redis) mod nodes;
mod refresh;
pub(in crate::store::redis) mod router;
pub(in crate::store::redis) mod seeds;
pub(in crate::store::redis) mod sending;
pub(in crate::store::redis) mod slot;
pub(in crate::store::redis) mod status;

#[cfg(test)]
mod tests;
