//! `schema`: the SQL of the tables, printed or applied.

use serde_json::json;

use crate::{
    cli::{
        exit::{Exit, Failure},
        output::Output,
    },
    error::{Error, ErrorKind},
    store::maintenance::{Maintenance, Tables},
};

pub(super) async fn schema(
    store: &dyn Maintenance,
    apply: bool,
    all: bool,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let Some(tables) = store.tables() else {
        let none = json!({ "engine": null, "sql": "" });
        output.say(&none, "-- no tables: the configured store is redis alone")?;
        return Ok(Exit::Done);
    };
    let found = if all { None } else { store.schema_version().await? };
    let script = tables.script(found);
    if found > Some(tables.version()) {
        let text = "the tables are of a newer version of this crate";
        return Err(Error::new(ErrorKind::Misconfigured, text).into());
    }
    let applied = apply && !script.is_empty();
    if applied {
        store.store().migrate().await?;
    }
    if output.is_json() {
        let (engine, version) = (tables.engine, tables.version());
        output.json(&json!({
            "engine": engine, "found": found, "version": version, "applied": applied, "sql": script,
        }))?;
    } else if apply {
        output.line(result(&tables, found, applied))?;
    } else {
        output.line(format_args!("-- {}", state(&tables, found, all)))?;
        output.line(script.trim_end())?;
    }
    Ok(Exit::Done)
}

fn state(tables: &Tables, found: Option<i64>, all: bool) -> String {
    let (engine, version) = (tables.engine, tables.version());
    match found {
        None if all => format!("{engine}: the tables of version {version}"),
        None => format!("{engine}: no tables; this creates version {version}"),
        Some(found) if found < version => {
            format!("{engine}: tables of version {found}; this migrates them to {version}")
        }
        Some(found) => format!("{engine}: tables of version {found}; nothing to do"),
    }
}

fn result(tables: &Tables, found: Option<i64>, applied: bool) -> String {
    let (engine, version) = (tables.engine, tables.version());
    match found {
        None => format!("{engine}: tables of version {version} created"),
        Some(found) if applied => {
            format!("{engine}: tables migrated from version {found} to {version}")
        }
        Some(found) => format!("{engine}: tables of version {found}; nothing to do"),
    }
}
