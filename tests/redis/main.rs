//! Sites on a live Redis, as a client sees them. Needs redis-server, and in one test the
//! servers of `scripts/servers.sh`.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: a panic is the report"
)]

/// One test for each published advisory or incident that could be ours too.
mod advisories;
/// Servers that refuse a command, or give scripts declared keys only.
mod almost_redis;
/// What a server answers, by what an operator has to do.
mod answers;
/// What a session may hold: size, number of values, depth, names.
mod bounds;
/// Three primaries that share the sessions: slots that move, nodes that hang, come and go.
mod cluster;
/// What a request costs: every command that reaches Redis is counted.
mod commands;
/// No lost update: requests of one session that overlap, in one process or in two.
mod concurrency;
/// Ends of sessions that a replica confirms.
mod confirmed;
/// The cookie on its way in and out, and what caches are told.
mod cookie;
/// Passwords and tokens that change while the service runs.
mod credentials;
/// Requests that another site's page made do not pass, and the visitor's own do.
mod csrf;
/// What a user sees of their sessions, and how they end them on every device.
mod devices;
/// A directory with its cache in Redis: read through, one loader, fresh after a change.
mod directory;
/// What happens in the life of a session is told once, by its public id.
mod events;
/// What is recorded through the `metrics` facade.
mod facade;
/// What a server, or the way to it, does to connections that were good a moment ago.
mod faults;
/// A Redis without memory: what goes on, and what is refused.
mod full;
/// Who may not go on is told why, in a way that the client understands.
mod guards;
/// Upgrades, tunnels, heads without a body, interim answers, readiness.
mod http_manners;
/// Clients that leave, handlers that are dropped, servers that stop.
mod leaving;
/// The life of a session, from its first value to its end.
mod life_cycle;
/// An outage is one line in the log and one event.
mod one_line_a_state;
/// Redis dies, hangs, fills up or was never there: what a request gets, and how soon.
mod outage;
/// What other session crates get wrong, each as a promise of ours.
mod peer_defects;
/// Connections belong to the store, and to no request or runtime.
mod pool;
/// Some sessions outlive the browser, for as long as they were told to.
mod remember;
/// Logout is final: no request in flight brings anything back.
mod revival;
/// Records that only the cookie opens.
mod sealed;
/// Redis behind sentinels.
mod sentinel;
/// The session API: what pages and scripts are told, how other tabs hear of it.
mod session_api;
/// A sign-in on a cluster whose old session is in another slot than the user's.
mod sign_in_apart;
/// Sessions of another library, in a Redis of their own.
mod take_over;
/// TLS to Redis verifies, and never falls back to plain.
mod tls;
/// Clients without cookies: the token in a header, by the same rules.
mod transport;
