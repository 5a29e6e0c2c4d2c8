//! What the rules look up: which cookie came from where, and when it was over.

use std::collections::HashMap;

use super::super::history::{History, Kind, MILLI, Op, Place, REDIS, SITES, Site, Time};
use super::failovers::Losses;
use super::waits::{AFTERMATH, BUSY};

/// What was configured, and what is allowed for.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    /// A database has the truth.
    pub is_durable: bool,
    /// Acknowledgements wait until no instance can miss a change.
    pub strict: bool,
    /// Redis goes on serving while the database is away.
    pub stretches: bool,
    pub lease: Time,
    pub budget: Time,
}

/// The clock's own grain, and that of the fault log.
pub const SLACK: Time = 10 * MILLI;
/// A poll began and was answered in any time that long, if nothing was in its way.
pub const POLLED: Time = 700 * MILLI;

/// The end of a session, as somebody was told of it.
#[derive(Debug, Clone, Copy)]
pub struct End<'a> {
    pub op: &'a Op,
    /// The instance that has acknowledged it; none where it only showed.
    pub by: Option<Site>,
}

pub struct Evidence<'a> {
    pub history: &'a History,
    pub terms: &'a Terms,
    births: HashMap<&'a str, &'a Op>,
    by_token: HashMap<&'a str, Vec<&'a Op>>,
    ends: HashMap<&'a str, Vec<End<'a>>>,
    /// Requests whose effect a replica that took over did not have.
    pub(super) lost: Losses,
    /// By user.
    revocations: HashMap<&'a str, Vec<&'a Op>>,
}

impl<'a> Evidence<'a> {
    pub fn new(history: &'a History, terms: &'a Terms) -> Self {
        let mut by_token: HashMap<&str, Vec<&Op>> = HashMap::new();
        let mut births = HashMap::new();
        for op in &history.ops {
            if let Some(token) = &op.token {
                by_token.entry(token).or_default().push(op);
            }
            let makes = op.kind == Kind::Visit || op.kind.makes() && !op.is_over();
            if let (Some(new), true) = (op.new_token(), makes) {
                births.insert(new, op);
            }
        }
        let mut ends: HashMap<&str, Vec<End<'_>>> = HashMap::new();
        for op in &history.ops {
            let Some(token) = &op.token else { continue };
            // Redis alone confirms no end that it finds, by a request that was not acknowledged.
            let of_token = by_token.get(token.as_str()).into_iter().flatten();
            let mut earlier =
                of_token.filter(|other| other.start < op.end && other.start != op.start);
            let is_its = terms.is_durable
                || op.user().is_some() && op.kind != Kind::Login
                || !earlier.any(|other| other.is_over() || is_end(other));
            let by = (op.status() == Some(200) && ends_it(op) && is_its).then_some(op.at);
            if by.is_some() || op.is_over() {
                ends.entry(token).or_default().push(End { op, by });
            }
            // Whoever comes with the new cookie has ended the old.
            let old = births.get(token.as_str()).and_then(|birth| birth.token.as_deref());
            if let (Some(old), true) = (old, op.is_alive()) {
                ends.entry(old).or_default().push(End { op, by: None });
            }
        }
        let mut revocations: HashMap<&str, Vec<&Op>> = HashMap::new();
        for op in history.ops.iter().filter(|op| op.kind == Kind::Revoke) {
            revocations.entry(&op.client).or_default().push(op);
            // Acknowledged, it has ended all that the user had when it began.
            if op.status() != Some(200) || op.user().is_none() {
                continue;
            }
            let of_user =
                |(_, birth): &(&&str, &&Op)| birth.client == op.client && birth.kind != Kind::Visit;
            for (token, birth) in births.iter().filter(of_user) {
                if birth.end < op.start && op.token.as_deref() != Some(*token) {
                    ends.entry(token).or_default().push(End { op, by: Some(op.at) });
                }
            }
        }
        let lost = Losses::default();
        Self { history, terms, births, by_token, ends, lost, revocations }
    }

    /// The request whose answer brought the cookie.
    pub fn birth(&self, token: &str) -> Option<&'a Op> {
        self.births.get(token).copied()
    }

    /// Requests with the cookie.
    pub fn of(&self, token: &str) -> impl Iterator<Item = &'a Op> + use<'a, '_> {
        self.by_token.get(token).into_iter().flatten().copied()
    }

    /// The cookie, that which was renewed to it, and so on.
    pub fn line(&self, token: &'a str) -> Vec<&'a str> {
        let mut line = vec![token];
        while let Some(old) = self.birth(line[line.len() - 1]).and_then(|op| op.token.as_deref()) {
            line.push(old);
        }
        line
    }

    /// The same, as far as the content has certainly come along: who signs in with the cookie of a
    /// visitor whose session is over begins with nothing.
    pub fn kept_line(&self, token: &'a str) -> Vec<&'a str> {
        let line = self.line(token);
        let breaks = |pair: &[&'a str]| {
            let Some(birth) = self.birth(pair[0]).filter(|op| op.kind == Kind::Login) else {
                return false;
            };
            let others = self.of(pair[1]).filter(|op| op.start != birth.start);
            let ended =
                others.filter(|op| ends_it(op) || self.may_end_it(op)).map(|op| op.start).min();
            let lost = self.birth(pair[1]).is_some_and(|visit| self.may_be_lost(visit));
            lost || ended.is_some_and(|end| end < birth.end)
        };
        let kept = line.windows(2).position(breaks).map_or(line.len(), |at| at + 1);
        line[..kept].to_vec()
    }

    /// What has added 1 to its `n`, or may have.
    pub fn updates(&self, token: &str) -> impl Iterator<Item = &'a Op> + use<'a, '_> {
        let visit = self.birth(token).filter(|birth| birth.kind == Kind::Visit);
        self.of(token).filter(|op| op.kind == Kind::Update).chain(visit)
    }

    /// Cookies that somebody signed in with and that were renewed to no other.
    pub fn youngest(&self) -> Vec<&'a str> {
        let old: Vec<_> = self.births.values().filter_map(|op| op.token.as_deref()).collect();
        self.births.keys().copied().filter(|token| !old.contains(token)).collect()
    }

    pub fn ends(&self, token: &str) -> impl Iterator<Item = End<'a>> + use<'a, '_> {
        self.ends.get(token).into_iter().flatten().copied()
    }

    /// The token that the session had before this one.
    fn old(&self, token: &str) -> Option<&str> {
        self.birth(token)?.token.as_deref()
    }

    /// From when on the session may be over, for all that anybody knows.
    pub fn may_end_at(&self, token: &str) -> Option<Time> {
        let own = self.of(token).filter(|op| ends_it(op) || self.may_end_it(op));
        let birth = self.birth(token).filter(|birth| birth.kind != Kind::Visit);
        let user = birth.map(|birth| birth.client.as_str());
        let all = user.and_then(|user| self.revocations.get(user)).into_iter().flatten();
        // A logout by an id that it has moved away from ends it too.
        let (mut by_old, mut older) = (Vec::new(), self.old(token));
        while let Some(old) = older {
            by_old.extend(self.of(old).filter(|op| op.kind == Kind::Logout));
            older = self.old(old);
        }
        own.chain(all.copied()).chain(by_old).map(|op| op.start).min()
    }

    /// A move that was not answered may have happened. One that was refused has not, as far as the
    /// client can tell: without a new cookie the old one counts. Redis alone cannot promise that
    /// where its reply was lost.
    fn may_end_it(&self, op: &Op) -> bool {
        let is_unknown = match op.status() {
            None => true,
            Some(status) => status >= 500 && !self.terms.is_durable,
        };
        matches!(op.kind, Kind::Login | Kind::Renew) && is_unknown
    }

    /// Whether it was a move without an acknowledgement, beside another one of the same session: the
    /// client has the cookie of the later answer, and nobody knows which of the two has happened.
    pub fn may_have_been_second(&self, birth: &Op) -> bool {
        let moves = |op: &Op| matches!(op.kind, Kind::Login | Kind::Renew);
        let old = birth.token.as_deref().filter(|_| moves(birth) && birth.status() != Some(200));
        let beside =
            |old| self.of(old).filter(|op| op.start != birth.start && op.start < birth.end);
        old.is_some_and(|old| beside(old).any(|op| moves(op) && op.new_token().is_some()))
    }

    /// By when a request on `at` has to know what `by` acknowledged (or somebody saw) at `end`.
    pub fn known_by(&self, at: Site, end: Time, by: Option<Site>) -> Time {
        let at_once = by == Some(at) || (by.is_some() && self.terms.strict);
        if at_once { end } else { end + self.terms.lease + SLACK }
    }

    /// Whether Redis may not have been told of what this request did, by its own instance.
    pub fn may_be_untold(&self, write: &Op) -> bool {
        let from = write.start.saturating_sub(AFTERMATH);
        let to = write.end + AFTERMATH;
        let mut ways = vec![REDIS, Place::Instance(write.at)];
        ways.extend(SITES.map(|site| Place::ToRedis(site, 0)));
        !self.history.is_clean(&ways, from, to) || self.history.stall(write.at, from, to) > BUSY
    }

    /// Whether an instance that could not ask the database may serve what Redis said before:
    /// between `from` and `to` there was no time in which it must have asked.
    pub fn may_be_behind(&self, at: Site, from: Time, to: Time) -> bool {
        if !self.terms.stretches {
            return false;
        }
        let places = [Place::Postgres, Place::ToDatabase(at), Place::Instance(at)];
        let mut faults: Vec<_> = self
            .history
            .faults_on(&places)
            .map(|fault| (fault.from, fault.to))
            .filter(|(begin, end)| *begin < to && from < *end)
            .collect();
        faults.sort_unstable();
        faults.push((to, to));
        let mut free_from = from;
        for (begin, end) in faults {
            let stall = self.history.stall(at, free_from, begin);
            if begin.saturating_sub(free_from) >= POLLED + 2 * stall {
                return false;
            }
            free_from = free_from.max(end);
        }
        true
    }
}

/// Whatever came of it.
fn is_end(op: &Op) -> bool {
    op.kind.signs_out() || matches!(op.kind, Kind::Login | Kind::Renew)
}

fn ends_it(op: &Op) -> bool {
    let moves = matches!(op.kind, Kind::Login | Kind::Renew);
    op.kind.signs_out() || moves && op.new_token().is_some()
}
