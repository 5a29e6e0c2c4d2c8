//! The state file: what was copied in which state, and how far. Lines are appended before the
//! target is written, so that whatever the target has from the source is listed, and confirmed
//! after it. A run that is killed leaves lines without a confirmation; the next run copies these
//! sessions first.
//!
//! It holds public ids, versions and times: no token, no user, no value.

use std::{
    collections::{HashMap, HashSet},
    fs::{File, OpenOptions},
    io::{self, BufRead as _, BufReader, Read, Write as _},
    path::{Path, PathBuf},
};

use crate::{
    cli::{
        exit::Failure,
        migrate::line::{Line, Written},
    },
    error::{ConfigError, Error, ErrorKind},
    session::token::SessionId,
    store::cursor::Cursor,
};

const MAGIC: &str = "tower-redis-session migration 1";
/// Lines before the first of a session.
const HEADER: usize = 3;
/// Attempts to lock the file.
#[cfg(any(target_os = "linux", target_os = "android"))]
const LOCK_TRIES: u32 = 20;
#[cfg(any(target_os = "linux", target_os = "android"))]
const LOCK_PAUSE: std::time::Duration = std::time::Duration::from_millis(50);

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
    /// Not accepted by the target, and not listed again since.
    pub(super) not_stored: HashSet<SessionId>,
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
            not_stored: HashSet::new(),
            target: None,
        };
        if dry_run {
            let _ = state.read(&header)?;
        } else {
            let mut file = OpenOptions::new().create(true).append(true).open(path)?;
            lock(&file, path)?;
            let length = state.read(&header)?;
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
        let (found, mut lines) = self.opened()?;
        if found != header && header.starts_with(&found) {
            // Killed before the header was written.
            return Ok(0);
        }
        if found != header {
            let text = "is the state of another migration: name another file with --state";
            return Err(ConfigError::new(self.path.display().to_string(), text).into());
        }
        for line in &mut lines {
            self.note(line?);
        }
        Ok(lines.length)
    }

    fn note(&mut self, line: Line) {
        match line {
            Line::Session(id, _) => {
                self.unconfirmed.push(id);
                let _ = self.not_stored.remove(&id);
                if self.begin == Begin::First {
                    // Until a position or an end says otherwise.
                    self.begin = Begin::Again;
                }
            }
            Line::Renewal(..) => {}
            Line::NotStored(id) => {
                let _ = self.not_stored.insert(id);
            }
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

    /// All lines so far. Without a file there are none.
    pub(super) fn lines(&self) -> Result<Lines, Failure> {
        Ok(self.opened()?.1)
    }

    /// The header, and the lines behind it.
    fn opened(&self) -> Result<(String, Lines), Failure> {
        let path = self.path.clone();
        let file: Box<dyn Read + Send> =
            if path.exists() { Box::new(File::open(&path)?) } else { Box::new(io::empty()) };
        let mut reader = BufReader::new(file);
        let mut header = String::new();
        for _ in 0..HEADER {
            let _ = reader.read_line(&mut header)?;
        }
        let length = header.len() as u64;
        Ok((header, Lines { reader, length, path }))
    }

    /// Completes what the file has of these sessions.
    pub(super) fn look_up(&self, ids: &mut HashMap<SessionId, Listed>) -> Result<(), Failure> {
        if ids.is_empty() {
            return Ok(());
        }
        for line in self.lines()? {
            match line? {
                Line::Session(id, written) => {
                    if let Some(listed) = ids.get_mut(&id) {
                        listed.is_listed = true;
                        listed.is_ours |= listed.target == Some(written);
                    }
                }
                Line::NotStored(id) => {
                    if let Some(listed) = ids.get_mut(&id) {
                        listed.is_listed = false;
                    }
                }
                _ => {}
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

/// One run at a time, until the file is closed; the wait is for a run that is being killed.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn lock(file: &File, path: &Path) -> Result<(), Failure> {
    use rustix::{
        fs::{FlockOperation, flock},
        io::Errno,
    };
    for _ in 0..LOCK_TRIES {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK | Errno::INTR) => std::thread::sleep(LOCK_PAUSE),
            // A file system without locks does not prevent a migration.
            _ => return Ok(()),
        }
    }
    let text = "another run uses the state file: run one at a time";
    Err(ConfigError::new(path.display().to_string(), text).into())
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn lock(_: &File, _: &Path) -> Result<(), Failure> {
    Ok(())
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
