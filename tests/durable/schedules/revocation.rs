//! Schedules 31 to 33: all of a user's sessions end, and there are never too many; in the durable
//! store, and in Redis alone.

use std::time::Duration;

use tokio::task::JoinHandle;

use crate::two_instances::{
    Settings, SqliteFile, Statement, TwoInstances, answer, asking, is_dead, learn_again,
    learn_nothing, write_of,
};
use test_support::{Browser, Held, Matching, RedisServer, Reply, RespProxy, Site, patient};

/// Waits for a lock for as long as a test holds it.
fn unhurried(settings: &mut Settings) {
    (settings.database_timeout, settings.budget, settings.lease) = (4_500, 9_000, 10_000);
}

const LOGIN: &str = "/begin_login:alice,finish_login";
const REVOKE: &str = "/logout_everywhere";

/// What a revocation may meet, and the browser that asks for it: with a session of Alice's, with
/// one of nobody's, with none.
const WAYS: [(&str, &str); 3] = [("alice", "/renew"), ("somebody", LOGIN), ("nobody", LOGIN)];

impl TwoInstances {
    async fn visitor(&self, who: &str) -> Browser {
        let mut browser = self.a.browser().await;
        match who {
            "alice" => browser = self.settled().await.0,
            "somebody" => drop(browser.get("/insert:cart:tea").await.expect(200)),
            _ => {}
        }
        browser
    }

    /// Sessions of a user, of which one that takes over from another counts as that one.
    async fn sessions_of(&self, user: &str) -> usize {
        let count = format!(
            "SELECT count(*) FROM trs_sessions s WHERE user_id = '{user}' AND alive AND NOT EXISTS \
                (SELECT 1 FROM trs_sessions heir WHERE heir.alive AND heir.replaces = s.id)"
        );
        self.database.sql(&count).await.parse().unwrap()
    }

    async fn none_survives(&self, browsers: &[Browser], case: &str) {
        let alive = "SELECT count(*) FROM trs_sessions WHERE user_id = 'alice' AND alive";
        assert_eq!(self.database.sql(alive).await, "0", "{case}: a row is alive");
        for browser in browsers {
            for instance in [&self.a, &self.b] {
                assert!(is_dead(instance, browser).await, "{case}: a cookie is alive");
            }
        }
    }
}

/// The answer, and the browser as it is after it.
async fn ended(asked: JoinHandle<Option<Reply>>, browser: &Browser) -> Browser {
    let reply = answer(asked).await;
    assert!(matches!(reply.status.as_u16(), 200 | 401), "{reply:?}");
    let mut browser = browser.tab().await;
    browser.keep(&reply);
    browser
}

/// Schedule 31.
#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_or_a_login_that_is_held_anywhere_while_all_is_revoked() {
    const INSERT: &str = "INSERT ON trs_sessions";
    const UPDATE: &str = "UPDATE ON trs_sessions";
    let places = [
        (Statement::After(INSERT), "true"),
        (Statement::Before(INSERT), "true"),
        // The end of what was renewed.
        (Statement::After(UPDATE), "NOT NEW.alive"),
        (Statement::Before(UPDATE), "NOT NEW.alive"),
    ];
    let duo = TwoInstances::with(unhurried).await;
    for (who, path) in WAYS {
        let places = if who == "nobody" { &places[..2] } else { &places[..] };
        for (place, condition) in places {
            let case = format!("{who} {path}, held at {place:?}");
            let (visitor, other) = (duo.visitor(who).await, duo.settled().await.0);
            let (before, others) = (visitor.tab().await, other.tab().await);
            duo.hold_at(*place, condition).await;
            let asked = asking(&duo.a, &visitor, path).await;
            duo.update_is_held().await;
            let revoking = asking(&duo.b, &other, REVOKE).await;
            duo.is_in_the_way(|| revoking.is_finished()).await;
            duo.let_updates_go().await;
            answer(revoking).await.expect(200);
            let after = ended(asked, &visitor).await;
            duo.hold_no_more().await;
            duo.none_survives(&[before, others, after], &case).await;
        }
    }
    duo.is_at_rest().await;
}

/// Schedule 31b.
#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_that_is_held_anywhere_while_somebody_renews_or_signs_in() {
    let places = [
        (Statement::After("UPDATE ON trs_users"), "true"),
        (Statement::After("UPDATE ON trs_sessions"), "NOT NEW.alive"),
        (Statement::Before("UPDATE ON trs_users"), "true"),
    ];
    let duo = TwoInstances::with(unhurried).await;
    for (who, path) in WAYS {
        for (place, condition) in places {
            let case = format!("{who} {path}, the revocation held at {place:?}");
            let (visitor, other) = (duo.visitor(who).await, duo.settled().await.0);
            let (before, others) = (visitor.tab().await, other.tab().await);
            duo.hold_at(place, condition).await;
            let revoking = asking(&duo.b, &other, REVOKE).await;
            duo.update_is_held().await;
            let asked = asking(&duo.a, &visitor, path).await;
            duo.is_in_the_way(|| asked.is_finished()).await;
            duo.let_updates_go().await;
            answer(revoking).await.expect(200);
            let after = ended(asked, &visitor).await;
            duo.hold_no_more().await;
            duo.none_survives(&[before, others, after], &case).await;
        }
    }
    duo.is_at_rest().await;
}

/// Schedule 31c. Between the two steps of a renewal.
#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_between_its_steps_while_all_is_revoked() {
    for file in [false, true] {
        let duo = match file {
            true => TwoInstances::on_file(SqliteFile::fresh(), unhurried).await,
            false => TwoInstances::with(unhurried).await,
        };
        for (who, path) in &WAYS[..2] {
            let (visitor, other) = (duo.visitor(who).await, duo.settled().await.0);
            let (before, others) = (visitor.tab().await, other.tab().await);
            duo.a.hold("after-begin").await;
            let asked = asking(&duo.a, &visitor, path).await;
            duo.a.reached("after-begin").await;
            duo.b.with_cookies_of(&other).await.get(REVOKE).await.expect(200);
            duo.a.release("after-begin").await;
            let after = ended(asked, &visitor).await;
            duo.none_survives(&[before, others, after], &format!("{who} {path}")).await;
        }
        duo.is_at_rest().await;
    }
}

/// Schedule 31d. Who killed them had no time to tell Redis, and the second revocation finds
/// nothing alive.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_revocation_tells_redis_what_the_first_one_had_no_time_to_tell() {
    for file in [false, true] {
        let mut duo = match file {
            true => TwoInstances::on_file(SqliteFile::fresh(), unhurried).await,
            false => TwoInstances::with(unhurried).await,
        };
        let alice = duo.settled().await.0;
        let other = duo.settled().await.0;
        // Who asks for nothing.
        let (third, id) = duo.settled().await;
        learn_nothing(&[&duo.b]).await;
        duo.a.hold("after-commit").await;
        let lost = asking(&duo.a, &other, REVOKE).await;
        duo.a.reached("after-commit").await;
        duo.a.die();
        assert!(lost.await.unwrap().is_none(), "an answer of a process that was killed");
        assert!(!is_dead(&duo.b, &third).await, "B should not know yet");
        duo.b.with_cookies_of(&alice).await.get(REVOKE).await.expect(200);
        assert!(is_dead(&duo.b, &third).await, "alive on B");
        assert!(!duo.is_in_redis(&id).await);
        duo.a.start_again();
        learn_again(&[&duo.b]).await;
        duo.both_believe().await;
        duo.none_survives(&[alice, other, third], "after two revocations").await;
        duo.is_at_rest().await;
    }
}

/// Three instances without a database, each with its own way to one Redis.
struct Alone {
    redis: RedisServer,
    instances: Vec<(RespProxy, Site)>,
}

impl Alone {
    async fn start(limit: Option<u32>) -> Self {
        let redis = RedisServer::start().await;
        let mut instances = Vec::new();
        for _ in 0..3 {
            let proxy = RespProxy::start(redis.addr()).await;
            let config = patient(&redis.url_at(proxy.addr().port()));
            let site = Site::on(config, |builder| {
                let builder = builder.budget(Duration::from_secs(15));
                match limit {
                    Some(limit) => builder.sessions_per_user(limit),
                    None => builder,
                }
            });
            instances.push((proxy, site.await));
        }
        Self { redis, instances }
    }

    async fn browser(&self, instance: usize) -> Browser {
        self.instances[instance].1.browser().await
    }

    async fn signed_in(&self, instance: usize) -> Browser {
        let mut browser = self.browser(instance).await;
        browser.get("/update:n,login:alice").await.expect(200);
        browser
    }

    async fn is_signed_in(&self, browser: &Browser) -> bool {
        let mut browser = browser.on(self.instances[0].1.addr()).await;
        browser.get("/user").await.expect(200).text() == "alice"
    }

    async fn alive(&self, browsers: &[&Browser]) -> usize {
        let mut alive = 0;
        for browser in browsers {
            alive += usize::from(self.is_signed_in(browser).await);
        }
        alive
    }
}

/// Another tab that asks while the test goes on.
async fn meanwhile(browser: &Browser, path: &'static str) -> JoinHandle<Option<Reply>> {
    let mut tab = browser.tab().await;
    tokio::spawn(async move { tab.try_get(path).await.ok() })
}

fn login_script() -> Matching {
    let script = redis::Script::new(concat!(
        include_str!("../../../src/store/redis/lua/shared/keys.lua"),
        include_str!("../../../src/store/redis/lua/shared/index.lua"),
        include_str!("../../../src/store/redis/lua/shared/records.lua"),
        include_str!("../../../src/store/redis/lua/login.lua")
    ));
    Matching::script(script.get_hash())
}

fn revocation_script() -> Matching {
    let script = redis::Script::new(concat!(
        include_str!("../../../src/store/redis/lua/shared/keys.lua"),
        include_str!("../../../src/store/redis/lua/shared/records.lua"),
        include_str!("../../../src/store/redis/lua/revoke_all.lua")
    ));
    Matching::script(script.get_hash())
}

/// Schedule 31e.
#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_before_and_after_every_command_of_a_renewal_or_a_login_on_redis_alone() {
    let alone = Alone::start(None).await;
    for (who, path) in WAYS {
        for early in [true, false] {
            let mut visitor = alone.browser(0).await;
            match who {
                "alice" => visitor = alone.signed_in(0).await,
                "somebody" => drop(visitor.get("/insert:cart:tea").await.expect(200)),
                _ => {}
            }
            let mut other = alone.signed_in(1).await;
            let (before, others) = (visitor.tab().await, other.tab().await);
            let proxy = &alone.instances[0].0;
            // On its way to the server, or done and its answer on the way back.
            let held = match early {
                true => proxy.hold(login_script()),
                false => proxy.hold_reply(login_script()),
            };
            let asked = meanwhile(&visitor, path).await;
            held.reached().await;
            other.get(REVOKE).await.expect(200);
            held.release().await;
            let after = ended(asked, &visitor).await;
            let alive = alone.alive(&[&before, &others, &after]).await;
            assert_eq!(alive, 0, "{who} {path}, early: {early}");
        }
        // The other way round.
        let mut visitor = alone.browser(0).await;
        match who {
            "alice" => visitor = alone.signed_in(0).await,
            "somebody" => drop(visitor.get("/insert:cart:tea").await.expect(200)),
            _ => {}
        }
        let other = alone.signed_in(1).await;
        let (before, others) = (visitor.tab().await, other.tab().await);
        let held = alone.instances[1].0.hold_reply(revocation_script());
        let revoking = meanwhile(&other, REVOKE).await;
        held.reached().await;
        let mut after = visitor.tab().await;
        let reply = after.get(path).await;
        assert!(matches!(reply.status.as_u16(), 200 | 401), "{reply:?}");
        held.release().await;
        answer(revoking).await.expect(200);
        // Who began to sign in after that is another matter.
        let survivors = if path == LOGIN { vec![&before, &others] } else { vec![&before, &after] };
        assert_eq!(alone.alive(&survivors).await, 0, "{who} {path}, revoked before");
    }
    alone.redis.assert_every_key_has_a_ttl().await;
}

/// Schedule 32.
#[tokio::test(flavor = "multi_thread")]
async fn a_login_whose_password_was_checked_before_all_was_revoked_fails() {
    for file in [false, true] {
        let duo = match file {
            true => TwoInstances::on_file(SqliteFile::fresh(), unhurried).await,
            false => TwoInstances::with(unhurried).await,
        };
        for who in ["somebody", "nobody"] {
            let visitor = duo.visitor(who).await;
            let (other, before) = (duo.settled().await.0, visitor.tab().await);
            let path = "/begin_login:alice,gate:password,finish_login";
            let asked = asking(&duo.a, &visitor, path).await;
            duo.a.arrived("password").await;
            duo.b.with_cookies_of(&other).await.get(REVOKE).await.expect(200);
            duo.a.open("password").await;
            let reply = answer(asked).await;
            assert_eq!((reply.status.as_u16(), reply.text()), (401, "Revoked".into()), "{who}");
            let mut after = visitor.tab().await;
            after.keep(&reply);
            duo.none_survives(&[after.tab().await, before], who).await;
            // What was there is there, and a login that begins now does not fail.
            let cart = if who == "somebody" { "tea" } else { "-" };
            assert_eq!(after.get("/get:cart").await.expect(200).text(), cart);
            after.get(LOGIN).await.expect(200);
            assert_eq!(after.get("/user").await.expect(200).text(), "alice");
            duo.b.with_cookies_of(&after).await.get(REVOKE).await.expect(200);
        }
        duo.is_at_rest().await;
    }
}

/// Schedule 32b.
#[tokio::test(flavor = "multi_thread")]
async fn a_login_whose_password_was_checked_before_all_was_revoked_fails_on_redis_alone() {
    let alone = Alone::start(None).await;
    for path in ["/begin_login:alice", "/insert:cart:tea,save,begin_login:alice"] {
        let visitor = alone.browser(0).await;
        let mut other = alone.signed_in(1).await;
        let gate = alone.instances[0].1.gates.clone();
        let path: &'static str = format!("{path},gate:password,finish_login").leak();
        let asked = meanwhile(&visitor, path).await;
        gate.arrived("password").await;
        other.get(REVOKE).await.expect(200);
        gate.open("password");
        let reply = answer(asked).await;
        assert_eq!((reply.status.as_u16(), reply.text()), (401, "Revoked".into()), "{path}");
        let mut after = visitor.tab().await;
        after.keep(&reply);
        assert!(!alone.is_signed_in(&after).await, "{path}");
        after.get(LOGIN).await.expect(200);
        assert!(alone.is_signed_in(&after).await, "{path}");
    }
}

/// All orders of `left` that keep what stands in `order` in its order.
fn orders<T: Copy + PartialEq>(left: &[T], order: &[T]) -> Vec<Vec<T>> {
    if left.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for (at, one) in left.iter().enumerate() {
        let mut rest = left.to_vec();
        rest.remove(at);
        let waits = order.iter().position(|other| other == one).unwrap_or(0);
        if order[..waits].iter().any(|earlier| rest.contains(earlier)) {
            continue;
        }
        for mut tail in orders(&rest, order) {
            tail.insert(0, *one);
            all.push(tail);
        }
    }
    all
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Doing {
    One,
    Two,
    Begin,
    Finish,
}

const LIMIT: u32 = 2;

/// Schedule 33.
#[tokio::test(flavor = "multi_thread")]
async fn two_logins_and_a_renewal_at_the_limit_in_every_order_of_their_steps() {
    use Doing::{Begin, Finish, One, Two};
    let limited = |settings: &mut Settings| {
        unhurried(settings);
        settings.sessions_per_user = Some(LIMIT);
    };
    let duo = TwoInstances::with(limited).await;
    let all = orders(&[One, Two, Begin, Finish], &[Begin, Finish]);
    assert_eq!(all.len(), 12);
    for order in all {
        let (renews, id) = duo.settled().await;
        let stays = duo.settled().await.0;
        let mut held: Vec<(Doing, Held)> = vec![
            (One, duo.da.hold(Matching::part("trs_write_1").containing("tag-one"))),
            (Two, duo.db.hold(Matching::part("trs_write_1").containing("tag-two"))),
            (Finish, duo.da.hold(write_of(&id).nth(2))),
            (Begin, duo.da.hold(write_of(&id))),
        ];
        let one = duo.a.browser().await;
        let two = duo.b.browser().await;
        let mut asked = vec![
            (One, asking(&duo.a, &one, "/insert:tag:tag-one,login:alice").await),
            (Two, asking(&duo.b, &two, "/insert:tag:tag-two,login:alice").await),
            (Finish, asking(&duo.a, &renews, "/renew").await),
        ];
        // Each has read what it writes over, or a login that is let go now ends the renewal's
        // session before the renewal has found it.
        test_support::eventually("the first step of each", async || {
            held.iter().all(|(doing, held)| *doing == Finish || held.is_reached())
        })
        .await;
        let mut after = vec![renews.tab().await, stays];
        for step in &order {
            let at = held.iter().position(|(doing, _)| doing == step).unwrap();
            let (_, step_held) = held.remove(at);
            // A renewal that is Gone has no second step.
            let ended = |asked: &[(Doing, JoinHandle<Option<Reply>>)]| {
                asked.iter().any(|(doing, asked)| doing == step && asked.is_finished())
            };
            test_support::eventually("the step, or its end without it", async || {
                step_held.is_reached() || ended(&asked)
            })
            .await;
            if step_held.is_reached() {
                step_held.release().await;
            }
            let Some(at) = asked.iter().position(|(doing, _)| doing == step) else { continue };
            let reply = answer(asked.remove(at).1).await.expect(200);
            let mut browser = if *step == Finish { renews.tab().await } else { one.tab().await };
            browser.keep(&reply);
            after.push(browser);
        }
        duo.da.forget_rules();
        let alive = duo.sessions_of("alice").await;
        assert_eq!(alive, LIMIT as usize, "{order:?}");
        let mut signed_in = 0;
        for browser in &after {
            let dead = [is_dead(&duo.a, browser).await, is_dead(&duo.b, browser).await];
            assert_eq!(dead[0], dead[1], "{order:?}: one sees it and the other does not");
            signed_in += u32::from(!dead[0]);
        }
        assert!(signed_in <= LIMIT, "{order:?}: {signed_in} are signed in");
    }
    duo.is_at_rest().await;
}

/// Schedule 33b.
#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_is_killed_between_its_steps_takes_no_room_from_the_next_one() {
    let limited = |settings: &mut Settings| {
        unhurried(settings);
        settings.sessions_per_user = Some(LIMIT);
    };
    let mut duo = TwoInstances::with(limited).await;
    for place in ["after-commit", "after-begin"] {
        let (first, second) = (duo.settled().await.0, duo.settled().await.0);
        let visitor = duo.visitor("somebody").await;
        duo.a.hold(place).await;
        let lost = asking(&duo.a, &visitor, LOGIN).await;
        duo.a.reached(place).await;
        duo.a.die();
        assert!(lost.await.unwrap().is_none(), "an answer of a process that was killed");
        assert_eq!(duo.sessions_of("alice").await, 2, "{place}");
        let mut third = duo.b.browser().await;
        third.get("/login:alice").await.expect(200);
        assert_eq!(duo.sessions_of("alice").await, 2, "{place}");
        assert!(!is_dead(&duo.b, &third).await, "{place}");
        duo.a.start_again();
        duo.both_believe().await;
        for ended in [first, second] {
            assert!(is_dead(&duo.a, &ended).await && is_dead(&duo.b, &ended).await, "{place}");
        }
        duo.b.with_cookies_of(&third).await.get(REVOKE).await.expect(200);
    }
    duo.is_at_rest().await;
}

/// Schedule 33c.
#[tokio::test(flavor = "multi_thread")]
async fn two_logins_and_a_renewal_at_the_limit_in_every_order_on_redis_alone() {
    let all = orders(&[0, 1, 2], &[]);
    assert_eq!(all.len(), 6);
    let alone = Alone::start(Some(LIMIT)).await;
    for order in all {
        let (renews, stays) = (alone.signed_in(2).await, alone.signed_in(1).await);
        let who = [alone.browser(0).await, alone.browser(1).await, renews.tab().await];
        let (mut held, mut asked) = (Vec::new(), Vec::new());
        for ((browser, (proxy, _)), path) in
            who.iter().zip(&alone.instances).zip(["/login:alice", "/login:alice", "/renew"])
        {
            let step = proxy.hold(login_script());
            asked.push(Some(meanwhile(browser, path).await));
            step.reached().await;
            held.push(Some(step));
        }
        let mut after = vec![renews.tab().await, stays];
        for step in &order {
            held[*step].take().unwrap().release().await;
            let reply = answer(asked[*step].take().unwrap()).await.expect(200);
            let mut browser = who[*step].tab().await;
            browser.keep(&reply);
            after.push(browser);
        }
        let after: Vec<_> = after.iter().collect();
        assert_eq!(alone.alive(&after).await, LIMIT as usize, "{order:?}");
    }
    alone.redis.assert_every_key_has_a_ttl().await;
}

/// Schedule 33d. The second one asks while the first has done everything but its commit.
#[tokio::test(flavor = "multi_thread")]
async fn two_logins_at_the_limit_of_which_one_waits_for_its_commit() {
    let limited = |settings: &mut Settings| {
        unhurried(settings);
        settings.sessions_per_user = Some(LIMIT);
    };
    let duo = TwoInstances::with(limited).await;
    let (first, second) = (duo.settled().await.0, duo.settled().await.0);
    let insert = Statement::Before("INSERT ON trs_sessions");
    duo.hold_at(insert, "position('tag-one'::bytea IN NEW.body) > 0").await;
    let (one, two) = (duo.a.browser().await, duo.b.browser().await);
    let asked = asking(&duo.a, &one, "/insert:tag:tag-one,login:alice").await;
    duo.update_is_held().await;
    let other = asking(&duo.b, &two, "/login:alice").await;
    duo.is_in_the_way(|| other.is_finished()).await;
    duo.let_updates_go().await;
    let (one, two) = (ended(asked, &one).await, ended(other, &two).await);
    assert_eq!(duo.sessions_of("alice").await, LIMIT as usize);
    for instance in [&duo.a, &duo.b] {
        assert!(is_dead(instance, &first).await && is_dead(instance, &second).await);
        assert!(!is_dead(instance, &one).await && !is_dead(instance, &two).await);
    }
    duo.hold_no_more().await;
    duo.is_at_rest().await;
}
