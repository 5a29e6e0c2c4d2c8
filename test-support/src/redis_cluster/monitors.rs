//! What the nodes of a cluster were asked.

use super::super::{Command, Monitor, names};
use super::RedisCluster;

/// A running capture of each node.
#[derive(Debug)]
pub struct ClusterMonitor<'a> {
    monitors: Vec<(usize, Monitor<'a>)>,
}

impl RedisCluster {
    /// Captures the commands that each node receives from clients from now on: neither the test's
    /// own nor those of other nodes.
    pub async fn monitor_all(&self) -> ClusterMonitor<'_> {
        let members = self.members();
        let mut addrs: Vec<_> = members.iter().map(|node| self.addr(*node)).collect();
        addrs.extend(members.iter().map(|node| self.node(*node).addr()));
        let mut monitors = Vec::new();
        for node in self.running() {
            // A replica names its primary as the source of what it copies.
            let ours = &self.node(node).ours;
            ours.lock().unwrap().extend(addrs.iter().map(ToString::to_string));
            monitors.push((node, self.node(node).monitor().await));
        }
        ClusterMonitor { monitors }
    }
}

impl ClusterMonitor<'_> {
    /// See [`Monitor::take`]: in the order of the nodes, those that were asked nothing left out.
    pub async fn take(&mut self) -> Vec<(usize, Vec<Command>)> {
        let mut taken = Vec::new();
        for (node, monitor) in &mut self.monitors {
            let mut commands = monitor.take().await;
            // Of `MIGRATE`, at its target.
            commands.retain(|command| !command.name().starts_with("RESTORE"));
            if !commands.is_empty() {
                taken.push((*node, commands));
            }
        }
        taken
    }

    /// See [`Monitor::take_names`].
    pub async fn take_names(&mut self) -> Vec<(usize, Vec<String>)> {
        let taken = self.take().await.into_iter();
        let named = taken.map(|(node, commands)| (node, names(&commands)));
        named.filter(|(_, names)| !names.is_empty()).collect()
    }
}
