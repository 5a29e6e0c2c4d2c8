//! The session itself: pure data and rules, without a store, a request or a clock of its own.
//!
//! | file | holds |
//! |---|---|
//! | `token` | the secret in the cookie, and the public id derived from it |
//! | `record` | what a store keeps of a session; `format` and `codec` are its bytes |
//! | `values` | names and JSON texts |
//! | `reserved` | names of the crate's own values |
//! | `key` | `Key`, a name with its type and with what older values are read as |
//! | `json` | encoding and decoding of values: the limit of nesting, no number but finite ones |
//! | `device` | address, user agent and label of a sign-in |
//! | `expiry` | idle and absolute deadlines |
//! | `changes` | what a request did, as data; `plan` makes a record of it |
//! | `impersonation` | whom a session's user acts as, and what is set aside meanwhile |
//! | `moved` | where a session is that has moved to a new id |
//! | `info` | one row of the list of a user's sessions |
//! | `page` | a part of that list, and a place in it |
//! | `write_id` | random ids of writes |

pub(crate) mod changes;
pub(crate) mod device;
pub(crate) mod expiry;
pub(crate) mod impersonation;
pub(crate) mod info;
pub(crate) mod json;
pub(crate) mod key;
pub(crate) mod moved;
pub(crate) mod page;
pub(crate) mod record;
pub(crate) mod reserved;
pub(crate) mod token;
pub(crate) mod values;
pub(crate) mod write_id;
