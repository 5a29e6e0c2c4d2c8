//! The parts of the run: clients, faults, and the checker of what the clients saw.

use super::duo;

mod checker;
mod client;
mod dice;
mod faults;
mod history;
mod run;
mod schedule;
mod visit;
mod world;

pub use run::{Totals, run};
