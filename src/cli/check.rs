//! `check`: the start-up check of each server.

use serde_json::{Value, json};

use crate::{
    cli::{
        exit::{Exit, Failure},
        output::Output,
        warnings::Warnings,
    },
    error::Causes,
    store::maintenance::{Checked, Maintenance},
};

pub(super) async fn check(
    store: &dyn Maintenance,
    output: &mut Output,
    warnings: &Warnings,
) -> Result<Exit, Failure> {
    let checks = store.check().await;
    let warnings = warnings.all();
    let worst = checks.iter().filter_map(|check| check.result.as_ref().err()).map(Exit::of).max();
    let found = if warnings.is_empty() { Exit::Done } else { Exit::Finding };
    let exit = worst.unwrap_or(Exit::Done).max(found);
    if output.is_json() {
        let checks: Vec<Value> = checks.iter().map(as_json).collect();
        let all = json!({ "ok": exit == Exit::Done, "checks": checks, "warnings": warnings });
        output.json(&all)?;
        return Ok(exit);
    }
    for Checked { part, result } in &checks {
        let said = match result {
            Ok(()) => "ok".to_owned(),
            Err(error) => format!("{}: {}", Exit::of(error).kind(), Causes(error)),
        };
        output.fields([(*part, said)])?;
    }
    if needs_tables(store, &checks).await {
        output.line("Create the tables: tower-redis-session schema --apply")?;
    }
    Ok(exit)
}

fn as_json(Checked { part, result }: &Checked) -> Value {
    match result {
        Ok(()) => json!({ "part": part, "ok": true }),
        Err(error) => {
            let (kind, text) = (Exit::of(error).kind(), Causes(error).to_string());
            json!({ "part": part, "ok": false, "kind": kind, "text": text })
        }
    }
}

/// Whether the tables are missing or of an older version.
async fn needs_tables(store: &dyn Maintenance, checks: &[Checked]) -> bool {
    let unusable = |check: &Checked| {
        check.part == "database"
            && check.result.as_ref().is_err_and(|error| Exit::of(error) == Exit::Unusable)
    };
    let Some(tables) = store.tables().filter(|_| checks.iter().any(unusable)) else { return false };
    store.schema_version().await.is_ok_and(|found| !tables.script(found).is_empty())
}
