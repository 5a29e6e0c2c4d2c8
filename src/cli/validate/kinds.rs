//! The kinds of findings: their names, what they mean, and what is to be done.

use crate::store::audit::Kind;

impl Kind {
    /// In text and JSON. Stable.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::ServerUnavailable => "server_unavailable",
            Self::ServerUnusable => "server_unusable",
            Self::Warning => "warning",
            Self::ClockDiffers => "clock_differs",
            Self::CopiesOfAnotherRedis => "copies_of_another_redis",
            Self::FunctionFailed => "function_failed",
            Self::FallbackFailed => "fallback_failed",
            Self::LeftBehind => "left_behind",
            Self::KeyWithoutTtl => "key_without_ttl",
            Self::Unreadable => "unreadable",
            Self::NotInIndex => "not_in_index",
            Self::IndexEntryOrphaned => "index_entry_orphaned",
            Self::IndexEntryOfAnotherUser => "index_entry_of_another_user",
            Self::IndexEntryDiffers => "index_entry_differs",
            Self::EndedSessionInIndex => "ended_session_in_index",
            Self::EndedRecordKept => "ended_record_kept",
            Self::CopyOlder => "copy_older",
            Self::CopyNewer => "copy_newer",
            Self::CopyDiffers => "copy_differs",
            Self::CopyOfEndedSession => "copy_of_ended_session",
            Self::JournalPending => "journal_pending",
            Self::RowsNotPurged => "rows_not_purged",
        }
    }

    /// What was found, and what is to be done.
    #[rustfmt::skip]
    pub(super) const fn explained(self) -> (&'static str, &'static str) {
        match self {
            Self::ServerUnavailable | Self::ServerUnusable | Self::Warning | Self::ClockDiffers
            | Self::CopiesOfAnotherRedis | Self::FunctionFailed | Self::FallbackFailed
            | Self::LeftBehind => self.of_servers(),
            Self::CopyOlder | Self::CopyNewer | Self::CopyDiffers | Self::CopyOfEndedSession
            | Self::JournalPending => self.of_copies(),
            _ => self.of_records(),
        }
    }

    const fn of_servers(self) -> (&'static str, &'static str) {
        match self {
            Self::ServerUnavailable => {
                ("a server did not reply", "start it, or correct its address, and repeat")
            }
            Self::ServerUnusable => (
                "a server cannot be used: wrong password, missing right, missing tables",
                "correct what it names; rights are in SECURITY.md, tables in schema --apply",
            ),
            Self::Warning => ("the service logs this warning", "correct what it names"),
            Self::ClockDiffers => (
                "a clock differs by more than 2 s",
                "synchronize the clocks (timedatectl, chrony); run-book, Clocks",
            ),
            Self::CopiesOfAnotherRedis => (
                "the copies belong to another redis than the variables name",
                "run the command with the variables of the service",
            ),
            Self::FunctionFailed => (
                "a function of the store has another result than it should",
                "if a server did not reply in time repeat; else compare the versions of all parts",
            ),
            Self::FallbackFailed => (
                "sessions were not served as they should be without redis, or after it",
                "see the log of the service and status; run-book, Failures",
            ),
            _ => (
                "sessions of the command itself could not be deleted",
                "they expire within minutes; repeat the command when the server replies",
            ),
        }
    }

    const fn of_copies(self) -> (&'static str, &'static str) {
        match self {
            Self::JournalPending => (
                "a change in the database that redis has not confirmed, for seconds",
                "start an instance of the service, or make room in redis; run-book, Failures",
            ),
            Self::CopyOfEndedSession => (
                "a copy in redis of a session that has ended",
                "invalidate all copies by hand, see the run-book; find who writes to either store",
            ),
            _ => (
                "a copy in redis is not the session that the database has",
                "invalidate all copies by hand, see the run-book; find who writes to either store",
            ),
        }
    }

    const fn of_records(self) -> (&'static str, &'static str) {
        match self {
            Self::KeyWithoutTtl => (
                "a key that never expires",
                "EXPIRE it, or delete it; find who called PERSIST, SET or RESTORE",
            ),
            Self::Unreadable => (
                "a value that cannot be decoded",
                "end the session: sessions revoke ID; find who else writes under this prefix",
            ),
            Self::NotInIndex => (
                "a session that its user's list does not have: a revocation of all would miss it",
                "end the session: sessions revoke ID; use noeviction, an index may be evicted",
            ),
            Self::IndexEntryOrphaned => (
                "a listed session that is gone and cannot have expired: users were signed out",
                "use noeviction; look for a failover, a restore or deleted keys",
            ),
            Self::IndexEntryOfAnotherUser => (
                "a session in the list of a user who is not its own",
                "end the session: sessions revoke ID; find who else writes to the store",
            ),
            Self::IndexEntryDiffers => (
                "the list has another time of sign-in than the session",
                "end the session: sessions revoke ID",
            ),
            Self::EndedSessionInIndex => (
                "a session that has ended is still listed as alive",
                "end it again: sessions revoke ID; find who else writes to the store",
            ),
            Self::EndedRecordKept => (
                "what a session held is still stored after its end",
                "delete the row once it has ended for 15 minutes: purge",
            ),
            _ => (
                "rows that ended long ago are still stored although the service writes",
                "purge; grant DELETE to the service, and see its log",
            ),
        }
    }
}
