//! Gates that hold a handler until the test lets it go on: order without sleeps.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::sync::Semaphore;

use super::bounded;

/// The gates of a site, by name. A gate is made by whoever names it first.
#[derive(Debug, Clone, Default)]
pub struct Gates {
    by_name: Arc<Mutex<HashMap<String, Arc<Gate>>>>,
}

#[derive(Debug)]
struct Gate {
    arrived: Semaphore,
    open: Semaphore,
    left: Semaphore,
}

impl Gates {
    /// In the handler: says that it is here, and waits.
    pub async fn pass(&self, name: &str) {
        let gate = self.gate(name);
        let waiting = Waiting(Arc::clone(&gate));
        gate.arrived.add_permits(1);
        gate.open.acquire().await.unwrap().forget();
        std::mem::forget(waiting);
    }

    /// Waits until a handler stands at the gate.
    pub async fn arrived(&self, name: &str) {
        let gate = self.gate(name);
        bounded("a handler at its gate", gate.arrived.acquire()).await.unwrap().forget();
    }

    /// Lets one handler go on.
    pub fn open(&self, name: &str) {
        self.gate(name).open.add_permits(1);
    }

    /// Waits until a handler was dropped at the gate.
    pub async fn left(&self, name: &str) {
        let gate = self.gate(name);
        bounded("the drop of a handler", gate.left.acquire()).await.unwrap().forget();
    }

    fn gate(&self, name: &str) -> Arc<Gate> {
        let closed = || {
            let [arrived, open, left] = [(); 3].map(|()| Semaphore::new(0));
            Arc::new(Gate { arrived, open, left })
        };
        Arc::clone(self.by_name.lock().unwrap().entry(name.to_owned()).or_insert_with(closed))
    }
}

struct Waiting(Arc<Gate>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.left.add_permits(1);
    }
}
