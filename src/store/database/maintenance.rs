//! `Maintenance` of a database: pages of rows by id.

use std::{future::Future, pin::Pin, time::Duration};

use crate::{
    error::{Causes, Error},
    session::{
        record::{Record, format::HEAD_MAX},
        token::SessionId,
    },
    store::{
        StoreFuture, UserStore,
        audit::Audit,
        cursor::Cursor,
        database::{
            DatabaseStore,
            access::{Database, PURGE_ROWS_MAX},
            row::{Columns, Row},
        },
        maintenance::{
            Checked, DatabaseStatus, Enumeration, Found, Maintenance, Page, Part, Removed, Status,
            Stored, Tables,
        },
    },
};

impl Enumeration for DatabaseStore {
    fn store(&self) -> &dyn UserStore {
        self
    }

    fn page<'a>(&'a self, after: Option<&'a Cursor>, part: Part) -> StoreFuture<'a, Page> {
        Box::pin(page(&self.database, after, part))
    }
}

impl Maintenance for DatabaseStore {
    fn check(&self) -> Pin<Box<dyn Future<Output = Vec<Checked>> + Send + '_>> {
        Box::pin(async move { self.check_each().await })
    }

    fn status(&self) -> Pin<Box<dyn Future<Output = Status> + Send + '_>> {
        Box::pin(async move {
            Status { database: Some(status(&self.database).await), ..Status::default() }
        })
    }

    fn find<'a>(&'a self, id: &'a SessionId) -> StoreFuture<'a, Option<Record>> {
        Box::pin(find(&self.database, id))
    }

    fn find_each<'a>(&'a self, ids: &'a [SessionId]) -> StoreFuture<'a, Vec<Found>> {
        Box::pin(find_each(&self.database, ids))
    }

    fn purge(&self) -> StoreFuture<'_, Option<Removed>> {
        Box::pin(async move { purge(&self.database, Duration::ZERO).await.map(Some) })
    }

    fn tables(&self) -> Option<Tables> {
        Some(self.database.tables())
    }

    fn schema_version(&self) -> StoreFuture<'_, Option<i64>> {
        Box::pin(self.database.schema_version())
    }

    fn audit(&self) -> &dyn Audit {
        self
    }
}

impl DatabaseStore {
    /// The server, and its clock where that is another machine's.
    async fn check_each(&self) -> Vec<Checked> {
        let result = self.database.check().await;
        let mut checks = vec![Checked { part: "database", result }];
        if self.database.has_a_clock() && checks.iter().all(|check| check.result.is_ok()) {
            let result = self.clock_check.check(&self.database).await;
            checks.push(Checked { part: "clocks", result });
        }
        checks
    }
}

/// The row as it is: a renewal in progress is not finished.
pub(crate) async fn find(database: &Database, id: &SessionId) -> Result<Option<Record>, Error> {
    Ok(database.read(id).await?.map(Row::into_record))
}

/// The rows as they are.
pub(crate) async fn find_each(database: &Database, ids: &[SessionId]) -> Result<Vec<Found>, Error> {
    let rows = database.read_each(ids).await?.into_iter();
    let stored = |row: Row| Stored { replaces: row.replaces, record: row.into_record() };
    Ok(rows.map(|row| Ok(row?.and_then(Row::living).map(stored))).collect())
}

/// Rows of ended sessions are read too and left out, so that each page is a bounded number of rows.
pub(crate) async fn page(
    database: &Database,
    after: Option<&Cursor>,
    part: Part,
) -> Result<Page, Error> {
    let bytes = match part {
        Part::Head => HEAD_MAX,
        Part::Whole => usize::MAX,
    };
    let rows = database.page(Cursor::row(after), bytes, part.page_len()).await?;
    let is_last = rows.len() < part.page_len();
    let last = rows.last().filter(|_| !is_last).map(|(id, _)| Cursor::Row(id.clone()));
    let mut page = Page { sessions: Vec::with_capacity(rows.len()), moved: Vec::new(), next: last };
    for (id, columns) in rows {
        let Ok(id) = id.parse() else { continue };
        match columns {
            Ok(columns) if columns.alive => page.sessions.push((id, decode(columns, part))),
            // What it held is emptied after a while.
            Ok(columns) if columns.moved_to.is_some() && !columns.body.is_empty() => {
                page.moved.extend(columns.head().ok().map(|record| (id, record)));
            }
            Ok(_) => {}
            Err(error) => page.sessions.push((id, Err(error))),
        }
    }
    Ok(page)
}

fn decode(columns: Columns, part: Part) -> Result<Record, Error> {
    match part {
        Part::Whole => columns.row().map(Row::into_record),
        Part::Head => columns.head(),
    }
}

/// All that is due, in batches.
pub(crate) async fn purge(database: &Database, longer: Duration) -> Result<Removed, Error> {
    let mut removed = Removed::default();
    loop {
        let purged = database.purge(longer).await?;
        removed.sessions = removed.sessions.saturating_add(purged.sessions);
        removed.users = removed.users.saturating_add(purged.users);
        if purged.most() < u64::from(PURGE_ROWS_MAX) {
            return Ok(removed);
        }
    }
}

pub(crate) async fn status(database: &Database) -> DatabaseStatus {
    let tables = database.tables();
    let status = DatabaseStatus {
        engine: tables.engine,
        address: database.address(),
        schema_of_this_version: tables.version(),
        ..DatabaseStatus::default()
    };
    match database.schema_version().await {
        Ok(schema) => DatabaseStatus { available: true, schema, ..status },
        Err(error) => DatabaseStatus { cause: Some(Causes(&error).to_string()), ..status },
    }
}
