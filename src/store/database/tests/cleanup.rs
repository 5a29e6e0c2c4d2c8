//! What is removed from the database, when, and by whose clock.

use std::num::NonZeroU32;

use crate::{
    clock::timestamp::Timestamp,
    store::{
        attempts::{Action, AttemptKey, AttemptOutcome, AttemptWrite, Counter, Rule},
        database::tests::*,
    },
};

#[tokio::test]
async fn purge_removes_what_is_over_for_long_and_nothing_else() {
    on_each(async |subject| {
        let (dead, _) = subject.created().await;
        let (ended, _) = subject.created().await;
        let (touched, _) = subject.created().await;
        let purged = async || subject.database.purge(Duration::ZERO).await.unwrap().sessions;
        let _ = subject.written(Write::Delete { id: dead, expected: None }).await;
        // As if so much time had gone by at the database.
        let _ = subject.sql("UPDATE trs_sessions SET ends = ends - 899000 WHERE NOT alive").await;
        assert_eq!(purged().await, 0);
        let _ = subject.sql("UPDATE trs_sessions SET ends = ends - 2000 WHERE NOT alive").await;
        assert_eq!(purged().await, 1);
        assert_eq!(subject.rows(&[dead]).await, [None]);
        let touch = Write::Touch { id: touched, version: 1, activity: later() };
        let _ = subject.written(touch).await;
        // An example ends an hour after it was made, and the touched one a day later.
        let _ = subject.sql("UPDATE trs_sessions SET ends = ends - 8000000").await;
        assert_eq!(purged().await, 1);
        assert_eq!(subject.rows(&[ended, touched]).await, [None, Some((1, true, None))]);
    })
    .await;
}

#[tokio::test]
async fn purge_removes_failed_attempts_that_have_recovered() {
    let (key, hour) = (AttemptKey { bucket: 1, tag: [1; 16] }, 3_600_000);
    let (first_wait, longest_wait) = (1_000, 1_000);
    let rule = Rule { free: 5, max: 9, max_known: 0, first_wait, longest_wait, recovery: hour };
    let write = AttemptWrite {
        action: Action::Begin,
        counters: vec![Counter { key, rule }],
        known: None,
        known_for: Duration::ZERO,
        ways: 64,
    };
    on_each(async |subject| {
        let purged = async || subject.database.purge(Duration::ZERO).await.unwrap().attempts;
        for _ in 0..2 {
            let outcome = subject.database.attempt(&write).await.unwrap();
            assert_eq!(outcome, AttemptOutcome::DONE);
        }
        let _ = subject.sql("UPDATE trs_attempts SET ends = ends - 7190000").await;
        assert_eq!(purged().await, 0);
        let _ = subject.sql("UPDATE trs_attempts SET ends = ends - 10000").await;
        assert_eq!(purged().await, 1);
    })
    .await;
}

#[tokio::test]
async fn an_instance_whose_clock_is_hours_off_removes_nothing_and_nothing_of_its_own_is_removed() {
    on_each(async |subject| {
        let (theirs, _) = subject.created().await;
        // Behind the database's clock by years, by hours less or more, and ahead of it.
        for ahead in [0, 2, 24 * 40, 24 * 365 * 20] {
            let (off, record) = subject.instance(Duration::from_secs(3600 * ahead));
            let written = async |write| off.write(write).await.unwrap().written;
            let (alive, touched, dead) = (fresh(), fresh(), fresh());
            for id in [alive, touched, dead] {
                let write = Write::Create { id, record: record.clone(), terms: Terms::default() };
                assert!(matches!(written(write).await, Written::Done { .. }), "{ahead}");
            }
            let next = Record { version: 2, ..record.clone() };
            let save = Write::Save { id: alive, expected: 1, record: next };
            assert!(matches!(written(save).await, Written::Done { .. }), "{ahead}");
            let end = record.end().saturating_add(Duration::from_secs(1));
            let activity = Touch { last_activity: end, idle_deadline: end, end };
            let touch = Write::Touch { id: touched, version: 1, activity };
            assert!(matches!(written(touch).await, Written::Done { .. }), "{ahead}");
            let _ = written(Write::Delete { id: dead, expected: None }).await;
            for purges in [&off, &subject.database] {
                assert_eq!(purges.purge(Duration::ZERO).await.unwrap().sessions, 0, "{ahead}");
            }
            let rows = subject.rows(&[theirs, alive, touched, dead]).await;
            let there: Vec<_> = rows.into_iter().map(|row| row.map(|row| row.1)).collect();
            assert_eq!(there, [Some(true), Some(true), Some(true), Some(false)], "{ahead}");
        }
        let told = subject.database.poll(1).await.unwrap().now;
        let here = crate::clock::Clock::system().now();
        assert!(
            told.as_millis().abs_diff(here.as_millis()) < 60_000,
            "by the database's own clock"
        );
    })
    .await;
}

#[tokio::test]
async fn of_a_session_that_is_over_nothing_is_kept_that_it_held() {
    on_each(async |subject| {
        let (old, record) = subject.created().await;
        let (deleted, _) = subject.created().await;
        let (abandoned, new) = (fresh(), fresh());
        let begin = |new| {
            let record = record.clone();
            Write::Begin { old, expected: 1, new, record, terms: Terms::default() }
        };
        let _ = subject.written(Write::Delete { id: deleted, expected: None }).await;
        let _ = subject.written(begin(abandoned)).await;
        let _ = subject.written(Write::Abandon { old, new: abandoned }).await;
        let _ = subject.written(begin(new)).await;
        let _ = subject.written(Write::Finish { old, expected: Some(1), new }).await;
        let left = "SELECT count(*) FROM trs_sessions WHERE NOT alive AND length(body) > 0";
        assert_eq!(subject.sql(left).await, 1, "what has moved is read for a while");
        let moved = Write::Delete { id: old, expected: None };
        assert!(subject.written(moved).await.has_ended(), "the session ends where it is now");
        assert_eq!(subject.sql(left).await, 0);
        let dead = "SELECT count(*) FROM trs_sessions WHERE NOT alive";
        assert_eq!(subject.sql(dead).await, 4);
        let rows = [Some((2, false, None)), Some((2, false, None)), Some((2, false, None))];
        assert_eq!(subject.rows(&[deleted, old, new]).await, rows, "their versions are known");
        let user = record.user().unwrap().to_owned();
        let _ = subject.written(Write::Revoke { user, keep: None }).await;
        assert_eq!(subject.sql(left).await, 0);
    })
    .await;
}

#[tokio::test]
async fn purge_empties_what_has_moved_for_longer_than_it_is_read_and_keeps_the_rest_of_it() {
    on_each(async |subject| {
        let (old, new) = subject.moved().await;
        let left = "SELECT count(*) FROM trs_sessions WHERE NOT alive AND length(body) > 0";
        // As if so much time had gone by at the database.
        for (passes, expected) in [
            ("UPDATE trs_sessions SET ends = ends - 55000 WHERE NOT alive", 1),
            ("UPDATE trs_sessions SET ends = ends - 6000 WHERE NOT alive", 0),
        ] {
            let _ = subject.sql(passes).await;
            let purged = subject.database.purge(Duration::ZERO).await.unwrap();
            assert_eq!((purged.sessions, subject.sql(left).await), (0, expected), "{passes}");
        }
        assert_eq!(
            subject.rows(&[old, new]).await,
            [Some((2, false, None)), Some((1, true, None))]
        );
    })
    .await;
}

#[tokio::test]
async fn a_user_is_forgotten_when_their_epoch_guards_nothing_and_no_sign_in_slips_through() {
    on_each(async |subject| {
        let record = Record::example();
        let user = record.user().unwrap().to_owned();
        let login = |epoch| {
            let terms = Terms { epoch: Some(epoch), limit: None };
            Write::Create { id: fresh(), record: record.clone(), terms }
        };
        let users = async || subject.sql("SELECT count(*) FROM trs_users").await;
        let purge = async || subject.database.purge(Duration::ZERO).await.unwrap();
        let began = subject.database.epoch_of(&user).await.unwrap();
        let revoke = Write::Revoke { user: user.clone(), keep: None };
        let _ = subject.written(revoke.clone()).await;
        assert!(matches!(subject.written(login(began)).await, Written::Revoked));
        let between = subject.database.epoch_of(&user).await.unwrap();
        assert!(matches!(subject.written(login(between)).await, Written::Done { .. }));
        let _ = purge().await;
        assert_eq!(users().await, 1, "a sign-in that began before may be under way");
        let _ = subject.sql("UPDATE trs_users SET epoch = epoch - 900001").await;
        let _ = purge().await;
        assert_eq!(users().await, 0);
        assert!(matches!(subject.written(login(between)).await, Written::Done { .. }));
        let began = subject.database.epoch_of(&user).await.unwrap();
        let _ = subject.written(revoke).await;
        assert!(matches!(subject.written(login(began)).await, Written::Revoked));
        assert!(matches!(subject.written(login(between)).await, Written::Revoked));
    })
    .await;
}

/// One that is over for longer than activity may be late takes no place from one that is not.
#[tokio::test]
async fn the_limit_counts_by_the_allowance_that_reads_have() {
    on_each(async |subject| {
        let (mut older, younger, newest) = (Record::example(), Record::example(), fresh());
        older.created = Timestamp::from_millis(older.created.as_millis() - 1_000);
        let (active, idle) = (fresh(), fresh());
        for (id, record) in [(active, older), (idle, younger)] {
            let _ = subject.written(Write::Create { id, record, terms: Terms::default() }).await;
        }
        // An hour of idle time: for three minutes more it may have been used.
        let over = "UPDATE trs_sessions SET ends = ends - (SELECT min(idle_deadline) - \
            min(last_activity) FROM trs_sessions) - 240000 \
            WHERE created = (SELECT max(created) FROM trs_sessions)";
        let _ = subject.sql(over).await;
        let terms = Terms { epoch: None, limit: NonZeroU32::new(2) };
        let write = Write::Create { id: newest, record: Record::example(), terms };
        let _ = subject.written(write).await;
        let alive = subject.rows(&[active, idle, newest]).await;
        let alive: Vec<_> = alive.into_iter().map(|row| row.is_some_and(|row| row.1)).collect();
        assert_eq!(alive, [true, false, true]);
    })
    .await;
}

/// For those who leave, should the disk be full another time.
#[tokio::test]
async fn a_purge_takes_the_room_again_that_was_given_up() {
    on_each(async |subject| {
        let rows = async || subject.sql("SELECT count(*) FROM trs_reserve").await;
        let reserved = rows().await;
        assert!(reserved > 0);
        let _ = subject.sql("DELETE FROM trs_reserve").await;
        for _ in 0..2 {
            let _ = subject.database.purge(Duration::ZERO).await.unwrap();
            assert_eq!(rows().await, reserved, "once");
        }
    })
    .await;
}
