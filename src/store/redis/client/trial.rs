//! Trial: every command and every script once, for the start-up check. Pure.

use std::time::Duration;

use redis::Cmd;

use crate::{
    session::placement::{Tag, push_tag},
    store::redis::client::{
        connection::Connection,
        script::{Call, Script},
    },
};

/// Lifetime of a trial's keys, in milliseconds, in case they are not removed.
const LIFE: u32 = 10_000;
const DEADLINE: Duration = Duration::from_secs(2);
/// Head, then the length of a user's name and an empty one.
const RECORD: &str = "R0000000000000001\0\0................................................";
const HEAD: &str = "R0000000000000001";
const LEASE: &str = "L0123456789abcdef";

/// Characters of the ids of trials, before a digit and the tag.
const STEM_LEN: usize = 39;

/// Keys that are used for nothing else, all with the same hash tag.
pub(in crate::store::redis) struct Place {
    records: String,
    index: String,
    /// Start of all ids.
    stem: String,
    tag: String,
}

/// A script, and a call that returns 1, alone or in a pair, or one string.
pub(in crate::store::redis) struct Trial {
    pub(in crate::store::redis) script: &'static str,
    pub(in crate::store::redis) call: Call,
}

impl Place {
    /// Keys of a trial of that number behind the prefixes of records and of indexes.
    pub(in crate::store::redis) fn new(
        records: &str,
        indexes: &str,
        number: u128,
        tag: Tag,
    ) -> Self {
        let (stem, mut text) = (format!("check-{number:032x}-"), String::new());
        debug_assert_eq!(stem.len(), STEM_LEN, "a digit and a tag make an id of it");
        push_tag(tag, &mut text);
        Self {
            records: records.into(),
            index: format!("{indexes}{{{text}}}{stem}"),
            stem,
            tag: text,
        }
    }

    fn id(&self, number: u32) -> String {
        format!("{}{number}{}", self.stem, self.tag)
    }

    fn record(&self, number: u32) -> String {
        format!("{}{}{number}{{{}}}", self.records, self.stem, self.tag)
    }

    /// Removes the keys of trials.
    pub(in crate::store::redis) fn removal(&self) -> Cmd {
        let mut del = redis::cmd("DEL");
        let _ = del.arg(&self.index);
        for number in 0..6 {
            let _ = del.arg(self.record(number));
        }
        del
    }

    /// The commands that are sent, and those called inside of `scripts`.
    #[rustfmt::skip]
    pub(in crate::store::redis) fn commands(&self, scripts: &[Script]) -> Vec<(&'static str, Cmd)> {
        let mut commands = Vec::new();
        let mut add = |name, key: &str, arguments: &[&str]| {
            let mut command = redis::cmd(name);
            let _ = command.arg(key).arg(arguments);
            commands.push((name, command));
        };
        let (record, index, life) = (self.record(0), &self.index, LIFE.to_string());
        let purpose = Purpose::of(scripts);
        if purpose != Purpose::Entries {
            add("SET", &record, &["T", "NX", "PX", &life]);
            add("GET", &record, &[]);
            add("GETRANGE", &record, &["0", "0"]);
            add("SETRANGE", &record, &["0", "T"]);
            add("PEXPIRE", &record, &[&life]);
        }
        if purpose != Purpose::Copies {
            add("HSET", index, &["a", "1"]);
            add("PEXPIRE", index, &[&life]);
            add("PTTL", index, &[]);
            add("HGET", index, &["a"]);
        }
        if purpose == Purpose::Records {
            add("MGET", &record, &[]);
            add("HKEYS", index, &[]);
            add("HGETALL", index, &[]);
            add("HRANDFIELD", index, &["1"]);
        }
        if purpose != Purpose::Copies {
            add("HDEL", index, &["a"]);
        }
        add("DEL", &record, &[]);
        if purpose == Purpose::Copies {
            // For the script that turns a lease into a copy.
            add("SET", &self.record(5), &[LEASE, "NX", "PX", &life]);
        }
        commands
    }

    /// In sequence; each finds the keys that earlier ones have left.
    pub(in crate::store::redis) fn trials(
        &self,
        scripts: &[Script],
        connection: &Connection,
    ) -> Vec<Trial> {
        let deadline = connection.server_time_in(DEADLINE).to_string();
        match Purpose::of(scripts) {
            Purpose::Records => self.of_records(&deadline),
            Purpose::Copies => self.of_copies(),
            Purpose::Entries => self.of_entries(scripts),
        }
    }

    /// A lease, and the entry that replaces it.
    fn of_entries(&self, scripts: &[Script]) -> Vec<Trial> {
        let (life, keys) = (LIFE.to_string(), [self.index.as_str()]);
        let mut trials = vec![
            trial("entry_take", Script::EntryTake, &keys, &["e", LEASE, &life, "0"]),
            trial("entry_fill", Script::EntryFill, &keys, &["e", LEASE, "value", &life]),
        ];
        if scripts.iter().any(|script| matches!(script, Script::EntryRemove)) {
            trials.push(trial("entry_remove", Script::EntryRemove, &keys, &[&life, "r"]));
        }
        trials
    }

    /// The life of a session: created, touched, saved, moved, signed in, moved, listed, revoked.
    #[rustfmt::skip]
    fn of_records(&self, deadline: &str) -> Vec<Trial> {
        let (life, later) = (LIFE.to_string(), "~".repeat(16));
        let (index, records) = (&*self.index, &*self.records);
        let [one, two, three, four, five] = [1, 2, 3, 4, 5].map(|number| self.record(number));
        let [id_one, id_two, id_three, id_four] = [1, 2, 3, 4].map(|number| self.id(number));
        vec![
            trial("create", Script::Create, &[&one], &[RECORD, &life, deadline]),
            trial("touch", Script::Touch, &[&one], &[HEAD, &later, "24", &life]),
            trial("save", Script::Save, &[&one, index], &[HEAD, RECORD, &life, &id_one, "1",
                &life]),
            trial("renew", Script::Renew, &[&one, &two], &[HEAD, RECORD, &life, deadline, &life,
                &id_two]),
            trial("login", Script::Login, &[index, &three], &[RECORD, &life, deadline, &life, "",
                "", "5", records, &id_three, "", "3", &life, "0", "24", index, "17", "", ""]),
            trial("login", Script::Login, &[index, &four, &three], &[RECORD, &life, deadline,
                &life, HEAD, "", "", records, &id_four, &id_three, "4", &life, "0", "24", index,
                "17", "", ""]),
            trial("attempt", Script::Attempt, &[&five], &["begin", "8", "1", "0", "tag", "9", "9",
                "0", "1", "1", "1000", ""]),
            trial("heads", Script::Heads, &[index], &[records, "17", "", &id_four]),
            trial("revoke_all", Script::RevokeAll, &[index], &[records, &life, &life, "0", "",
                "24", ""]),
            trial("kill", Script::Kill, &[&two], &[&life, &id_two, "17", index, "", records, "8",
                "", ""]),
        ]
    }

    #[cfg(feature = "_database")]
    fn of_copies(&self) -> Vec<Trial> {
        let (life, later) = (LIFE.to_string(), "~".repeat(16));
        let five = self.record(5);
        vec![
            trial("fill", Script::Fill, &[&five], &[LEASE, RECORD, &life]),
            trial("copy_touch", Script::CopyTouch, &[&five], &[HEAD, &later, "24", &life, ""]),
            trial("put", Script::Put, &[&five], &["R0000000000000002", RECORD, &life]),
        ]
    }

    #[cfg(not(feature = "_database"))]
    fn of_copies(&self) -> Vec<Trial> {
        Vec::new()
    }
}

/// The use of Redis.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// Sessions, by Redis alone.
    Records,
    /// Copies of sessions that a database keeps.
    Copies,
    /// Entries of a directory.
    Entries,
}

impl Purpose {
    fn of(scripts: &[Script]) -> Self {
        match scripts.first() {
            Some(Script::EntryTake) => Self::Entries,
            Some(Script::Create) => Self::Records,
            _ => Self::Copies,
        }
    }
}

fn trial(script: &'static str, which: Script, keys: &[&str], arguments: &[&str]) -> Trial {
    let mut call = which.call(keys);
    for argument in arguments {
        let _ = call.arg(*argument);
    }
    Trial { script, call }
}
