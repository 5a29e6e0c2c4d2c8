//! Named places where this crate's own tests hold a store. Compiled for them only.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::watch;

use crate::clock::{compared::Compared, uptime::Uptime};

/// The places of one store, each open until it is held.
#[derive(Clone, Default)]
pub struct Hooks {
    places: Arc<Mutex<HashMap<String, Arc<HookPoint>>>>,
    pub(crate) uptime: Uptime,
    pub(crate) compared: Compared,
}

struct HookPoint {
    /// How many have come by since it is held.
    reached: watch::Sender<usize>,
    held: watch::Sender<bool>,
}

impl Hooks {
    /// Holds every caller at `place` from now on.
    pub fn hold(&self, place: &str) {
        let fresh =
            Arc::new(HookPoint { reached: watch::Sender::new(0), held: watch::Sender::new(true) });
        if let Some(old) = self.lock().insert(place.to_owned(), fresh) {
            let _ = old.held.send_replace(false);
        }
    }

    /// Waits until a caller is held at `place`.
    pub async fn reached(&self, place: &str) {
        let found = self.lock().get(place).cloned();
        if let Some(place) = found {
            let _ = place.reached.subscribe().wait_for(|count| *count > 0).await;
        }
    }

    /// Releases all callers held at `place`, and holds no more.
    pub fn release(&self, place: &str) {
        if let Some(place) = self.lock().remove(place) {
            let _ = place.held.send_replace(false);
        }
    }

    /// Simulates a suspension of that length.
    pub fn jump(&self, duration: Duration) {
        self.uptime.jump(duration);
    }

    /// Shifts this process' clock by `millis` milliseconds.
    pub fn shift_clock(&self, millis: i64) {
        self.compared.shift(millis);
    }

    pub(crate) async fn pass(&self, place: &str) {
        let found = self.lock().get(place).cloned();
        if let Some(place) = found {
            place.reached.send_modify(|count| *count += 1);
            let _ = place.held.subscribe().wait_for(|held| !held).await;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<HookPoint>>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Hooks").finish_non_exhaustive()
    }
}
