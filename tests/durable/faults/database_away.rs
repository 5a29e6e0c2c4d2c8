//! The database is locked, full, hung or gone: reads go on from Redis, and no write is
//! acknowledged.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use super::bystanders::{Bystanders, SLACK, assert_refused, cut, dies_soon, is_served_by, read_n};
use crate::two_instances::{AnyDatabase, Lock, Settings, SqliteFile, TwoInstances, hasty, is_dead};
use test_support::{Browser, Gate, PostgresServer, RedisServer, eventually};

/// How the database goes away.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Away {
    Locked,
    Hung,
    Killed,
    Way(Gate),
}

struct Scene {
    duo: TwoInstances,
    server: Option<PostgresServer>,
    lock: Option<Lock>,
}

impl Scene {
    async fn set(away: Away, change: impl Fn(&mut Settings)) -> Self {
        let own = matches!(away, Away::Hung | Away::Killed);
        let server = if own { Some(PostgresServer::own().await) } else { None };
        let redis = RedisServer::start().await;
        let changed = |settings: &mut Settings| {
            hasty(settings);
            (settings.redis_timeout, settings.budget) = (1_500, 6_000);
            change(settings);
        };
        let duo = match &server {
            Some(server) => TwoInstances::beside(redis, server, changed).await,
            None => TwoInstances::on(redis, changed).await,
        };
        Self { duo, server, lock: None }
    }

    async fn begin(&mut self, away: Away) {
        match away {
            Away::Locked => self.lock = Some(self.duo.database.lock().await),
            Away::Hung => self.server.as_ref().unwrap().hang(),
            Away::Killed => self.server.as_ref().unwrap().kill(),
            Away::Way(gate) => self.gates(gate),
        }
    }

    async fn end(&mut self, away: Away) {
        match away {
            Away::Locked => self.lock.take().unwrap().release().await,
            Away::Hung => self.server.as_ref().unwrap().resume(),
            Away::Killed => self.server.as_ref().unwrap().restart().await,
            Away::Way(_) => self.gates(Gate::Pass),
        }
    }

    fn gates(&self, gate: Gate) {
        for proxy in [&self.duo.da, &self.duo.db] {
            proxy.set(gate);
        }
    }
}

/// Within the budget, and never acknowledged.
async fn is_refused(duo: &TwoInstances, browser: &mut Browser, path: &str, what: &str) {
    let start = Instant::now();
    let reply = browser.get(path).await;
    let (took, budget) = (start.elapsed(), Duration::from_millis(duo.a.settings.budget));
    assert_refused(&reply, &format!("{what}: {path}"));
    assert!(took < budget + SLACK, "{what}: {path} took {took:?}");
}

/// What holds for every way in which the database can be away, `writes` of a writer who had 1
/// having been tried meanwhile.
async fn are_right_again(
    duo: &TwoInstances,
    bystanders: &mut Bystanders,
    writer: &Browser,
    writes: u64,
    what: &str,
) {
    // Of each refused write nobody knows whether it happened; but both know the same.
    let mut agreed = 0;
    duo.both_believe().await;
    eventually("both see the same", async || {
        let (a, b) = (read_n(&duo.a, writer).await, read_n(&duo.b, writer).await);
        agreed = a.parse::<u64>().unwrap();
        a == b
    })
    .await;
    assert!((1..=1 + writes).contains(&agreed), "{what}: {agreed} after {writes} tries");
    bystanders.are_well(duo, what).await;
    assert_eq!(read_n(&duo.a, writer).await, agreed.to_string(), "{what}");
    assert_eq!(read_n(&duo.b, writer).await, agreed.to_string(), "{what}");
}

async fn is_lived_through(away: Away) {
    let mut scene = Scene::set(away, |_| {}).await;
    let mut bystanders = Bystanders::of(&scene.duo, 5).await;
    // One who has signed out before stays so.
    bystanders.live_on(&scene.duo, "before").await;
    scene.begin(away).await;
    let what = format!("during {away:?}");
    let (start, mut writes) = (Instant::now(), 0);
    // Of whom nobody knows whether they wrote, nobody says anything until the database does.
    let (mut writer, mut halfway) =
        (bystanders.leavers.pop().unwrap(), bystanders.leavers.pop().unwrap());
    let ended = halfway.tab().await;
    while start.elapsed() < 4 * scene.duo.lease() || writes < 3 {
        for instance in [&scene.duo.a, &scene.duo.b] {
            let start = Instant::now();
            let n: u64 = read_n(instance, &bystanders.keeper).await.parse().unwrap();
            let budget = Duration::from_millis(instance.settings.budget);
            assert!(start.elapsed() < budget + SLACK, "{what}: a read took {:?}", start.elapsed());
            assert_eq!(n, bystanders.count, "{what}");
        }
        if writes == 0 {
            is_refused(&scene.duo, &mut halfway, "/logout", &what).await;
        }
        is_refused(&scene.duo, &mut writer, "/update:n", &what).await;
        writes += 1;
        let mut stranger = scene.duo.a.browser().await;
        is_refused(&scene.duo, &mut stranger, "/login:carol", &what).await;
        stranger.get("/say:hello").await.expect(200);
    }
    for instance in [&scene.duo.a, &scene.duo.b] {
        is_served_by(instance, "redis", &bystanders.keeper).await;
        let status = instance.status().await;
        // Of a locked table only those know who asked for it.
        let is_known = !status.database && !status.database_cause.is_empty();
        assert!(away == Away::Locked || is_known, "{what}: {status:?}");
    }
    scene.end(away).await;
    are_right_again(&scene.duo, &mut bystanders, &writer, writes, &format!("after {away:?}")).await;
    // The one whose logout was refused is signed in or out, on both the same; and now out.
    eventually("both see the same", async || {
        is_dead(&scene.duo.a, &ended).await == is_dead(&scene.duo.b, &ended).await
    })
    .await;
    scene.duo.b.with_cookies_of(&ended).await.get("/logout").await.expect(200);
    assert!(is_dead(&scene.duo.b, &ended).await);
    dies_soon(&scene.duo.a, &ended, scene.duo.lease(), "the second logout").await;
    scene.duo.is_at_rest().await;
}

macro_rules! lived_through {
    ($($name:ident: $away:expr;)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            is_lived_through($away).await;
        }
    )*};
}

lived_through! {
    a_locked_database_stops_no_read_and_no_write_is_acknowledged: Away::Locked;
    a_hung_database_stops_no_read_and_no_write_is_acknowledged: Away::Hung;
    a_killed_database_stops_no_read_and_no_write_is_acknowledged: Away::Killed;
    a_database_that_refuses_stops_no_read_and_no_write_is_acknowledged: Away::Way(Gate::Refuse);
    a_database_in_a_black_hole_stops_no_read_and_no_write_is_acknowledged:
        Away::Way(Gate::BlackHole);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_time_to_serve_without_a_database_reads_are_refused_after_the_lease() {
    for gate in [Gate::Refuse, Gate::BlackHole] {
        let mut scene = Scene::set(Away::Way(gate), |settings| settings.stretch = 0).await;
        let mut bystanders = Bystanders::of(&scene.duo, 2).await;
        let mut copied = scene.duo.signed_in().await;
        scene.duo.is_copied(&mut copied).await;
        let other = copied.cookie_header();
        scene.begin(Away::Way(gate)).await;
        tokio::time::sleep(2 * scene.duo.lease()).await;
        for instance in [&scene.duo.a, &scene.duo.b] {
            let mut reader = instance.with_cookies_of(&bystanders.keeper).await;
            for _ in 0..3 {
                is_refused(&scene.duo, &mut reader, "/get:n", "no time").await;
            }
            // Both have a copy, and none is trusted.
            let several = instance.get_with_another(&bystanders.keeper, &other, "/get:n").await;
            assert_refused(&several, "no time, several cookies");
            reader.get("/say:hello").await.expect(200);
            let status = instance.status().await;
            assert_eq!(status.serving, "none", "{status:?}");
            assert!(status.redis && !status.database && !status.believed, "{status:?}");
        }
        scene.end(Away::Way(gate)).await;
        bystanders.are_well(&scene.duo, "after no time").await;
    }
}

/// A server that answers, and says no: as where a password was changed.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_lets_us_in_no_longer_stops_no_read() {
    let duo = TwoInstances::start().await;
    let mut bystanders = Bystanders::of(&duo, 2).await;
    let mut writer = duo.signed_in().await;
    let AnyDatabase::Postgres(database) = &duo.database else { unreachable!() };
    let name = database.name();
    let server = PostgresServer::shared().await.maintenance();
    let shut = format!(
        "ALTER DATABASE {name} ALLOW_CONNECTIONS false; \
         SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}';"
    );
    server.sql(&shut).await;
    eventually("nobody is there", async || {
        server.try_sql(&format!("ALTER DATABASE {name} RENAME TO {name}_gone")).await.is_ok()
    })
    .await;
    let start = Instant::now();
    while start.elapsed() < 3 * duo.lease() {
        bystanders.read(&duo, "shut out").await;
        is_refused(&duo, &mut writer, "/update:n", "shut out").await;
    }
    let open = format!(
        "ALTER DATABASE {name}_gone RENAME TO {name}; \
         ALTER DATABASE {name} ALLOW_CONNECTIONS true;"
    );
    server.sql(&open).await;
    bystanders.are_well(&duo, "let in").await;
}

/// A database that hangs must not keep the way to a Redis closed that is known.
#[tokio::test(flavor = "multi_thread")]
async fn connections_to_a_known_redis_are_made_while_the_database_hangs() {
    let mut scene = Scene::set(Away::Way(Gate::BlackHole), |_| {}).await;
    let mut bystanders = Bystanders::of(&scene.duo, 2).await;
    scene.begin(Away::Way(Gate::BlackHole)).await;
    tokio::join!(cut(&scene.duo.pa), cut(&scene.duo.pb));
    for instance in [&scene.duo.a, &scene.duo.b] {
        is_served_by(instance, "redis", &bystanders.keeper).await;
        assert_eq!(read_n(instance, &bystanders.keeper).await, "1");
    }
    scene.end(Away::Way(Gate::BlackHole)).await;
    bystanders.are_well(&scene.duo, "after it").await;
}

/// Whoever is active is active, also while only Redis can be told.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_who_is_active_is_signed_out_while_the_database_is_away() {
    let change = |settings: &mut Settings| {
        (settings.idle, settings.touch_interval) = (4, 200);
    };
    let mut scene = Scene::set(Away::Way(Gate::Refuse), change).await;
    let mut alice = scene.duo.signed_in().await;
    scene.begin(Away::Way(Gate::Refuse)).await;
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(10) {
        for instance in [&scene.duo.a, &scene.duo.b] {
            assert_eq!(read_n(instance, &alice).await, "1", "after {:?}", start.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    scene.end(Away::Way(Gate::Refuse)).await;
    scene.duo.both_believe().await;
    assert_eq!(alice.get("/update:n").await.expect(200).text(), "2");
    assert_eq!(read_n(&scene.duo.b, &alice).await, "2");
    scene.duo.is_at_rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_both_away_requests_are_refused_in_time_and_either_brings_them_back() {
    for gate in [Gate::Refuse, Gate::BlackHole] {
        for redis_first in [true, false] {
            let what = format!("{gate:?}, redis first: {redis_first}");
            let mut scene = Scene::set(Away::Way(gate), |_| {}).await;
            let mut bystanders = Bystanders::of(&scene.duo, 2).await;
            let writer = scene.duo.signed_in().await;
            let redis = |gate| {
                for proxy in [&scene.duo.pa, &scene.duo.pb] {
                    proxy.set(gate);
                }
            };
            redis(gate);
            scene.gates(gate);
            for instance in [&scene.duo.a, &scene.duo.b] {
                let mut keeper = instance.with_cookies_of(&bystanders.keeper).await;
                is_refused(&scene.duo, &mut keeper, "/get:n", &what).await;
                let mut writer = instance.with_cookies_of(&writer).await;
                for path in ["/get:n", "/update:n", "/logout", "/get:n"] {
                    is_refused(&scene.duo, &mut writer, path, &what).await;
                }
                keeper.get("/say:hello").await.expect(200);
                eventually("it says so", async || {
                    let _ = keeper.get("/get:n").await;
                    let status = instance.status().await;
                    status.serving == "none" && !status.redis && !status.database
                })
                .await;
            }
            let start = Instant::now();
            if redis_first {
                redis(Gate::Pass);
            } else {
                scene.gates(Gate::Pass);
            }
            for instance in [&scene.duo.a, &scene.duo.b] {
                let mut keeper = instance.with_cookies_of(&bystanders.keeper).await;
                eventually("served again", async || keeper.get("/get:n").await.status == 200).await;
                assert_eq!(read_n(instance, &bystanders.keeper).await, "1", "{what}");
            }
            // Several polls that hang, and a busy machine.
            assert!(start.elapsed() < Duration::from_secs(8), "{what}: {:?}", start.elapsed());
            redis(Gate::Pass);
            scene.end(Away::Way(gate)).await;
            bystanders.are_well(&scene.duo, &what).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_restored_from_a_backup_is_the_truth_after_one_new_generation() {
    let duo = TwoInstances::start().await;
    let seq = async || duo.database.sql("SELECT seq FROM trs_cache").await.parse::<u64>().unwrap();
    let mut early = duo.signed_in().await;
    duo.journal_is_empty().await;
    let backup = "CREATE TABLE old_sessions AS TABLE trs_sessions; \
                  CREATE TABLE old_cache AS TABLE trs_cache;";
    duo.database.sql(backup).await;
    duo.redis.restart().await;
    eventually("a new generation", async || seq().await > 1).await;
    duo.both_believe().await;
    assert_eq!(early.get("/update:n").await.expect(200).text(), "2");
    duo.is_copied(&mut early).await;
    let late = duo.signed_in().await;
    duo.journal_is_empty().await;
    let before = seq().await;
    let restore = "BEGIN; DELETE FROM trs_sessions; DELETE FROM trs_cache; DELETE FROM trs_journal; \
                   INSERT INTO trs_sessions SELECT * FROM old_sessions; \
                   INSERT INTO trs_cache SELECT * FROM old_cache; COMMIT;";
    duo.database.sql(restore).await;
    eventually("a newer generation", async || seq().await > before).await;
    for instance in [&duo.a, &duo.b] {
        let start = Instant::now();
        while read_n(instance, &early).await != "1" || !is_dead(instance, &late).await {
            assert!(start.elapsed() < duo.lease() + SLACK, "not as the database says");
        }
    }
    duo.both_believe().await;
    tokio::time::sleep(3 * duo.lease()).await;
    assert_eq!(seq().await, before + 1, "one new generation, and not one each");
    assert_eq!(read_n(&duo.b, &early).await, "1");
    assert!(is_dead(&duo.a, &late).await && is_dead(&duo.b, &late).await);
    duo.is_at_rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_file_stops_no_read_and_no_write_is_acknowledged() {
    let duo = TwoInstances::on_file(SqliteFile::fresh(), hasty).await;
    let mut bystanders = Bystanders::of(&duo, 4).await;
    bystanders.live_on(&duo, "before").await;
    let mut writer = bystanders.leavers.pop().unwrap();
    let lock = duo.database.lock().await;
    let (start, mut writes) = (Instant::now(), 0);
    while start.elapsed() < 3 * duo.lease() {
        bystanders.read(&duo, "a locked file").await;
        is_refused(&duo, &mut writer, "/update:n", "a locked file").await;
        writes += 1;
        is_refused(&duo, &mut bystanders.leavers[0].tab().await, "/logout", "a locked file").await;
    }
    lock.release().await;
    are_right_again(&duo, &mut bystanders, &writer, writes, "after a lock").await;
}

/// What the main promises are on a file: nothing in a process of SQLite's can be killed.
#[tokio::test(flavor = "multi_thread")]
async fn on_a_file_a_redis_that_goes_away_costs_nobody_anything() {
    let duo = TwoInstances::on_file(SqliteFile::fresh(), hasty).await;
    let mut bystanders = Bystanders::of(&duo, 6).await;
    for gate in [Gate::Refuse, Gate::BlackHole] {
        for proxy in [&duo.pa, &duo.pb] {
            proxy.set(gate);
        }
        bystanders.live_on(&duo, "redis away").await;
        for proxy in [&duo.pa, &duo.pb] {
            proxy.set(Gate::Pass);
        }
        bystanders.are_well(&duo, "redis back").await;
    }
    duo.redis.restart().await;
    bystanders.live_on(&duo, "redis empty").await;
    bystanders.are_well(&duo, "redis empty").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_moved_away_and_back_loses_nothing() {
    let file = SqliteFile::fresh();
    let duo = TwoInstances::on_file(file.clone(), hasty).await;
    let mut bystanders = Bystanders::of(&duo, 4).await;
    let elsewhere = file.path().with_extension("elsewhere");
    std::fs::rename(file.path(), &elsewhere).unwrap();
    for _ in 0..5 {
        bystanders.read(&duo, "without a file").await;
        tokio::time::sleep(duo.lease() / 4).await;
    }
    std::fs::rename(&elsewhere, file.path()).unwrap();
    bystanders.are_well(&duo, "with its file").await;
}

/// A small file system, gone when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount() -> Self {
        Self::mount_for(0)
    }

    /// For a user of the system, by number.
    fn mount_for(owner: u32) -> Self {
        let folder = tempfile::Builder::new().prefix("small-disk-").tempdir().unwrap().keep();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size=2m,mode=777,uid={owner}"), "tmpfs"])
            .arg(&folder)
            .status()
            .unwrap();
        assert!(mounted.success(), "mounting a file system needs root");
        Self(folder)
    }

    fn fill(&self) {
        use std::io::Write as _;
        let mut options = std::fs::File::options();
        let mut file = options.create(true).append(true).open(self.0.join("padding")).unwrap();
        let block = [1; 4096];
        while file.write_all(&block).is_ok() {}
    }

    fn empty(&self) {
        std::fs::remove_file(self.0.join("padding")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: the instances may still be there.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
        let _ = std::fs::remove_dir(&self.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "mounts a file system, which only root may"]
async fn a_full_disk_stops_no_read_and_no_write_is_acknowledged() {
    let disk = SmallDisk::mount();
    let duo = TwoInstances::on_file(SqliteFile::in_folder(&disk.0), hasty).await;
    let mut bystanders = Bystanders::of(&duo, 4).await;
    bystanders.live_on(&duo, "before").await;
    let mut writer = bystanders.leavers.pop().unwrap();
    disk.fill();
    let mut writes = 0;
    let start = Instant::now();
    while start.elapsed() < 3 * duo.lease() {
        bystanders.read(&duo, "a full disk").await;
        // What is there already may have room for small writes yet.
        is_refused(&duo, &mut writer, "/fill:x:60000,update:n", "a full disk").await;
        writes += 1;
    }
    let mut leaver = bystanders.leavers.pop().unwrap();
    let left = leaver.tab().await;
    leaver.get("/logout").await.expect(200);
    assert!(is_dead(&duo.a, &left).await && is_dead(&duo.b, &left).await, "who leaves is gone");
    disk.empty();
    are_right_again(&duo, &mut bystanders, &writer, writes, "after a full disk").await;
}

/// The tables on a disk that fills up; the log of the server is elsewhere, without which it stops.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "mounts a file system, which only root may"]
async fn a_full_disk_of_postgresql_stops_no_read_and_who_leaves_is_gone() {
    use std::os::unix::fs::MetadataExt as _;
    let server = PostgresServer::builder().setting("default_tablespace", "small").start().await;
    let disk = SmallDisk::mount_for(server.folder().metadata().unwrap().uid());
    let place = disk.0.join("tables");
    std::fs::create_dir(&place).unwrap();
    std::os::unix::fs::chown(&place, Some(server.folder().metadata().unwrap().uid()), None)
        .unwrap();
    let made = format!("CREATE TABLESPACE small LOCATION '{}'", place.display());
    server.maintenance().sql(&made).await;
    let duo = TwoInstances::beside(RedisServer::start().await, &server, hasty).await;
    // What the test writes is compressed to nothing otherwise.
    let as_it_is = "ALTER TABLE trs_sessions ALTER COLUMN body SET STORAGE EXTERNAL";
    duo.database.sql(as_it_is).await;
    let mut bystanders = Bystanders::of(&duo, 6).await;
    bystanders.live_on(&duo, "before").await;
    let mut many = Vec::new();
    for number in 0..120 {
        let mut browser = duo.a.browser().await;
        let user = if number % 2 == 0 { "bob" } else { "carol" };
        browser.get(&format!("/fill:x:900,update:n,login:{user}")).await.expect(200);
        many.push(browser);
    }
    let mut writer = bystanders.leavers.pop().unwrap();
    // So that those who leave need pages.
    for table in ["trs_sessions", "trs_journal", "trs_users"] {
        duo.database.sql(&format!("VACUUM FULL {table}")).await;
    }
    disk.fill();
    let mut left = Vec::new();
    for browser in many.iter_mut().step_by(2) {
        left.push(browser.tab().await);
        browser.get("/logout").await.expect(200);
    }
    assert_eq!(many[1].get("/revoke_others").await.expect(200).text(), "59");
    for browser in left.iter().chain(many.iter().skip(3).step_by(2)) {
        assert!(is_dead(&duo.a, browser).await && is_dead(&duo.b, browser).await);
    }
    let refused = server.log().matches("No space left on device").count();
    assert!(refused > 0, "nobody needed the room that is kept");
    // What was kept is free for anybody now.
    disk.fill();
    let mut writes = 0;
    let start = Instant::now();
    while start.elapsed() < 3 * duo.lease() {
        bystanders.read(&duo, "a full disk").await;
        // What is there already may have room for small writes yet.
        is_refused(&duo, &mut writer, "/fill:x:60000,update:n", "a full disk").await;
        writes += 1;
    }
    disk.empty();
    are_right_again(&duo, &mut bystanders, &writer, writes, "after a full disk").await;
}
