//! Stored bytes of each library, decoded: bounded, and without running anything.
//!
//! | file | holds |
//! |---|---|
//! | `message_pack` | MessagePack as JSON text |
//! | `tower_sessions` | an array of id, values and expiry |
//! | `json_objects` | axum_session, actix-session and express-session |
//! | `flask` | a map in MessagePack or JSON |
//! | `django` | signed, compressed JSON |
//! | `executable` | pickle and PHP's `serialize`, which are rejected |

pub(super) mod django;
pub(super) mod executable;
pub(super) mod flask;
pub(super) mod json_objects;
pub(super) mod message_pack;
pub(super) mod tower_sessions;

/// Maximum length of a stored session, and of its decompressed form.
pub(super) const BYTES_MAX: usize = 1 << 20;
