//! Every function of the store, with sessions of the command's own.

use std::{num::NonZeroU32, time::Duration};

use crate::{
    cli::validate::{
        expectation::{Done, Failed, Fault, expect, gone, is_same, note, saved, unexpected},
        interrupt::Interrupt,
        own::Sessions,
    },
    error::Error,
    session::{record::Record, token::SessionId},
    store::{
        AttemptWrite, Expected, LoginWrite, SaveOutcome, Touch, UserStore,
        attempts::{Action, AttemptKey, Counter, Rule, Verdict},
    },
};

/// The functions in their order: each finds what the ones before have left.
pub(super) struct Functions<'a> {
    pub(super) store: &'a dyn UserStore,
    pub(super) sessions: &'a Sessions<'a>,
    pub(super) interrupt: &'a Interrupt,
    pub(super) bucket: u32,
    /// Whether activity may be stored in either of two stores.
    pub(super) has_copies: bool,
}

impl Functions<'_> {
    /// Adds to `done` what was done.
    pub(super) async fn all(&self, done: &mut Vec<&'static str>) -> Result<(), Failed> {
        note(done, "create", self.create().await)?;
        note(done, "save", self.save().await)?;
        note(done, "touch", self.touch().await)?;
        note(done, "login", self.login().await)?;
        note(done, "renew", self.renew().await)?;
        note(done, "limit", self.limit().await)?;
        note(done, "list", self.list().await)?;
        note(done, "revoke", self.revoke().await)?;
        note(done, "revoke_all", self.revoke_all().await)?;
        note(done, "logout", self.logout().await)?;
        note(done, "limiter", self.limiter().await)
    }

    async fn create(&self) -> Done {
        let (id, record) = (self.sessions.id(0), self.sessions.visitor()?);
        saved(&self.store.save(&id, Expected::Absent, &record).await?)?;
        self.interrupt.check()?;
        self.holds(&id, &record).await?;
        let inspected = self.store.inspect(&id).await?;
        expect(inspected.is_some_and(|found| is_same(&found, &record)), "it is not inspected")?;
        match self.store.save(&id, Expected::Absent, &record).await? {
            SaveOutcome::IdInUse => Ok(()),
            other => Err(unexpected("a second session under one id", &other)),
        }
    }

    /// At the version that was read, and at another one.
    async fn save(&self) -> Done {
        let (id, first) = (self.sessions.id(0), self.sessions.visitor()?);
        let Some(found) = self.store.load(&id).await? else { return Err(gone()) };
        let second = self.sessions.next(&found)?;
        saved(&self.store.save(&id, Expected::Version(found.version), &second).await?)?;
        self.interrupt.check()?;
        self.holds(&id, &second).await?;
        let late = Record { platform: None, ..self.sessions.next(&first)? };
        match self.store.save(&id, Expected::Version(found.version), &late).await? {
            SaveOutcome::Conflict(current) if is_same(&current, &second) => {}
            other => return Err(unexpected("a save at a former version", &other)),
        }
        self.holds(&id, &second).await
    }

    async fn touch(&self) -> Done {
        let id = self.sessions.id(0);
        let Some(found) = self.store.load(&id).await? else { return Err(gone()) };
        let later =
            |time: crate::clock::timestamp::Timestamp| time.saturating_add(Duration::from_secs(1));
        let (active, idle) = (later(found.last_activity()), later(found.deadlines.idle_deadline));
        let touched = self.store.touch(&id, found.version, Touch::new(active, idle, idle)).await?;
        expect(touched, "it is not stored")?;
        let Some(found) = self.store.load(&id).await? else { return Err(gone()) };
        expect(self.has_copies || found.last_activity() == active, "another time is stored")?;
        let touched =
            self.store.touch(&id, found.version + 7, Touch::new(idle, idle, idle)).await?;
        expect(!touched, "it is stored at a version that does not exist")
    }

    /// The visitor signs in.
    async fn login(&self) -> Done {
        let (old, new) = (self.sessions.id(0), self.sessions.id(1));
        let epoch = self.store.revocation_epoch(self.sessions.user()).await?;
        let Some(found) = self.store.load(&old).await? else { return Err(gone()) };
        let record = self.sessions.signed_in(Duration::ZERO)?;
        let mut login = LoginWrite::new(&new, &record);
        login.old = Some((&old, found.version));
        login.epoch = Some(epoch);
        saved(&self.store.login(login).await?)?;
        saved(&self.store.finish_renew(&old, found.version, &new).await?)?;
        self.interrupt.check()?;
        self.moved(&old, &new).await?;
        self.holds(&new, &record).await
    }

    async fn renew(&self) -> Done {
        let (old, new) = (self.sessions.id(1), self.sessions.id(2));
        let Some(found) = self.store.load(&old).await? else { return Err(gone()) };
        let record = Record { version: 1, ..self.sessions.next(&found)? };
        saved(&self.store.begin_renew(&old, found.version, &new, &record).await?)?;
        saved(&self.store.finish_renew(&old, found.version, &new).await?)?;
        self.interrupt.check()?;
        self.moved(&old, &new).await?;
        self.holds(&new, &record).await?;
        let both = self.store.load_many(&[old, new]).await?;
        let found: Vec<_> = both.into_iter().collect::<Result<_, Error>>()?;
        let is_new = found
            .get(1)
            .is_some_and(|found| found.as_ref().is_some_and(|found| is_same(found, &record)));
        expect(found.len() == 2 && is_new, "several at once are not loaded")
    }

    /// Two more sign-ins with room for two: the first one ends.
    async fn limit(&self) -> Done {
        for (number, later) in [(3, 1), (4, 2)] {
            let (id, record) =
                (self.sessions.id(number), self.sessions.signed_in(Duration::from_secs(later))?);
            let mut login = LoginWrite::new(&id, &record);
            login.limit = NonZeroU32::new(2);
            saved(&self.store.login(login).await?)?;
            self.interrupt.check()?;
        }
        self.ended(&self.sessions.id(2)).await
    }

    async fn list(&self) -> Done {
        let expected = [self.sessions.id(4), self.sessions.id(3)];
        let mut all: Vec<_> = self.store.sessions_of(self.sessions.user()).await?;
        all.sort_by_key(|(_, record)| std::cmp::Reverse(record.created()));
        let page = self.store.sessions_page(self.sessions.user(), None, 1).await?;
        let ids = |listed: &[(SessionId, Record)]| -> Vec<SessionId> {
            listed.iter().map(|(id, _)| *id).collect()
        };
        expect(ids(&all) == expected, "other sessions are listed")?;
        expect(ids(&page) == expected.get(..1).unwrap_or_default(), "the page is another one")
    }

    async fn revoke(&self) -> Done {
        let id = self.sessions.id(3);
        expect(self.store.delete(&id).await?, "nothing was deleted")?;
        self.interrupt.check()?;
        self.ended(&id).await?;
        expect(!self.store.delete(&id).await?, "it was deleted twice")?;
        let record = self.sessions.next(&self.sessions.signed_in(Duration::ZERO)?)?;
        match self.store.save(&id, Expected::Version(1), &record).await? {
            SaveOutcome::Gone => self.ended(&id).await,
            other => Err(unexpected("a save after the end", &other)),
        }
    }

    async fn revoke_all(&self) -> Done {
        let (user, id) = (self.sessions.user(), self.sessions.id(4));
        let epoch = self.store.revocation_epoch(user).await?;
        expect(self.store.revoke_all(user, None).await? == 1, "another number of sessions ended")?;
        self.interrupt.check()?;
        self.ended(&id).await?;
        expect(self.store.sessions_of(user).await?.is_empty(), "sessions are still listed")?;
        let (id, record) = (self.sessions.id(3), self.sessions.signed_in(Duration::ZERO)?);
        let mut login = LoginWrite::new(&id, &record);
        login.epoch = Some(epoch);
        match self.store.login(login).await? {
            SaveOutcome::Revoked => Ok(()),
            other => Err(unexpected("a sign-in that began before it", &other)),
        }
    }

    async fn logout(&self) -> Done {
        let (id, record) = (self.sessions.id(5), self.sessions.visitor()?);
        saved(&self.store.save(&id, Expected::Absent, &record).await?)?;
        self.interrupt.check()?;
        match self.store.delete_version(&id, 7).await? {
            SaveOutcome::Conflict(_) => {}
            other => return Err(unexpected("a deletion at another version", &other)),
        }
        saved(&self.store.delete_version(&id, 1).await?)?;
        self.ended(&id).await
    }

    /// One attempt is admitted, the next one waits, and is admitted once the first is forgiven.
    async fn limiter(&self) -> Done {
        let Some(attempts) = self.store.attempts() else { return Ok(()) };
        for (action, admitted) in [
            (Action::Begin, true),
            (Action::Begin, false),
            (Action::Forgive, true),
            (Action::Begin, true),
            (Action::Forgive, true),
        ] {
            let outcome = attempts.write(&self.attempt(action)).await?;
            let is_admitted = outcome.0 == Verdict::Done;
            expect(is_admitted == admitted, "an attempt is admitted or throttled wrongly")?;
            self.interrupt.check()?;
        }
        Ok(())
    }

    fn attempt(&self, action: Action) -> AttemptWrite {
        let rule = Rule {
            free: 1,
            max: 100,
            max_known: 0,
            first_wait: 60_000,
            longest_wait: 60_000,
            recovery: 60_000,
        };
        let key = AttemptKey { bucket: self.bucket, tag: *b"tower-validation" };
        let counters = vec![Counter { key, rule }];
        AttemptWrite { action, counters, known: None, known_for: Duration::ZERO, ways: 8 }
    }

    /// The record is what a request would load.
    async fn holds(&self, id: &SessionId, record: &Record) -> Done {
        match self.store.load(id).await? {
            Some(found) if is_same(&found, record) => Ok(()),
            Some(_) => Err(Fault::Text("another record was loaded".to_owned())),
            None => Err(gone()),
        }
    }

    async fn moved(&self, old: &SessionId, new: &SessionId) -> Done {
        let found = self.store.load(old).await?;
        let to = found.as_ref().and_then(Record::moved_to);
        expect(to == Some(new), "the former id does not lead to the new one")
    }

    async fn ended(&self, id: &SessionId) -> Done {
        let found = self.store.load(id).await?;
        expect(found.is_none(), "the session is still alive")
    }
}
