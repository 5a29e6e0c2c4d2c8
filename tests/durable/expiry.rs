//! When an idle session ends: by its copy as the touch interval says, without one by what the
//! database has, and never before its time.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::two_instances::{Settings, TwoInstances, is_dead};

const IDLE: Duration = Duration::from_secs(40);
/// What activity in the database may be behind: a twentieth of the idle timeout.
const LAG: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_session_ends_by_its_copy_and_later_only_where_activity_may_be_lost() {
    let settings = |settings: &mut Settings| {
        settings.idle = IDLE.as_secs();
        settings.touch_interval = 20;
        // More than may count.
        settings.database_touch_interval = Some(300_000);
    };
    let duo = TwoInstances::with(settings).await;
    let (left, left_id) = duo.settled().await;
    let (lost, lost_id) = duo.settled().await;
    let (active, active_id) = duo.settled().await;
    let last = Instant::now();
    // The last request whose activity only the database was told of.
    let later = format!(
        "UPDATE trs_sessions SET last_activity = last_activity + 60000, \
        idle_deadline = idle_deadline + 60000, ends = ends + 60000 WHERE id = '{active_id}'"
    );
    assert_eq!(duo.database.sql(&later).await.trim(), "");
    sleep(IDLE - Duration::from_secs(2)).await;
    assert!(duo.is_in_redis(&left_id).await && duo.is_in_redis(&active_id).await);
    duo.evict(&lost_id).await;

    // Past the touch interval, and within what the database may be behind.
    sleep((IDLE + Duration::from_millis(100)).saturating_sub(last.elapsed())).await;
    for instance in [&duo.a, &duo.b] {
        assert!(is_dead(instance, &left).await, "idle by its copy and its row");
        assert!(!is_dead(instance, &lost).await, "used since, for all that anybody knows");
        assert!(!is_dead(instance, &active).await, "used since, as the database knows");
    }
    assert!(last.elapsed() < IDLE + LAG, "the machine is too slow for this");
    duo.is_copied(&mut active.tab().await).await;
    assert!(is_dead(&duo.a, &left).await, "and stays so");

    // As long as the row alone would be judged otherwise, and no longer than it may be idle.
    let mut connection = duo.redis.connection().await;
    for (key, _) in duo.redis.dump().await {
        if key.ends_with(&left_id) {
            let left: i64 =
                redis::cmd("PTTL").arg(&key).query_async(&mut connection).await.unwrap();
            let left = last.elapsed() + Duration::from_millis(left.try_into().unwrap());
            assert!((IDLE + LAG..=2 * IDLE + LAG).contains(&left), "{left:?}");
        }
    }
    duo.is_at_rest().await;
}
