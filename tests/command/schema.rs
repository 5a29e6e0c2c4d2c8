//! The SQL of the tables: printed, applied, and left alone where it is current.
//!
//! To see these fail: leave `migrations` out of the script, or the row of a step; create the SQLite
//! file where its version is read.

use serde_json::json;
use test_support::PostgresServer;

use crate::places::{Place, run, sqlite3};

#[tokio::test]
async fn the_printed_sql_makes_the_tables_and_then_nothing_is_to_be_done() {
    for place in [Place::sqlite(), Place::postgres().await] {
        let name = place.name;
        let printed = place.run(&["schema"]).await.expect(0).out;
        assert!(printed.contains("no tables") && printed.contains("COMMIT;"), "{name}: {printed}");
        if let Some(folder) = &place.folder {
            assert_eq!(folder.path().read_dir().unwrap().count(), 0, "nothing is created");
        }
        place.run(&["check"]).await.expect(5);
        let status = place.run(&["status"]).await.expect(5).out;
        assert!(status.contains("schema --apply"), "{name}: {status}");
        match &place.postgres {
            Some(database) => drop(database.sql(&printed).await),
            None => drop(sqlite3(&place, &printed)),
        }
        place.run(&["check"]).await.expect(0);
        place.run(&["status"]).await.expect(0);
        let printed = place.run(&["schema"]).await.expect(0).out;
        assert!(printed.contains("nothing to do") && !printed.contains("CREATE"), "{printed}");
        let said = place.run(&["schema", "--json"]).await.expect(0).json();
        let engine = name;
        let current = said["version"].clone();
        let expected = json!({
            "engine": engine, "found": current, "version": current, "applied": false, "sql": "",
        });
        assert_eq!(said, expected, "{name}");
        // The tables are those that a service makes.
        let _ = place.layer().await;
        assert_eq!(place.run(&["sessions", "count", "--json"]).await.json()["sessions"], 0);
        let future = "INSERT INTO trs_migrations (version) VALUES (99);";
        match &place.postgres {
            Some(database) => drop(database.sql(future).await),
            None => drop(sqlite3(&place, future)),
        }
        let newer = place.run(&["schema", "--apply"]).await.expect(5);
        assert!(newer.err.contains("newer version"), "{name}: {newer:?}");
    }
}

#[tokio::test]
async fn an_applied_schema_is_complete_and_needs_no_right_the_second_time() {
    for place in [Place::sqlite(), Place::postgres().await] {
        let applied = place.run(&["schema", "--apply", "--json"]).await.expect(0).json();
        assert_eq!((&applied["found"], &applied["applied"]), (&json!(null), &json!(true)));
        let again = place.run(&["schema", "--apply", "--json"]).await.expect(0).json();
        assert_eq!((&again["applied"], &again["sql"]), (&json!(false), &json!("")));
        place.run(&["check"]).await.expect(0);
    }
    let server = PostgresServer::shared().await;
    let (empty, current) = (server.database().await, server.database().await);
    let url = |database: &test_support::Database| {
        crate::places::variables(&[
            ("SESSION_STORAGE", "database"),
            ("SESSION_DATABASE_URL", &database.url().replace("postgres@", "only_reads@")),
        ])
    };
    let admin = crate::places::variables(&[
        ("SESSION_STORAGE", "database"),
        ("SESSION_DATABASE_URL", &current.url()),
    ]);
    run(&admin, &["schema", "--apply"]).await.expect(0);
    empty.sql("CREATE ROLE only_reads LOGIN; REVOKE ALL ON SCHEMA public FROM PUBLIC").await;
    current
        .sql(
            "REVOKE ALL ON SCHEMA public FROM PUBLIC; GRANT USAGE ON SCHEMA public TO only_reads; \
             GRANT SELECT ON trs_migrations TO only_reads",
        )
        .await;
    run(&url(&current), &["schema", "--apply"]).await.expect(0);
    run(&url(&empty), &["schema", "--apply"]).await.expect(5);
    empty.sql("DROP OWNED BY only_reads").await;
}

#[tokio::test]
async fn the_sql_of_an_empty_database_needs_no_connection() {
    let unreachable = [
        ("SESSION_STORAGE", "database"),
        ("SESSION_DATABASE_URL", "postgres://alice@127.0.0.1:1/shop"),
    ];
    let printed = run(&crate::places::variables(&unreachable), &["schema", "--all"]).await;
    assert!(printed.expect(0).out.contains("CREATE TABLE trs_sessions"));
    let redis = crate::places::variables(&[("SESSION_STORAGE", "redis")]);
    let printed = run(&redis, &["schema"]).await.expect(0);
    assert!(printed.out.starts_with("-- no tables"), "{printed:?}");
}
