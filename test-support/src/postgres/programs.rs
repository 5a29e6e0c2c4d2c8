//! Where PostgreSQL's programs stand, and who may run them.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use super::super::child::{User, find_program};

/// PostgreSQL refuses to run as root: another user's numbers where we are root.
pub(super) fn owner() -> Option<User> {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let numbers = |user: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(user))?;
        let mut numbers = line.split(':').skip(2).map(|number| number.parse().ok());
        Some(User { user: numbers.next()??, group: numbers.next()?? })
    };
    Some(numbers("postgres").or_else(|| numbers("nobody")).expect("a user postgres or nobody"))
}

pub(super) fn program(name: &str) -> PathBuf {
    let found = folder_of_programs().map(|folder| folder.join(name));
    let found = found.filter(|program| program.is_file()).or_else(|| find_program(name.as_ref()));
    found.unwrap_or_else(|| {
        panic!(
            "{name} is not there, and this test needs it: install the Debian package postgresql, \
             or put PostgreSQL's programs into the PATH"
        )
    })
}

/// All of one version: the one in the PATH, or the newest of Debian, which puts only clients there.
fn folder_of_programs() -> Option<PathBuf> {
    if let Some(initdb) = find_program("initdb".as_ref()) {
        return Some(initdb.canonicalize().ok()?.parent()?.to_owned());
    }
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?.flatten();
    let version = |name: &OsStr| name.to_str()?.parse::<u32>().ok();
    versions
        .filter_map(|entry| Some((version(&entry.file_name())?, entry.path().join("bin"))))
        .filter(|(_, folder)| folder.join("initdb").is_file())
        .max()
        .map(|(_, folder)| folder)
}
