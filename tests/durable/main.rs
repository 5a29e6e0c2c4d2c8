//! The databases, and Redis before one of them. Needs redis-server, PostgreSQL and sqlite3.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: a panic is the report"
)]

/// Instances whose clocks are wrong.
mod clocks;
/// What dead cookies and activity cost, however many there are.
mod costs;
/// A SQLite file or PostgreSQL alone: files and servers that fail.
mod database;
/// Redis, the database or both refuse, hang, fill up, forget or go away.
mod faults;
/// Clients that hang up.
mod hang_ups;
/// What the durable store promises while everything is well.
mod healthy;
/// Tokens, values and passwords stay where they belong, whatever fails.
mod leaks;
/// Sessions of connections that outlive their request, on every store.
mod live;
/// The metrics of the report and the alert rules on them, by Prometheus' own tool.
mod monitoring;
/// Faults that a seed chooses, and a checker of what the clients saw.
mod nemesis;
/// The numbered schedules of the protocol, by mechanism.
mod schedules;
/// Redis behind sentinels, and failovers.
mod sentinel;
/// Stores that stand still for a while.
mod stalls;
/// A take-over of another library's sessions, with a database behind Redis.
mod take_over;
/// Two instances of one service, each behind proxies of its own.
mod two_instances;

/// What [`two_instances::Instance`] starts in a process of its own.
#[tokio::test]
async fn instance_process() {
    two_instances::instance_process().await;
}
