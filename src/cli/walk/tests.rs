//! A list of sessions whose order contradicts its records.

use crate::{
    cli::walk::*,
    clock::timestamp::Timestamp,
    session::token::SessionId,
    store::{StoreFuture, UserStore, memory::MemoryStore},
};

/// Returns full pages: after a session that of another one, by the table.
struct Pages {
    store: MemoryStore,
    /// The sign-in time of the last session of the page after a time; none is the end.
    after: Vec<(Option<u64>, u64)>,
}

impl Enumeration for Pages {
    fn store(&self) -> &dyn UserStore {
        &self.store
    }

    fn page<'a>(&'a self, _: Option<&'a Cursor>, _: Part) -> StoreFuture<'a, Page> {
        Box::pin(std::future::ready(Ok(Page { sessions: vec![], moved: vec![], next: None })))
    }

    fn user_page<'a>(
        &'a self,
        _: &'a str,
        after: Option<&'a SessionCursor>,
        limit: usize,
    ) -> StoreFuture<'a, Vec<(SessionId, Record)>> {
        let after = after.map(|after| after.created().as_millis());
        let last = self.after.iter().find(|(from, _)| *from == after).map(|(_, last)| *last);
        let page = last.map_or(Vec::new(), |last| {
            let created = Timestamp::from_millis(last);
            let record = Record { created, ..Record::example() };
            vec![(SessionId::from([7; 32]), record); limit]
        });
        Box::pin(std::future::ready(Ok(page)))
    }
}

#[tokio::test]
async fn a_walk_ends_although_pages_lead_to_each_other() {
    for (name, after, read) in [
        ("in order", vec![(None, 9), (Some(9), 5)], Ok(3)),
        ("to itself", vec![(None, 9), (Some(9), 9)], Err(1)),
        ("to one before", vec![(None, 9), (Some(9), 5), (Some(5), 9)], Err(2)),
    ] {
        let pages = Pages { store: MemoryStore::new(), after };
        let mut walk = Walk::new(Some("alice"));
        let mut count = 0;
        let ended = loop {
            match walk.page(&pages, Part::Head).await {
                Ok(Some(_)) => count += 1,
                Ok(None) => break Ok(count),
                Err(_) => break Err(count),
            }
            assert!(count < 10, "{name}: it never ends");
        };
        assert_eq!(ended, read, "{name}");
    }
}
