//! The state file: what was copied in which state, and how far. Lines are appended before the
//! target is written, so that whatever the target has from the source is listed, and confirmed
//! after it. A run that is killed leaves lines without a confirmation; the next run copies these
//! sessions first.
//!
//! It holds public ids, versions and times: no token, no user, no value.
//!
//! | line | meaning |
//! |---|---|
//! | `s ID VERSION ACTIVITY` | the session is written to the target at this version, with this last activity |
//! | `p OLD NEW` | so is the renewal of `OLD` to `NEW`, unfinished |
//! | `k` | all lines above are confirmed |
//! | `c row ID`, `c scan RUN CURSOR` | they are, and the first pass has come so far |
//! | `e` | they are, and a pass was completed |
//! | `t RUN` | the run of the target's Redis |

use std::{
    collections::HashMap,
    fs::{File, OpenOptions},
    io::{self, BufRead as _, BufReader, Read, Write as _},
    path::{Path, PathBuf},
    str::FromStr,
};

use crate::{
    cli::exit::Failure,
    error::{ConfigError, Error, ErrorKind},
    session::token::SessionId,
    store::maintenance::{Cursor, Stored},
};

const MAGIC: &str = "tower-redis-session migration 1";
/// Lines before the first of a session.
const HEADER: usize = 3;

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
    Confirmed,
    Position(Cursor, Option<String>),
    PassEnded,
    Target(String),
}

/// How the next pass begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Begin {
    /// Nothing was copied so far.
    First,
    /// The first pass was interrupted here, in this run of the server.
    At(Cursor, Option<String>),
    /// What the target lacks may have ended there.
    Again,
}

/// What the file has of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    /// The state in the target; `None` if it is absent there.
    pub(super) target: Option<Written>,
    pub(super) is_listed: bool,
    /// Whether that state is of this migration.
    pub(super) is_ours: bool,
}

pub(super) struct StateFile {
    path: PathBuf,
    /// `None` in a dry run.
    file: Option<File>,
    pub(super) begin: Begin,
    /// Listed by a run that was killed before it confirmed them.
    pub(super) unconfirmed: Vec<SessionId>,
    /// The run of the target's Redis that has what was copied.
    pub(super) target: Option<String>,
}

impl StateFile {
    /// Opens the state of the migration between these two places, or begins one.
    pub(super) fn open(path: &Path, [from, to]: [&str; 2], dry_run: bool) -> Result<Self, Failure> {
        let header = format!("{MAGIC}\nfrom {from}\nto {to}\n");
        let mut state = Self {
            path: path.to_owned(),
            file: None,
            begin: Begin::First,
            unconfirmed: Vec::new(),
            target: None,
        };
        let length = if path.exists() { state.read(&header)? } else { 0 };
        if !dry_run {
            let options = OpenOptions::new().create(true).append(true).clone();
            let mut file = options.open(path)?;
            // Without half a line at its end.
            file.set_len(length)?;
            if length == 0 {
                file.write_all(header.as_bytes())?;
            }
            state.file = Some(file);
        }
        Ok(state)
    }

    /// Reads what there is; returns its length up to the last whole line.
    fn read(&mut self, header: &str) -> Result<u64, Failure> {
        let file: Box<dyn Read + Send> = Box::new(File::open(&self.path)?);
        let mut reader = BufReader::new(file);
        let mut found = String::new();
        for _ in 0..HEADER {
            let _ = reader.read_line(&mut found)?;
        }
        if found != header && header.starts_with(&found) {
            // Killed before the header was written.
            return Ok(0);
        }
        if found != header {
            let text = "is the state of another migration: name another file with --state";
            return Err(ConfigError::new(self.path.display().to_string(), text).into());
        }
        let mut lines = Lines { reader, length: found.len() as u64, path: self.path.clone() };
        for line in &mut lines {
            match line? {
                Line::Session(id, _) => {
                    self.unconfirmed.push(id);
                    if self.begin == Begin::First {
                        // Until a position or an end says otherwise.
                        self.begin = Begin::Again;
                    }
                }
                Line::Renewal(..) => {}
                Line::Target(run) => self.target = Some(run),
                Line::Confirmed => self.unconfirmed.clear(),
                Line::Position(cursor, run) => {
                    self.unconfirmed.clear();
                    self.begin = Begin::At(cursor, run);
                }
                Line::PassEnded => {
                    self.unconfirmed.clear();
                    self.begin = Begin::Again;
                }
            }
        }
        Ok(lines.length)
    }

    /// All lines so far. Without a file there are none.
    pub(super) fn lines(&self) -> Result<Lines, Failure> {
        let path = self.path.clone();
        let file: Box<dyn Read + Send> =
            if path.exists() { Box::new(File::open(&path)?) } else { Box::new(io::empty()) };
        let mut reader = BufReader::new(file);
        let mut header = String::new();
        for _ in 0..HEADER {
            let _ = reader.read_line(&mut header)?;
        }
        Ok(Lines { reader, length: header.len() as u64, path })
    }

    /// Completes what the file has of these sessions.
    pub(super) fn look_up(&self, mut ids: HashMap<SessionId, &mut Listed>) -> Result<(), Failure> {
        if ids.is_empty() {
            return Ok(());
        }
        for line in self.lines()? {
            if let Line::Session(id, written) = line?
                && let Some(listed) = ids.get_mut(&id)
            {
                listed.is_listed = true;
                listed.is_ours |= listed.target == Some(written);
            }
        }
        Ok(())
    }

    /// Appends lines, at once and to the disk.
    pub(super) fn append(&mut self, lines: &[Line]) -> Result<(), Failure> {
        let Some(file) = self.file.as_mut().filter(|_| !lines.is_empty()) else { return Ok(()) };
        let text: String = lines.iter().map(Line::text).collect();
        file.write_all(text.as_bytes())?;
        Ok(file.sync_data()?)
    }

    /// The lines so far are in the target. To the disk with the next lines: an older position is
    /// no harm.
    pub(super) fn confirm(&mut self, line: &Line) -> Result<(), Failure> {
        let Some(file) = self.file.as_mut() else { return Ok(()) };
        Ok(file.write_all(line.text().as_bytes())?)
    }
}

/// Reads lines up to the last whole one.
pub(super) struct Lines {
    reader: BufReader<Box<dyn Read + Send>>,
    length: u64,
    path: PathBuf,
}

impl Iterator for Lines {
    type Item = Result<Line, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut line = String::new();
        match self.reader.read_line(&mut line) {
            Ok(0) => None,
            // Half a line: the run was killed while it wrote it.
            Ok(_) if !line.ends_with('\n') => None,
            Ok(length) => {
                self.length += length as u64;
                let name = self.path.display();
                let corrupt = || {
                    let text = format!("{name} has a line that cannot be read");
                    Failure::from(Error::new(ErrorKind::Corrupt, text))
                };
                Some(line.trim_end().parse().map_err(|()| corrupt()))
            }
            Err(error) => Some(Err(error.into())),
        }
    }
}

impl Line {
    fn text(&self) -> String {
        match self {
            Self::Session(id, Written { version, activity }) => {
                format!("s {id} {version} {activity}\n")
            }
            Self::Renewal(old, new) => format!("p {old} {new}\n"),
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
