-- Failed attempts to sign in, in a fixed number of buckets, each of a bounded number of rows. A tag is
-- a hash of an account, a network, or both. Times are by SQLite's clock.
CREATE TABLE trs_attempts (
    bucket INTEGER NOT NULL,
    tag BLOB NOT NULL,
    failures INTEGER NOT NULL,
    -- From when they recover, one after the other.
    since INTEGER NOT NULL,
    -- From when the next attempt is admitted.
    opens INTEGER NOT NULL,
    ends INTEGER NOT NULL,
    PRIMARY KEY (bucket, tag)
) STRICT, WITHOUT ROWID;

CREATE INDEX trs_attempts_ends ON trs_attempts (ends);
