//! What follows a try that brought no result. Pure.

use std::time::Duration;

/// Maximum number of tries of one command.
const TRIES: u32 = 5;
/// Pauses while a slot moves; the last one repeats.
const MOVING: [Duration; 3] =
    [Duration::from_millis(20), Duration::from_millis(40), Duration::from_millis(80)];
/// Pause while a slot has no usable primary.
const DOWN: Duration = Duration::from_millis(50);
/// Redirects that are followed at once.
const AT_ONCE: u32 = 2;

/// Which redirects a command may follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store::redis) enum Follow {
    /// It has one key: all of them.
    One,
    /// It has several keys of one slot, or uses some that it does not declare: not to the node to
    /// which the slot is moving, where the rest of them looks missing.
    Many,
}

/// What a try came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store::redis) enum Came {
    /// It did not run: the slot belongs to another node.
    Moved,
    /// It did not run: the key is on the node to which the slot is moving.
    Ask,
    /// It did not run: its keys are on two nodes.
    Moving,
    /// It did not run: the node is no primary now.
    Down,
    /// It was not sent: no connection.
    Unsent,
    /// It may have run: no reply. Whether it may run twice.
    Lost { repeatable: bool },
    /// Any other error.
    Failed,
}

/// The node of the next try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store::redis) enum To {
    /// The owner of the slot by then.
    Owner,
    /// The node that the error names, which owns the slot.
    Moved,
    /// The node that the error names, for this one command.
    Asked,
}

/// The next try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store::redis) struct Step {
    pub(in crate::store::redis) to: To,
    pub(in crate::store::redis) after: Duration,
}

/// The tries of one command.
#[derive(Debug)]
pub(in crate::store::redis) struct Tries {
    follow: Follow,
    /// Time after which no try starts but the repetition of a lost one.
    limit: Duration,
    made: u32,
    redirects: u32,
    pauses: usize,
    repeated: bool,
}

impl Came {
    /// Whether it is a reason to read the slot map again.
    pub(in crate::store::redis) fn outdates_the_map(self) -> bool {
        matches!(self, Self::Moved | Self::Down | Self::Unsent | Self::Lost { .. })
    }
}

impl Tries {
    /// After the first try.
    pub(in crate::store::redis) fn new(follow: Follow, limit: Duration) -> Self {
        Self { follow, limit, made: 1, redirects: 0, pauses: 0, repeated: false }
    }

    /// The next try, when the last one has ended `elapsed` after the start of the first; `None` if
    /// its error is the result.
    pub(in crate::store::redis) fn next(&mut self, came: Came, elapsed: Duration) -> Option<Step> {
        let step = match (came, self.follow) {
            (Came::Moved, _) => Step { to: To::Moved, after: self.redirect() },
            (Came::Ask, Follow::One) => Step { to: To::Asked, after: self.redirect() },
            (Came::Ask, Follow::Many) | (Came::Moving, _) => {
                Step { to: To::Owner, after: self.pause() }
            }
            (Came::Down | Came::Unsent, _) => Step { to: To::Owner, after: DOWN },
            (Came::Lost { repeatable: true }, _) if !self.repeated => {
                self.repeated = true;
                Step { to: To::Owner, after: Duration::ZERO }
            }
            (Came::Lost { .. } | Came::Failed, _) => return None,
        };
        let is_repetition = matches!(came, Came::Lost { .. });
        self.made += 1;
        let in_time = is_repetition || elapsed.saturating_add(step.after) < self.limit;
        (in_time && self.made <= TRIES).then_some(step)
    }

    /// Two nodes may each name the other for a moment.
    fn redirect(&mut self) -> Duration {
        self.redirects += 1;
        if self.redirects <= AT_ONCE { Duration::ZERO } else { self.pause() }
    }

    fn pause(&mut self) -> Duration {
        let pause = MOVING.get(self.pauses).or(MOVING.last()).copied().unwrap_or_default();
        self.pauses += 1;
        pause
    }
}

#[cfg(test)]
mod tests {
    use crate::store::redis::client::cluster::decision::*;

    const LIMIT: Duration = Duration::from_millis(500);
    const LOST: Came = Came::Lost { repeatable: true };

    /// The steps after each of `came`, at no time at all.
    fn steps(follow: Follow, came: &[Came]) -> Vec<Option<(To, u128)>> {
        let mut tries = Tries::new(follow, LIMIT);
        let next = |came: &Came| tries.next(*came, Duration::ZERO);
        came.iter()
            .map(next)
            .map(|step| step.map(|step| (step.to, step.after.as_millis())))
            .collect()
    }

    #[test]
    fn each_error_has_its_next_step() {
        use Came::{Ask, Down, Failed, Moved, Moving, Unsent};
        use Follow::{Many, One};
        let (owner, moved, asked) = (To::Owner, To::Moved, To::Asked);
        for (name, follow, came, expected) in [
            ("moved", One, vec![Moved], vec![Some((moved, 0))]),
            ("moved, many", Many, vec![Moved], vec![Some((moved, 0))]),
            ("asked", One, vec![Ask], vec![Some((asked, 0))]),
            (
                "asked, many: waits",
                Many,
                vec![Ask, Ask],
                vec![Some((owner, 20)), Some((owner, 40))],
            ),
            (
                "moving",
                Many,
                vec![Moving; 5],
                vec![
                    Some((owner, 20)),
                    Some((owner, 40)),
                    Some((owner, 80)),
                    Some((owner, 80)),
                    None,
                ],
            ),
            ("down", One, vec![Down], vec![Some((owner, 50))]),
            ("no connection", One, vec![Unsent; 2], vec![Some((owner, 50)); 2]),
            ("lost, safe to repeat: once", One, vec![LOST; 2], vec![Some((owner, 0)), None]),
            ("lost", Many, vec![Came::Lost { repeatable: false }], vec![None]),
            ("rejected", Many, vec![Failed], vec![None]),
            (
                "two that name each other",
                One,
                vec![Moved, Moved, Moved, Ask, Moved],
                vec![
                    Some((moved, 0)),
                    Some((moved, 0)),
                    Some((moved, 20)),
                    Some((asked, 40)),
                    None,
                ],
            ),
        ] {
            assert_eq!(steps(follow, &came), expected, "{name}");
        }
    }

    #[test]
    fn no_try_starts_beyond_the_limit_but_the_repetition_of_a_lost_one() {
        for (name, came, elapsed, expected) in [
            ("in time", Came::Moving, 479, true),
            ("too late after its pause", Came::Moving, 480, false),
            ("a redirect in time", Came::Moved, 499, true),
            ("too late", Came::Moved, 500, false),
            ("repeated", LOST, 5_000, true),
        ] {
            let mut tries = Tries::new(Follow::One, LIMIT);
            let step = tries.next(came, Duration::from_millis(elapsed));
            assert_eq!(step.is_some(), expected, "{name}");
        }
    }
}
