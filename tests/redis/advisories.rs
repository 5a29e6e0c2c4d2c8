//! What went wrong elsewhere, each as a test of ours: one for each published advisory or incident
//! of a session library that could be ours too. The name starts with the advisory's.
//!
//! Not here, because there is nothing of ours that could have the fault:
//!
//! | advisory | why not |
//! |---|---|
//! | Jetty CVE-2021-34428, by a listener that stops a logout | listeners are told by a channel and run in tasks of their own; here it is a handler that panics, and in `events.rs` a listener |
//! | sqlx RUSTSEC-2024-0363 | a value of 4 GiB cannot be made: a record has at most 16 MiB; here the bound is asked of the database's store |
//!
//! To see these fail: on Gone create the record again; ignore the answer of `SET NX`; take the
//! cookie's text for the key; trim Unicode white space around names; decode names; set `Vary` only
//! where a cookie is sent; compare no TTL with the record's own end; forward the store's errors.

mod connections;
mod cookies;
mod dependencies;
mod fixation;
mod lost_and_revived;
mod outside;
mod records;
mod visitors;
