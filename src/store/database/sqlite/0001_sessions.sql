CREATE TABLE trs_sessions (
    id TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    alive INTEGER NOT NULL,
    -- The first write, or the last login.
    created INTEGER NOT NULL,
    last_activity INTEGER NOT NULL,
    idle_deadline INTEGER NOT NULL,
    -- The end of the session, of a dead one the time of its death: by SQLite's clock, since rows are
    -- removed by it, and no instance's clock is to be relied on for that.
    ends INTEGER NOT NULL,
    -- Whom this one still has to end, and the version that it was made of.
    replaces TEXT,
    replaces_version INTEGER,
    user_id TEXT,
    -- Where the session of a dead row lives on, and since when by the clock of who moved it.
    moved_to TEXT,
    moved_at INTEGER,
    -- Of a dead one empty, but for one that has moved of late: what it held is nobody's any more.
    body BLOB NOT NULL
) STRICT;

CREATE INDEX trs_sessions_ends ON trs_sessions (ends);
-- What a session was before it moved is emptied soon after.
CREATE INDEX trs_sessions_moved ON trs_sessions (ends) WHERE moved_to IS NOT NULL AND body <> x'';
CREATE INDEX trs_sessions_user_id ON trs_sessions (user_id, created)
    WHERE user_id IS NOT NULL AND alive;

CREATE TABLE trs_users (
    user_id TEXT PRIMARY KEY,
    -- A later one each time that all sessions of the user are revoked, by SQLite's clock. One that is
    -- older than any sign-in under way can be removed.
    epoch INTEGER NOT NULL
) STRICT;

CREATE INDEX trs_users_epoch ON trs_users (epoch);

-- Writes that Redis may not know of yet.
CREATE TABLE trs_journal (
    id TEXT PRIMARY KEY,
    version INTEGER NOT NULL
) STRICT;

-- One row: which keys in Redis count, and of which life of which Redis.
CREATE TABLE trs_cache (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    seq INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    incarnation TEXT NOT NULL
) STRICT;

INSERT INTO trs_cache (one, seq, generation, incarnation) VALUES (1, 0, random(), '');

-- Room for those who leave while the disk is full: given up then, and taken again with a purge.
CREATE TABLE trs_reserve (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    room BLOB NOT NULL
) STRICT;

INSERT INTO trs_reserve (one, room) VALUES (1, zeroblob(131072));
