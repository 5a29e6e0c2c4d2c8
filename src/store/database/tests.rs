//! What the database gives to a store with a cache in front: on a real file and a real server.

use std::{future::Future, time::Duration};

use crate::{
    clock::ManualClock,
    session::{record::Touch, token::Token},
    store::{Store as _, database::*},
};

#[path = "tests/cleanup.rs"]
mod cleanup;

struct Subject {
    url: String,
    database: Database,
    clock: ManualClock,
    config: DatabaseConfig,
}

impl Subject {
    async fn new(url: String) -> Self {
        let config = patient(&url);
        Self::of(url, config).await
    }

    async fn of(url: String, config: DatabaseConfig) -> Self {
        let clock = ManualClock::new();
        let database = Database::new(&config, true, clock.clock()).unwrap();
        database.migrate().await.unwrap();
        Self { url, database, clock, config }
    }

    async fn created(&self) -> (SessionId, Record) {
        let (id, record) = (fresh(), Record::example());
        let write = Write::Create { id, record: record.clone(), terms: Terms::default() };
        assert!(matches!(self.written(write).await, Written::Done { version: 1, .. }));
        (id, record)
    }

    /// A session that has moved: its old id and its new one.
    async fn moved(&self) -> (SessionId, SessionId) {
        let ((old, record), new) = (self.created().await, fresh());
        let begin = Write::Begin { old, expected: 1, new, record, terms: Terms::default() };
        let _ = self.written(begin).await;
        let _ = self.written(Write::Finish { old, expected: Some(1), new }).await;
        (old, new)
    }

    async fn written(&self, write: Write) -> Written {
        self.database.write(write).await.unwrap().written
    }

    async fn save(&self, id: SessionId, expected: u64) -> Written {
        let record = Record { version: expected + 1, ..Record::example() };
        self.written(Write::Save { id, expected, record }).await
    }

    /// Another instance on the same database, with its own idea of the time, and a record of its.
    fn instance(&self, since_2024: Duration) -> (Database, Record) {
        let clock = ManualClock::new();
        clock.advance(since_2024);
        let mut record = Record::example();
        for time in [&mut record.created, &mut record.last_activity] {
            *time = time.saturating_add(since_2024);
        }
        let deadlines = &mut record.deadlines;
        deadlines.idle_deadline = deadlines.idle_deadline.saturating_add(since_2024);
        let absolute = deadlines.absolute_deadline;
        deadlines.absolute_deadline = absolute.map(|end| end.saturating_add(since_2024));
        (Database::new(&self.config, true, clock.clock()).unwrap(), record)
    }

    /// The test's own way into the database: what the first column of the first row says.
    async fn sql(&self, text: &'static str) -> i64 {
        use sqlx::{ConnectOptions as _, Row as _};
        let number = |row: Option<Result<i64, _>>| row.transpose().unwrap().unwrap_or_default();
        #[cfg(feature = "postgres")]
        if self.url.starts_with("postgres") {
            let options: sqlx::postgres::PgConnectOptions = self.url.parse().unwrap();
            let mut own = options.connect().await.unwrap();
            let row = sqlx::query(text).fetch_optional(&mut own).await.unwrap();
            return number(row.map(|row| row.try_get(0)));
        }
        let options: sqlx::sqlite::SqliteConnectOptions = self.url.parse().unwrap();
        let mut own = options.connect().await.unwrap();
        let row = sqlx::query(text).fetch_optional(&mut own).await.unwrap();
        number(row.map(|row| row.try_get(0)))
    }

    async fn journal(&self) -> Vec<(SessionId, u64)> {
        let mut journal = self.database.poll(1_000).await.unwrap().journal;
        journal.sort();
        journal
    }

    async fn rows(&self, ids: &[SessionId]) -> Vec<Option<(u64, bool, Option<SessionId>)>> {
        let snapshot = self.database.snapshot(ids).await.unwrap();
        let row = |row: Option<Result<Row, Error>>| {
            row.map(|row| row.unwrap()).map(|row| (row.record.version, row.alive, row.replaces))
        };
        snapshot.rows.into_iter().map(row).collect()
    }
}

fn patient(url: &str) -> DatabaseConfig {
    DatabaseConfig::new(url).timeout(Duration::from_secs(20))
}

fn fresh() -> SessionId {
    Token::generate().unwrap().id()
}

async fn on_each<F: Future<Output = ()>>(check: impl Fn(Subject) -> F) {
    #[cfg(feature = "sqlite")]
    {
        let folder = tempfile::tempdir().unwrap();
        check(Subject::new(format!("sqlite:{}/x.db", folder.path().display())).await).await;
    }
    #[cfg(feature = "postgres")]
    {
        let server = test_support::PostgresServer::shared().await;
        check(Subject::new(server.database().await.url()).await).await;
    }
}

#[tokio::test]
async fn what_a_cache_may_hold_is_in_the_journal_when_it_is_changed() {
    on_each(async |subject| {
        let (id, _) = subject.created().await;
        assert_eq!(subject.journal().await, [], "nobody can have cached what is new");
        assert!(matches!(subject.save(id, 1).await, Written::Done { version: 2, .. }));
        assert_eq!(subject.journal().await, [(id, 2)]);
        assert!(
            matches!(subject.save(id, 1).await, Written::Conflict(current) if current.version == 2)
        );
        let touch = Write::Touch { id, version: 2, activity: later() };
        assert!(matches!(subject.written(touch).await, Written::Done { version: 2, .. }));
        assert_eq!(subject.journal().await, [(id, 2)], "nor by a conflict or a touch");
        let delete = Write::Delete { id, expected: None };
        assert!(matches!(subject.written(delete.clone()).await, Written::Done { version: 3, .. }));
        assert_eq!(subject.journal().await, [(id, 3)]);
        assert!(matches!(subject.written(delete).await, Written::Gone));
        assert!(matches!(subject.save(id, 3).await, Written::Gone));
        let again = Write::Create { id, record: Record::example(), terms: Terms::default() };
        assert!(matches!(subject.written(again).await, Written::Taken), "an id is used once");
        assert_eq!(subject.rows(&[id, fresh()]).await, [Some((3, false, None)), None]);
    })
    .await;
}

#[tokio::test]
async fn a_renewal_in_two_steps_leaves_one_of_the_two_in_between_and_the_new_one_after() {
    on_each(async |subject| {
        let (old, record) = subject.created().await;
        let new = fresh();
        let begin = |expected| Write::Begin {
            old,
            expected,
            new,
            record: record.clone(),
            terms: Terms::default(),
        };
        assert!(matches!(subject.written(begin(7)).await, Written::Conflict(_)));
        assert!(matches!(subject.written(begin(1)).await, Written::Done { version: 1, .. }));
        assert!(matches!(subject.written(begin(1)).await, Written::Taken));
        let both = [Some((1, true, None)), Some((1, true, Some(old)))];
        assert_eq!(subject.rows(&[old, new]).await, both);
        let late = Write::Finish { old, expected: Some(2), new };
        assert!(matches!(subject.written(late).await, Written::Conflict(_)));
        assert_eq!(subject.rows(&[old, new]).await, both);
        let finish = Write::Finish { old, expected: Some(1), new };
        assert!(matches!(subject.written(finish.clone()).await, Written::Done { version: 2, .. }));
        assert_eq!(subject.journal().await, [(old, 2)]);
        assert_eq!(
            subject.rows(&[old, new]).await,
            [Some((2, false, None)), Some((1, true, None))]
        );
        assert!(matches!(subject.written(finish).await, Written::Done { version: 2, .. }));
        let of_nothing = Write::Finish { old: fresh(), expected: None, new };
        assert!(matches!(subject.written(of_nothing).await, Written::Done { version: 0, .. }));
        assert!(matches!(subject.written(begin(1)).await, Written::Gone));
    })
    .await;
}

#[tokio::test]
async fn a_renewal_that_another_finishes_takes_over_what_was_written_since() {
    on_each(async |subject| {
        let (old, record) = subject.created().await;
        let new = fresh();
        let begin =
            Write::Begin { old, expected: 1, new, record: record.clone(), terms: Terms::default() };
        assert!(matches!(subject.written(begin).await, Written::Done { version: 1, .. }));
        let late = Record { version: 2, user: Some("late".into()), ..record };
        let _ = subject.written(Write::Save { id: old, expected: 1, record: late }).await;
        let finish = Write::Finish { old, expected: None, new };
        assert!(matches!(subject.written(finish.clone()).await, Written::Done { version: 3, .. }));
        let rows = [Some((3, false, None)), Some((2, true, None))];
        assert_eq!(subject.rows(&[old, new]).await, rows);
        let row = subject.database.snapshot(&[new]).await.unwrap().rows.remove(0);
        assert_eq!(row.unwrap().unwrap().record.user.as_deref(), Some("late"));
        let _ = subject.written(finish).await;
        assert_eq!(subject.rows(&[old, new]).await, rows);
    })
    .await;
}

/// Its deletion may not have been pushed to Redis.
#[tokio::test]
async fn a_second_delete_by_the_old_id_tells_of_the_dead_session_again() {
    on_each(async |subject| {
        let (old, new) = subject.moved().await;
        for (version, counted) in [(Some(2), true), (None, false)] {
            let written = subject.written(Write::Delete { id: old, expected: None }).await;
            assert_eq!(written.has_ended(), counted, "a session ends once");
            let Written::Done { version: 0, ended } = written else { panic!("{written:?}") };
            assert_eq!(ended, [Ended { id: new, version }]);
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_sealed_under_the_old_id_is_not_taken_over() {
    on_each(async |subject| {
        for user in [Some("alice".into()), None] {
            let (old, record) = subject.created().await;
            let new = fresh();
            let record = Record { user, sealed: Some(vec![1; 60].into()), ..record };
            let begin = Write::Begin {
                old,
                expected: 1,
                new,
                record: record.clone(),
                terms: Terms::default(),
            };
            let _ = subject.written(begin).await;
            let late = Record { version: 2, sealed: Some(vec![2; 60].into()), ..record.clone() };
            let _ = subject.written(Write::Save { id: old, expected: 1, record: late }).await;
            let finish = Write::Finish { old, expected: None, new };
            assert!(matches!(subject.written(finish).await, Written::Done { .. }));
            let row = subject.database.snapshot(&[new]).await.unwrap().rows.remove(0);
            assert_eq!(row.unwrap().unwrap().record, record, "it opens under its own id");
        }
    })
    .await;
}

#[tokio::test]
async fn a_clear_takes_no_newer_version_with_it() {
    on_each(async |subject| {
        let (one, _) = subject.created().await;
        let (two, _) = subject.created().await;
        let _ =
            (subject.save(one, 1).await, subject.save(two, 1).await, subject.save(two, 2).await);
        subject.database.clear_later(one, 2);
        subject.database.clear_later(two, 2);
        assert_eq!(subject.database.clears_pending().len(), 2);
        subject.database.flush().await;
        assert_eq!(subject.database.clears_pending(), []);
        assert_eq!(subject.journal().await, [(two, 3)]);
        subject.database.clear_later(two, 3);
        let (_other, _) = subject.created().await;
        assert_eq!(subject.journal().await, [], "it rides on the next write");
        let _ = subject.save(two, 3).await;
        subject.database.clear_later(two, 4);
        while !subject.database.clears_pending().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(subject.journal().await, [], "or goes alone");
    })
    .await;
}

#[tokio::test]
async fn one_of_two_bumps_counts_and_empties_the_journal() {
    on_each(async |subject| {
        let (id, _) = subject.created().await;
        let _ = subject.save(id, 1).await;
        let first = subject.database.epoch().await.unwrap();
        assert_eq!((first.seq, &*first.incarnation), (0, ""));
        let to = |generation| Epoch { seq: 1, generation, incarnation: "a life".into() };
        assert!(subject.database.bump(&first, &to(u64::MAX)).await.unwrap());
        assert!(!subject.database.bump(&first, &to(7)).await.unwrap());
        let polled = subject.database.poll(10).await.unwrap();
        assert_eq!((polled.epoch.seq, polled.epoch.generation), (1, u64::MAX));
        assert_eq!(&*polled.epoch.incarnation, "a life");
        assert_eq!(polled.journal, []);
        let write = Write::Delete { id, expected: Some(2) };
        let epoch = subject.database.write(write).await.unwrap().epoch;
        assert_eq!(epoch, Some(polled.epoch), "every write tells the epoch of after its commit");
    })
    .await;
}

#[tokio::test]
async fn a_poll_gives_one_more_than_its_limit() {
    on_each(async |subject| {
        for _ in 0..4 {
            let (id, _) = subject.created().await;
            let _ = subject.save(id, 1).await;
        }
        for (limit, expected) in [(0, 1), (2, 3), (3, 4), (9, 4)] {
            let found = subject.database.poll(limit).await.unwrap().journal.len();
            assert_eq!(found, expected, "{limit}");
        }
    })
    .await;
}

#[tokio::test]
async fn the_first_write_without_a_cache_disowns_what_a_cache_holds() {
    on_each(async |subject| {
        let first = subject.database.epoch().await.unwrap();
        let to = Epoch { seq: 1, generation: 1, incarnation: "a life".into() };
        assert!(subject.database.bump(&first, &to).await.unwrap());
        let store = DatabaseStore::with_clock(subject.config.clone(), subject.clock.clock());
        let store = store.unwrap();
        let _ = store.load(&fresh()).await.unwrap();
        assert_eq!(subject.database.epoch().await.unwrap().generation, 1, "not by a read");
        store.delete(&fresh()).await.unwrap();
        let epoch = subject.database.epoch().await.unwrap();
        assert_eq!((epoch.seq, &*epoch.incarnation), (2, ""));
        assert_ne!(epoch.generation, 1);
        store.delete(&fresh()).await.unwrap();
        assert_eq!(subject.database.epoch().await.unwrap(), epoch, "once");
    })
    .await;
}

fn later() -> Touch {
    let end = Record::example().end().saturating_add(Duration::from_secs(86_400));
    Touch { last_activity: end, idle_deadline: end, end }
}

/// What ends an overload does not wait behind it.
#[cfg(feature = "postgres")]
#[tokio::test]
async fn a_poll_a_new_generation_and_a_check_wait_behind_no_request() {
    let server = test_support::PostgresServer::shared().await;
    let place = server.database().await;
    for size in [2, 3, 8] {
        let subject = Subject::of(place.url(), patient(&place.url()).pool_size(size)).await;
        let held = place.clone();
        let holds = tokio::spawn(async move {
            held.sql("BEGIN; LOCK TABLE trs_sessions; SELECT pg_sleep(1); COMMIT").await
        });
        test_support::eventually("the table is locked", async || {
            let sleeping = "SELECT count(*) FROM pg_stat_activity \
                WHERE wait_event = 'PgSleep' AND datname = current_database()";
            place.sql(sleeping).await == "1"
        })
        .await;
        let (id, database) = (fresh(), subject.database.clone());
        let requests = (0..40).map(|_| database.read(&id));
        let requests = futures_util::future::join_all(requests);
        let polls = async {
            for _ in 0..5 {
                let from = subject.database.poll(10).await.unwrap().epoch;
                let to = Epoch { seq: from.seq + 1, generation: from.seq + 7, ..from.clone() };
                assert!(subject.database.bump(&from, &to).await.unwrap());
                subject.database.check().await.unwrap();
            }
            assert!(!holds.is_finished(), "behind the requests that wait for the table");
        };
        let (read, ()) = tokio::join!(requests, polls);
        assert!(read.into_iter().all(|row| row.unwrap().is_none()));
        let _ = holds.await.unwrap();
    }
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn a_write_that_the_server_refuses_refuses_no_other_one_beside_it() {
    let server = test_support::PostgresServer::shared().await;
    let place = server.database().await;
    let subject = Subject::new(place.url()).await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        ids.push(subject.created().await.0);
    }
    let refuse = format!(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            RAISE EXCEPTION 'not this one' USING ERRCODE = '23514';
        END $$;
        CREATE TRIGGER refuse BEFORE UPDATE ON trs_sessions FOR EACH ROW
            WHEN (NEW.id = '{}') EXECUTE FUNCTION refuse();",
        ids[1]
    );
    let _ = place.sql(&refuse).await;
    // Asked for at once, so that they share a transaction.
    let writes = ids.iter().map(|id| {
        let record = Record { version: 2, ..Record::example() };
        subject.database.write(Write::Save { id: *id, expected: 1, record })
    });
    let written = futures_util::future::join_all(writes).await;
    for (place, outcome) in written.into_iter().enumerate() {
        let outcome = outcome.map(|committed| committed.written);
        match place {
            1 => assert!(matches!(outcome, Err(WriteFault::Refused(_))), "{outcome:?}"),
            _ => assert!(matches!(outcome, Ok(Written::Done { version: 2, .. })), "{outcome:?}"),
        }
    }
    let rows = subject.rows(&ids).await;
    let versions: Vec<_> = rows.into_iter().map(|row| row.unwrap().0).collect();
    assert_eq!(versions, [2, 1, 2, 2]);
}
