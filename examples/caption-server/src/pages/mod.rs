//! The handlers: a file for each page, with what programs can ask for beside it.
//!
//! [`templates`] renders, and [`visitor`] says who asks.

pub(crate) mod admin;
pub(crate) mod captions;
pub(crate) mod devices;
pub(crate) mod outage;
pub(crate) mod platforms;
pub(crate) mod platforms_api;
pub(crate) mod readiness;
pub(crate) mod settings;
pub(crate) mod sign_in;
pub(crate) mod task;
pub(crate) mod templates;
pub(crate) mod visitor;
