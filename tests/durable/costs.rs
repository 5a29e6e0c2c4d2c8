//! What dead cookies and activity cost, however many there are.

use std::time::Duration;

use tower_redis_session::{
    DatabaseConfig, DurableStore, SessionId,
    clock::ManualClock,
    store::{LoginWrite, Record, Store, UserStore},
};

use crate::two_instances::{
    Instance, Settings, Statement, TwoInstances, is_dead, learn_again, learn_nothing, value,
};
use test_support::{Browser, COOKIE, eventually, key_end};

fn patient(settings: &mut Settings) {
    (settings.lease, settings.poll_interval) = (20_000, 100);
}

/// GET, SET and scripts at Redis, and statements about sessions.
fn costs(duo: &TwoInstances) -> [u64; 5] {
    let both = |command| duo.pa.count(command) + duo.pb.count(command);
    let statements = |part| duo.da.executed(part) + duo.db.executed(part);
    let (read, write) = (statements("FROM trs_sessions"), statements("trs_write_1"));
    [both("GET"), both("SET"), both("EVALSHA"), read, write]
}

async fn read_often(duo: &TwoInstances, browser: &Browser) -> [u64; 5] {
    let before = costs(duo);
    for _ in 0..50 {
        assert!(is_dead(&duo.a, browser).await && is_dead(&duo.b, browser).await);
    }
    let after = costs(duo);
    std::array::from_fn(|at| after[at] - before[at])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_cookie_costs_one_command_and_no_statement() {
    let duo = TwoInstances::with(patient).await;
    let (mut alice, _) = duo.settled().await;
    let before = alice.tab().await;
    alice.get("/logout").await.expect(200);
    duo.journal_is_empty().await;
    let mut nobody = duo.a.browser().await;
    nobody.set_cookie(COOKIE, &format!("{}A", "C".repeat(42)));
    eventually("nothing is set aside", async || {
        duo.a.status().await.set_aside + duo.b.status().await.set_aside == 0
    })
    .await;
    learn_nothing(&[&duo.a, &duo.b]).await;
    for (name, browser) in [("logged out", before), ("made up", nobody)] {
        let first = read_often(&duo, &browser).await;
        assert_eq!(first, [100, 1, 1, 1, 0], "{name}: the first of all makes the note");
        assert_eq!(read_often(&duo, &browser).await, [100, 0, 0, 0, 0], "{name}");
    }
    duo.redis.assert_every_key_has_a_ttl().await;
    learn_again(&[&duo.a, &duo.b]).await;
}

/// Whoever is to use an id hears of it when it is created for sure. So only its maker can ask for
/// it before, and must not leave word that there is nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_there_once_it_is_created_whoever_looked_for_it_before() {
    let duo = TwoInstances::with(patient).await;
    let settings = &duo.a.settings;
    let store = DurableStore::builder(
        tower_redis_session::RedisConfig::new(settings.redis.clone()),
        DatabaseConfig::new(settings.database.clone()).timeout(Duration::from_millis(4_500)),
    );
    // The time that the sample record is of.
    let store = store.lease(Duration::from_secs(20)).clock(ManualClock::new().clock());
    let store = store.build().unwrap();
    let id = |last| format!("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdH{last}8");
    let (id, other): (SessionId, SessionId) = (id("h").parse().unwrap(), id("k").parse().unwrap());
    eventually("it believes redis", async || {
        let _ = store.load(&other).await.unwrap();
        store.health().copies.unwrap().trusted
    })
    .await;
    let record = Record::example();
    duo.hold_at(Statement::Before("INSERT ON trs_sessions"), "NEW.version = 1").await;
    let looked = async {
        duo.update_is_held().await;
        assert!(store.load(&id).await.unwrap().is_none(), "it is not committed yet");
        duo.let_updates_go().await;
    };
    let (created, ()) = tokio::join!(store.login(LoginWrite::new(&id, &record)), looked);
    let _ = created.unwrap();
    assert!(store.load(&id).await.unwrap().is_some(), "created, and nobody there");
}

/// Requests at both instances, each of which is worth a touch.
async fn use_it(duo: &TwoInstances, browser: &Browser) {
    for instance in [&duo.a, &duo.b] {
        touched_at(duo, instance, browser).await;
    }
}

async fn touched_at(duo: &TwoInstances, instance: &Instance, browser: &Browser) {
    let scripts = || duo.pa.count("EVALSHA") + duo.pb.count("EVALSHA");
    let before = scripts();
    tokio::time::sleep(Duration::from_millis(3)).await;
    assert_eq!(value(instance, browser).await, "1");
    eventually("the activity is written down", async || scripts() > before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn activity_goes_to_the_database_once_an_interval_whoever_forgets_what() {
    let often = |settings: &mut Settings| {
        patient(settings);
        settings.touch_interval = 1;
    };
    let mut duo = TwoInstances::with(often).await;
    let (alice, id) = duo.settled().await;
    let writes = |duo: &TwoInstances| costs(duo)[4];
    // What was written while there was no copy yet has arrived.
    use_it(&duo, &alice).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let before = writes(&duo);
    for _ in 0..3 {
        for _ in 0..5 {
            use_it(&duo, &alice).await;
        }
        duo.a.start_again();
        duo.both_believe().await;
    }
    assert_eq!(writes(&duo) - before, 0, "five minutes are not over");
    // A copy of before an update of this crate tells nothing of the database.
    cut_the_end_off(&duo, &id).await;
    let before = writes(&duo);
    for _ in 0..5 {
        use_it(&duo, &alice).await;
    }
    eventually("the copy tells", async || duo.copy(&id).await.is_some_and(|copy| tells(&copy)))
        .await;
    let once = writes(&duo) - before;
    assert!((1..=2).contains(&once), "{once}: once, or by both at the same time");
    let before = writes(&duo);
    use_it(&duo, &alice).await;
    assert_eq!(writes(&duo) - before, 0);
}

fn tells(copy: &[u8]) -> bool {
    copy[copy.len() - 12..].starts_with(b"TRS")
}

async fn cut_the_end_off(duo: &TwoInstances, id: &str) {
    learn_nothing(&[&duo.a, &duo.b]).await;
    let copy = duo.copy(id).await.unwrap();
    assert!(tells(&copy));
    let dump = duo.redis.dump().await;
    let (key, _) = dump.iter().find(|(key, _)| key.ends_with(&key_end(id))).unwrap();
    let mut connection = duo.redis.connection().await;
    let mut set = redis::cmd("SET");
    let _ = set.arg(key).arg(&copy[..copy.len() - 12]).arg("KEEPTTL");
    let () = set.query_async(&mut connection).await.unwrap();
    learn_again(&[&duo.a, &duo.b]).await;
}
