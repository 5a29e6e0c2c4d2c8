//! The id in another library's cookie: signatures and private cookies.

// | file | holds |
// |---|---|
// | `signature` | HMAC as the libraries use it |
// | `private` | AES-256-GCM as the `cookie` crate uses it |

pub(super) mod private;
pub(super) mod signature;
