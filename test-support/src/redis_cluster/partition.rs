//! The network between the nodes of a cluster, which can be cut.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::RedisCluster;

/// The ways by which nodes tell each other about the cluster: one into each node, and the node at
/// its other end is known by its source address.
#[derive(Debug, Default)]
pub(super) struct Bus {
    /// The nodes on the other side of a cut.
    cut: Arc<watch::Sender<BTreeSet<usize>>>,
    ways: Mutex<BTreeMap<usize, JoinHandle<()>>>,
}

impl Bus {
    /// Whence the node connects to others.
    pub(super) fn source(node: usize) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(127, 0, 1, u8::try_from(node + 1).unwrap()))
    }

    /// What the node announces; nothing passes until [`Bus::open`].
    pub(super) async fn way() -> Way {
        Way(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    pub(super) fn open(&self, node: usize, Way(listener): Way, port: u16) {
        let cut = Arc::clone(&self.cut);
        let way = tokio::spawn(async move {
            while let Ok((client, from)) = listener.accept().await {
                let other = usize::from(match from.ip() {
                    IpAddr::V4(ip) => ip.octets()[3] - 1,
                    IpAddr::V6(_) => unreachable!("listens on IPv4"),
                });
                tokio::spawn(pass(client, port, cut.subscribe(), [node, other]));
            }
        });
        self.ways.lock().unwrap().insert(node, way);
    }
}

#[derive(Debug)]
pub(super) struct Way(TcpListener);

impl Way {
    pub(super) fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        self.ways.lock().unwrap().values().for_each(JoinHandle::abort);
    }
}

async fn pass(
    mut client: TcpStream,
    port: u16,
    mut cut: watch::Receiver<BTreeSet<usize>>,
    ends: [usize; 2],
) {
    let is_cut = |cut: &BTreeSet<usize>| cut.contains(&ends[0]) != cut.contains(&ends[1]);
    if is_cut(&cut.borrow()) {
        return;
    }
    let to = SocketAddr::from(([127, 0, 0, 1], port));
    let Ok(mut server) = TcpStream::connect(to).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
        _ = cut.wait_for(is_cut) => {}
    }
}

impl RedisCluster {
    /// These nodes hear nothing of the others, nor the others of them, until
    /// [`RedisCluster::heal`]. Clients reach both sides, and a replica goes on copying until it
    /// takes over. For a cluster that is started
    /// [`with_partitions`](super::ClusterBuilder::with_partitions).
    pub fn cut_off(&self, nodes: &[usize]) {
        assert!(self.builder.with_partitions, "a cluster that is not started with_partitions()");
        self.bus.cut.send_replace(nodes.iter().copied().collect());
    }

    /// Ends what [`RedisCluster::cut_off`] began.
    pub fn heal(&self) {
        self.bus.cut.send_replace(BTreeSet::new());
    }
}
