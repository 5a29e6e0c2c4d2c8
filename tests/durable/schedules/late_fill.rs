//! The durable store, schedules 1 to 4: a copy that comes too late is no copy.

use std::time::Duration;

use crate::two_instances::{TwoInstances, answer, asking, fill, is_dead, value};
use test_support::{Browser, Held};

/// How long a lease stands, and a bit.
const LEASE_OF_A_FILL: Duration = Duration::from_millis(5_200);

/// Alice's session, and the command of `b` that copies it as it is now, on its way.
async fn filling(duo: &TwoInstances) -> (Browser, String, Held) {
    let (alice, id) = duo.settled().await;
    duo.evict(&id).await;
    // A connection of its own for what is late: the next requests are not to wait behind it.
    let late = duo.pb.side_track(fill().containing(&id), ":1\r\n");
    assert_eq!(value(&duo.b, &alice).await, "1");
    late.reached().await;
    assert_eq!(duo.copy(&id).await.unwrap().first(), Some(&b'L'));
    (alice, id, late)
}

async fn is_dead_everywhere(duo: &TwoInstances, browser: &Browser) {
    assert!(is_dead(&duo.a, browser).await, "alive on A");
    assert!(is_dead(&duo.b, browser).await, "alive on B");
}

/// Schedule 1.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_is_late_does_not_undo_a_logout() {
    let duo = TwoInstances::start().await;
    let (mut alice, id, late) = filling(&duo).await;
    let before = alice.tab().await;
    alice.get("/logout").await.expect(200);
    tokio::time::sleep(LEASE_OF_A_FILL).await;
    late.release().await;
    is_dead_everywhere(&duo, &before).await;
    duo.has_no_copy(&id).await;
    duo.is_at_rest().await;
}

/// Schedule 1b.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_comes_right_after_a_logout_does_not_undo_it() {
    let duo = TwoInstances::start().await;
    let (mut alice, id, late) = filling(&duo).await;
    let before = alice.tab().await;
    alice.get("/logout").await.expect(200);
    late.release().await;
    is_dead_everywhere(&duo, &before).await;
    duo.has_no_copy(&id).await;
    duo.is_at_rest().await;
}

/// Schedule 2.
#[tokio::test(flavor = "multi_thread")]
async fn a_late_copy_after_an_eviction_does_not_undo_a_logout() {
    let duo = TwoInstances::start().await;
    let (mut alice, id, late) = filling(&duo).await;
    let before = alice.tab().await;
    alice.get("/logout").await.expect(200);
    duo.evict(&id).await;
    late.release().await;
    is_dead_everywhere(&duo, &before).await;
    duo.has_no_copy(&id).await;
    duo.is_at_rest().await;
}

/// Schedule 3.
#[tokio::test(flavor = "multi_thread")]
async fn a_late_copy_of_an_old_state_does_not_undo_a_save() {
    let duo = TwoInstances::start().await;
    let (mut alice, id, late) = filling(&duo).await;
    alice.get("/update:n").await.expect(200);
    duo.evict(&id).await;
    late.release().await;
    assert_eq!(
        (value(&duo.a, &alice).await, value(&duo.b, &alice).await),
        ("2".into(), "2".into())
    );
    duo.is_at_rest().await;
}

/// Schedule 3b.
#[tokio::test(flavor = "multi_thread")]
async fn a_late_copy_does_not_undo_a_save_whose_own_copy_took_the_lease_over() {
    let duo = TwoInstances::start().await;
    let (mut alice, id, late) = filling(&duo).await;
    alice.get("/update:n").await.expect(200);
    // The save has destroyed the lease, and a read made a copy since.
    duo.is_copied(&mut alice).await;
    late.release().await;
    assert_eq!(
        (value(&duo.a, &alice).await, value(&duo.b, &alice).await),
        ("2".into(), "2".into())
    );
    assert_eq!(duo.copy(&id).await.unwrap().first(), Some(&b'R'));
    duo.is_at_rest().await;
}

/// Schedule 3c.
#[tokio::test(flavor = "multi_thread")]
async fn a_save_takes_the_lease_of_whoever_read_before_it() {
    let duo = TwoInstances::start().await;
    let (mut alice, _, late) = filling(&duo).await;
    alice.get("/update:n").await.expect(200);
    late.release().await;
    assert_eq!(
        (value(&duo.a, &alice).await, value(&duo.b, &alice).await),
        ("2".into(), "2".into())
    );
    duo.is_at_rest().await;
}

/// B stands still between its read of the database and the command that would make the copy.
async fn paused_before_its_fill(pause: Duration) {
    let duo = TwoInstances::start().await;
    let (mut alice, id) = duo.settled().await;
    let before = alice.tab().await;
    duo.evict(&id).await;
    duo.b.hold("before-fill").await;
    assert_eq!(value(&duo.b, &alice).await, "1");
    duo.b.reached("before-fill").await;
    duo.b.process.hang();
    alice.get("/logout").await.expect(200);
    tokio::time::sleep(pause).await;
    let read = asking(&duo.b, &before, "/user").await;
    duo.b.process.resume();
    duo.b.release("before-fill").await;
    assert_eq!(answer(read).await.text(), "-", "alive on B when it woke");
    is_dead_everywhere(&duo, &before).await;
    duo.has_no_copy(&id).await;
    is_dead_everywhere(&duo, &before).await;
    duo.is_at_rest().await;
}

/// Schedule 4.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_slept_before_its_copy_does_not_undo_a_logout() {
    paused_before_its_fill(Duration::ZERO).await;
}

/// Schedule 4b.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_slept_longer_than_any_lease_does_not_undo_a_logout() {
    paused_before_its_fill(LEASE_OF_A_FILL).await;
}
