//! The command's own sessions: of a user that does not exist, and deleted at the end.

use std::time::Duration;

use crate::{
    error::Error,
    session::{
        expiry::{Deadlines, SessionExpiry},
        record::Record,
        token::{SessionId, Token},
        values::Values,
        write_id::WriteIds,
    },
    store::{
        UserStore,
        audit::{Audit, Own},
    },
};

/// Sessions of the trial of functions.
pub(super) const IDS: usize = 6;
/// The lifetime of a session that is left behind by a killed process.
const LIFE: Duration = Duration::from_secs(120);
/// A write without a reply may be executed for so long: the command's timeout of a statement, and a
/// second.
const LATE: Duration = Duration::from_secs(6);
/// Beyond the buckets of any limiter.
const BUCKETS: u32 = 1 << 30;

/// Creates sessions, each with one id.
pub(super) struct Sessions<'a> {
    store: &'a dyn UserStore,
    own: &'a Own,
    writes: WriteIds,
}

impl<'a> Sessions<'a> {
    pub(super) fn new(store: &'a dyn UserStore, own: &'a Own) -> Self {
        Self { store, own, writes: WriteIds::default() }
    }

    pub(super) fn user(&self) -> &'a str {
        &self.own.user
    }

    /// The id with that number.
    pub(super) fn id(&self, number: usize) -> SessionId {
        self.own.ids.get(number).copied().unwrap_or(SessionId::from([0; 32]))
    }

    /// A visitor's session from now on.
    pub(super) fn visitor(&self) -> Result<Record, Error> {
        let now = self.store.clock().now();
        let expiry = SessionExpiry::new(LIFE).absolute(LIFE * 2);
        Ok(Record {
            version: 1,
            writer: self.writes.draw()?,
            created: now,
            last_activity: now,
            deadlines: Deadlines::start(expiry, now, Duration::ZERO),
            authenticated: None,
            user: None,
            device: None,
            platform: Some("validate".into()),
            values: Values::default(),
            sealed: None,
            moved: None,
        })
    }

    /// A session of the user, signed in to `later` than now.
    pub(super) fn signed_in(&self, later: Duration) -> Result<Record, Error> {
        let record = self.visitor()?;
        let created = record.created.saturating_add(later);
        let user = Some(self.own.user.as_str().into());
        Ok(Record { created, authenticated: Some(created), user, ..record })
    }

    /// The next version of a record.
    pub(super) fn next(&self, record: &Record) -> Result<Record, Error> {
        let (version, writer) = (record.version + 1, self.writes.draw()?);
        let platform = Some(format!("validate {version}").into());
        Ok(Record { version, writer, platform, ..record.clone() })
    }
}

/// Names without a session so far.
pub(super) fn draw() -> Result<Own, Error> {
    let ids = (0..IDS).map(|_| Ok(SessionId::from(fresh()?))).collect::<Result<_, Error>>()?;
    let name = SessionId::from(fresh()?);
    let number = fresh()?.iter().fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
    Ok(Own { ids, user: format!("validate-{name}"), bucket: BUCKETS | number >> 2 })
}

fn fresh() -> Result<[u8; 32], Error> {
    Ok(Token::generate()?.derive(b"tower-redis-session/validate/"))
}

/// Deletes everything; once more if a write may still be executed.
pub(super) async fn delete_all(
    store: &dyn UserStore,
    audit: &dyn Audit,
    own: &Own,
    is_certain: bool,
) -> Result<(), Error> {
    let _ = store.close().await;
    let deleted = audit.forget(own).await;
    if deleted.is_ok() && is_certain {
        return Ok(());
    }
    tokio::time::sleep(LATE).await;
    audit.forget(own).await
}
