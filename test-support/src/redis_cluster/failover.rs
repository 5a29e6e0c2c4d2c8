//! Nodes that die, hang and take over.

use futures_util::future::join_all;

use super::super::eventually;
use super::{RedisCluster, State};

impl RedisCluster {
    /// Kills a node at once. Its replica takes over in a second or two: see
    /// [`RedisCluster::wait_until_ok`].
    pub fn kill(&self, node: usize) {
        self.set_state(node, State::IsDead);
        self.node(node).kill();
    }

    /// Stops the process: see [`RedisServer::hang`](super::RedisServer::hang).
    pub fn hang(&self, node: usize) {
        self.set_state(node, State::Hangs);
        self.node(node).hang();
    }

    /// Ends what [`RedisCluster::hang`] began.
    pub fn resume(&self, node: usize) {
        self.node(node).resume();
        self.set_state(node, State::Runs);
    }

    /// Starts a node again where it was, without keys; it knows the cluster.
    pub async fn restart(&self, node: usize) {
        self.set_state(node, State::IsDead);
        self.node(node).restart().await;
        self.set_state(node, State::Runs);
    }

    /// All stop, and start again on other ports, without keys.
    pub async fn restart_all_elsewhere(&self) {
        let members = self.members();
        for node in &members {
            self.kill(*node);
        }
        join_all(members.iter().map(|node| self.node(*node).restart_elsewhere())).await;
        for node in &members {
            self.set_state(*node, State::Runs);
        }
        for (index, known) in members.iter().enumerate() {
            for node in &members[index + 1..] {
                self.meet(*known, *node).await;
            }
        }
        self.wait_until_ok().await;
    }

    /// A replica takes over as planned, without a lost write; its number. Wait for three seconds
    /// before the next on Redis 7.0: it may count votes of the last.
    pub async fn fail_over(&self, primary: usize) -> usize {
        let replica = self.replica_of(primary).await;
        self.promote(replica, "").await;
        self.wait_until_ok().await;
        replica
    }

    /// The replica serves the slots of its primary from now on, whatever the others say: the
    /// primary may go on serving until it hears of it.
    pub async fn take_over(&self, replica: usize) {
        self.promote(replica, "TAKEOVER").await;
    }

    async fn promote(&self, replica: usize, how: &str) {
        let mut connection = self.connection(replica).await;
        let mut command = redis::cmd("CLUSTER");
        command.arg("FAILOVER");
        if !how.is_empty() {
            command.arg(how);
        }
        let () = command.query_async(&mut connection).await.unwrap();
        eventually("a replica that was promoted", async || {
            let seen = self.seen_by(replica).await.unwrap_or_default();
            seen.iter().any(|seen| seen.is("myself") && seen.is("master"))
        })
        .await;
    }
}
