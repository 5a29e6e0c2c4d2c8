use proptest::prelude::*;

use crate::session::expiry::*;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const NOW: Timestamp = Timestamp::from_millis(1_704_067_200_000);
const LAST: Timestamp = Timestamp::from_millis(u64::MAX);

fn after(duration: Duration) -> Timestamp {
    NOW.saturating_add(duration)
}

#[test]
fn a_session_starts_with_both_ends() {
    for (name, expiry, interval, idle_end, end) in [
        ("idle only", SessionExpiry::new(HOUR), Duration::ZERO, HOUR, HOUR),
        ("with grace", SessionExpiry::new(HOUR), MINUTE, HOUR + MINUTE, HOUR + MINUTE),
        (
            "grace is a twentieth at most",
            SessionExpiry::new(10 * SECOND),
            MINUTE,
            Duration::from_millis(10_500),
            Duration::from_millis(10_500),
        ),
        (
            "absolute later",
            SessionExpiry::new(HOUR).absolute(24 * HOUR),
            MINUTE,
            HOUR + MINUTE,
            HOUR + MINUTE,
        ),
        (
            "absolute equal: no grace past it",
            SessionExpiry::new(HOUR).absolute(HOUR),
            MINUTE,
            HOUR + MINUTE,
            HOUR,
        ),
    ] {
        let deadlines = Deadlines::start(expiry, NOW, interval);
        assert_eq!(deadlines.idle_deadline, after(idle_end), "{name}");
        assert_eq!(deadlines.end(), after(end), "{name}");
        assert_eq!(deadlines.idle, expiry.idle_timeout(), "{name}");
        assert!(!deadlines.is_over(NOW), "{name}");
    }
}

#[test]
fn a_session_is_over_at_its_end_and_not_a_millisecond_before() {
    let millisecond = Duration::from_millis(1);
    let deadlines = Deadlines::start(SessionExpiry::new(HOUR), NOW, Duration::ZERO);
    assert!(!deadlines.is_over(after(HOUR - millisecond)));
    assert!(deadlines.is_over(after(HOUR)));
    assert!(deadlines.is_over(after(HOUR + millisecond)));
    assert!(deadlines.is_over(LAST));
    assert!(!deadlines.is_over(Timestamp::from_millis(0)));
}

#[test]
fn activity_slides_the_idle_end_and_never_the_absolute_one() {
    let expiry = SessionExpiry::new(HOUR).absolute(3 * HOUR);
    let start = Deadlines::start(expiry, NOW, MINUTE);
    let one = start.active(after(HOUR), MINUTE);
    assert_eq!(one.end(), after(2 * HOUR + MINUTE));
    let two = one.active(after(2 * HOUR), MINUTE);
    assert_eq!(two.idle_deadline, after(3 * HOUR + MINUTE));
    assert_eq!(two.end(), after(3 * HOUR));
    assert_eq!(two.absolute_deadline, start.absolute_deadline);
}

#[test]
fn activity_of_a_clock_that_stepped_back_takes_nothing_away() {
    let start = Deadlines::start(SessionExpiry::new(HOUR), NOW, MINUTE);
    assert_eq!(start.active(Timestamp::from_millis(0), MINUTE), start);
}

#[test]
fn a_new_policy_counts_idle_from_now_and_absolute_from_creation() {
    let start = Deadlines::start(SessionExpiry::new(HOUR).absolute(24 * HOUR), NOW, MINUTE);
    let now = after(2 * HOUR);
    for (name, expiry, idle_end, end) in [
        ("shorter", SessionExpiry::new(MINUTE), 2 * HOUR + 63 * SECOND, 2 * HOUR + 63 * SECOND),
        ("no absolute", SessionExpiry::new(30 * HOUR), 32 * HOUR + MINUTE, 32 * HOUR + MINUTE),
        (
            "longer",
            SessionExpiry::new(30 * HOUR).absolute(30 * HOUR),
            32 * HOUR + MINUTE,
            30 * HOUR,
        ),
        ("over at once", SessionExpiry::new(HOUR).absolute(HOUR), 3 * HOUR + MINUTE, HOUR),
    ] {
        let changed = start.change(expiry, NOW, now, MINUTE);
        assert_eq!(changed.idle_deadline, after(idle_end), "{name}");
        assert_eq!(changed.end(), after(end), "{name}");
        assert_eq!(changed.idle, expiry.idle_timeout(), "{name}");
    }
}

#[test]
fn the_ends_of_time_do_not_overflow() {
    let forever = SessionExpiry::new(Duration::MAX).absolute(Duration::MAX);
    for (name, now) in [("now", NOW), ("first", Timestamp::from_millis(0)), ("last", LAST)] {
        let start = Deadlines::start(forever, now, Duration::MAX);
        assert_eq!(start.end(), LAST, "{name}");
        assert_eq!(start.active(LAST, Duration::MAX).end(), LAST, "{name}");
        assert_eq!(start.change(forever, LAST, LAST, Duration::MAX).end(), LAST, "{name}");
    }
    let nothing = Deadlines::start(SessionExpiry::new(Duration::ZERO), NOW, Duration::MAX);
    assert!(nothing.is_over(NOW));
}

#[test]
fn the_throttle_is_the_interval_but_at_most_a_twentieth_of_the_idle_time() {
    for (name, idle, interval, throttle) in [
        ("off", HOUR, Duration::ZERO, Duration::ZERO),
        ("as configured", HOUR, MINUTE, MINUTE),
        ("a twentieth exactly", HOUR, HOUR / 20, HOUR / 20),
        ("a twentieth at most", HOUR, HOUR, HOUR / 20),
        ("shortest session", SECOND, MINUTE, Duration::from_millis(50)),
        ("the ends", Duration::MAX, Duration::MAX, Duration::MAX / 20),
    ] {
        assert_eq!(touch_throttle(idle, interval), throttle, "{name}");
    }
}

#[test]
fn a_policy_out_of_its_range_does_not_build() {
    let ok = None;
    let (idle, absolute) = (Some("idle timeout"), Some("absolute timeout"));
    let below = Duration::from_millis(999);
    let above = TIMEOUT_MAX + Duration::from_nanos(1);
    for (name, expiry, setting) in [
        ("shortest", SessionExpiry::new(SECOND), ok),
        ("longest", SessionExpiry::new(TIMEOUT_MAX).absolute(TIMEOUT_MAX), ok),
        ("equal", SessionExpiry::new(HOUR).absolute(HOUR), ok),
        ("no idle", SessionExpiry::new(Duration::ZERO), idle),
        ("idle below", SessionExpiry::new(below), idle),
        ("idle above", SessionExpiry::new(above), idle),
        ("idle for ever", SessionExpiry::new(Duration::MAX), idle),
        ("absolute below", SessionExpiry::new(SECOND).absolute(below), absolute),
        ("absolute above", SessionExpiry::new(SECOND).absolute(above), absolute),
        ("absolute before idle", SessionExpiry::new(HOUR).absolute(MINUTE), absolute),
    ] {
        let error = expiry.check().err();
        assert_eq!(error.as_ref().map(ConfigError::setting), setting, "{name}");
    }
}

fn duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        (0..=10u64 * 86_400_000).prop_map(Duration::from_millis),
        Just(Duration::MAX),
        any::<u64>().prop_map(Duration::from_millis),
    ]
}

fn time() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        (0..=20u64 * 86_400_000).prop_map(|millis| after(Duration::from_millis(millis))),
        any::<u64>().prop_map(Timestamp::from_millis),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..<_>::default() })]

    #[test]
    fn no_activity_passes_the_absolute_end_or_shortens_a_session(
        idle in duration(),
        absolute in proptest::option::of(duration()),
        start in time(),
        visits in proptest::collection::vec((time(), duration()), 0..8),
    ) {
        let expiry = SessionExpiry { idle, absolute, remembered: false };
        let first = Deadlines::start(expiry, start, MINUTE);
        let mut deadlines = first;
        for (now, interval) in visits {
            let next = deadlines.active(now, interval);
            prop_assert!(next.end() >= deadlines.end());
            prop_assert_eq!(next.absolute_deadline, first.absolute_deadline);
            prop_assert_eq!(next.idle, idle);
            if let Some(end) = first.absolute_deadline {
                prop_assert!(next.end() <= end);
                prop_assert!(next.is_over(end));
            }
            deadlines = next;
        }
    }

    /// The promise behind the grace: a visitor whose pauses are all within the idle timeout stays
    /// signed in, although not every visit is written down.
    #[test]
    fn who_comes_back_within_the_idle_timeout_is_signed_in(
        idle in (1_000..100_000u64).prop_map(Duration::from_millis),
        interval in (0..200_000u64).prop_map(Duration::from_millis),
        pauses in proptest::collection::vec(0.0..1.0f64, 1..40),
    ) {
        let mut now = NOW;
        let mut written = now;
        let mut deadlines = Deadlines::start(SessionExpiry::new(idle), now, interval);
        for pause in pauses {
            now = now.saturating_add(idle.mul_f64(pause));
            prop_assert!(!deadlines.is_over(now));
            if now.saturating_since(written) >= touch_throttle(idle, interval) {
                deadlines = deadlines.active(now, interval);
                written = now;
            }
        }
        let grace = touch_throttle(idle, interval);
        prop_assert!(deadlines.is_over(now.saturating_add(idle + grace)));
    }
}

#[test]
fn ten_years_are_the_longest() {
    let ten_years = Duration::from_secs(3_650 * 86_400);
    for (time, right) in [(ten_years, true), (ten_years + Duration::from_secs(1), false)] {
        assert_eq!(SessionExpiry::new(time).check().is_ok(), right, "{time:?}");
        let absolute = SessionExpiry::new(Duration::from_secs(60)).absolute(time);
        assert_eq!(absolute.check().is_ok(), right, "{time:?}");
        assert_eq!(absolute.absolute_timeout(), Some(time));
    }
}
