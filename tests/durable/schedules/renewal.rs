//! The durable store, schedules 30 and 34 to 36: renewals, counts and activity.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::two_instances::{
    Instance, Settings, TwoInstances, answer, asking, dies_within, is_dead, learn_again,
    learn_nothing, soon_without_redis, value, write_of,
};
use test_support::{Browser, COOKIE, Gate, Matching, Reply, eventually};

async fn is_signed_in(instance: &Instance, browser: &Browser) -> bool {
    let reply = instance.with_cookies_of(browser).await.get("/user").await.expect(200);
    reply.text() == "alice"
}

/// The browser as it is after an answer that came by another tab.
fn after(browser: &mut Browser, reply: &Reply) {
    let before = browser.cookie(COOKIE).map(str::to_owned);
    browser.keep(reply);
    assert_ne!(browser.cookie(COOKIE).map(str::to_owned), before, "no new cookie: {reply:?}");
}

async fn is_dead_everywhere(duo: &TwoInstances, browser: &Browser) -> bool {
    is_dead(&duo.a, browser).await && is_dead(&duo.b, browser).await
}

/// Schedule 30.
#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_whose_app_dies_before_its_second_step() {
    let mut duo = TwoInstances::start().await;
    for place in ["nowhere", "after-commit", "after-begin"] {
        let (mut alice, id) = duo.settled().await;
        let before = alice.tab().await;
        let held = duo.da.hold(write_of(&id));
        duo.a.hold(place).await;
        let renewing = asking(&duo.a, &alice, "/renew").await;
        held.reached().await;
        if place == "nowhere" {
            duo.a.die();
            held.drop_it();
        } else {
            held.release().await;
            duo.a.reached(place).await;
            duo.a.die();
        }
        assert!(renewing.await.unwrap().is_none(), "an answer of a process that was killed");
        assert!(is_signed_in(&duo.b, &alice).await, "{place}");
        alice = duo.b.with_cookies_of(&alice).await;
        alice.get("/renew").await.expect(200);
        assert!(is_dead(&duo.b, &before).await && is_signed_in(&duo.b, &alice).await, "{place}");
        duo.a.start_again();
        assert!(is_dead(&duo.a, &before).await && is_signed_in(&duo.a, &alice).await, "{place}");
        duo.both_believe().await;
    }
    duo.is_at_rest().await;
}

/// Schedule 30b. The exception: nobody can tell a client whose answer is lost on the way.
#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_whose_app_dies_after_its_second_step() {
    let mut duo = TwoInstances::start().await;
    let (alice, _) = duo.settled().await;
    duo.a.hold("after-begin").await;
    let renewing = asking(&duo.a, &alice, "/renew").await;
    duo.a.reached("after-begin").await;
    duo.a.hold("after-commit").await;
    duo.a.release("after-begin").await;
    duo.a.reached("after-commit").await;
    duo.a.die();
    assert!(renewing.await.unwrap().is_none(), "an answer of a process that was killed");
    dies_within(&duo.b, &alice, duo.lease()).await;
    duo.a.start_again();
    assert!(is_dead_everywhere(&duo, &alice).await);
    duo.both_believe().await;
    assert!(is_dead_everywhere(&duo, &alice).await);
    duo.is_at_rest().await;
}

/// Schedule 30c.
#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_of_which_one_reply_is_lost() {
    let duo = TwoInstances::start().await;
    for step in [1, 2] {
        let (mut alice, id) = duo.settled().await;
        let before = alice.tab().await;
        let cut = duo.da.cut_reply(write_of(&id).nth(step));
        alice.get("/renew").await.expect(200);
        cut.reached().await;
        assert_ne!(alice.cookie_header(), before.cookie_header());
        assert!(is_dead(&duo.a, &before).await, "{step}");
        assert!(is_signed_in(&duo.b, &alice).await && is_signed_in(&duo.a, &alice).await, "{step}");
        dies_within(&duo.b, &before, duo.lease()).await;
    }
    duo.is_at_rest().await;
}

/// Renews at A, and holds it between the two steps; then `fault` happens.
async fn fails_in_the_middle(
    duo: &TwoInstances,
    alice: &mut Browser,
    fault: impl FnOnce(&TwoInstances),
) {
    duo.a.hold("after-begin").await;
    let renewing = asking(&duo.a, alice, "/renew").await;
    duo.a.reached("after-begin").await;
    fault(duo);
    duo.a.release("after-begin").await;
    let reply = answer(renewing).await.expect(503);
    after(alice, &reply);
}

/// Schedule 30d.
#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_whose_second_step_does_not_happen_is_finished_by_whoever_comes_next() {
    let duo = TwoInstances::start().await;
    for next in [&duo.a, &duo.b] {
        let (mut alice, _) = duo.settled().await;
        let before = alice.tab().await;
        fails_in_the_middle(&duo, &mut alice, |duo| duo.da.set(Gate::Refuse)).await;
        assert!(is_signed_in(&duo.b, &before).await, "nobody has ended it yet");
        duo.da.set(Gate::Pass);
        assert!(is_signed_in(next, &alice).await);
        assert!(is_dead_everywhere(&duo, &before).await);
        assert!(is_signed_in(&duo.a, &alice).await && is_signed_in(&duo.b, &alice).await);
        duo.both_believe().await;
        assert!(is_dead_everywhere(&duo, &before).await);
    }
    duo.is_at_rest().await;
}

/// Schedule 30e.
#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_whose_second_step_happens_and_nobody_hears_of_it() {
    let duo = TwoInstances::start().await;
    let (mut alice, id) = duo.settled().await;
    let before = alice.tab().await;
    // Nobody sweeps.
    learn_nothing(&[&duo.a, &duo.b]).await;
    let second = |duo: &TwoInstances| drop(duo.da.cut_replies(write_of(&id)));
    fails_in_the_middle(&duo, &mut alice, second).await;
    duo.da.forget_rules();
    assert!(is_dead(&duo.a, &before).await);
    learn_again(&[&duo.a, &duo.b]).await;
    assert!(is_signed_in(&duo.b, &alice).await && is_signed_in(&duo.a, &alice).await);
    dies_within(&duo.b, &before, duo.lease()).await;
    duo.is_at_rest().await;
}

/// Schedule 30f.
#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_is_not_answered_before_the_old_id_is_dead() {
    let duo = TwoInstances::start().await;
    let (mut alice, id) = duo.settled().await;
    let before = alice.tab().await;
    let second = duo.da.hold(write_of(&id).nth(2));
    let renewing = asking(&duo.a, &alice, "/renew").await;
    second.reached().await;
    assert!(is_signed_in(&duo.b, &before).await && !renewing.is_finished());
    sleep(Duration::from_millis(200)).await;
    assert!(!renewing.is_finished(), "an answer while the old id is alive");
    second.release().await;
    let reply = answer(renewing).await.expect(200);
    assert!(is_dead_everywhere(&duo, &before).await);
    after(&mut alice, &reply);
    assert!(is_signed_in(&duo.a, &alice).await && is_signed_in(&duo.b, &alice).await);
    duo.is_at_rest().await;
}

/// Schedule 30g.
#[tokio::test(flavor = "multi_thread")]
async fn the_logout_of_a_renewal_that_was_not_finished_ends_the_old_id_too() {
    // Believes for so long that what is right at once is so by no lease that has run out.
    let patient = |settings: &mut Settings| settings.lease = 10_000;
    let duo = TwoInstances::with(patient).await;
    let (mut alice, _) = duo.settled().await;
    let before = alice.tab().await;
    fails_in_the_middle(&duo, &mut alice, |duo| duo.da.set(Gate::Refuse)).await;
    duo.da.set(Gate::Pass);
    learn_nothing(&[&duo.a, &duo.b]).await;
    let renewed = alice.tab().await;
    alice.get("/logout").await.expect(200);
    for ended in [&before, &renewed] {
        assert!(is_dead_everywhere(&duo, ended).await);
    }
    learn_again(&[&duo.a, &duo.b]).await;
    duo.is_at_rest().await;
}

/// Schedule 34.
#[tokio::test(flavor = "multi_thread")]
async fn updates_whose_every_50th_reply_is_lost_are_counted_once() {
    let each: u64 = std::env::var("UPDATES").map_or(32, |text| text.parse().unwrap());
    let duo = TwoInstances::start().await;
    let (alice, _) = duo.settled().await;
    let proxies = (&duo.pa, &duo.pb, &duo.da, &duo.db);
    let cut_every = |nth| {
        proxies.0.cut_every_reply(nth);
        proxies.1.cut_every_reply(nth);
        proxies.2.cut_every_reply(nth);
        proxies.3.cut_every_reply(nth);
    };
    cut_every(50);
    let mut writers = Vec::new();
    for writer in 0..64 {
        let instance = if writer % 2 == 0 { &duo.a } else { &duo.b };
        let mut browser = instance.with_cookies_of(&alice).await;
        writers.push(tokio::spawn(async move {
            let (mut said, mut unknown) = (Vec::new(), 0);
            for _ in 0..each {
                let reply = browser.get("/update:n").await;
                match reply.status.as_u16() {
                    200 => said.push(reply.text().parse::<u64>().unwrap()),
                    503 => unknown += 1,
                    _ => panic!("{reply:?}"),
                }
            }
            (said, unknown)
        }));
    }
    let (mut said, mut unknown) = (Vec::new(), 0);
    for writer in writers {
        let (its, open) = writer.await.unwrap();
        said.extend(its);
        unknown += open;
    }
    cut_every(0);
    duo.both_believe().await;
    duo.journal_is_empty().await;
    let sum: u64 = value(&duo.a, &alice).await.parse().unwrap();
    assert_eq!(value(&duo.b, &alice).await, sum.to_string());
    let acknowledged = said.len() as u64;
    println!("{acknowledged} acknowledged, {unknown} unknown, {} counted", sum - 1);
    let distinct: BTreeSet<u64> = said.iter().copied().collect();
    assert_eq!(distinct.len(), said.len(), "two were told the same count");
    assert!((acknowledged..=acknowledged + unknown).contains(&(sum - 1)));
    assert!(acknowledged > 0, "nothing was acknowledged");
    duo.is_at_rest().await;
}

/// Comes back in time, again and again; before the request number `lost` its copy is gone. Tells
/// whether it was always in time: nobody can be blamed for a slow machine.
async fn active(duo: &TwoInstances, lost: usize, alternates: bool) -> bool {
    let idle = Duration::from_secs(duo.a.settings.idle);
    let (mut alice, mut last) = (duo.a.browser().await, Instant::now());
    alice.get("/update:n,login:alice").await.expect(200);
    let id = duo.id(&mut alice).await;
    let mut tabs = [duo.a.with_cookies_of(&alice).await, duo.b.with_cookies_of(&alice).await];
    // The short way makes the database late, the long one goes to the limit.
    for (number, part) in [4, 97, 97, 4, 97].into_iter().enumerate() {
        let due = last + idle * part / 100;
        sleep(due.saturating_duration_since(Instant::now())).await;
        if number == lost {
            duo.evict(&id).await;
        }
        let start = Instant::now();
        let tab = &mut tabs[if alternates { number % 2 } else { 0 }];
        let reply = tab.get("/user").await.expect(200);
        if last.elapsed() >= idle {
            return false;
        }
        let way = (number, lost, alternates);
        assert_eq!(reply.text(), "alice", "signed out after {:?}, {way:?}", last.elapsed());
        last = start;
    }
    true
}

/// Schedule 35.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_comes_in_time_is_signed_in_also_if_the_copy_is_lost() {
    let touched = |settings: &mut Settings| {
        settings.idle = 6;
        settings.touch_interval = 20;
        settings.database_touch_interval = Some(1_000);
        // No activity is lost for a slow machine's sake.
        (settings.redis_timeout, settings.poll_timeout, settings.lease) = (2_000, 2_000, 5_000);
        (settings.database_timeout, settings.budget) = (4_500, 8_000);
    };
    let duo = TwoInstances::with(touched).await;
    let mut judged = 0;
    for _ in 0..5 {
        let ways = (0..5).flat_map(|lost| [(lost, false), (lost, true)]);
        let ways = ways.map(|(lost, alternates)| active(&duo, lost, alternates));
        let all = futures_util::future::join_all(ways).await;
        judged += all.into_iter().filter(|judged| *judged).count();
        if judged >= 10 {
            break;
        }
    }
    assert!(judged >= 10, "the machine is too slow for this: {judged}");
    duo.is_at_rest().await;
}

fn touch(id: &str) -> Matching {
    let script = redis::Script::new(include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/src/store/redis/lua/copy_touch.lua"
    )));
    Matching::script(script.get_hash()).containing(id)
}

/// Schedule 36.
#[tokio::test(flavor = "multi_thread")]
async fn a_touch_that_arrives_after_the_logout() {
    let touched = |settings: &mut Settings| {
        soon_without_redis(settings);
        settings.touch_interval = 1;
    };
    let duo = TwoInstances::with(touched).await;
    let (alice, id) = duo.settled().await;
    let late = duo.pa.hold(touch(&id));
    assert_eq!(value(&duo.a, &alice).await, "1");
    late.reached().await;
    duo.b.with_cookies_of(&alice).await.get("/logout").await.expect(200);
    assert_eq!(duo.copy(&id).await, None);
    late.release().await;
    assert_eq!(duo.copy(&id).await, None);
    duo.both_believe().await;
    assert!(is_dead_everywhere(&duo, &alice).await);
    duo.is_at_rest().await;
}

/// Schedule 36b.
#[tokio::test(flavor = "multi_thread")]
async fn a_touch_of_the_version_before() {
    let patient = |settings: &mut Settings| {
        soon_without_redis(settings);
        (settings.touch_interval, settings.lease) = (1, 10_000);
    };
    let duo = TwoInstances::with(patient).await;
    let (alice, id) = duo.settled().await;
    // A does not hear of the save, and touches after it was made; nor does B's sweeper tell Redis.
    learn_nothing(&[&duo.a, &duo.b]).await;
    duo.b.hold("before-push").await;
    let saving = asking(&duo.b, &alice, "/update:n").await;
    duo.b.reached("before-push").await;
    // B would write down a later activity, which no older one replaces.
    let others = duo.pb.hold_all(touch(&id));
    let late = duo.pa.hold(touch(&id));
    sleep(Duration::from_millis(5)).await;
    assert_eq!(value(&duo.a, &alice).await, "1");
    late.reached().await;
    duo.b.release("before-push").await;
    answer(saving).await.expect(200);
    let saved = duo.copy(&id).await;
    assert!(saved.as_ref().is_some_and(|value| value.starts_with(b"R0000000000000002")));
    late.release().await;
    assert_eq!(duo.copy(&id).await, saved);
    others.drop_them();
    learn_again(&[&duo.a, &duo.b]).await;
    eventually("a is well", async || duo.a.status().await.believed).await;
    assert_eq!(
        (value(&duo.a, &alice).await, value(&duo.b, &alice).await),
        ("2".into(), "2".into())
    );
    duo.is_at_rest().await;
}

/// As it is by default: an hour of idle time and a minute of the touch interval, in milliseconds.
const END: u64 = 3_660_000;
/// What activity in the database may be behind: a twentieth of that.
const LAG: u64 = END / 20;
/// Past the end, and within that.
const PAST: u64 = END + LAG / 4;

/// Schedule 35.
#[tokio::test(flavor = "multi_thread")]
async fn an_idle_session_ends_by_its_copy_and_later_only_where_activity_may_be_lost() {
    // More than may count.
    let settings = |settings: &mut Settings| settings.database_touch_interval = Some(300_000);
    let duo = TwoInstances::with(settings).await;
    let (left, left_id) = duo.settled().await;
    let (lost, lost_id) = duo.settled().await;
    let (active, active_id) = duo.settled().await;
    let (looked_at, looked_at_id) = duo.settled().await;
    let (several, several_id) = duo.settled().await;
    // As long as the row alone would be judged otherwise, and no longer than five minutes.
    let life = duo.life_of_copy(&left_id).await;
    assert!((END + LAG - 60_000..=END + 300_000).contains(&life), "{life}");

    duo.age_row(&left_id, PAST).await;
    duo.age_copy(&left_id, PAST).await;
    duo.age_row(&lost_id, PAST).await;
    duo.evict(&lost_id).await;
    // The last request, of which only the database was told.
    duo.age_copy(&active_id, PAST).await;
    duo.age_copy(&several_id, PAST).await;
    // The last activity of this one was lost with its copy, and who only looked made another.
    duo.age_row(&looked_at_id, PAST - LAG / 2).await;
    duo.evict(&looked_at_id).await;
    eventually("a copy made by who only looks", async || {
        let passive = looked_at.tab().await.get("/mark_passive,user").await.expect(200).text();
        assert!(passive.ends_with("alice"), "{passive}");
        duo.is_in_redis(&looked_at_id).await
    })
    .await;
    duo.age_row(&looked_at_id, LAG / 2).await;
    duo.age_copy(&looked_at_id, LAG / 2).await;

    let dead = format!("{COOKIE}={}", "A".repeat(43));
    let reply = duo.a.get_with_another(&several, &dead, "/user").await.expect(200);
    assert_eq!(reply.text(), "alice", "used since, as the database knows");
    for instance in [&duo.a, &duo.b] {
        assert!(is_dead(instance, &left).await, "idle by its copy and its row");
        assert!(!is_dead(instance, &lost).await, "used since, for all that anybody knows");
        assert!(!is_dead(instance, &active).await, "used since, as the database knows");
        assert!(!is_dead(instance, &looked_at).await, "used since, as the copy before knew");
    }
    duo.is_copied(&mut active.tab().await).await;
    duo.evict(&left_id).await;
    assert!(is_dead(&duo.a, &left).await && is_dead(&duo.b, &left).await, "and stays so");
    duo.is_at_rest().await;
}
