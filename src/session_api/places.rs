//! Limits of event streams: in this process, for each session and for each user, so that no client
//! takes all.

use std::{
    collections::HashMap,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    task::AbortHandle,
    time::{Instant, sleep_until},
};

use crate::session::token::SessionId;

/// Maximum numbers of open streams.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) process: usize,
    pub(super) session: usize,
    pub(super) user: usize,
}

pub(super) struct Places {
    pub(super) limits: Limits,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    all: usize,
    shares: HashMap<Share, usize>,
    closed: bool,
}

/// The owner whose limit a stream counts towards.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Share {
    Session(SessionId),
    User(Box<str>),
}

/// One place, with the limits that it counts towards. Freed when dropped.
struct Place {
    places: Arc<Places>,
    shares: Vec<Share>,
}

/// A place for the life of a stream: freed when the stream ends, or at the end of its life even if
/// it is no longer polled.
pub(super) struct HeldPlace {
    place: Arc<Mutex<Option<Place>>>,
    timer: AbortHandle,
}

impl Places {
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self { limits, taken: Mutex::default() })
    }

    /// A place until `ends` for a client with these ids; none if none is left.
    pub(super) fn take(
        self: &Arc<Self>,
        ids: impl IntoIterator<Item = SessionId>,
        ends: Instant,
    ) -> Option<HeldPlace> {
        let shares: Vec<_> = ids.into_iter().map(Share::Session).collect();
        let mut taken = self.taken();
        let of_session = self.limits.session;
        let has_share = shares.iter().all(|share| taken.of(share) < of_session);
        if taken.closed || taken.all >= self.limits.process || !has_share {
            return None;
        }
        taken.all += 1;
        shares.iter().for_each(|share| taken.add(share));
        drop(taken);
        Some(HeldPlace::until(ends, Place { places: Arc::clone(self), shares }))
    }

    /// Gives out no more places.
    pub(super) fn close(&self) {
        self.taken().closed = true;
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        // Nothing that can panic runs under this lock.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    fn of(&self, share: &Share) -> usize {
        self.shares.get(share).copied().unwrap_or_default()
    }

    fn add(&mut self, share: &Share) {
        *self.shares.entry(share.clone()).or_default() += 1;
    }
}

impl HeldPlace {
    fn until(ends: Instant, place: Place) -> Self {
        let place = Arc::new(Mutex::new(Some(place)));
        let held = Arc::clone(&place);
        let timer = tokio::spawn(async move {
            sleep_until(ends).await;
            free(&held);
        });
        Self { place, timer: timer.abort_handle() }
    }

    /// Whether the user has a place left for this one too: checked once the user is known.
    pub(super) fn is_within_share_of(&self, user: &str) -> bool {
        let mut place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Place { places, shares }) = &mut *place else { return true };
        let share = Share::User(user.into());
        if shares.contains(&share) {
            return true;
        }
        let mut taken = places.taken();
        if taken.of(&share) >= places.limits.user {
            return false;
        }
        taken.add(&share);
        shares.push(share);
        true
    }

    pub(super) fn free(&self) {
        free(&self.place);
        self.timer.abort();
    }
}

fn free(place: &Mutex<Option<Place>>) {
    drop(place.lock().unwrap_or_else(PoisonError::into_inner).take());
}

impl Drop for HeldPlace {
    fn drop(&mut self) {
        self.free();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.all -= 1;
        for share in mem::take(&mut self.shares) {
            if let Some(count) = taken.shares.get_mut(&share) {
                *count -= 1;
                if *count == 0 {
                    let _ = taken.shares.remove(&share);
                }
            }
        }
    }
}
