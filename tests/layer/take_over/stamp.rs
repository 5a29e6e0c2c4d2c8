//! Password changes in the old service, which deletes no session and compares a hash.

use test_support::take_over::importer_builder;
use tower_redis_session::import::{StoredSession, decode_line};

use super::{failures::Only, *};

/// The current stamp is "2".
async fn validated(s: SessionContext) -> Result<String, Error> {
    let valid = s.validate_stamp(Some("2")).await?;
    Ok(format!("{valid} {}", user(s).await?))
}

fn stamped(shelf: &Shelf) -> RedisSessionLayer {
    let importer = importer_builder().stamp_at(["hash"]).build().unwrap();
    let import = TakeOver::new(importer, shelf.clone()).take_over_key(KEY);
    RedisSessionLayer::builder(FaultyStore::new()).import(import).build().unwrap()
}

#[tokio::test]
async fn an_old_session_from_before_a_password_change_is_not_signed_in() {
    for (hash, expected) in [(r#""1""#, "false -"), (r#""2""#, "true alice"), ("2", "true alice")] {
        let shelf = Shelf::new();
        shelf.put(OLD, &format!(r#"{{"user_id": "alice", "hash": {hash}}}"#));
        let layer = stamped(&shelf);
        assert_eq!(ask(&layer, &old(), validated).await.text, expected, "{hash}");
        // Nor at a later request.
        let again = ask(&layer, &old(), user).await;
        assert_eq!(again.text == "alice", expected == "true alice", "{hash}: {again:?}");
    }
}

/// It would not be compared.
#[tokio::test]
async fn an_old_session_with_a_user_and_without_a_stamp_is_not_taken_over() {
    let long = format!(r#", "hash": "{}""#, "x".repeat(129));
    for hash in ["", r#", "hash": null"#, r#", "hash": """#, r#", "hash": []"#, &long] {
        let shelf = Shelf::new();
        shelf.put(OLD, &format!(r#"{{"user_id": "alice"{hash}}}"#));
        let layer = stamped(&shelf);
        let answer = ask(&layer, &old(), user).await;
        assert!(answer.text == "-" && answer.new.is_none() && !answer.removes_old, "{hash}");
        assert_eq!(layer.admin().report().count("import_failed"), Some(1), "{hash}");
        // A visitor has none.
        shelf.put(OLD, r#"{"visits": 3}"#);
        assert!(ask(&layer, &old(), user).await.new.is_some());
    }
}

#[tokio::test]
async fn a_line_of_an_export_is_stamped_too() {
    let line = r#"{"key": "k", "user": "alice", "values": {"hash": "1"}}"#;
    let stored = || Ok(StoredSession::from(decode_line(line).unwrap().session().clone()));
    let importer = importer_builder().stamp_with(|session| session.get("hash").ok()?);
    let import = TakeOver::new(importer.build().unwrap(), Only(stored)).take_over_key(KEY);
    let layer = RedisSessionLayer::builder(FaultyStore::new()).import(import).build().unwrap();
    assert_eq!(ask(&layer, &old(), validated).await.text, "false -");
}

#[test]
fn an_importer_with_an_unnamed_stamp_does_not_build() {
    let builder = importer_builder().stamp_at([""; 0]);
    assert_eq!(builder.build().unwrap_err().setting(), "import stamp");
}
