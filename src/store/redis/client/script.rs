//! Lua scripts: one per file, and a part that two of them share; called by SHA-1.

use std::sync::LazyLock;

use redis::{Arg, Cmd, ToRedisArgs};

/// A fixed, small set; data of a request never becomes script text.
#[derive(Clone, Copy, Debug)]
pub(in crate::store::redis) enum Script {
    Create,
    Save,
    Renew,
    Login,
    RevokeAll,
    Heads,
    Kill,
    Touch,
    Attempt,
    Leave,
    Unmark,
    TakeOver,
    Enter,
    EntryTake,
    EntryFill,
    EntryRemove,
    #[cfg(feature = "_database")]
    Put,
    #[cfg(feature = "_database")]
    Fill,
    #[cfg(feature = "_database")]
    CopyTouch,
}

/// The scripts for records kept by Redis alone.
pub(in crate::store::redis) const RECORDS: &[Script] = &[
    Script::Create,
    Script::Save,
    Script::Renew,
    Script::Login,
    Script::RevokeAll,
    Script::Heads,
    Script::Kill,
    Script::Touch,
    Script::Attempt,
];
/// The same on the nodes of a cluster.
pub(in crate::store::redis) const CLUSTERED: &[Script] = &[
    Script::Create,
    Script::Save,
    Script::Renew,
    Script::Login,
    Script::RevokeAll,
    Script::Heads,
    Script::Kill,
    Script::Touch,
    Script::Attempt,
    Script::Leave,
    Script::Unmark,
    Script::TakeOver,
    Script::Enter,
];
/// The scripts for directory entries.
pub(in crate::store::redis) const ENTRIES: &[Script] = &[Script::EntryTake, Script::EntryFill];
/// The same on the nodes of a cluster.
pub(in crate::store::redis) const CLUSTERED_ENTRIES: &[Script] =
    &[Script::EntryTake, Script::EntryFill, Script::EntryRemove];
/// The scripts for copies of database records.
#[cfg(feature = "_database")]
pub(in crate::store::redis) const COPIES: &[Script] =
    &[Script::Put, Script::Fill, Script::CopyTouch];

/// A call of a script by its hash, and the script itself in case the server does not have it.
#[derive(Clone, Debug)]
pub(in crate::store::redis) struct Call {
    pub(in crate::store::redis) script: Script,
    pub(in crate::store::redis) command: Cmd,
}

impl Script {
    pub(in crate::store::redis) fn call(self, keys: &[&str]) -> Call {
        let mut command = redis::cmd("EVALSHA");
        let _ = command.arg(&self.source().hash).arg(keys.len()).arg(keys);
        Call { script: self, command }
    }

    /// The `SCRIPT LOAD` of the script.
    pub(in crate::store::redis) fn load(self) -> Cmd {
        let mut command = redis::cmd("SCRIPT");
        let _ = command.arg("LOAD").arg(self.source().text);
        command
    }

    fn source(self) -> &'static Source {
        macro_rules! source {
            ($($file:literal),+) => {{
                static SOURCE: LazyLock<Source> = LazyLock::new(|| {
                    Source::new(concat!($(include_str!(concat!("../lua/", $file))),+))
                });
                &SOURCE
            }};
        }
        match self {
            Self::Create => source!("create.lua"),
            Self::Save => source!("save.lua"),
            Self::Renew => source!("renew.lua"),
            Self::Login => {
                source!("shared/keys.lua", "shared/index.lua", "shared/records.lua", "login.lua")
            }
            Self::RevokeAll => source!("shared/keys.lua", "shared/records.lua", "revoke_all.lua"),
            Self::Heads => source!("shared/keys.lua", "heads.lua"),
            Self::Kill => source!("shared/keys.lua", "shared/index.lua", "kill.lua"),
            Self::Touch => source!("touch.lua"),
            Self::Attempt => source!("attempt.lua"),
            Self::Leave => source!("shared/keys.lua", "shared/index.lua", "leave.lua"),
            Self::Unmark => source!("unmark.lua"),
            Self::TakeOver => source!("take_over.lua"),
            Self::Enter => source!("shared/keys.lua", "enter.lua"),
            Self::EntryTake => source!("entry_take.lua"),
            Self::EntryFill => source!("entry_fill.lua"),
            Self::EntryRemove => source!("shared/keys.lua", "entry_remove.lua"),
            #[cfg(feature = "_database")]
            Self::Put => source!("put.lua"),
            #[cfg(feature = "_database")]
            Self::Fill => source!("fill.lua"),
            #[cfg(feature = "_database")]
            Self::CopyTouch => source!("copy_touch.lua"),
        }
    }
}

struct Source {
    text: &'static str,
    hash: String,
}

impl Source {
    fn new(text: &'static str) -> Self {
        Self { text, hash: redis::Script::new(text).get_hash().to_owned() }
    }
}

impl Call {
    /// The same with the script's text, for a server without calls by hash.
    pub(in crate::store::redis) fn whole(&self) -> Cmd {
        let mut command = redis::cmd("EVAL");
        let _ = command.arg(self.script.source().text);
        for argument in self.command.args_iter().skip(2) {
            if let Arg::Simple(argument) = argument {
                let _ = command.arg(argument);
            }
        }
        command
    }

    pub(in crate::store::redis) fn arg(&mut self, argument: impl ToRedisArgs) -> &mut Self {
        let _ = self.command.arg(argument);
        self
    }
}
