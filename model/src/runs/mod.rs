//! What is explored, and how it is printed.

pub mod ablations;
pub mod browser;
pub mod case;
pub mod cluster;
pub mod every_fault;
pub mod holes;
pub mod report;
pub mod sign_in;
pub mod small;
pub mod verification;
