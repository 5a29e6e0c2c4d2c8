//! Environment variables as texts, numbers and switches; an empty one is an unset one.

use std::time::Duration;

use crate::error::ConfigError;

pub(super) trait Lookup: Fn(&'static str) -> Result<Option<String>, ConfigError> {}
impl<F: Fn(&'static str) -> Result<Option<String>, ConfigError>> Lookup for F {}

pub(super) struct Variables<F>(pub(super) F);

impl<F: Lookup> Variables<F> {
    pub(super) fn text(&self, name: &'static str) -> Result<Option<String>, ConfigError> {
        Ok((self.0)(name)?.filter(|value| !value.is_empty()))
    }

    pub(super) fn number(&self, name: &'static str) -> Result<Option<u64>, ConfigError> {
        let not_one = |_| ConfigError::new(name, "is not a whole number of 0 or more");
        self.text(name)?.map(|value| value.trim().parse().map_err(not_one)).transpose()
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
