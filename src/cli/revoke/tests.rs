//! Sessions that move while all are ended.

use std::sync::{
    Mutex,
    atomic::{AtomicU8, Ordering},
};

use crate::{
    cli::revoke::*,
    store::{
        Expected, Store as _, StoreFuture, UserStore, cursor::Cursor, maintenance::Page,
        memory::MemoryStore,
    },
};

/// A store of three places, each a page, whose sessions move between two pages.
struct Places {
    store: MemoryStore,
    places: Mutex<Vec<Vec<SessionId>>>,
    moves: Mutex<Vec<Move>>,
    /// Whether nothing is found under a former id.
    forgets: bool,
    /// Sign-ins before each third page, each with a move.
    busy: bool,
    reads: AtomicU8,
}

/// Before that page is read.
struct Move {
    page: u64,
    from: SessionId,
    to: (usize, SessionId),
}

fn id(number: u8) -> SessionId {
    SessionId::from([number; 32])
}

impl Places {
    async fn new(numbers: &[u8], forgets: bool, moves: Vec<Move>) -> Self {
        let store = MemoryStore::new();
        let mut places = vec![Vec::new(); 3];
        for number in numbers {
            places[usize::from(number - 1)].push(id(*number));
        }
        for id in places.iter().flatten() {
            let record = now(&store);
            let _ = store.save(id, Expected::Absent, &record).await.unwrap();
        }
        let (places, moves) = (Mutex::new(places), Mutex::new(moves));
        let (busy, reads) = (false, AtomicU8::new(0));
        Self { store, places, moves, forgets, busy, reads }
    }

    async fn sign_in(&self, number: u8) {
        let later = self.store.clock().now().saturating_add(Duration::from_secs(60));
        let record = Record { created: later, ..now(&self.store) };
        let (from, to) = (id(number), id(number + 100));
        let _ = self.store.save(&from, Expected::Absent, &record).await.unwrap();
        let _ = self.store.begin_renew(&from, record.version(), &to, &record).await.unwrap();
        self.places.lock().unwrap()[0].extend([from, to]);
    }

    async fn read(&self, page: u64) -> Result<Page, Error> {
        let read = self.reads.fetch_add(1, Ordering::Relaxed);
        assert!(read < 50, "it never ends");
        if self.busy && page == 2 {
            self.sign_in(50 + read).await;
        }
        let next = self.moves.lock().unwrap().first().is_some_and(|next| next.page == page);
        if next {
            let Move { from, to: (place, to), .. } = self.moves.lock().unwrap().remove(0);
            if let Some(record) = self.store.load(&from).await? {
                let version = record.version();
                let _ = self.store.begin_renew(&from, version, &to, &record).await?;
                self.places.lock().unwrap()[place].push(to);
                if self.forgets {
                    for place in &mut *self.places.lock().unwrap() {
                        place.retain(|id| *id != from);
                    }
                }
            }
        }
        let mut found = Page { sessions: Vec::new(), moved: Vec::new(), next: None };
        found.next = (page < 2).then_some(Cursor::Scan(page + 1));
        let ids = self.places.lock().unwrap()[usize::try_from(page).unwrap()].clone();
        for id in ids {
            match self.store.load(&id).await? {
                Some(record) if record.moved_to().is_some() => found.moved.push((id, record)),
                Some(record) => found.sessions.push((id, Ok(record))),
                None => {}
            }
        }
        Ok(found)
    }
}

fn now(store: &MemoryStore) -> Record {
    let now = store.clock().now();
    let end = now.saturating_add(Duration::from_secs(3_600));
    // A visitor's: a claim has a time of authentication without a user.
    let visitor = Record { user: None, authenticated: None, ..Record::example() };
    let mut record = Record { created: now, ..visitor };
    assert!(record.touch(crate::store::Touch::new(now, end, end)));
    record
}

impl Enumeration for Places {
    fn store(&self) -> &dyn UserStore {
        &self.store
    }

    fn page<'a>(&'a self, after: Option<&'a Cursor>, _: Part) -> StoreFuture<'a, Page> {
        let page = Cursor::scan(after);
        Box::pin(self.read(page))
    }
}

#[tokio::test]
async fn a_session_that_moves_to_a_place_behind_the_scan_ends_too() {
    let behind = |page, from, to| Move { page, from: id(from), to: (0, id(to)) };
    for (name, numbers, forgets, moves) in [
        ("no move", &[1, 2, 3][..], false, vec![]),
        ("found by its former id", &[3], false, vec![behind(2, 3, 13)]),
        ("its former id forgotten", &[1, 2, 3], true, vec![behind(2, 3, 13)]),
        ("two of them", &[1, 2, 3], true, vec![behind(1, 2, 12), behind(2, 3, 13)]),
    ] {
        let places = Places::new(numbers, forgets, moves).await;
        let mut ended = 0;
        end_all(&places, &mut ended).await.unwrap();
        assert_eq!(ended, numbers.len() as u64, "{name}");
        for number in [1, 2, 3, 12, 13] {
            // What a session was before it moved is kept for a minute.
            let left = places.store.load(&id(number)).await.unwrap();
            assert!(left.is_none_or(|left| left.moved_to().is_some()), "{name}: {number}");
        }
    }
}

#[tokio::test]
async fn it_ends_while_users_sign_in() {
    let places = Places { busy: true, ..Places::new(&[1, 2, 3], false, Vec::new()).await };
    let mut ended = 0;
    end_all(&places, &mut ended).await.unwrap();
    assert_eq!(ended, 3);
    assert_eq!(places.reads.load(Ordering::Relaxed), 6, "two passes");
}
