//! Source and target: the environment, or a file of variables each.

use std::{collections::HashMap, fs, path::Path, sync::Arc};

use crate::{
    cli::{arguments::Migrate, exit::Failure},
    env::EnvConfig,
    error::ConfigError,
    store::maintenance::{Maintenance, Status},
};

/// Both stores. Opened without a connection.
pub(super) struct Stores {
    pub(super) from: Arc<dyn Maintenance>,
    pub(super) to: Arc<dyn Maintenance>,
}

impl Stores {
    pub(super) fn open(options: &Migrate) -> Result<Self, Failure> {
        Ok(Self { from: open(options.from.as_deref())?, to: open(options.to.as_deref())? })
    }
}

fn open(file: Option<&Path>) -> Result<Arc<dyn Maintenance>, Failure> {
    let Some(path) = file else { return Ok(EnvConfig::from_env()?.maintenance()?) };
    let named = |fault| ConfigError::new(path.display().to_string(), fault);
    let text = fs::read_to_string(path).map_err(|error| named(error.to_string()))?;
    let variables = variables(&text).map_err(named)?;
    Ok(EnvConfig::from_lookup(|name| variables.get(name).cloned())?.maintenance()?)
}

/// The lines `NAME=VALUE` of a file for `EnvironmentFile=` of systemd or `--env-file` of Docker:
/// with comments and `export`. Quotes around the value are removed, as by systemd; Docker keeps
/// them. No escapes, and no names without a value.
fn variables(text: &str) -> Result<HashMap<String, String>, String> {
    let mut variables = HashMap::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        // Not the line, which may be a secret.
        let (name, value) = line.split_once('=').ok_or_else(|| {
            format!(
                "line {number} is no NAME=VALUE: {number_of_bytes} bytes",
                number_of_bytes = line.len()
            )
        })?;
        let value = value.trim();
        let quoted =
            ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
        let _ = variables.insert(name.trim().to_owned(), quoted.unwrap_or(value).to_owned());
    }
    Ok(variables)
}

/// Which store it is, without credentials: a state file belongs to two of them.
pub(super) fn place(status: &Status) -> String {
    let database = status.database.as_ref();
    let database = database.map(|database| format!("{} {}", database.engine, database.address));
    let redis = status.redis.as_ref().map(|redis| format!("redis {}", redis.address));
    [database, redis].into_iter().flatten().collect::<Vec<_>>().join(" and ")
}

#[cfg(test)]
mod tests {
    use crate::cli::migrate::stores::*;

    #[test]
    fn a_file_of_variables_is_read_as_systemd_and_docker_read_it() {
        let text = "# the old store\n\nSESSION_STORAGE=redis\n export REDIS_URL = \"redis://a/0\"\r\n\
                    ; more\nREDIS_PASSWORD='a=b\"#c'\nSESSION_KEY_PREFIX=\n";
        let variables = variables(text).unwrap();
        let of = |name: &str| variables.get(name).map(String::as_str);
        assert_eq!(of("SESSION_STORAGE"), Some("redis"));
        assert_eq!(of("REDIS_URL"), Some("redis://a/0"));
        assert_eq!(of("REDIS_PASSWORD"), Some("a=b\"#c"));
        assert_eq!(of("SESSION_KEY_PREFIX"), Some(""));
        assert_eq!(variables.len(), 4);
    }

    #[test]
    fn a_line_that_is_none_is_named_by_its_number_alone() {
        let fault = variables("A=1\nhunter2\n").unwrap_err();
        assert!(fault.contains("line 2") && !fault.contains("hunter2"), "{fault}");
    }
}
