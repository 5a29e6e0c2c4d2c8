//! The durable store, schedules 5 to 9: the database has it, and nobody told Redis.

use std::time::Duration;

use crate::two_instances::{
    Settings, TwoInstances, answer, asking, dies_within, fill, is_dead, learn_again, learn_nothing,
    value, write_of,
};
use test_support::{Browser, Matching, eventually};

/// Believes for so long that what is right at once is so by no lease that has run out.
fn patient(settings: &mut Settings) {
    settings.lease = 10_000;
    settings.budget = 15_000;
}

/// A is killed when the database has what `path` asks for, and Redis does not.
async fn a_dies_over(duo: &mut TwoInstances, alice: &Browser, path: &'static str) {
    duo.a.hold("after-commit").await;
    let lost = asking(&duo.a, alice, path).await;
    duo.a.reached("after-commit").await;
    duo.a.die();
    assert!(lost.await.unwrap().is_none(), "an answer of a process that was killed");
}

/// The database has it, and its answer does not come through.
async fn a_loses_the_answer_to_the_logout(duo: &TwoInstances, alice: &Browser, id: &str) {
    let cut = duo.da.cut_reply(write_of(id));
    duo.a.with_cookies_of(alice).await.get("/logout").await.expect(503);
    cut.reached().await;
}

/// Schedule 5.
#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_dies_after_the_commit_of_a_logout() {
    let mut duo = TwoInstances::start().await;
    let (alice, id) = duo.settled().await;
    a_dies_over(&mut duo, &alice, "/logout").await;
    dies_within(&duo.b, &alice, duo.lease()).await;
    duo.has_no_copy(&id).await;
    duo.is_at_rest().await;
    assert!(is_dead(&duo.b, &alice).await);
}

/// Schedule 6.
#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_dies_after_the_commit_of_a_save() {
    let mut duo = TwoInstances::start().await;
    let (alice, id) = duo.settled().await;
    a_dies_over(&mut duo, &alice, "/update:n").await;
    let (start, lease) = (std::time::Instant::now(), duo.lease());
    loop {
        let asked = start.elapsed();
        if value(&duo.b, &alice).await == "2" {
            break;
        }
        assert!(
            asked < lease + Duration::from_millis(20),
            "the old value when asked {asked:?} later"
        );
    }
    duo.is_at_rest().await;
    // The copy has been brought up to date, and serves.
    duo.is_copied(&mut duo.b.with_cookies_of(&alice).await).await;
    let copy = duo.copy(&id).await.unwrap();
    assert!(copy.starts_with(b"R0000000000000002"), "{}", String::from_utf8_lossy(&copy));
}

/// Schedule 7.
#[tokio::test(flavor = "multi_thread")]
async fn a_logout_whose_commit_is_not_confirmed_is_none_the_less_one() {
    let duo = TwoInstances::start().await;
    let (alice, id) = duo.settled().await;
    a_loses_the_answer_to_the_logout(&duo, &alice, &id).await;
    let start = std::time::Instant::now();
    assert!(is_dead(&duo.a, &alice).await, "alive on A");
    dies_within(&duo.b, &alice, duo.lease().saturating_sub(start.elapsed())).await;
    duo.has_no_copy(&id).await;
    duo.is_at_rest().await;
}

/// Schedule 7b.
#[tokio::test(flavor = "multi_thread")]
async fn a_save_whose_answer_is_lost_is_seen_by_its_own_instance_at_once() {
    let duo = TwoInstances::with(patient).await;
    let (mut alice, id) = duo.settled().await;
    // Neither polls, so neither sweeps.
    learn_nothing(&[&duo.a, &duo.b]).await;
    let cut = duo.da.cut_reply(write_of(&id));
    alice.get("/update:n").await.expect(200);
    cut.reached().await;
    assert_eq!(value(&duo.a, &alice).await, "2");
    learn_again(&[&duo.a]).await;
    for _ in 0..20 {
        assert_eq!(value(&duo.a, &alice).await, "2");
    }
    learn_again(&[&duo.b]).await;
    duo.is_at_rest().await;
}

/// Schedule 7c.
#[tokio::test(flavor = "multi_thread")]
async fn a_save_that_is_committed_after_its_time_is_seen_by_its_own_instance_at_once() {
    let duo = TwoInstances::with(|settings| {
        patient(settings);
        (settings.database_timeout, settings.budget) = (3_000, 20_000);
    })
    .await;
    let (alice, _) = duo.settled().await;
    // B is not to tell Redis in its place.
    duo.b.hold("poll-answer").await;
    duo.b.reached("poll-answer").await;
    // Whoever writes the session waits, with its row locked, until it may go on.
    duo.hold_updates("NEW.version = 2").await;
    let asked = asking(&duo.a, &alice, "/update:n").await;
    duo.update_is_held().await;
    // Given up by its caller, who tries again and waits for the row.
    let tries = || duo.da.executed("trs_write_1");
    let before = tries();
    eventually("a second try", async || tries() > before).await;
    // A poll that finds nothing, and another whose answer is not known yet.
    let polls = || duo.da.executed("trs_journal LIMIT");
    let before = polls();
    eventually("polls", async || polls() > before + 1).await;
    duo.a.hold("poll-answer").await;
    duo.a.reached("poll-answer").await;
    duo.let_updates_go().await;
    answer(asked).await.expect(200);
    assert_eq!(value(&duo.a, &alice).await, "2");
    duo.a.release("poll-answer").await;
    assert_eq!(value(&duo.a, &alice).await, "2");
    duo.b.release("poll-answer").await;
    duo.is_at_rest().await;
}

/// Schedule 7d.
#[tokio::test(flavor = "multi_thread")]
async fn a_poll_that_began_before_the_commit_does_not_undo_what_was_read_after_it() {
    let duo = TwoInstances::with(|settings| {
        patient(settings);
        settings.database_timeout = 3_000;
    })
    .await;
    let (alice, id) = duo.settled().await;
    // B is not to tell Redis in its place.
    duo.b.hold("poll-answer").await;
    duo.b.reached("poll-answer").await;
    duo.hold_updates("NEW.version = 2").await;
    // The writer looks what became of its first try; here its question waits at the proxy.
    let question = Matching::part("WHERE id = $1 AND (alive").containing(&id);
    let asked = asking(&duo.a, &alice, "/update:n").await;
    duo.update_is_held().await;
    let question = duo.da.hold(question);
    question.reached().await;
    duo.a.hold("poll-answer").await;
    duo.a.reached("poll-answer").await;
    let polls = || duo.da.executed("trs_journal LIMIT");
    let before = polls();
    duo.a.release("poll-answer").await;
    eventually("polls", async || polls() > before + 1).await;
    duo.a.hold("poll-answer").await;
    duo.a.reached("poll-answer").await;
    duo.let_updates_go().await;
    let version = "SELECT max(version) FROM trs_sessions";
    eventually("the commit", async || duo.database.sql(version).await == "2").await;
    question.release().await;
    answer(asked).await.expect(200);
    assert_eq!(value(&duo.a, &alice).await, "2");
    duo.a.release("poll-answer").await;
    for _ in 0..20 {
        assert_eq!(value(&duo.a, &alice).await, "2");
    }
    duo.b.release("poll-answer").await;
    duo.is_at_rest().await;
}

/// Schedule 8.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_logout_after_the_death_of_the_first_one_s_app() {
    let mut duo = TwoInstances::with(patient).await;
    let (alice, id) = duo.settled().await;
    // B is not to know by a poll.
    duo.b.hold("poll-answer").await;
    duo.b.reached("poll-answer").await;
    a_dies_over(&mut duo, &alice, "/logout").await;
    assert!(!is_dead(&duo.b, &alice).await, "B should not know yet");
    duo.b.with_cookies_of(&alice).await.get("/logout").await.expect(200);
    assert!(is_dead(&duo.b, &alice).await, "alive on B");
    assert!(!duo.is_in_redis(&id).await);
    duo.a.start_again();
    assert!(is_dead(&duo.a, &alice).await, "alive on A");
    duo.b.release("poll-answer").await;
    duo.is_at_rest().await;
}

/// Schedule 8b.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_logout_after_a_first_one_without_an_answer() {
    let duo = TwoInstances::with(patient).await;
    let (alice, id) = duo.settled().await;
    duo.b.hold("poll-answer").await;
    duo.b.reached("poll-answer").await;
    a_loses_the_answer_to_the_logout(&duo, &alice, &id).await;
    duo.b.with_cookies_of(&alice).await.get("/logout").await.expect(200);
    assert!(is_dead(&duo.b, &alice).await, "alive on B");
    assert!(is_dead(&duo.a, &alice).await, "alive on A");
    duo.has_no_copy(&id).await;
    duo.b.release("poll-answer").await;
    duo.is_at_rest().await;
}

/// Schedule 8c.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_logout_that_finds_nothing_and_a_copy_that_is_on_its_way() {
    let mut duo = TwoInstances::with(patient).await;
    let (alice, id) = duo.settled().await;
    duo.evict(&id).await;
    duo.b.hold("poll-answer").await;
    duo.b.reached("poll-answer").await;
    let late = duo.pb.side_track(fill().containing(&id), ":1\r\n");
    assert_eq!(value(&duo.b, &alice).await, "1");
    late.reached().await;
    a_dies_over(&mut duo, &alice, "/logout").await;
    duo.b.with_cookies_of(&alice).await.get("/logout").await.expect(200);
    assert!(is_dead(&duo.b, &alice).await, "alive on B");
    late.release().await;
    assert!(is_dead(&duo.b, &alice).await, "alive on B again");
    duo.b.release("poll-answer").await;
    duo.is_at_rest().await;
    assert!(is_dead(&duo.b, &alice).await, "alive on B after all");
}

/// Schedule 9.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_logouts_the_one_that_comes_second_tells_redis_too() {
    let duo = TwoInstances::with(patient).await;
    let (alice, id) = duo.settled().await;
    // Neither polls, so neither sweeps: it is the logouts that tell.
    for instance in [&duo.a, &duo.b] {
        instance.hold("poll-answer").await;
        instance.reached("poll-answer").await;
    }
    duo.a.hold("after-commit").await;
    let first = asking(&duo.a, &alice, "/logout").await;
    duo.a.reached("after-commit").await;
    duo.b.with_cookies_of(&alice).await.get("/logout").await.expect(200);
    assert!(is_dead(&duo.b, &alice).await, "alive on B");
    assert!(!duo.is_in_redis(&id).await);
    duo.a.release("after-commit").await;
    answer(first).await.expect(200);
    assert!(is_dead(&duo.a, &alice).await, "alive on A");
    duo.a.release("poll-answer").await;
    duo.b.release("poll-answer").await;
    duo.is_at_rest().await;
}
