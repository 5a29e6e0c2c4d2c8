use crate::{session::token::Token, store::durable::trust::*};

const LEASE: Duration = Duration::from_millis(300);

fn at(millis: u64) -> Moment {
    Moment::from_millis(millis)
}

fn epoch(seq: u64, generation: u64) -> Epoch {
    Epoch { seq, generation, incarnation: "run data".into() }
}

fn peer(checked_at: u64) -> Peer {
    Peer::example("run data", at(checked_at))
}

fn id() -> SessionId {
    Token::generate().unwrap().id()
}

/// Polled at 1,000.
fn trusting() -> Trust {
    let mut trust = Trust::new(LEASE);
    assert_eq!(trust.learn(&epoch(1, 7), Some([]), at(1_000), at(1_010)), Learned::Fine);
    trust
}

#[test]
fn a_copy_is_believed_for_one_lease_from_the_start_of_the_poll_and_of_the_check() {
    let trust = trusting();
    for (name, checked, now, believed) in [
        ("at once", 1_000, 1_010, true),
        ("at the end of the lease", 1_000, 1_300, true),
        ("after the poll's lease", 1_250, 1_301, false),
        ("after the check's lease", 900, 1_201, false),
        ("checked just now, polled long ago", 9_000, 9_000, false),
    ] {
        let vouched = trust.vouched(&id(), &peer(checked), at(now));
        assert_eq!(vouched, believed.then_some(7), "{name}");
    }
}

#[test]
fn nothing_is_believed_before_the_first_poll_or_of_another_server() {
    let mut trust = Trust::new(LEASE);
    trust.adopt(&epoch(1, 7), at(1_000));
    assert_eq!(trust.vouched(&id(), &peer(1_000), at(1_000)), None, "an epoch is no poll");
    let trust = trusting();
    let other = Peer::example("run other", at(1_000));
    assert_eq!(trust.vouched(&id(), &other, at(1_010)), None);
    assert!(!trust.vouches(other.incarnation()) && trust.vouches(peer(0).incarnation()));
}

#[test]
fn what_was_set_aside_stays_so_until_a_poll_that_began_later_does_not_name_it() {
    let (mut trust, id, other) = (trusting(), id(), id());
    trust.set_aside(id, at(1_050));
    let vouched = |trust: &Trust, id| trust.vouched(&id, &peer(1_100), at(1_110)).is_some();
    assert!(!vouched(&trust, id) && vouched(&trust, other));
    // Its answer was on its way already.
    let _ = trust.learn(&epoch(1, 7), Some([]), at(1_040), at(1_100));
    assert!(!vouched(&trust, id), "joined to the answer, not replaced by it");
    let _ = trust.learn(&epoch(1, 7), Some([id, other]), at(1_060), at(1_100));
    assert!(!vouched(&trust, id) && !vouched(&trust, other));
    assert_eq!(trust.counts(), (2, 2));
    let _ = trust.learn(&epoch(1, 7), Some([other]), at(1_070), at(1_100));
    assert!(vouched(&trust, id) && !vouched(&trust, other));
    let _ = trust.learn(&epoch(1, 7), Some([]), at(1_080), at(1_100));
    assert!(vouched(&trust, other));
}

#[test]
fn no_copy_is_believed_after_redis_was_out_of_sight_until_a_poll_that_began_later() {
    let mut trust = trusting();
    trust.lost_sight(at(1_050));
    let believed = |trust: &Trust| trust.vouched(&id(), &peer(1_100), at(1_110)).is_some();
    assert!(!believed(&trust) && !trust.holds(at(1_110)));
    let stretched = trust.stretched(&id(), &peer(1_100), at(1_110), LEASE);
    assert_eq!(stretched, Some(7), "nothing better can be had while the database is away");
    let _ = trust.learn(&epoch(1, 7), Some([]), at(1_050), at(1_100));
    assert!(!believed(&trust), "in the same millisecond too: which was first is not known");
    let _ = trust.learn(&epoch(1, 7), Some([]), at(1_051), at(1_100));
    assert!(believed(&trust) && trust.holds(at(1_110)));
}

#[test]
fn more_set_aside_than_there_is_room_for_ends_all_trust_until_the_next_poll() {
    let mut trust = trusting();
    for _ in 0..=SET_ASIDE_MAX {
        trust.set_aside(id(), at(1_050));
    }
    assert!(!trust.holds(at(1_060)));
    let _ = trust.learn(&epoch(1, 7), Some([]), at(1_070), at(1_080));
    assert!(trust.holds(at(1_090)));
}

#[test]
fn a_late_answer_takes_neither_the_generation_nor_the_lease_back() {
    let mut trust = trusting();
    trust.adopt(&epoch(2, 8), at(1_100));
    // It began before that was learned, so it may not know it.
    assert_eq!(trust.learn(&epoch(1, 7), Some([]), at(1_090), at(1_120)), Learned::Fine);
    assert_eq!(trust.epoch(), Some(&epoch(2, 8)));
    assert_eq!(trust.learn(&epoch(2, 8), Some([]), at(1_050), at(1_130)), Learned::Fine);
    assert_eq!(trust.age(at(1_130)), Some(Duration::from_millis(40)), "from the latest start");
    // Held for longer than the lease: no trust comes of it.
    assert_eq!(trust.learn(&epoch(2, 8), Some([]), at(1_130), at(9_000)), Learned::Fine);
    assert_eq!(trust.vouched(&id(), &peer(9_000), at(9_000)), None);
}

#[test]
fn a_database_that_went_back_in_time_ends_all_trust() {
    for (name, answer) in [("an earlier seq", epoch(1, 7)), ("another line", epoch(2, 9))] {
        let mut trust = trusting();
        trust.adopt(&epoch(2, 8), at(1_100));
        let learned = trust.learn(&answer, Some([]), at(1_150), at(1_160));
        assert_eq!(learned, Learned::Restored, "{name}");
        assert_eq!(trust.vouched(&id(), &peer(1_160), at(1_160)), None, "{name}");
        assert_eq!(trust.stretched(&id(), &peer(1_160), at(1_160), LEASE), None, "{name}");
    }
}

#[test]
fn while_the_database_is_away_redis_serves_for_the_stretch_and_not_what_is_set_aside() {
    let (mut trust, aside) = (trusting(), id());
    trust.set_aside(aside, at(1_010));
    let stretch = Duration::from_secs(10);
    for (name, id, checked, now, stretch, served) in [
        ("after the lease", id(), 2_000, 2_000, stretch, true),
        ("checked a lease ago", id(), 1_700, 2_000, stretch, true),
        ("checked longer ago", id(), 1_699, 2_000, stretch, false),
        ("at the end", id(), 11_300, 11_300, stretch, true),
        ("too long", id(), 11_301, 11_301, stretch, false),
        ("set aside", aside, 2_000, 2_000, stretch, false),
        ("turned off", id(), 1_100, 1_100, Duration::ZERO, false),
    ] {
        let generation = trust.stretched(&id, &peer(checked), at(now), stretch);
        assert_eq!(generation, served.then_some(7), "{name}");
    }
}

#[test]
fn one_new_generation_in_a_lease_and_settled_after_one() {
    let mut trust = trusting();
    assert!(trust.may_bump(at(1_000)));
    trust.bumped(at(1_000));
    assert!(!trust.may_bump(at(1_300)) && trust.may_bump(at(1_301)));
    assert!(!trust.is_settled(at(1_309)) && trust.is_settled(at(1_310)));
    trust.adopt(&epoch(2, 8), at(2_000));
    assert!(!trust.is_settled(at(2_299)) && trust.is_settled(at(2_300)));
    trust.adopt(&epoch(2, 8), at(2_299));
    assert!(trust.is_settled(at(2_300)), "known already");
}

#[test]
fn a_list_that_is_not_whole_takes_a_newer_generation_over_and_renews_no_lease() {
    let mut trust = trusting();
    trust.set_aside(id(), at(1_005));
    let nobody = None::<[SessionId; 0]>;
    assert_eq!(trust.learn(&epoch(2, 8), nobody, at(9_000), at(9_010)), Learned::Fine);
    assert_eq!(trust.epoch().map(|epoch| epoch.generation), Some(8));
    assert!(!trust.holds(at(9_010)));
    assert_eq!(trust.counts().0, 1);
}

#[test]
fn after_a_change_of_nobody_knows_whom_only_a_later_poll_is_relied_on() {
    let mut trust = Trust::new(Duration::from_secs(2));
    let _ = trust.learn(&epoch(1, 7), Some([]), at(1_000), at(1_010));
    assert!(trust.holds(at(1_100)));
    trust.stop_believing(at(1_100));
    assert!(!trust.holds(at(1_100)));
    let _ = trust.learn(&epoch(1, 7), Some([]), at(1_100), at(1_200));
    assert!(!trust.holds(at(1_200)), "one that began before");
    let _ = trust.learn(&epoch(1, 7), Some([]), at(1_101), at(1_300));
    assert!(trust.holds(at(1_300)));
}
