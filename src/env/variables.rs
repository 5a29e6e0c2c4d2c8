//! Environment variables as texts, numbers and switches; an empty one counts as unset. Parsing is
//! strict.

use std::time::Duration;

use crate::{env::names::is_link, error::ConfigError};

pub(super) trait Lookup: Fn(&'static str) -> Result<Option<String>, ConfigError> {}
impl<F: Fn(&'static str) -> Result<Option<String>, ConfigError>> Lookup for F {}

pub(super) struct Variables<F>(pub(super) F);

impl<F: Lookup> Variables<F> {
    /// Verbatim: a secret may have any character in any place.
    pub(super) fn verbatim(&self, name: &'static str) -> Result<Option<String>, ConfigError> {
        Ok((self.0)(name)?.filter(|value| !value.is_empty()))
    }

    pub(super) fn text(&self, name: &'static str) -> Result<Option<String>, ConfigError> {
        let Some(value) = self.verbatim(name)? else { return Ok(None) };
        // From a file with other line ends, or a pasted value: never intended.
        if value.trim() != value || value.contains(char::is_control) {
            return Err(ConfigError::new(
                name,
                "has white space at an end, or a control character",
            ));
        }
        Ok(Some(value))
    }

    /// None where Kubernetes sets the same name to an address, as in every pod beside a service
    /// named `redis`.
    pub(super) fn own(&self, name: &'static str) -> Result<Option<String>, ConfigError> {
        Ok(self.verbatim(name)?.filter(|value| !is_link(value)))
    }

    pub(super) fn number(&self, name: &'static str) -> Result<Option<u64>, ConfigError> {
        let not_one = || ConfigError::new(name, "is not a whole number of 0 or more");
        let Some(value) = self.text(name)? else { return Ok(None) };
        // The library would accept a sign.
        let digits = value.bytes().all(|byte| byte.is_ascii_digit());
        value.parse().ok().filter(|_| digits).map(Some).ok_or_else(not_one)
    }

    pub(super) fn seconds(&self, name: &'static str) -> Result<Option<Duration>, ConfigError> {
        Ok(self.number(name)?.map(Duration::from_secs))
    }

    pub(super) fn switch(&self, name: &'static str) -> Result<Option<bool>, ConfigError> {
        let Some(value) = self.text(name)? else { return Ok(None) };
        match value.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(Some(true)),
            "false" | "0" | "no" | "off" => Ok(Some(false)),
            _ => Err(ConfigError::new(name, "is neither true nor false")),
        }
    }
}
