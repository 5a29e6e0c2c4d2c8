//! Choice of the primary among the replies of several sentinels. Pure.

use std::{cmp::Reverse, fmt};

/// A server that a sentinel names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Server {
    pub(super) host: String,
    pub(super) port: u16,
}

/// A primary, and the configuration epoch in which it became one: each failover has a higher one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Primary {
    pub(super) server: Server,
    pub(super) epoch: u64,
}

/// The state of a primary, as one sentinel sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    Up,
    /// Down, according to this sentinel alone.
    Down,
    /// Down, according to as many sentinels as it takes for a failover.
    DownByQuorum,
}

/// The reply of one sentinel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Report {
    pub(super) primary: Primary,
    pub(super) seen: Seen,
}

/// The primaries to choose from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Choice {
    /// That of the highest epoch, which may be down.
    pub(super) newest: Option<Primary>,
    /// To connect to, in this order; each further one only if those before it are replicas. Empty
    /// if the newest is down: an earlier one may still accept writes, which would be lost.
    pub(super) candidates: Vec<Primary>,
}

impl Choice {
    /// The highest epoch wins: one sentinel that has seen the last failover counts more than all
    /// those that have not. In one epoch `known` wins, the primary in use, so that sentinels that
    /// write one server in two ways cause no switch; then the one that most sentinels name.
    pub(super) fn of(reports: &[Report], known: Option<&Primary>) -> Self {
        let mut votes: Vec<Vote<'_>> = Vec::with_capacity(reports.len() + 1);
        for report in reports {
            let vote = Vote::of(&report.primary, report.seen);
            match votes.iter_mut().find(|other| other.primary == vote.primary) {
                Some(other) => other.join(&vote),
                None => votes.push(vote),
            }
        }
        if let Some(known) = known {
            match votes.iter_mut().find(|vote| vote.primary == known) {
                Some(vote) => vote.is_known = true,
                None => votes.push(Vote { is_known: true, ..Vote::of(known, Seen::Up) }),
            }
        }
        votes.sort_by_key(|vote| {
            let (unusable, unknown) = (!vote.is_usable(), !vote.is_known);
            (Reverse(vote.primary.epoch), unusable, unknown, Reverse(vote.up))
        });
        let newest = votes.first().map(|vote| vote.primary.clone());
        let mut candidates: Vec<Primary> = Vec::with_capacity(votes.len());
        for Vote { primary, .. } in votes.into_iter().take_while(Vote::is_usable) {
            if candidates.iter().all(|other| other.server != primary.server) {
                // One that is a primary after all counts from then on as much as the newest.
                let epoch = newest.as_ref().map_or(0, |newest| newest.epoch);
                candidates.push(Primary { epoch, server: primary.server.clone() });
            }
        }
        Self { newest, candidates }
    }
}

/// A primary, and what sentinels report of it.
#[derive(Clone, Copy)]
struct Vote<'a> {
    primary: &'a Primary,
    /// Number of sentinels that see it up.
    up: usize,
    is_down_by_quorum: bool,
    is_known: bool,
}

impl<'a> Vote<'a> {
    fn of(primary: &'a Primary, seen: Seen) -> Self {
        let is_down_by_quorum = seen == Seen::DownByQuorum;
        Self { primary, up: usize::from(seen == Seen::Up), is_down_by_quorum, is_known: false }
    }

    fn join(&mut self, other: &Self) {
        self.up += other.up;
        self.is_down_by_quorum |= other.is_down_by_quorum;
    }

    fn is_usable(&self) -> bool {
        self.up > 0 && !self.is_down_by_quorum
    }
}

/// Whether a known primary no longer counts: no sentinel has named it for `LONGEST_UNNAMED`, and
/// more than half of `all` sentinels name others now. So a known failover outlasts sentinels that
/// learn of it late, but not a deployment whose epochs start again.
pub(super) const fn is_forgotten(is_named_lately: bool, replied: usize, all: usize) -> bool {
    !is_named_lately && replied * 2 > all
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

#[cfg(test)]
mod tests {
    use crate::store::redis::client::sentinel::choice::*;

    fn primary(host: &str, epoch: u64) -> Primary {
        Primary { server: Server { host: host.to_owned(), port: 6379 }, epoch }
    }

    /// Such as `a@3`, `b@4-` (down) and `b@4=` (down by quorum).
    fn report(text: &str) -> Report {
        let (host, epoch) = text.split_once('@').unwrap();
        let seen = match text.chars().last() {
            Some('-') => Seen::Down,
            Some('=') => Seen::DownByQuorum,
            _ => Seen::Up,
        };
        Report { primary: primary(host, epoch.trim_end_matches(['-', '=']).parse().unwrap()), seen }
    }

    #[test]
    fn the_highest_epoch_wins_and_an_earlier_primary_only_if_a_later_one_is_a_replica() {
        for (name, reports, known, newest, candidates) in [
            ("nothing", "", "", "", ""),
            ("one", "a@0", "", "a@0", "a"),
            ("two old views and one new", "a@3 a@3 b@4", "", "b@4", "b a"),
            ("the number of digits", "a@9 b@10", "", "b@10", "b a"),
            ("down for one sentinel", "b@4- b@4 a@3", "", "b@4", "b a"),
            ("down for all that name it", "b@4- b@4- a@3", "", "b@4", ""),
            ("down by quorum", "b@4 b@4= a@3", "", "b@4", ""),
            ("down before", "a@3= b@4", "", "b@4", "b"),
            ("one epoch: the one that most name", "a@3 b@3 b@3", "", "b@3", "b a"),
            ("one epoch: the first, if as many", "a@3 b@3", "", "a@3", "a b"),
            ("one epoch: the one that is up", "a@3- a@3- b@3", "", "b@3", "b"),
            ("one epoch: the one in use", "a@3 b@3 b@3", "a@3", "a@3", "a b"),
            ("in use, and named by none", "a@3 a@3", "b@4", "b@4", "b a"),
            ("in use, and replaced", "b@4", "a@3", "b@4", "b a"),
            ("in use, and down", "b@4- b@4=", "b@4", "b@4", ""),
            ("in use, and its successor is down", "b@4-", "a@3", "b@4", ""),
            ("in use, and no sentinel replies", "", "a@3", "a@3", "a"),
            ("one server in two epochs", "a@3 a@4", "", "a@4", "a"),
        ] {
            let reports: Vec<_> = reports.split_whitespace().map(report).collect();
            let known = known.split_whitespace().map(|known| report(known).primary).next();
            let choice = Choice::of(&reports, known.as_ref());
            let newest = newest.split_whitespace().map(|text| report(text).primary).next();
            assert_eq!(choice.newest, newest, "{name}");
            let epoch = newest.map_or(0, |newest| newest.epoch);
            let expected: Vec<_> =
                candidates.split_whitespace().map(|host| primary(host, epoch)).collect();
            assert_eq!(choice.candidates, expected, "{name}");
        }
    }

    #[test]
    fn a_known_primary_outlasts_a_minority_and_a_short_time() {
        for (name, lately, replied, all, forgotten) in [
            ("named lately", true, 3, 3, false),
            ("no sentinel replies", false, 0, 3, false),
            ("a minority", false, 1, 3, false),
            ("half", false, 2, 4, false),
            ("a majority", false, 2, 3, true),
            ("one sentinel", false, 1, 1, true),
        ] {
            assert_eq!(is_forgotten(lately, replied, all), forgotten, "{name}");
        }
    }
}
