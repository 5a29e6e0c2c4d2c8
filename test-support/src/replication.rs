//! Primaries and replicas.

use redis::aio::MultiplexedConnection;

use super::{Builder, Gate, RedisServer, RespProxy, eventually};

/// A server that can copy another, and be copied, without a folder and without a pause.
pub fn copying() -> Builder {
    RedisServer::builder()
        .arg("--repl-diskless-sync", "yes")
        .arg("--repl-diskless-sync-delay", "0")
        .arg("--repl-diskless-load", "swapdb")
}

/// A server that has all that `primary` has.
pub async fn replica_of(primary: &RedisServer) -> RedisServer {
    let replica = copying().replica_of(primary).start().await;
    replica.has_all_of(primary).await;
    replica
}

/// What goes through `proxy` from now on goes to `server`; open connections end.
pub async fn move_to(proxy: &RespProxy, server: &RedisServer) {
    proxy.redirect(server.addr());
    proxy.set(Gate::Refuse);
    proxy.set(Gate::Pass);
}

impl RedisServer {
    pub async fn become_replica_of(&self, primary: &RedisServer) {
        let port = primary.port().to_string();
        self.replicate(["127.0.0.1", &port]).await;
    }

    pub async fn become_primary(&self) {
        self.replicate(["NO", "ONE"]).await;
    }

    /// Waits until this replica has every write that the primary has.
    pub async fn has_all_of(&self, primary: &RedisServer) {
        let (mut ours, mut theirs) = (self.connection().await, primary.connection().await);
        eventually("the replica has caught up", async || {
            let offset = |text: Option<String>| text.and_then(|text| text.parse::<u64>().ok());
            let wanted = offset(replication(&mut theirs, "master_repl_offset").await);
            let is_up = replication(&mut ours, "master_link_status").await.as_deref() == Some("up");
            is_up && offset(replication(&mut ours, "slave_repl_offset").await) >= wanted
        })
        .await;
    }

    pub async fn run_id(&self) -> String {
        let mut connection = self.connection().await;
        let info: String =
            redis::cmd("INFO").arg("server").query_async(&mut connection).await.unwrap();
        field(&info, "run_id").unwrap()
    }

    async fn replicate(&self, of: [&str; 2]) {
        let mut connection = self.connection().await;
        let () = redis::cmd("REPLICAOF").arg(&of).query_async(&mut connection).await.unwrap();
    }
}

async fn replication(connection: &mut MultiplexedConnection, name: &str) -> Option<String> {
    let info: String = redis::cmd("INFO").arg("replication").query_async(connection).await.unwrap();
    field(&info, name)
}

fn field(info: &str, name: &str) -> Option<String> {
    let value = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    value.map(str::to_owned)
}
