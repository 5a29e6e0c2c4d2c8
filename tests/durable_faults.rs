//! What the durable store promises while Redis, the database or both refuse, hang, fill up, forget
//! or go away: two instances, real servers.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: a panic is the report"
)]

mod duo;

#[path = "durable_faults/database_away.rs"]
mod database_away;
#[path = "durable_faults/load.rs"]
mod load;
#[path = "durable_faults/people.rs"]
mod people;
#[path = "durable_faults/redis_refuses.rs"]
mod redis_refuses;

#[tokio::test]
async fn instance_process() {
    duo::instance_process().await;
}
