//! Nodes that come and go.

use super::super::eventually;
use super::{RedisCluster, State};

impl RedisCluster {
    /// One more primary, without slots; its number.
    pub async fn add_node(&mut self) -> usize {
        let number = self.nodes.len();
        let node = self.builder.start_node(number, &self.bus).await;
        self.nodes.push(node);
        let known = self.running()[0];
        self.meet(known, number).await;
        self.wait_until_ok().await;
        number
    }

    /// One more replica; its number.
    pub async fn add_replica(&mut self, primary: usize) -> usize {
        let number = self.add_node().await;
        self.replicate(number, primary).await;
        self.wait_until_ok().await;
        number
    }

    /// Its slots go to the other primaries, it and its replicas are forgotten and shut down.
    pub async fn remove_node(&self, node: usize) {
        let mut others = self.primaries().await;
        others.retain(|other| *other != node);
        let slots = self.slots_of(node).await;
        for (share, to) in slots.chunks(slots.len().div_ceil(others.len()).max(1)).zip(others) {
            self.move_slots(share.iter().copied(), to).await;
        }
        let mut leaving = self.replicas_of(node).await;
        leaving.push(node);
        for node in leaving {
            self.set_state(node, State::IsDead);
            for other in self.running() {
                self.forget(other, node).await;
            }
            self.node(node).kill();
        }
        self.wait_until_ok().await;
    }

    /// A node that has just heard of the other may not know it yet.
    async fn forget(&self, at: usize, node: usize) {
        let mut connection = self.connection(at).await;
        let id = &self.nodes[node].id;
        eventually("a node that is forgotten", async || {
            let mut forget = redis::cmd("CLUSTER");
            forget.arg("FORGET").arg(id);
            let forgotten: redis::RedisResult<()> = forget.query_async(&mut connection).await;
            forgotten.is_ok()
        })
        .await;
    }
}
