//! Room.

pub(crate) mod check;
pub(crate) mod config;
pub(crate) mod connection;
pub(crate) mod failure;
pub(crate) mod greet;
pub(crate) mod health;
pub(crate) mod incarnation;
pub(crate) mod manager;
pub(crate) mod script;
