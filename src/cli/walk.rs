//! All sessions, or those of a user, page by page.

use crate::{
    cli::exit::Failure,
    error::{Error, ErrorKind},
    session::{page::SessionCursor, record::Record},
    store::{
        cursor::Cursor,
        maintenance::{Enumeration, Page, Part},
    },
};

/// Sessions of a user per page.
const USER_PAGE: usize = 500;

/// Position in a walk.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    user: Option<&'a str>,
    next: Option<Next>,
}

#[derive(Debug)]
enum Next {
    Start,
    All(Cursor),
    User(SessionCursor),
}

impl<'a> Walk<'a> {
    pub(super) const fn new(user: Option<&'a str>) -> Self {
        Self { user, next: Some(Next::Start) }
    }

    /// The next page; `None` after the last. For a user only the heads are read, whatever `part`.
    pub(super) async fn page(
        &mut self,
        store: &dyn Enumeration,
        part: Part,
    ) -> Result<Option<Page>, Failure> {
        let Some(next) = self.next.take() else { return Ok(None) };
        if let Some(user) = self.user {
            let after = if let Next::User(cursor) = &next { Some(cursor) } else { None };
            let page = store.user_page(user, after, USER_PAGE).await?;
            let last = page.last().filter(|_| page.len() >= USER_PAGE);
            let last = last.map(|(id, record)| SessionCursor::new(record.created(), *id));
            let is_later =
                |last: &SessionCursor| after.is_none_or(|after| last.order() > after.order());
            if !last.as_ref().is_none_or(is_later) {
                // A column that differs from its record: pages would come again, without an end.
                let text = "the list of the user's sessions is inconsistent";
                return Err(Error::new(ErrorKind::Corrupt, text).into());
            }
            self.next = last.map(Next::User);
            let sessions = page.into_iter().map(|(id, record)| (id, Ok(record))).collect();
            return Ok(Some(Page { sessions, moved: Vec::new(), next: None }));
        }
        let after = if let Next::All(cursor) = &next { Some(cursor) } else { None };
        let mut page = store.page(after, part).await?;
        self.next = page.next.take().map(Next::All);
        // Claims on old sessions and sign-ins of external ids are no sessions: to end one would
        // open to its cookie, or its sign-in, what is closed.
        page.sessions.retain(|(_, found)| found.as_ref().map_or(true, Record::is_session));
        Ok(Some(page))
    }
}

#[cfg(test)]
#[path = "walk/tests.rs"]
mod tests;
