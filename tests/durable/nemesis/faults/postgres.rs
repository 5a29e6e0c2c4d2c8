//! Faults of the database.

use std::sync::Arc;

use super::super::client::rest;
use super::super::schedule::{Deed, Step};
use super::super::world::World;
use super::blocking;

pub async fn perform(world: &Arc<World>, step: &Step) {
    let truth = world.truth();
    match step.deed {
        Deed::Kill => {
            blocking(world, |world| world.truth().server.kill()).await;
            rest(step.lasts).await;
            world.truth().server.restart().await;
        }
        Deed::Hang => {
            blocking(world, |world| world.truth().server.hang()).await;
            rest(step.lasts).await;
            blocking(world, |world| world.truth().server.resume()).await;
        }
        Deed::Failover => {
            let url = truth.database.url();
            let name = url.rsplit('/').next().and_then(|name| name.split('?').next()).unwrap();
            let maintenance = world.truth().server.maintenance();
            let set = async |mode: &str| {
                let _ = maintenance.try_sql(&format!("ALTER DATABASE {name} {mode}")).await;
            };
            set("SET default_transaction_read_only = on").await;
            let cut = format!(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
            );
            let _ = maintenance.try_sql(&cut).await;
            rest(step.lasts).await;
            // Those that came meanwhile stay as they are: whoever made them has to notice.
            set("RESET default_transaction_read_only").await;
        }
        other => panic!("{other:?} is nothing for PostgreSQL"),
    }
}
