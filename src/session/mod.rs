//! The session: pure data and rules, without a store, a request or a clock.
//!
//! | file | holds |
//! |---|---|
//! | `token` | the secret in the cookie, and the public id derived from it |
//! | `record` | what a store keeps of a session; `format` and `codec` are its bytes |
//! | `values` | names and JSON texts |
//! | `reserved` | names of the crate's own values |
//! | `key` | `Key`: a name with its type and the conversion of older values |
//! | `json` | encoding and decoding of values: limit of nesting, finite numbers only |
//! | `device` | address, user agent and label of a sign-in |
//! | `external_id` | the name that an identity provider has for a sign-in, as its hash |
//! | `sign_ins` | which users signed in under such a name, and whether it was revoked |
//! | `expiry` | idle and absolute deadlines |
//! | `changes` | what a request did, as data; `plan` applies it to a record |
//! | `claim` | records by which a session of another library is taken over once |
//! | `impersonation` | the impersonated user, and the values set aside in the meantime |
//! | `moved` | the new id of a session that has moved |
//! | `info` | one row of the list of a user's sessions |
//! | `page` | a page of that list, and a cursor |
//! | `placement` | the tag by which all sessions of a user are stored together |
//! | `write_id` | random ids of writes |

pub(crate) mod changes;
#[cfg_attr(not(feature = "import"), allow(dead_code, reason = "for `import`"))]
pub(crate) mod claim;
pub(crate) mod device;
pub(crate) mod expiry;
pub(crate) mod external_id;
pub(crate) mod impersonation;
pub(crate) mod info;
pub(crate) mod json;
pub(crate) mod key;
pub(crate) mod moved;
pub(crate) mod page;
pub(crate) mod placement;
pub(crate) mod record;
pub(crate) mod reserved;
pub(crate) mod sign_ins;
pub(crate) mod token;
pub(crate) mod values;
pub(crate) mod write_id;
