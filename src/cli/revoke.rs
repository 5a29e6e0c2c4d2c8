//! `sessions revoke`, `revoke-user` and `revoke-all`.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use serde_json::json;

use crate::{
    cli::{
        exit::{Exit, Failure},
        output::{Output, printable},
        show::none,
        walk::Walk,
    },
    error::Error,
    session::{record::Record, token::SessionId},
    store::maintenance::{Maintenance, Part},
};

/// Sessions that are ended concurrently.
const AT_ONCE: usize = 32;
/// Difference between the clocks of two instances up to which neither corrects its own.
const CLOCKS: Duration = Duration::from_secs(2);

pub(super) async fn one(
    store: &dyn Maintenance,
    id: &SessionId,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let ended = store.store().delete(id).await?;
    store.store().close().await?;
    if !ended {
        return Err(none(id));
    }
    output.say(&json!({ "ended": 1 }), format_args!("session {id} ended"))?;
    Ok(Exit::Done)
}

pub(super) async fn of_user(
    store: &dyn Maintenance,
    user: &str,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let ended = store.store().revoke_all(user, None).await?;
    store.store().close().await?;
    let text = format!("{ended} sessions of {} ended", printable(user));
    output.say(&json!({ "ended": ended }), text)?;
    Ok(Exit::Done)
}

pub(super) async fn all(store: &dyn Maintenance, output: &mut Output) -> Result<Exit, Failure> {
    let mut ended = 0;
    let done = end_all(store, &mut ended).await;
    store.store().close().await?;
    output.say(
        &json!({ "ended": ended, "complete": done.is_ok() }),
        match &done {
            Ok(()) => format!("{ended} sessions ended"),
            Err(_) => format!("{ended} sessions ended before an error: repeat the command"),
        },
    )?;
    done.map(|()| Exit::Done)
}

/// Ends every session that exists now, in passes until one ends none.
///
/// A session that moves during a pass is found by its former id, if the pass takes less than a
/// minute, else by the next pass.
async fn end_all(store: &dyn Maintenance, ended: &mut u64) -> Result<(), Failure> {
    let latest = store.store().clock().now().saturating_add(CLOCKS);
    let (mut is_first, mut before) = (true, None);
    while before != Some(*ended) {
        before = Some(*ended);
        let mut walk = Walk::new(None);
        while let Some(page) = walk.page(store, Part::Head).await? {
            // A renewal keeps the time of the sign-in. An unreadable record may be of any time.
            let existed = |record: &Result<Record, Error>| {
                is_first || record.as_ref().is_ok_and(|record| record.created() <= latest)
            };
            let found = page.sessions.iter().filter(|(_, record)| existed(record));
            let ids = found.map(|(id, _)| id).chain(&page.moved);
            let ends: Vec<_> = ids.map(|id| store.store().delete(id)).collect();
            let mut ends = stream::iter(ends).buffer_unordered(AT_ONCE);
            while let Some(had) = ends.next().await {
                *ended += u64::from(had?);
            }
        }
        is_first = false;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{future::Future, pin::Pin, sync::Mutex};

    use crate::{
        cli::revoke::*,
        session::page::SessionCursor,
        store::{
            Expected, Store as _, StoreFuture, UserStore,
            maintenance::{Checked, Cursor, Page, Removed, Status, Tables},
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
            Self { store, places, moves, forgets }
        }

        async fn read(&self, page: u64) -> Result<Page, Error> {
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
                    Some(record) if record.moved_to().is_some() => found.moved.push(id),
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
        let mut record = Record { created: now, user: None, ..Record::example() };
        assert!(record.touch(crate::store::Touch::new(now, end, end)));
        record
    }

    impl Maintenance for Places {
        fn store(&self) -> &dyn UserStore {
            &self.store
        }

        fn check(&self) -> Pin<Box<dyn Future<Output = Vec<Checked>> + Send + '_>> {
            unimplemented!()
        }

        fn status(&self) -> Pin<Box<dyn Future<Output = Status> + Send + '_>> {
            unimplemented!()
        }

        fn find<'a>(&'a self, id: &'a SessionId) -> StoreFuture<'a, Option<Record>> {
            self.store.load(id)
        }

        fn page<'a>(&'a self, after: Option<&'a Cursor>, _: Part) -> StoreFuture<'a, Page> {
            let page = if let Some(Cursor::Scan(page)) = after { *page } else { 0 };
            Box::pin(self.read(page))
        }

        fn user_page<'a>(
            &'a self,
            _: &'a str,
            _: Option<&'a SessionCursor>,
            _: usize,
        ) -> StoreFuture<'a, Vec<(SessionId, Record)>> {
            unimplemented!()
        }

        fn purge(&self) -> StoreFuture<'_, Option<Removed>> {
            unimplemented!()
        }

        fn tables(&self) -> Option<Tables> {
            None
        }

        fn schema_version(&self) -> StoreFuture<'_, Option<i64>> {
            unimplemented!()
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
                let left = places.store.inspect(&id(number)).await.unwrap();
                assert!(left.is_none(), "{name}: {number}");
            }
        }
    }
}
