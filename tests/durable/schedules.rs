//! The numbered schedules of the durable protocol, by the mechanism that each of them tries to
//! defeat.

/// 37 to 39: time that passes unseen, strict acknowledgements, rest.
mod clock_and_strict;
/// 40: what was shown as ended.
mod dead_stays_dead;
/// 10 to 12: Redis is told in a generation that counts, or not at all.
mod generation;
/// 23 to 29: what is late at Redis, and what the journal says of it.
mod late_command;
/// 1 to 4: a copy that comes too late is no copy.
mod late_fill;
/// 13 to 16: partitions, a database that is away, a Redis of the past.
mod partition;
/// 30 and 34 to 36: renewals, counts and activity.
mod renewal;
/// 31 to 33: all of a user's sessions end, and there are never too many.
mod revocation;
/// 17 to 22: another Redis, or the same with other data.
mod server_identity;
/// 5 to 9: the database has it, and nobody told Redis.
mod unpushed_commit;
