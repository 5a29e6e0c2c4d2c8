//! Redis refuses, hangs or is gone, and the database is well: nobody notices.

use std::time::Duration;

use super::bystanders::{Bystanders, cut, is_served_by, read_n, turns};
use crate::two_instances::{AnyDatabase, TwoInstances, hasty};
use test_support::{Gate, PostgresServer, RedisServer};

const PASSWORD: &str = "geheim-4711";
const RULES: &str = "app on >geheim-4711 ~* &* +@all";

/// What happens to Redis.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    Loading,
    Full,
    FailsToSave,
    /// The user and its connections are gone.
    UserDeleted,
    PasswordChanged,
    MayNotRead,
    MayNotWrite,
    MayNotTell,
    Demoted,
    Killed,
    Hung,
    Way(Gate),
}

impl Fault {
    async fn begin(self, duo: &TwoInstances) {
        let redis = &duo.redis;
        match self {
            Self::Loading => redis.restart_loading().await,
            Self::Full => redis.fill_up().await,
            Self::FailsToSave => redis.fail_to_save().await,
            Self::UserDeleted => command(redis, &["ACL", "DELUSER", "app"]).await,
            Self::PasswordChanged => {
                redis.acl_set_user("app", "resetpass >another").await;
                command(redis, &["CLIENT", "KILL", "USER", "app"]).await;
            }
            Self::MayNotRead => redis.acl_set_user("app", "-get").await,
            Self::MayNotWrite => redis.acl_set_user("app", "-del -evalsha -set").await,
            Self::MayNotTell => redis.acl_set_user("app", "-info").await,
            Self::Demoted => command(redis, &["REPLICAOF", "127.0.0.1", "9"]).await,
            Self::Killed => redis.kill(),
            Self::Hung => redis.hang(),
            Self::Way(gate) => [&duo.pa, &duo.pb].into_iter().for_each(|proxy| proxy.set(gate)),
        }
    }

    async fn end(self, duo: &TwoInstances) {
        let redis = &duo.redis;
        match self {
            Self::Loading => redis.finish_loading().await,
            Self::Full => redis.make_room().await,
            Self::FailsToSave => redis.save_again().await,
            Self::UserDeleted | Self::PasswordChanged => {
                redis.acl_set_user("app", "reset on >geheim-4711 ~* &* +@all").await;
            }
            Self::MayNotRead | Self::MayNotWrite | Self::MayNotTell => {
                redis.acl_set_user("app", "+@all").await;
            }
            Self::Demoted => command(redis, &["REPLICAOF", "NO", "ONE"]).await,
            Self::Killed => redis.restart().await,
            Self::Hung => redis.resume(),
            Self::Way(_) => {
                [&duo.pa, &duo.pb].into_iter().for_each(|proxy| proxy.set(Gate::Pass));
            }
        }
    }

    /// It refuses to write, and reads go on.
    fn reads_go_on(self) -> bool {
        matches!(self, Self::Full | Self::FailsToSave | Self::MayNotWrite)
    }
}

async fn command(redis: &RedisServer, words: &[&str]) {
    let mut connection = redis.connection().await;
    let mut command = redis::cmd(words[0]);
    let () = command.arg(&words[1..]).query_async(&mut connection).await.unwrap();
}

/// An instance's own Redis address, with the user of the test.
fn as_app(settings: &mut crate::two_instances::Settings) {
    hasty(settings);
    (settings.poll_timeout, settings.lease) = (2_000, 2_500);
    let (_, place) = settings.redis.split_once('@').unwrap();
    settings.redis = format!("redis://app:{PASSWORD}@{place}");
}

async fn passes_unnoticed(fault: Fault) {
    let redis = RedisServer::builder().arg("--user", RULES).start().await;
    let duo = TwoInstances::on(redis, as_app).await;
    let mut bystanders = Bystanders::of(&duo, 5).await;
    for instance in [&duo.a, &duo.b] {
        instance.logs().await;
    }
    fault.begin(&duo).await;
    let during = format!("during {fault:?}");
    bystanders.live_on(&duo, &during).await;
    let serving = if fault.reads_go_on() { "redis" } else { "database" };
    for instance in [&duo.a, &duo.b] {
        is_served_by(instance, serving, &bystanders.keeper).await;
    }
    // As long as it lasts, they say the same.
    for _ in 0..2 {
        tokio::time::sleep(duo.lease() / 2).await;
        bystanders.live_on(&duo, &during).await;
        for instance in [&duo.a, &duo.b] {
            let status = instance.status().await;
            assert_eq!(status.serving, serving, "{during}: {status:?}");
            assert_eq!(status.redis, fault.reads_go_on(), "{during}: {status:?}");
            assert!(status.database, "{during}: {status:?}");
            assert!(!status.redis_cause.contains(PASSWORD), "{during}: {status:?}");
            assert!(status.redis || !status.redis_cause.is_empty(), "{during}: {status:?}");
        }
    }
    fault.end(&duo).await;
    bystanders.are_well(&duo, &format!("after {fault:?}")).await;
    let expected: &[&str] = if fault.reads_go_on() { &[] } else { &["WARN", "INFO"] };
    for instance in [&duo.a, &duo.b] {
        let logs = instance.logs().await;
        assert_eq!(turns(&logs, "redis"), expected, "{fault:?}: {logs:#?}");
        let refusals = logs.iter().filter(|line| line.contains("redis rejects")).count();
        assert!(refusals <= 1, "{fault:?}: {logs:#?}");
        assert!(!logs.iter().any(|line| line.contains(PASSWORD)), "{fault:?}: {logs:#?}");
    }
}

macro_rules! unnoticed {
    ($($name:ident: $fault:expr;)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            passes_unnoticed($fault).await;
        }
    )*};
}

unnoticed! {
    a_redis_that_is_loading_costs_nobody_anything: Fault::Loading;
    a_full_redis_serves_reads_and_still_forgets: Fault::Full;
    a_redis_that_fails_to_save_serves_reads_and_no_logout_is_lost: Fault::FailsToSave;
    a_user_that_is_deleted_and_given_back_costs_nobody_anything: Fault::UserDeleted;
    a_password_that_is_changed_and_given_back_costs_nobody_anything: Fault::PasswordChanged;
    a_user_that_may_no_longer_read_costs_nobody_anything: Fault::MayNotRead;
    a_user_that_may_no_longer_write_loses_no_logout: Fault::MayNotWrite;
    a_user_that_may_no_longer_ask_who_redis_is_is_not_served_by_it: Fault::MayNotTell;
    a_redis_that_is_demoted_and_promoted_again_loses_no_logout: Fault::Demoted;
    a_redis_that_is_killed_and_comes_back_empty_signs_nobody_out: Fault::Killed;
    a_redis_that_hangs_costs_nobody_anything: Fault::Hung;
    a_redis_that_refuses_connections_costs_nobody_anything: Fault::Way(Gate::Refuse);
    a_redis_that_resets_connections_costs_nobody_anything: Fault::Way(Gate::Reset);
    a_redis_in_a_black_hole_costs_nobody_anything: Fault::Way(Gate::BlackHole);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_is_asked_for_all_of_a_sudden_costs_nobody_anything() {
    // The password is that of the default user.
    let duo = TwoInstances::with(|settings| {
        let (_, place) = settings.redis.split_once('@').unwrap();
        settings.redis = format!("redis://{place}");
    })
    .await;
    let mut bystanders = Bystanders::of(&duo, 2).await;
    let mut admin = duo.redis.connection().await;
    let mut set = redis::cmd("CONFIG");
    let () = set.arg(&["SET", "requirepass", "x"]).query_async(&mut admin).await.unwrap();
    let mut kill = redis::cmd("CLIENT");
    let kill = kill.arg(&["KILL", "TYPE", "normal", "SKIPME", "yes"]);
    let _: u64 = kill.query_async(&mut admin).await.unwrap();
    bystanders.live_on(&duo, "NOAUTH").await;
    for instance in [&duo.a, &duo.b] {
        is_served_by(instance, "database", &bystanders.keeper).await;
        let cause = instance.status().await.redis_cause;
        assert!(cause.contains("password"), "{cause}");
    }
    let mut set = redis::cmd("CONFIG");
    let () = set.arg(&["SET", "requirepass", ""]).query_async(&mut admin).await.unwrap();
    bystanders.are_well(&duo, "after NOAUTH").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_does_not_tell_who_it_is_is_never_believed_and_the_check_says_so() {
    let redis = RedisServer::builder().arg("--user", &format!("{RULES} -info")).start().await;
    let server = PostgresServer::shared().await;
    let truth = AnyDatabase::Postgres(server.database().await);
    let duo = TwoInstances::unsettled(redis, truth, server.addr(), as_app).await;
    let said = duo.a.check().await;
    assert!(said.starts_with("Misconfigured"), "{said}");
    let mut alice = duo.a.browser().await;
    alice.get("/update:n,login:alice").await.expect(200);
    for n in 2..20 {
        assert_eq!(alice.get("/update:n").await.expect(200).text(), n.to_string());
        assert_eq!(read_n(&duo.b, &alice).await, n.to_string());
    }
    for instance in [&duo.a, &duo.b] {
        is_served_by(instance, "database", &alice).await;
        let status = instance.status().await;
        assert!(!status.redis && status.incarnation.is_empty(), "{status:?}");
    }
    assert!(duo.redis.dump().await.is_empty(), "nothing to do with it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_comes_up_after_the_service_is_used_then() {
    let redis = RedisServer::start().await;
    let server = PostgresServer::shared().await;
    let truth = AnyDatabase::Postgres(server.database().await);
    let duo = TwoInstances::unsettled(redis, truth, server.addr(), |_| {}).await;
    for proxy in [&duo.pa, &duo.pb] {
        proxy.set(Gate::Refuse);
    }
    assert_eq!(duo.a.check().await, "", "it may come up later");
    let mut alice = duo.a.browser().await;
    alice.get("/update:n,login:alice").await.expect(200);
    for n in 2..10 {
        assert_eq!(alice.get("/update:n").await.expect(200).text(), n.to_string());
        assert_eq!(read_n(&duo.b, &alice).await, n.to_string());
    }
    is_served_by(&duo.a, "database", &alice).await;
    is_served_by(&duo.b, "database", &alice).await;
    for proxy in [&duo.pa, &duo.pb] {
        proxy.set(Gate::Pass);
    }
    duo.both_believe().await;
    duo.is_copied(&mut alice).await;
    duo.is_at_rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_copy_under_a_key_costs_nobody_anything() {
    let duo = TwoInstances::start().await;
    let mut bystanders = Bystanders::of(&duo, 3).await;
    let key = duo.redis.dump().await.into_iter().map(|(key, _)| key).collect::<Vec<_>>();
    let mut connection = duo.redis.connection().await;
    for key in &key {
        let mut delete = redis::cmd("DEL");
        let () = delete.arg(key).query_async(&mut connection).await.unwrap();
        let mut push = redis::cmd("LPUSH");
        let () = push.arg(key).arg("rubbish").query_async(&mut connection).await.unwrap();
        let mut expire = redis::cmd("EXPIRE");
        let () = expire.arg(key).arg(3_600).query_async(&mut connection).await.unwrap();
    }
    for _ in 0..5 {
        bystanders.read(&duo, "a list").await;
    }
    bystanders.are_well(&duo, "a list").await;
    duo.is_copied(&mut bystanders.keeper).await;
}

/// Two that see different servers: at most one new generation a lease each, and no connection more.
#[tokio::test(flavor = "multi_thread")]
async fn two_that_see_different_servers_neither_fight_nor_leave_connections_behind() {
    let duo = TwoInstances::start().await;
    let mut bystanders = Bystanders::of(&duo, 3).await;
    let other = RedisServer::start().await;
    duo.pb.redirect(other.addr());
    cut(&duo.pb).await;
    let seq = async || duo.database.sql("SELECT seq FROM trs_cache").await.parse::<u64>().unwrap();
    let (before, start) = (seq().await, std::time::Instant::now());
    while start.elapsed() < 20 * duo.lease() {
        bystanders.read(&duo, "a split").await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let leases = u64::try_from(start.elapsed().as_millis() / duo.lease().as_millis()).unwrap();
    let bumps = seq().await - before;
    bystanders.live_on(&duo, "a split").await;
    println!("{bumps} bumps in {leases} leases");
    assert!(bumps <= 2 * (leases + 2), "{bumps} bumps in {leases} leases");
    for server in [&duo.redis, &other] {
        let mut connection = server.connection().await;
        let list: String =
            redis::cmd("CLIENT").arg("LIST").query_async(&mut connection).await.unwrap();
        let ours = server.ours();
        let is_ours = |line: &str| ours.iter().any(|addr| line.contains(&format!("addr={addr} ")));
        let count = list.lines().filter(|line| !is_ours(line)).count();
        println!("{count} connections of {leases} leases");
        assert!(count <= 5, "{count} connections are left behind");
    }
    duo.pb.redirect(duo.redis.addr());
    cut(&duo.pb).await;
    bystanders.are_well(&duo, "after a split").await;
}
