//! The durable store, schedules 23 to 29: what is late at Redis, and what the journal says of it.

use crate::two_instances::{
    Settings, TwoInstances, answer, asking, end_of, fill, is_dead, learn_again, learn_nothing,
    learn_what_is_held, put, soon_without_redis, value,
};
use test_support::{Browser, Gate, Held, Matching, eventually};

impl TwoInstances {
    /// The version of the copy that stands in Redis.
    async fn copied_version(&self, id: &str) -> Option<u64> {
        let value = self.copy(id).await.filter(|value| value.first() == Some(&b'R'))?;
        Some(u64::from_str_radix(std::str::from_utf8(&value[1..17]).unwrap(), 16).unwrap())
    }

    /// Waits until both read from Redis, and a version of the session that is `wanted`.
    async fn both_read(&self, browser: &Browser, wanted: &str) {
        self.both_believe().await;
        for instance in [&self.a, &self.b] {
            assert_eq!(value(instance, browser).await, wanted);
        }
    }

    /// Waits until the command is late; unless the other instance was faster, and told Redis.
    async fn is_held_or_told(&self, held: &Held) {
        eventually("a late command", async || held.is_reached() || self.journal().await == 0).await;
    }

    async fn is_dead_everywhere(&self, before: &Browser) {
        self.both_believe().await;
        for instance in [&self.a, &self.b] {
            assert!(is_dead(instance, before).await);
        }
    }
}

/// Schedule 23.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_arrives_after_its_retry_and_the_end_of_the_session() {
    let duo = TwoInstances::with(soon_without_redis).await;
    let (mut alice, id) = duo.settled().await;
    let before = alice.tab().await;
    let late = duo.pa.hold(put().containing(&id));
    alice.get("/update:n").await.expect(200);
    late.reached().await;
    // Somebody tells Redis in its place.
    duo.journal_is_empty().await;
    duo.both_read(&alice, "2").await;
    alice.get("/logout").await.expect(200);
    duo.evict(&id).await;
    late.release().await;
    assert_eq!(duo.copied_version(&id).await, None);
    duo.is_dead_everywhere(&before).await;
    duo.is_at_rest().await;
}

/// Schedule 23b.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_arrives_after_its_retry_and_an_eviction_finds_nothing_to_replace() {
    let duo = TwoInstances::with(soon_without_redis).await;
    let (mut alice, id) = duo.settled().await;
    let late = duo.pa.hold(put().containing(&id));
    alice.get("/update:n").await.expect(200);
    late.reached().await;
    duo.journal_is_empty().await;
    duo.b.with_cookies_of(&alice).await.get("/update:n").await.expect(200);
    duo.evict(&id).await;
    late.release().await;
    assert_eq!(duo.copied_version(&id).await, None);
    duo.both_read(&alice, "3").await;
    duo.is_at_rest().await;
}

/// Schedule 24.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_whose_sender_is_dead() {
    // Waits for Redis until it dies.
    let patient = |settings: &mut Settings| {
        (settings.redis_timeout, settings.budget) = (9_000, 9_000);
    };
    let mut duo = TwoInstances::with(patient).await;
    let (alice, id) = duo.settled().await;
    let before = alice.tab().await;
    let late = duo.pa.hold(put().containing(&id));
    let saving = asking(&duo.a, &alice, "/update:n").await;
    late.reached().await;
    duo.a.die();
    assert!(saving.await.unwrap().is_none(), "an answer of a process that was killed");
    duo.b.with_cookies_of(&alice).await.get("/logout").await.expect(200);
    assert!(is_dead(&duo.b, &before).await);
    // Nobody has to tell Redis any more; and without the lease that this read took.
    duo.journal_is_empty().await;
    duo.evict(&id).await;
    late.release().await;
    assert_eq!(duo.copied_version(&id).await, None);
    assert!(is_dead(&duo.b, &before).await);
    duo.a.start_again();
    duo.is_dead_everywhere(&before).await;
    duo.is_at_rest().await;
}

/// In which order three late commands arrive.
const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

/// Schedule 25.
#[tokio::test(flavor = "multi_thread")]
async fn a_save_an_end_and_a_fill_that_arrive_in_every_order() {
    let duo = TwoInstances::with(soon_without_redis).await;
    for order in ORDERS {
        let (mut alice, id) = duo.settled().await;
        let before = alice.tab().await;
        duo.evict(&id).await;
        let filled = duo.pb.hold(fill().containing(&id));
        eventually("b fills", async || {
            assert_eq!(value(&duo.b, &alice).await, "1");
            filled.is_reached()
        })
        .await;
        let saved = duo.pa.hold(put().containing(&id));
        alice.get("/update:n").await.expect(200);
        duo.is_held_or_told(&saved).await;
        // Over another connection than the one that stands still.
        duo.a.believes().await;
        let ended = duo.pa.hold(end_of(&id));
        alice.get("/logout").await.expect(200);
        duo.is_held_or_told(&ended).await;
        let mut late = [Some(filled), Some(saved), Some(ended)];
        for which in order {
            let held = late[which].take().unwrap();
            if held.is_reached() {
                held.release().await;
            }
            for instance in [&duo.a, &duo.b] {
                assert!(is_dead(instance, &before).await, "{order:?} {which}");
            }
        }
        assert_eq!(duo.copied_version(&id).await, None, "{order:?}");
        duo.is_dead_everywhere(&before).await;
    }
    duo.is_at_rest().await;
}

/// Schedule 25b.
#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_stands_still_with_all_three_in_its_buffers() {
    let patient = |settings: &mut Settings| {
        (settings.redis_timeout, settings.database_timeout, settings.budget) = (200, 4_500, 9_000);
    };
    let duo = TwoInstances::with(patient).await;
    for path in ["/logout", "/update:n", "/update:n", "/logout"] {
        let (alice, id) = duo.settled().await;
        duo.evict(&id).await;
        duo.b_takes_the_lease(&alice, &id).await;
        duo.a.hold("before-push").await;
        let saving = asking(&duo.a, &alice, "/update:n").await;
        duo.a.reached("before-push").await;
        duo.b.hold("before-push").await;
        let ending = asking(&duo.b, &alice, path).await;
        duo.b.reached("before-push").await;
        duo.redis.hang();
        for instance in [&duo.b, &duo.a] {
            instance.release("before-push").await;
        }
        duo.b.release("before-fill").await;
        answer(saving).await.expect(200);
        answer(ending).await.expect(200);
        duo.redis.resume();
        duo.journal_is_empty().await;
        match path {
            "/logout" => duo.is_dead_everywhere(&alice).await,
            _ => duo.both_read(&alice, "3").await,
        }
    }
    duo.is_at_rest().await;
}

/// Schedule 26.
#[tokio::test(flavor = "multi_thread")]
async fn a_late_save_finds_a_lease() {
    for path in ["/update:n", "/logout"] {
        let duo = TwoInstances::with(soon_without_redis).await;
        let (mut alice, id) = duo.settled().await;
        let late = duo.pa.hold(put().containing(&id));
        alice.get("/update:n").await.expect(200);
        late.reached().await;
        duo.b.with_cookies_of(&alice).await.get(path).await.expect(200);
        duo.both_believe().await;
        duo.journal_is_empty().await;
        duo.evict(&id).await;
        duo.b_takes_the_lease(&alice, &id).await;
        late.release().await;
        assert_eq!(duo.copy(&id).await, None, "{path}: the lease is to be gone, and no copy there");
        duo.b.release("before-fill").await;
        match path {
            "/logout" => duo.is_dead_everywhere(&alice).await,
            _ => duo.both_read(&alice, "3").await,
        }
        duo.is_at_rest().await;
    }
}

/// Schedule 27.
#[tokio::test(flavor = "multi_thread")]
async fn a_clear_that_arrives_after_a_newer_write() {
    let duo = TwoInstances::start().await;
    let (mut alice, id) = duo.settled().await;
    learn_nothing(&[&duo.a, &duo.b]).await;
    // The first is the save itself.
    let clear = duo.da.hold(Matching::part("trs_write_1").containing(&id).nth(2));
    alice.get("/update:n").await.expect(200);
    clear.reached().await;
    duo.pb.set(Gate::Refuse);
    duo.b.with_cookies_of(&alice).await.get("/update:n").await.expect(200);
    let row = format!("SELECT version FROM trs_journal WHERE id = '{id}'");
    assert_eq!(duo.database.sql(&row).await, "3");
    clear.release().await;
    assert_eq!(duo.database.sql(&row).await, "3");
    duo.pb.set(Gate::Pass);
    learn_again(&[&duo.a, &duo.b]).await;
    // Until then A may read what Redis has missed, for a lease.
    duo.journal_is_empty().await;
    duo.both_read(&alice, "3").await;
    duo.is_at_rest().await;
    assert!(duo.copied_version(&id).await.is_none_or(|version| version == 3));
}

/// Schedule 27b.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_to_be_cleared_hides_no_newer_write() {
    let duo = TwoInstances::with(|settings| settings.lease = 10_000).await;
    let (mut alice, id) = duo.settled().await;
    learn_nothing(&[&duo.a, &duo.b]).await;
    let clear = duo.da.hold(Matching::part("trs_write_1").containing(&id).nth(2));
    alice.get("/update:n").await.expect(200);
    clear.reached().await;
    duo.pb.set(Gate::Refuse);
    let mut other = duo.b.with_cookies_of(&alice).await;
    other.get("/update:n").await.expect(200);
    // The poll of before; the one that comes now finds the row of version 3, and sets it aside.
    duo.a.hold("sweep-snapshot").await;
    duo.a.release("poll-answer").await;
    duo.a.reached("sweep-snapshot").await;
    assert_eq!(value(&duo.a, &alice).await, "3");
    clear.release().await;
    duo.a.release("sweep-snapshot").await;
    duo.pb.set(Gate::Pass);
    learn_again(&[&duo.b]).await;
    duo.both_read(&alice, "3").await;
    duo.is_at_rest().await;
}

/// Schedule 28.
#[tokio::test(flavor = "multi_thread")]
async fn a_sweeper_that_is_slower_than_a_writer() {
    let duo = TwoInstances::start().await;
    let (mut alice, id) = duo.settled().await;
    learn_nothing(&[&duo.a]).await;
    duo.pa.set(Gate::Refuse);
    duo.b.hold("sweep-snapshot").await;
    alice.get("/update:n").await.expect(200);
    duo.b.reached("sweep-snapshot").await;
    duo.pa.set(Gate::Pass);
    alice.get("/update:n").await.expect(200);
    // What the writer has told is cleared by the writer: nobody else sweeps now.
    duo.journal_is_empty().await;
    assert_eq!(duo.copied_version(&id).await, Some(3));
    duo.pb.reset_counts();
    duo.b.release("sweep-snapshot").await;
    eventually("the sweeper's command", async || duo.pb.count("EVALSHA") > 0).await;
    learn_again(&[&duo.a]).await;
    duo.both_read(&alice, "3").await;
    assert_eq!(duo.copied_version(&id).await, Some(3));
    duo.is_at_rest().await;
}

/// Schedule 29.
#[tokio::test(flavor = "multi_thread")]
async fn more_in_doubt_than_the_journal_may_hold() {
    const LIMIT: usize = 5;
    let few = |settings: &mut Settings| settings.journal_limit = LIMIT;
    let duo = TwoInstances::with(few).await;
    let mut users = Vec::new();
    for _ in 0..=LIMIT {
        users.push(duo.settled().await.0);
    }
    let (stays, _) = duo.settled().await;
    // Until all are in the journal, so that nobody sweeps some of them.
    learn_nothing(&[&duo.a, &duo.b]).await;
    let (seq, _) = duo.epoch().await;
    duo.pa.set(Gate::Refuse);
    let mut gone = Vec::new();
    for mut user in users {
        gone.push(user.tab().await);
        user.get("/logout").await.expect(200);
        assert!(is_dead(&duo.a, &gone[gone.len() - 1]).await);
    }
    assert_eq!(duo.journal().await, LIMIT + 1);
    // Both have the answer that tells of too many.
    learn_what_is_held(&duo.a).await;
    learn_what_is_held(&duo.b).await;
    learn_again(&[&duo.a]).await;
    duo.journal_is_empty().await;
    // What the other has heard is over.
    learn_again(&[&duo.b]).await;
    for user in &gone {
        assert!(is_dead(&duo.a, user).await);
    }
    duo.pa.set(Gate::Pass);
    for user in &gone {
        duo.is_dead_everywhere(user).await;
    }
    duo.both_read(&stays, "1").await;
    tokio::time::sleep(duo.lease() * 2).await;
    assert_eq!(duo.epoch().await.0, seq + 1, "one bump was enough");
    duo.is_at_rest().await;
}
