#![doc = include_str!("../README.md")]

// | file | holds |
// |---|---|
// | `axum_login` | the layer for axum-login |
// | `v0_14`, `v0_15` | the versions of tower-sessions |
// | `sessions` | the layer that puts a `Session` into a request; compiled for each version |
// | `opened` | one request's `Session`, and the store behind it; compiled for each version |
// | `bridge` | what a `Session` does, on the handle of a request |
// | `lifetime` | `Expiry` as `SessionExpiry` |
// | `user` | the value that names the user |

#[cfg(feature = "axum-login")]
pub mod axum_login;
#[cfg(feature = "tower-sessions-0-14")]
pub mod v0_14;
#[cfg(feature = "tower-sessions-0-15")]
pub mod v0_15;

#[cfg(any(feature = "tower-sessions-0-14", feature = "tower-sessions-0-15"))]
mod bridge;
#[cfg(any(feature = "tower-sessions-0-14", feature = "tower-sessions-0-15"))]
mod lifetime;
#[cfg(any(feature = "tower-sessions-0-14", feature = "tower-sessions-0-15"))]
mod user;
