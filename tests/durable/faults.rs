//! What the durable store promises while Redis, the database or both refuse, hang, fill up, forget
//! or go away: two instances, real servers.

pub mod bystanders;
mod database_away;
mod load;
mod redis_refuses;
