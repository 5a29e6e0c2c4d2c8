//! The lines of the state file.
//!
//! | line | meaning |
//! |---|---|
//! | `s ID VERSION ACTIVITY` | the session is written to the target at this version, with this last activity |
//! | `p OLD NEW` | so is the renewal of `OLD` to `NEW`, unfinished |
//! | `n ID` | the target did not accept the session: it is as if it had no line |
//! | `k` | all lines above are confirmed |
//! | `c row ID`, `c scan RUN CURSOR` | they are, and the first pass has come so far |
//! | `e` | they are, and a pass was completed |
//! | `t RUN` | the run of the target's Redis |

use std::str::FromStr;

use crate::{
    session::token::SessionId,
    store::{cursor::Cursor, maintenance::Stored},
};

/// The state of a session in the target: its version, and its last activity in milliseconds since
/// 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) version: u64,
    pub(super) activity: u64,
}

impl Written {
    pub(super) fn of(stored: &Stored) -> Self {
        let record = &stored.record;
        Self { version: record.version(), activity: record.last_activity().as_millis() }
    }
}

/// A line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    Session(SessionId, Written),
    Renewal(SessionId, SessionId),
    NotStored(SessionId),
    Confirmed,
    Position(Cursor, Option<String>),
    PassEnded,
    Target(String),
}

impl Line {
    pub(super) fn text(&self) -> String {
        match self {
            Self::Session(id, Written { version, activity }) => {
                format!("s {id} {version} {activity}\n")
            }
            Self::Renewal(old, new) => format!("p {old} {new}\n"),
            Self::NotStored(id) => format!("n {id}\n"),
            Self::Confirmed => "k\n".to_owned(),
            Self::Position(Cursor::Row(id), _) => format!("c row {id}\n"),
            Self::Position(Cursor::Scan(cursor), run) => {
                format!("c scan {} {cursor}\n", run.as_deref().unwrap_or("-"))
            }
            Self::PassEnded => "e\n".to_owned(),
            Self::Target(run) => format!("t {run}\n"),
        }
    }
}

impl FromStr for Line {
    type Err = ();

    fn from_str(line: &str) -> Result<Self, ()> {
        let id = |text: &str| text.parse::<SessionId>().map_err(|_| ());
        let number = |text: &str| text.parse::<u64>().map_err(|_| ());
        let words: Vec<&str> = line.split(' ').collect();
        Ok(match *words {
            ["s", session, version, activity] => {
                let written = Written { version: number(version)?, activity: number(activity)? };
                Self::Session(id(session)?, written)
            }
            ["p", old, new] => Self::Renewal(id(old)?, id(new)?),
            ["n", session] => Self::NotStored(id(session)?),
            ["k"] => Self::Confirmed,
            ["c", "row", row] => Self::Position(Cursor::Row(row.to_owned()), None),
            ["c", "scan", run, cursor] => {
                let run = Some(run).filter(|run| *run != "-").map(str::to_owned);
                Self::Position(Cursor::Scan(number(cursor)?), run)
            }
            ["e"] => Self::PassEnded,
            ["t", run] => Self::Target(run.to_owned()),
            _ => return Err(()),
        })
    }
}
