//! Limit on guessing passwords: failed sign-ins by account and by network, counted in the session
//! store, with waits that double.
//!
//! ```
//! use std::net::IpAddr;
//!
//! use tower_redis_session::{
//!     MemoryStore, RedisSessionLayer,
//!     limiter::{AttemptError, SignInLimiter},
//!     response::HttpError,
//! };
//!
//! async fn sign_in(
//!     limiter: &SignInLimiter,
//!     (name, password): (&str, &str),
//!     address: IpAddr,
//! ) -> Result<bool, AttemptError> {
//!     // Counted before the password is checked: concurrent guesses are no cheaper.
//!     let attempt = limiter.begin(name, address).await?;
//!     if password != "wonderland" {
//!         return Ok(false); // A dropped attempt has failed.
//!     }
//!     attempt.succeeded().await;
//!     Ok(true)
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let sessions = RedisSessionLayer::builder(MemoryStore::new()).build()?;
//! let limiter = sessions.sign_in_limiter().build()?;
//! let home: IpAddr = "198.51.100.7".parse()?;
//! for _ in 0..5 {
//!     assert!(!sign_in(&limiter, ("alice", "guess"), home).await?);
//! }
//! let throttled = sign_in(&limiter, ("alice", "guess"), home).await.unwrap_err();
//! assert_eq!((throttled.status().as_u16(), throttled.code()), (429, "too_many_attempts"));
//! assert!(sign_in(&limiter, ("alice", "wonderland"), "203.0.113.9".parse()?).await?);
//! # Ok(())
//! # }
//! ```
//!
//! # Counters
//!
//! [`begin`](SignInLimiter::begin) counts an attempt as failed in four counters, in one atomic step
//! of the store, unless one of them throttles it. [`succeeded`](Attempt::succeeded) takes it back.
//! So of any number of concurrent guesses exactly the allowed number reaches the password check.
//!
//! | counter | of | without a wait | then waits | most | recovers one failure in |
//! |---|---|---|---|---|---|
//! | pair | an account and a network | 5 | 1 s, doubling | 20 | 1 day |
//! | account | an account, from all networks | 50 | 30 s, doubling to 1 hour | 90, 100 | 1 day |
//! | network | IPv4 address, or IPv6 /64 | 100 | 1 s, doubling to 15 minutes | 1,000 | 36 s |
//! | site | IPv4 /24, or IPv6 /48 | 1,000 | 1 s, doubling to 15 minutes | 10,000 | 3.6 s |
//!
//! Failures recover one by one, and a counter without failures is deleted. A success deletes the
//! pair's counter and takes the pair's failures from the account's: those from other networks stay.
//! A success never clears a network's failures, so an attacker with an account of their own gains
//! nothing. It makes the network **known** for this account, for 90 days.
//!
//! # Users and attackers
//!
//! - A user on another network signs in while an attacker guesses their password: from one network
//!   an account gets at most 20 failures, then one a day, which is as fast as they recover. It
//!   waits from 50 on.
//! - Attackers with several networks can make an account wait. Its user still signs in at once from
//!   a known network. From any other network there is a wait of up to an hour, or until
//!   the application calls [`forgive`](SignInLimiter::forgive), after a password reset for example.
//! - An account has at most 100 failures on record (NIST SP 800-63B section 3.2.2); the last 10 are
//!   reserved for known networks. Then one guess a day remains, as failures recover. A longer
//!   [`recovery`](AttemptLimit::recovery) lowers that.
//! - Attackers who try one password on many accounts are bound by their network: 100 guesses, then
//!   100 an hour; IPv6 by /64, and 1,000 by /48.
//! - **Unknown accounts** are counted and throttled exactly as existing ones, with the same calls
//!   to the store. Whether a network is known shows only to those who share it, and only while the
//!   account waits.
//!
//! # Where it is counted
//!
//! In the session store: `RedisStore` in Redis, by one script with the TTL in the same step;
//! `DatabaseStore` in the database, by one transaction. A `DurableStore` counts in the database
//! alone, so an outage of Redis changes nothing. All instances count together, by the store's
//! clock. Fails closed: without the store `begin` fails with a 503 within
//! [`timeout`](SignInLimiterBuilder::timeout); a sign-in could not be stored anyway.
//!
//! Names and addresses are stored as HMAC-SHA-256, 16 bytes of it. At most
//! [`max_entries`](SignInLimiterBuilder::max_entries) counters are stored, whatever attackers make
//! up: in Redis about 60 bytes each. Beyond it the counter with the fewest failures is replaced by
//! the new one, which takes its failures over.
//!
//! An attempt costs one call to the store, a successful one two. A throttled network or pair costs
//! none for the next second: this instance remembers it.
//!
//! # Deployment caveats
//!
//! - Behind a proxy the address has to be the client's: configure
//!   [`trusted_proxies`](crate::layer::DeviceConfig::trusted_proxies), and use
//!   [`address`](SignInLimiter::address). With the proxy's own address all users share one limit.
//! - Pass the account as the application looks it up, in one spelling: after folding case where the
//!   look-up does.
//! - All instances need the same settings. Another key, scope or number of entries starts from
//!   empty counters.
//! - With Redis alone, a Redis that loses its data forgets failures.

// | file | holds |
// |---|---|
// | `sign_in_limiter` | `SignInLimiter`: begin an attempt, forgive an account |
// | `builder` | its settings |
// | `limit` | `AttemptLimit`: one counter's limit |
// | `attempt` | `Attempt`: a sign-in whose password is being checked |
// | `error` | `Throttled` and `AttemptError` |
// | `counting` | the shared state, and calls to the store |
// | `names` | keys of the counters, from accounts and networks |
// | `refusals` | throttled names that this instance remembers |
// | `layer` | `NetworkLimitLayer`: routes limited by network alone |
// | `service` | the middleware |

mod attempt;
mod builder;
mod counting;
mod error;
mod layer;
mod limit;
mod names;
mod refusals;
mod service;
mod sign_in_limiter;

pub use crate::{
    limiter::{
        attempt::Attempt,
        builder::SignInLimiterBuilder,
        error::{AttemptError, Throttled},
        layer::NetworkLimitLayer,
        limit::AttemptLimit,
        service::{NetworkLimitFuture, NetworkLimitService},
        sign_in_limiter::SignInLimiter,
    },
    telemetry::ThrottledBy,
};
