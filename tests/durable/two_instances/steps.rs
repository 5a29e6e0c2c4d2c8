//! What the schedules do again and again.

use tokio::task::JoinHandle;

use super::{Instance, TwoInstances};
use test_support::{Browser, Gate, Matching, Reply, bounded, eventually, key_end};

impl TwoInstances {
    /// The id under which the stores know the browser's session.
    pub async fn id(&self, browser: &mut Browser) -> String {
        browser.get("/id").await.expect(200).text()
    }

    /// Signed in at `a`, copied, and nothing left to be cleared.
    pub async fn settled(&self) -> (Browser, String) {
        let mut browser = self.signed_in().await;
        let id = self.id(&mut browser).await;
        self.journal_is_empty().await;
        (browser, id)
    }

    /// Waits until what stands under the key has its end.
    pub async fn has_no_copy(&self, id: &str) {
        eventually("redis holds nothing of the session", async || {
            let dump = self.redis.dump().await;
            !dump.iter().any(|(key, _)| key.ends_with(&key_end(id)))
        })
        .await;
    }

    /// Whether a copy stands in Redis, and not nothing or a lease.
    pub async fn is_in_redis(&self, id: &str) -> bool {
        self.copy(id).await.is_some_and(|value| value.first() == Some(&b'R'))
    }

    /// As if the session had been used so many milliseconds earlier, as its row tells.
    pub async fn age_row(&self, id: &str, millis: u64) {
        let earlier = format!(
            "UPDATE trs_sessions SET last_activity = last_activity - {millis}, \
            idle_deadline = idle_deadline - {millis}, ends = ends - {millis} WHERE id = '{id}'"
        );
        assert_eq!(self.database.sql(&earlier).await.trim(), "");
    }

    /// The same of its copy: of its activity, and of what it says that the row has.
    pub async fn age_copy(&self, id: &str, millis: u64) {
        let (key, mut copy) = self.entry_of_copy(id).await;
        // Version, then the fixed fields of the record; what the row has stands at the end.
        for place in [29, 37, copy.len() - 8] {
            let field = &mut copy[place..place + 8];
            let earlier = u64::from_be_bytes(field.try_into().unwrap()) - millis;
            field.copy_from_slice(&earlier.to_be_bytes());
        }
        let mut set = redis::cmd("SET");
        set.arg(&key).arg(&copy).arg("KEEPTTL");
        let () = set.query_async(&mut self.redis.connection().await).await.unwrap();
    }

    /// How long the copy lies there yet, in milliseconds.
    pub async fn life_of_copy(&self, id: &str) -> u64 {
        let (key, _) = self.entry_of_copy(id).await;
        let mut connection = self.redis.connection().await;
        redis::cmd("PTTL").arg(&key).query_async(&mut connection).await.unwrap()
    }

    async fn entry_of_copy(&self, id: &str) -> (String, Vec<u8>) {
        let dump = self.redis.dump().await;
        let is_its =
            |(key, value): &(String, Vec<u8>)| key.ends_with(&key_end(id)) && value[0] == b'R';
        dump.into_iter().find(is_its).expect("a copy")
    }

    /// A new generation for the same Redis, as an operator orders it.
    pub async fn bump(&self) {
        let bump = "SELECT trs_bump_1(generation, seq + 1, generation + 1, incarnation) \
            FROM trs_cache";
        assert_eq!(self.database.sql(bump).await, "t");
    }

    /// `seq` and `generation`, as they stand.
    pub async fn epoch(&self) -> (u64, String) {
        let row = self.database.sql("SELECT seq, to_hex(generation) FROM trs_cache").await;
        let (seq, generation) = row.split_once('|').unwrap();
        (seq.parse().unwrap(), format!("{generation:0>16}"))
    }

    /// Waits until this instance knows the generation that stands in the database.
    pub async fn knows_the_generation(&self, instance: &Instance) {
        let (_, generation) = self.epoch().await;
        eventually("the instance knows the generation", async || {
            instance.generation().await == generation
        })
        .await;
    }

    /// What `path` asks for is in the database, and acknowledged, and the way from `a` to Redis was
    /// shut before it was told; it stays so.
    pub async fn unpushed_on_a(&self, browser: &Browser, path: &'static str) {
        // Nor does its sweeper tell, until nobody can.
        self.a.hold("sweep-snapshot").await;
        self.a.hold("before-push").await;
        let asked = asking(&self.a, browser, path).await;
        self.a.reached("before-push").await;
        self.pa.set(Gate::Refuse);
        self.a.release("before-push").await;
        answer(asked).await.expect(200);
        self.a.release("sweep-snapshot").await;
    }

    /// Rows of sessions that `b` has read from the database.
    pub fn reads_of_b(&self) -> u64 {
        self.db.executed("FROM trs_sessions WHERE id = $1 AND (alive")
    }
}

/// A place in a transaction: after a statement that names its table, or before the commit of a
/// transaction with such a one.
#[derive(Debug, Clone, Copy)]
pub enum Statement {
    After(&'static str),
    Before(&'static str),
}

use Statement::{After, Before};

/// A call of the script that turns a lease into a copy.
pub fn fill() -> Matching {
    let script = redis::Script::new(include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/src/store/redis/lua/fill.lua"
    )));
    Matching::script(script.get_hash())
}

/// A call of the script that brings a copy up to date.
pub fn put() -> Matching {
    let script = redis::Script::new(include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/src/store/redis/lua/put.lua"
    )));
    Matching::script(script.get_hash())
}

/// The command that tells of the end of that session.
pub fn end_of(id: &str) -> Matching {
    Matching::command("DEL").containing(id)
}

/// A batch of writes in which that session is.
pub fn write_of(id: &str) -> Matching {
    Matching::part("trs_write_1").containing(id)
}

/// Another tab that asks `path` while the test goes on; `None` if the instance dies over it.
pub async fn asking(
    instance: &Instance,
    browser: &Browser,
    path: &'static str,
) -> JoinHandle<Option<Reply>> {
    let mut tab = instance.with_cookies_of(browser).await;
    tokio::spawn(async move { tab.try_get(path).await.ok() })
}

/// The answer to what [`asking`] asked.
pub async fn answer(asking: JoinHandle<Option<Reply>>) -> Reply {
    bounded("the answer to a request", asking).await.unwrap().expect("an answer")
}

/// What `/get:n` gives to a new request with these cookies.
pub async fn value(instance: &Instance, browser: &Browser) -> String {
    instance.with_cookies_of(browser).await.get("/get:n").await.expect(200).text()
}

impl TwoInstances {
    /// Whoever writes a session so that `condition` holds of its `NEW` row waits right after that,
    /// in its transaction, until [`TwoInstances::let_updates_go`].
    pub async fn hold_updates(&self, condition: &str) {
        self.hold_at(After("UPDATE ON trs_sessions"), condition).await;
    }

    /// The same, where all is done but the commit itself.
    pub async fn hold_commits(&self, condition: &str) {
        self.hold_at(Before("UPDATE ON trs_sessions"), condition).await;
    }

    /// The same for any statement.
    pub async fn hold_at(&self, place: Statement, condition: &str) {
        let (trigger, statement, when) = match place {
            After(statement) => ("TRIGGER held", statement, ""),
            Before(statement) => {
                ("CONSTRAINT TRIGGER held", statement, "DEFERRABLE INITIALLY DEFERRED")
            }
        };
        let sql = format!(
            "CREATE TABLE may_go (one integer);
            CREATE FUNCTION wait_to_go() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                WHILE NOT EXISTS (SELECT 1 FROM may_go) LOOP PERFORM pg_sleep(0.005); END LOOP;
                RETURN NULL;
            END $$;
            CREATE {trigger} AFTER {statement} {when} FOR EACH ROW
                WHEN ({condition}) EXECUTE FUNCTION wait_to_go();"
        );
        let _ = self.database.sql(&sql).await;
    }

    /// Waits until somebody does.
    pub async fn update_is_held(&self) {
        let held = "SELECT count(*) FROM pg_stat_activity \
            WHERE datname = current_database() AND wait_event = 'PgSleep'";
        eventually("an update is held", async || self.database.sql(held).await != "0").await;
    }

    pub async fn let_updates_go(&self) {
        let _ = self.database.sql("INSERT INTO may_go VALUES (1)").await;
    }

    /// After that another place can be held.
    pub async fn hold_no_more(&self) {
        let drop = "DROP FUNCTION wait_to_go CASCADE; DROP TABLE may_go;";
        let _ = self.database.sql(drop).await;
    }

    /// Waits until somebody waits for what a transaction that is held has locked, or `done`.
    pub async fn is_in_the_way(&self, done: impl Fn() -> bool) {
        let waits = "SELECT count(*) FROM pg_stat_activity \
            WHERE datname = current_database() AND wait_event_type = 'Lock'";
        eventually("somebody waits for a lock", async || {
            done() || self.database.sql(waits).await != "0"
        })
        .await;
    }
}
