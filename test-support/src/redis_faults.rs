//! States of a Redis server in which it answers, and refuses.

use std::fs;

use super::eventually;
use super::redis_rights::{CONFIRMED, DURABLE, SESSIONS};
use super::redis_server::{Data, RedisServer};

/// Where the keys are that make loading slow; a test's own are in 0.
const PADDING: u32 = 15;

/// All keys of a server at one moment: its RDB file.
#[derive(Debug, Clone)]
pub struct Snapshot(pub(super) Vec<u8>);

impl RedisServer {
    pub async fn config_set(&self, name: &str, value: &str) {
        let mut connection = self.connection().await;
        let () = redis::cmd("CONFIG")
            .arg("SET")
            .arg(name)
            .arg(value)
            .query_async(&mut connection)
            .await
            .unwrap_or_else(|error| panic!("CONFIG SET {name} {value}: {error}"));
    }

    /// `ACL SETUSER`, with rules between spaces: `on >secret ~* &* +@all -info`. Connections that
    /// are open feel it too.
    pub async fn acl_set_user(&self, user: &str, rules: &str) {
        if [SESSIONS, DURABLE, CONFIRMED].contains(&user) {
            self.is_tampered_with();
        }
        let mut connection = self.connection().await;
        let mut command = redis::cmd("ACL");
        command.arg("SETUSER").arg(user).arg(rules.split(' ').collect::<Vec<_>>());
        let () = command
            .query_async(&mut connection)
            .await
            .unwrap_or_else(|error| panic!("ACL SETUSER {user} {rules}: {error}"));
    }

    /// Out of memory: whatever might need some is refused with `OOM`.
    pub async fn fill_up(&self) {
        self.config_set("maxmemory-policy", "noeviction").await;
        self.config_set("maxmemory", "1").await;
    }

    /// Ends what [`RedisServer::fill_up`] began.
    pub async fn make_room(&self) {
        self.config_set("maxmemory", "0").await;
    }

    /// The last snapshot failed: writes are refused with `MISCONF`.
    pub async fn fail_to_save(&self) {
        // Its folder has gone, so that a save fails for root as well; only a server that is
        // configured to save minds.
        self.config_set("save", "3600 1000000").await;
        let mut connection = self.connection().await;
        let () = redis::cmd("BGSAVE").query_async(&mut connection).await.unwrap();
        eventually("a failed BGSAVE", async || {
            let info: String = redis::cmd("INFO")
                .arg("persistence")
                .query_async(&mut connection.clone())
                .await
                .unwrap();
            info.contains("rdb_last_bgsave_status:err")
        })
        .await;
    }

    /// Ends what [`RedisServer::fail_to_save`] began.
    pub async fn save_again(&self) {
        self.config_set("stop-writes-on-bgsave-error", "no").await;
    }

    /// What the server holds, for [`RedisServer::restart_from`].
    pub async fn snapshot(&self) -> Snapshot {
        let folder = tempfile::Builder::new().prefix("redis-snapshot-").tempdir().unwrap();
        self.config_set("dir", folder.path().to_str().unwrap()).await;
        let mut connection = self.connection().await;
        let () = redis::cmd("SAVE").query_async(&mut connection).await.unwrap();
        Snapshot(fs::read(folder.path().join("dump.rdb")).unwrap())
    }

    /// Starts the server on the same port with what it held then, killing the one that runs there.
    pub async fn restart_from(&self, snapshot: &Snapshot) {
        self.restart_with(&Data::Snapshot(snapshot.clone())).await;
    }

    /// Restarts the server with what it holds, and returns while it answers `LOADING` to all; that
    /// takes about five seconds, or until [`RedisServer::finish_loading`]. Redis 6.2 answers each
    /// 150 ms, newer ones each 2 ms.
    pub async fn restart_loading(&self) {
        let mut connection = self.connection().await;
        let () = redis::cmd("SELECT").arg(PADDING).query_async(&mut connection).await.unwrap();
        let mut populate = redis::cmd("DEBUG");
        let slow = self.program.slow_loading();
        populate.arg("POPULATE").arg(slow.keys).arg("padding").arg(slow.size);
        let () = populate.query_async(&mut connection).await.unwrap();
        self.config_set("rdbcompression", "no").await;
        let snapshot = self.snapshot().await;
        self.restart_with(&Data::Slow(snapshot)).await;
    }

    /// Ends what [`RedisServer::restart_loading`] began.
    pub async fn finish_loading(&self) {
        let mut connection = self.connection().await;
        // Redis 6.2 refuses, and has to be waited for.
        let hurry = ["SET", "key-load-delay", "0"];
        let _: redis::RedisResult<()> =
            redis::cmd("CONFIG").arg(&hurry).query_async(&mut connection).await;
        eventually("the end of loading", async || {
            redis::cmd("PING").exec_async(&mut connection.clone()).await.is_ok()
        })
        .await;
        let () = redis::cmd("SELECT").arg(PADDING).query_async(&mut connection).await.unwrap();
        let () = redis::cmd("FLUSHDB").query_async(&mut connection).await.unwrap();
    }
}
