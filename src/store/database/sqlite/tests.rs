//! A file that is full: what still works when no page is left.

use std::time::Duration;

use sqlx::Row as _;

use crate::{
    clock::ManualClock,
    session::{
        record::{Record, Touch},
        token::{SessionId, Token},
    },
    store::database::{
        DatabaseConfig, Terms, Write, Written,
        engine::Engine,
        sqlite::*,
        write::{Batch, Executed},
    },
};

fn create(id: SessionId, user: &str) -> Write {
    let (user, sealed) = (Some(user.into()), Some(vec![7; 900].into()));
    let record = Record { user, sealed, ..Record::example() };
    Write::Create { id, record, terms: Terms::default() }
}

async fn execute(engine: &Engine, write: Write) -> Result<Written, Failed> {
    let batch = Batch { writes: vec![write], clears: Vec::new() };
    let Executed { mut outcomes, .. } =
        engine.execute(&batch, ManualClock::new().clock().now()).await?;
    Ok(outcomes.remove(0).unwrap())
}

#[tokio::test]
async fn on_a_full_disk_who_is_active_stays_and_who_leaves_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}/x.db", folder.path().display());
    for journal in [true, false] {
        let config = DatabaseConfig::new(&url).timeout(Duration::from_secs(20));
        let mut sqlite = Sqlite::new(&url, &config, journal).unwrap();
        sqlite.migrate().await.unwrap();
        sqlite.writing = sqlite.writing.pragma("max_page_count", "120");
        let sqlite = Engine::Sqlite(Box::new(sqlite));
        let mut ids = Vec::new();
        let error = loop {
            let id = Token::generate().unwrap().id();
            match execute(&sqlite, create(id, &format!("user {}", ids.len()))).await {
                Ok(_) => ids.push(id),
                Err(failed) => break failed.fault,
            }
        };
        let WriteFault::Refused(error) = error else { panic!("{error:?}") };
        assert!(error.to_string().contains("full"), "{error}");
        for (place, id) in ids.iter().enumerate() {
            let later = Duration::from_secs(1 + place as u64);
            let end = Record::example().end().saturating_add(later);
            let activity = Touch { last_activity: end, idle_deadline: end, end };
            let touch = Write::Touch { id: *id, version: 1, activity };
            let touched = execute(&sqlite, touch).await;
            assert!(matches!(touched, Ok(Written::Done { .. })), "{place}: {touched:?}");
        }
        for (place, id) in ids.iter().enumerate() {
            assert!(sqlite.read(id).await.unwrap().is_some(), "{place}");
            let leaves = match place % 2 {
                0 => Write::Delete { id: *id, expected: None },
                _ => Write::Revoke { user: format!("user {place}"), keep: None },
            };
            let left = execute(&sqlite, leaves).await;
            assert!(matches!(left, Ok(Written::Done { .. })), "{place}: {left:?}");
            assert!(sqlite.read(id).await.unwrap().is_none(), "{place}");
        }
        // What ended in the millisecond of the purge stays.
        tokio::time::sleep(Duration::from_millis(2)).await;
        let purged = sqlite.purge(Duration::ZERO, 10_000).await.unwrap();
        assert!(purged.sessions >= ids.len() as u64, "{purged:?}");
        let reserve = sqlx::query("SELECT count(*) FROM trs_reserve");
        let Engine::Sqlite(file) = &sqlite else { unreachable!() };
        let count: i64 = file.ask(reserve).await.unwrap()[0].get(0);
        assert_eq!(count, 1, "and room is kept for the next time");
        let again = execute(&sqlite, create(Token::generate().unwrap().id(), "user")).await;
        assert!(matches!(again, Ok(Written::Done { .. })), "{again:?}");
    }
}
