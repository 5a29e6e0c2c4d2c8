CREATE TABLE trs_sessions (
    id text COLLATE "C" PRIMARY KEY,
    version bigint NOT NULL,
    alive boolean NOT NULL,
    -- The first write, or the last login.
    created bigint NOT NULL,
    last_activity bigint NOT NULL,
    idle_deadline bigint NOT NULL,
    -- The end of the session, of a dead one the time of its death: by the clock of this server, since
    -- rows are removed by it, and no instance's clock is to be relied on for that.
    ends bigint NOT NULL,
    -- Whom this one still has to end, and the version that it was made of.
    replaces text COLLATE "C",
    replaces_version bigint,
    user_id text,
    -- Where the session of a dead row lives on, and since when by the clock of who moved it.
    moved_to text COLLATE "C",
    moved_at bigint,
    -- Of a dead one empty, but for one that has moved of late: what it held is nobody's any more.
    body bytea NOT NULL
);

CREATE INDEX trs_sessions_ends ON trs_sessions (ends);
-- What a session was before it moved is emptied soon after.
CREATE INDEX trs_sessions_moved ON trs_sessions (ends) WHERE moved_to IS NOT NULL AND body <> '';
CREATE INDEX trs_sessions_user_id ON trs_sessions (user_id, created)
    WHERE user_id IS NOT NULL AND alive;

-- Whoever makes a session of a user, or ends all of them, holds the user's row meanwhile.
CREATE TABLE trs_users (
    user_id text COLLATE "C" PRIMARY KEY,
    -- A later one each time that all sessions of the user are revoked, by the clock of this server.
    -- A row without one, or with one that is older than any sign-in under way, can be removed.
    epoch bigint NOT NULL
);

CREATE INDEX trs_users_epoch ON trs_users (epoch);

-- Writes that Redis may not know of yet.
CREATE TABLE trs_journal (
    id text COLLATE "C" PRIMARY KEY,
    version bigint NOT NULL
);

-- One row: which keys in Redis count, and of which life of which Redis.
CREATE TABLE trs_cache (
    one integer PRIMARY KEY CHECK (one = 1),
    seq bigint NOT NULL,
    generation bigint NOT NULL,
    incarnation text NOT NULL
);

-- Room for those who leave while the disk is full: given up then, and taken again with a purge. Neither
-- an index nor values out of line: to truncate either takes a page first.
CREATE TABLE trs_reserve (
    room name NOT NULL
);

-- Takes the room, 128 KiB, if nobody has it.
CREATE FUNCTION trs_reserve_1()
RETURNS void
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM trs_reserve) THEN
        LOCK TABLE trs_reserve IN EXCLUSIVE MODE;
        INSERT INTO trs_reserve (room)
        SELECT '' FROM generate_series(1, 1400) WHERE NOT EXISTS (SELECT FROM trs_reserve);
    END IF;
END;
$$;

SELECT trs_reserve_1();

-- Gives it up. Only the owner of a table may truncate it.
CREATE FUNCTION trs_make_room_1()
RETURNS void
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
BEGIN
    TRUNCATE trs_reserve;
END;
$$;

-- 64 bits of two random UUIDs; no extension is needed for it.
INSERT INTO trs_cache (one, seq, generation, incarnation)
VALUES (1, 0, ('x' || md5(gen_random_uuid()::text || gen_random_uuid()::text))::bit(64)::bigint, '');

-- Whether the content of a record is sealed: it opens under its own id alone. The record's bytes are
-- 69 fixed ones, four texts with their lengths, and then the form.
CREATE FUNCTION trs_sealed_1(p_body bytea)
RETURNS boolean
LANGUAGE plpgsql
IMMUTABLE
AS $$
DECLARE
    v_at integer := 69;
    v_len integer;
BEGIN
    FOR i IN 1 .. 4 LOOP
        IF length(p_body) < v_at + 3 THEN
            RETURN false;
        END IF;
        v_len := get_byte(p_body, v_at) * 256 + get_byte(p_body, v_at + 1);
        v_at := v_at + 2 + CASE v_len WHEN 65535 THEN 0 ELSE v_len END;
    END LOOP;
    RETURN length(p_body) > v_at AND get_byte(p_body, v_at) = 1;
END;
$$;

-- Kills a session, at one version or at any, and whom it still had to end; as moved, if it lives on
-- under another id. A row for each; for one that was dead already without a version.
CREATE FUNCTION trs_kill_1(
    p_id text, p_expected bigint, p_now bigint, p_journal boolean,
    p_moved_to text DEFAULT NULL, p_moved_at bigint DEFAULT NULL
)
RETURNS TABLE (r_id text, r_version bigint)
LANGUAGE plpgsql
AS $$
DECLARE
    v_replaces text;
BEGIN
    UPDATE trs_sessions
    SET alive = false, version = version + 1, ends = p_now, moved_to = p_moved_to,
        moved_at = p_moved_at, body = CASE WHEN p_moved_to IS NULL THEN '' ELSE body END
    WHERE id = p_id AND alive AND (p_expected IS NULL OR version = p_expected)
    RETURNING id, version, replaces INTO r_id, r_version, v_replaces;
    IF r_id IS NULL THEN
        RETURN;
    END IF;
    IF p_journal THEN
        INSERT INTO trs_journal AS j (id, version) VALUES (r_id, r_version)
        ON CONFLICT (id) DO UPDATE SET version = greatest(j.version, excluded.version);
    END IF;
    RETURN NEXT;
    IF v_replaces IS NOT NULL THEN
        r_id := v_replaces;
        UPDATE trs_sessions SET alive = false, version = version + 1, ends = p_now, body = ''
        WHERE id = v_replaces AND alive RETURNING version INTO r_version;
        IF r_version IS NOT NULL AND p_journal THEN
            INSERT INTO trs_journal AS j (id, version) VALUES (r_id, r_version)
            ON CONFLICT (id) DO UPDATE SET version = greatest(j.version, excluded.version);
        END IF;
        RETURN NEXT;
    END IF;
END;
$$;

-- Sessions of a user beyond the latest ones, without one and without those that another takes over
-- from: what is over by its time first, as late as activity may be here, then who signed in the
-- longest ago.
CREATE FUNCTION trs_beyond_1(p_user text, p_without text[], p_kept bigint, p_now bigint)
RETURNS SETOF text
LANGUAGE sql
STABLE
AS $$
    SELECT s.id FROM trs_sessions s
    WHERE s.user_id = p_user AND s.alive AND NOT (s.id = ANY (p_without))
        AND NOT EXISTS (
            SELECT 1 FROM trs_sessions heir
            WHERE heir.user_id = p_user AND heir.alive AND heir.replaces = s.id
        )
    ORDER BY s.ends + least((s.idle_deadline - s.last_activity) / 20, 300000) > p_now DESC,
        s.created DESC, s.id
    OFFSET p_kept
$$;

-- Executes a batch of writes in their order, commits, and reads the cache row after that: all in
-- one round trip. Has to be called outside of a transaction.
--
-- Writes: 0 create, 1 save, 2 delete, 4 begin, 5 finish, 6 touch, 7 revoke all of a user,
-- 8 abandon.
-- Outcomes: 0 done, 1 conflict, 2 gone, 3 taken, 4 revoked.
CREATE PROCEDURE trs_write_1(
    p_writes smallint[],
    p_ids text[],
    p_others text[],
    p_expected bigint[],
    p_versions bigint[],
    p_created bigint[],
    p_activities bigint[],
    p_deadlines bigint[],
    p_ends bigint[],
    p_users text[],
    p_epochs bigint[],
    p_limits bigint[],
    p_bodies bytea[],
    p_cleared text[],
    p_cleared_versions bigint[],
    p_journal boolean,
    p_now bigint,
    p_lock_timeout text,
    INOUT r_outcomes smallint[],
    INOUT r_versions bigint[],
    INOUT r_activities bigint[],
    INOUT r_deadlines bigint[],
    INOUT r_bodies bytea[],
    -- Who ended beside the session of the write with that number, counted from 1.
    INOUT r_ended text[],
    INOUT r_ended_versions bigint[],
    INOUT r_ended_by integer[],
    INOUT r_seq bigint,
    INOUT r_generation bigint,
    INOUT r_incarnation text
)
LANGUAGE plpgsql
AS $$
DECLARE
    v_count integer := cardinality(p_writes);
    v_now bigint := extract(epoch FROM clock_timestamp()) * 1000;
    -- By how much this server's clock is ahead of the instance's.
    v_ahead bigint := v_now - p_now;
    v_users text[];
    v_locked bigint;
    v_crowded text[];
    v_ours text[];
    v_write smallint;
    v_id text;
    v_outcome smallint;
    v_version bigint;
    v_found record;
    v_from text;
    v_to text;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        COMMIT;
        SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    END IF;
    -- What is acknowledged has to be on the disk, whatever the server is content with otherwise.
    IF current_setting('synchronous_commit') = 'off' THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;
    -- For this transaction only, so that nothing is left behind in a connection that is shared.
    PERFORM set_config('lock_timeout', p_lock_timeout, true);

    r_outcomes := array_fill(NULL::smallint, ARRAY[v_count]);
    r_versions := array_fill(NULL::bigint, ARRAY[v_count]);
    r_activities := array_fill(NULL::bigint, ARRAY[v_count]);
    r_deadlines := array_fill(NULL::bigint, ARRAY[v_count]);
    r_bodies := array_fill(NULL::bytea, ARRAY[v_count]);
    r_ended := '{}';
    r_ended_versions := '{}';
    r_ended_by := '{}';

    -- All locks first and in one order, so that no two batches wait for each other: of users who
    -- get a session or lose all, then of sessions.
    SELECT array_agg(DISTINCT w.who COLLATE "C" ORDER BY w.who COLLATE "C"),
        array_agg(w.who) FILTER (WHERE w.what = 7 OR w.bound IS NOT NULL)
    INTO v_users, v_crowded
    FROM unnest(p_writes, p_users, p_limits) AS w (what, who, bound)
    WHERE w.what IN (0, 3, 4, 7) AND w.who IS NOT NULL;
    IF v_users IS NOT NULL THEN
        -- A row that was removed between the two statements is made again.
        LOOP
            INSERT INTO trs_users (user_id, epoch) SELECT unnest(v_users), 0
            ON CONFLICT (user_id) DO NOTHING;
            PERFORM 1 FROM trs_users WHERE user_id = ANY (v_users) ORDER BY user_id FOR UPDATE;
            GET DIAGNOSTICS v_locked = ROW_COUNT;
            EXIT WHEN v_locked = cardinality(v_users);
        END LOOP;
    END IF;
    IF v_count > 1 OR p_others[1] IS NOT NULL OR v_crowded IS NOT NULL OR p_writes[1] = 2 THEN
        -- Whoever is killed takes along whom it replaces, and what it has become.
        WITH RECURSIVE heirs (id, hops) AS (
            SELECT moved_to, 1 FROM trs_sessions
            WHERE id = ANY (p_ids) AND NOT alive AND moved_to IS NOT NULL
            UNION ALL
            SELECT s.moved_to, h.hops + 1 FROM trs_sessions s JOIN heirs h ON s.id = h.id
            WHERE NOT s.alive AND s.moved_to IS NOT NULL AND h.hops < 8
        ), ours AS (
            SELECT id, replaces FROM trs_sessions WHERE id = ANY (p_ids || p_others)
            UNION ALL
            SELECT id, replaces FROM trs_sessions WHERE user_id = ANY (v_crowded) AND alive
            UNION ALL
            SELECT id, replaces FROM trs_sessions WHERE id IN (SELECT id FROM heirs)
        )
        SELECT array_agg(id) || array_agg(replaces) FILTER (WHERE replaces IS NOT NULL)
        INTO v_ours FROM ours;
        PERFORM 1 FROM trs_sessions WHERE id = ANY (v_ours) ORDER BY id FOR UPDATE;
    END IF;

    FOR i IN 1 .. v_count LOOP
        v_write := p_writes[i];
        v_id := p_ids[i];
        v_outcome := 0;
        v_version := p_versions[i];

        IF v_write IN (0, 4) AND p_epochs[i] IS NOT NULL THEN
            PERFORM 1 FROM trs_users WHERE user_id = p_users[i] AND epoch <= p_epochs[i];
            IF NOT FOUND THEN
                v_outcome := 4;
            END IF;
        END IF;

        IF v_write = 4 AND v_outcome = 0 THEN
            PERFORM 1 FROM trs_sessions
            WHERE id = v_id AND alive AND version = p_expected[i] FOR UPDATE;
            IF NOT FOUND THEN
                v_outcome := 2;
            END IF;
        END IF;

        IF v_write IN (0, 4) AND v_outcome = 0 THEN
            INSERT INTO trs_sessions
                (id, version, alive, created, last_activity, idle_deadline, ends, replaces,
                 replaces_version, user_id, body)
            VALUES (
                CASE v_write WHEN 0 THEN v_id ELSE p_others[i] END,
                v_version, true, p_created[i], p_activities[i], p_deadlines[i],
                p_ends[i] + v_ahead,
                CASE v_write WHEN 4 THEN v_id END,
                CASE v_write WHEN 4 THEN p_expected[i] END, p_users[i], p_bodies[i]
            )
            ON CONFLICT (id) DO NOTHING;
            IF NOT FOUND THEN
                v_outcome := 3;
            ELSIF p_limits[i] IS NOT NULL THEN
                FOR v_found IN
                    SELECT k.r_id, k.r_version
                    FROM trs_beyond_1(
                        p_users[i], array_remove(ARRAY[v_id, p_others[i]], NULL),
                        p_limits[i] - 1, v_now
                    ) AS b (id), trs_kill_1(b.id, NULL, v_now, p_journal) AS k
                LOOP
                    r_ended := r_ended || v_found.r_id;
                    r_ended_versions := r_ended_versions || v_found.r_version;
                    r_ended_by := r_ended_by || i;
                END LOOP;
            END IF;
        END IF;

        IF v_write = 5 AND p_expected[i] IS NULL THEN
            -- What was written under the old id since was acknowledged; the renewal was not.
            UPDATE trs_sessions AS heir SET
                version = heir.version + 1, created = past.created,
                last_activity = past.last_activity, idle_deadline = past.idle_deadline,
                ends = past.ends, user_id = past.user_id, body = past.body
            FROM trs_sessions AS past
            WHERE heir.id = p_others[i] AND heir.alive AND heir.replaces = v_id
                AND past.id = v_id AND past.alive AND past.version <> heir.replaces_version
                AND NOT trs_sealed_1(past.body);
        END IF;

        IF v_write = 1 THEN
            UPDATE trs_sessions SET
                version = v_version, last_activity = p_activities[i],
                idle_deadline = p_deadlines[i], ends = p_ends[i] + v_ahead,
                user_id = p_users[i], body = p_bodies[i]
            WHERE id = v_id AND version = p_expected[i] AND alive;
            IF NOT FOUND THEN
                v_outcome := 2;
            ELSIF p_journal THEN
                INSERT INTO trs_journal AS j (id, version) VALUES (v_id, v_version)
                ON CONFLICT (id) DO UPDATE SET version = greatest(j.version, excluded.version);
            END IF;
        ELSIF v_write IN (2, 5) AND v_outcome = 0 THEN
            v_version := NULL;
            FOR v_found IN
                SELECT * FROM trs_kill_1(
                    v_id, p_expected[i], v_now, p_journal,
                    CASE v_write WHEN 5 THEN p_others[i] END, CASE v_write WHEN 5 THEN p_now END
                )
            LOOP
                IF v_found.r_id = v_id THEN
                    v_version := v_found.r_version;
                ELSE
                    r_ended := r_ended || v_found.r_id;
                    r_ended_versions := r_ended_versions || v_found.r_version;
                    r_ended_by := r_ended_by || i;
                END IF;
            END LOOP;
            IF v_version IS NULL AND v_write = 2 AND p_expected[i] IS NULL THEN
                -- What has moved within the last minute ends where it lives on.
                v_from := v_id;
                FOR hop IN 1 .. 8 LOOP
                    SELECT moved_to INTO v_to FROM trs_sessions
                    WHERE id = v_from AND NOT alive AND ends > v_now - 60000;
                    EXIT WHEN v_to IS NULL;
                    UPDATE trs_sessions SET body = '' WHERE id = v_from AND body <> '';
                    v_version := 0;
                    FOR v_found IN SELECT * FROM trs_kill_1(v_to, NULL, v_now, p_journal) LOOP
                        r_ended := r_ended || v_found.r_id;
                        r_ended_versions := r_ended_versions || v_found.r_version;
                        r_ended_by := r_ended_by || i;
                    END LOOP;
                    IF NOT found THEN
                        -- Dead already, and so without a version: whoever killed it may not have
                        -- told Redis.
                        r_ended := r_ended || v_to;
                        r_ended_versions := r_ended_versions || NULL::bigint;
                        r_ended_by := r_ended_by || i;
                    END IF;
                    v_from := v_to;
                END LOOP;
            END IF;
            IF v_version IS NULL AND v_write = 2 THEN
                v_outcome := 2;
            ELSIF v_version IS NULL
                AND EXISTS (SELECT 1 FROM trs_sessions WHERE id = v_id AND alive)
            THEN
                -- Somebody has written there since, which must not be lost.
                v_outcome := 2;
            ELSIF v_version IS NULL AND v_write = 5 AND EXISTS (
                SELECT 1 FROM trs_sessions heir JOIN trs_sessions past ON past.id = heir.replaces
                WHERE heir.id = p_others[i] AND heir.alive AND past.id = v_id AND NOT past.alive
            ) THEN
                -- Ended by somebody before this was finished, who meant the session under any id.
                PERFORM trs_kill_1(p_others[i], NULL, v_now, p_journal);
                v_outcome := 2;
            ELSIF v_write = 5 THEN
                UPDATE trs_sessions SET replaces = NULL
                WHERE id = p_others[i] AND replaces = v_id;
                v_version := coalesce(
                    v_version, (SELECT version FROM trs_sessions WHERE id = v_id), 0
                );
            END IF;
        ELSIF v_write = 6 THEN
            UPDATE trs_sessions SET
                last_activity = p_activities[i], idle_deadline = p_deadlines[i],
                ends = p_ends[i] + v_ahead
            WHERE id = v_id AND version = v_version AND alive AND idle_deadline < p_deadlines[i];
            IF NOT FOUND THEN
                v_outcome := 2;
            END IF;
        ELSIF v_write = 8 THEN
            UPDATE trs_sessions
            SET alive = false, version = version + 1, ends = v_now, replaces = NULL, body = ''
            WHERE id = p_others[i] AND replaces = v_id AND alive;
        ELSIF v_write = 7 THEN
            UPDATE trs_users SET epoch = greatest(epoch + 1, v_now) WHERE user_id = p_users[i];
            v_version := 0;
            FOR v_found IN
                -- What is dead already, and Redis perhaps not told of it.
                SELECT j.id AS r_id, j.version AS r_version, 0 AS killed
                FROM trs_journal j JOIN trs_sessions s ON s.id = j.id
                WHERE s.user_id = p_users[i] AND NOT s.alive
                UNION ALL
                SELECT k.r_id, k.r_version, (k.r_id = s.id AND s.ends > v_now)::integer
                FROM trs_sessions s, trs_kill_1(s.id, NULL, v_now, p_journal) AS k
                WHERE s.user_id = p_users[i] AND s.alive
                    AND s.id IS DISTINCT FROM p_others[i]
                    AND (p_others[i] IS NULL OR s.replaces IS DISTINCT FROM p_others[i])
            LOOP
                v_version := v_version + v_found.killed;
                r_ended := r_ended || v_found.r_id;
                r_ended_versions := r_ended_versions || v_found.r_version;
                r_ended_by := r_ended_by || i;
            END LOOP;
        END IF;

        IF v_outcome = 2 AND v_write <> 6 THEN
            SELECT version, last_activity, idle_deadline, body INTO v_found
            FROM trs_sessions WHERE id = v_id AND alive;
            IF FOUND THEN
                v_outcome := 1;
                v_version := v_found.version;
                r_activities[i] := v_found.last_activity;
                r_deadlines[i] := v_found.idle_deadline;
                r_bodies[i] := v_found.body;
            END IF;
        END IF;
        r_outcomes[i] := v_outcome;
        r_versions[i] := v_version;
    END LOOP;

    -- A row that another transaction holds is being written anew or cleared there; to wait for it
    -- with locks in hand could be waiting in a circle.
    IF cardinality(p_cleared) > 0 THEN
        DELETE FROM trs_journal WHERE id IN (
            SELECT j.id FROM trs_journal j
            JOIN unnest(p_cleared, p_cleared_versions) AS c (id, version)
                ON j.id = c.id AND j.version <= c.version
            FOR UPDATE OF j SKIP LOCKED
        );
    END IF;

    COMMIT;

    -- In a new snapshot: a generation that was read before the commit may be too old by now. What
    -- fails here must not look as if the writes had failed.
    IF p_journal THEN
        BEGIN
            SELECT seq, generation, incarnation INTO r_seq, r_generation, r_incarnation
            FROM trs_cache;
        EXCEPTION WHEN OTHERS THEN
            r_seq := NULL;
        END;
    END IF;
END;
$$;

-- Another generation, if nobody was faster; what was committed before needs no journal then.
CREATE FUNCTION trs_bump_1(p_from bigint, p_seq bigint, p_to bigint, p_incarnation text)
RETURNS boolean
LANGUAGE plpgsql
AS $$
BEGIN
    IF current_setting('synchronous_commit') = 'off' THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;
    UPDATE trs_cache SET seq = p_seq, generation = p_to, incarnation = p_incarnation
    WHERE generation = p_from;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    -- What others hold just now stays, which is only more than is needed. To wait for it, or for
    -- the whole table, would keep all writers waiting for the slowest.
    DELETE FROM trs_journal WHERE id IN (SELECT id FROM trs_journal FOR UPDATE SKIP LOCKED);
    RETURN true;
END;
$$;
