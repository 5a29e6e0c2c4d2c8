//! `status`: the state of each server.

use crate::{
    cli::{
        exit::{Exit, Failure},
        output::{Output, bytes, printable},
    },
    store::maintenance::{CopiesStatus, DatabaseStatus, Maintenance, RedisStatus, Status},
};

pub(super) async fn status(store: &dyn Maintenance, output: &mut Output) -> Result<Exit, Failure> {
    let status = store.status().await;
    if output.is_json() {
        output.json(&status)?;
    } else {
        print(&status, output)?;
    }
    Ok(exit(&status))
}

fn exit(status: &Status) -> Exit {
    let redis = status.redis.as_ref().is_none_or(|redis| redis.available);
    let Some(database) = &status.database else {
        return if redis { Exit::Done } else { Exit::Unavailable };
    };
    let is_current = database.schema == Some(database.schema_of_this_version);
    match (redis && database.available, is_current) {
        (false, _) => Exit::Unavailable,
        (true, false) => Exit::Unusable,
        (true, true) => Exit::Done,
    }
}

fn print(status: &Status, output: &mut Output) -> Result<(), Failure> {
    if let Some(redis) = &status.redis {
        output.fields(of_redis(redis))?;
    }
    if let Some(database) = &status.database {
        output.fields(of_database(database))?;
    }
    if let Some(copies) = &status.copies {
        output.fields(of_copies(copies))?;
    }
    Ok(())
}

fn of_redis(redis: &RedisStatus) -> Vec<(&'static str, String)> {
    let mut fields = vec![("redis", printable(&redis.address).into_owned())];
    fields.push(("", availability(redis.available, redis.cause.as_deref())));
    if let Some(primary) = &redis.primary {
        fields.push(("", format!("primary {}", printable(primary))));
    }
    if let Some(version) = &redis.version {
        fields.push(("", format!("version {}", printable(version))));
    }
    if let Some(used) = redis.used_memory {
        let most = redis.max_memory.filter(|most| *most > 0);
        let of =
            most.map_or_else(|| "without a limit".to_owned(), |most| format!("of {}", bytes(most)));
        fields.push(("", format!("memory {} {of}", bytes(used))));
    }
    if let Some(policy) = &redis.eviction_policy {
        fields.push(("", format!("eviction policy {}", printable(policy))));
    }
    if let Some(ahead) = redis.clock_ahead_ms {
        fields.push(("", format!("clock {ahead:+} ms")));
    }
    fields
}

fn of_database(database: &DatabaseStatus) -> Vec<(&'static str, String)> {
    let place = format!("{} {}", database.engine, printable(&database.address));
    let state = availability(database.available, database.cause.as_deref());
    let mut fields = vec![("database", place), ("", state)];
    if database.available {
        let newest = database.schema_of_this_version;
        fields.push((
            "",
            match database.schema {
                None => "no tables: tower-redis-session schema --apply creates them".to_owned(),
                Some(found) if found == newest => format!("tables of version {found}"),
                Some(found) => format!("tables of version {found}, this command's are {newest}"),
            },
        ));
    }
    fields
}

fn of_copies(copies: &CopiesStatus) -> Vec<(&'static str, String)> {
    let owner = match copies.of_this_redis {
        None => "not compared: redis is unavailable",
        Some(true) => "of this redis",
        Some(false) => "of another redis, or of this one before a restart",
    };
    let pending = format!("{} changes that redis has not confirmed", copies.pending);
    vec![("copies", format!("generation {}, {owner}", copies.generation)), ("", pending)]
}

fn availability(available: bool, cause: Option<&str>) -> String {
    match (available, cause) {
        (true, _) => "available".to_owned(),
        (false, cause) => format!("unavailable: {}", cause.unwrap_or("no cause known")),
    }
}
