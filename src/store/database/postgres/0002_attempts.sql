-- Failed attempts to sign in, in a fixed number of buckets, each of a bounded number of rows. A tag is
-- a hash of an account, a network, or both. Times are by the clock of this server.
CREATE TABLE trs_attempts (
    bucket bigint NOT NULL,
    tag bytea NOT NULL,
    failures bigint NOT NULL,
    -- From when they recover, one after the other.
    since bigint NOT NULL,
    -- From when the next attempt is admitted.
    opens bigint NOT NULL,
    ends bigint NOT NULL,
    PRIMARY KEY (bucket, tag)
);

CREATE INDEX trs_attempts_ends ON trs_attempts (ends);

-- Stores a row. A new one in a full bucket displaces the row with the fewest failures, but none of
-- p_own, and takes them over, up to its first wait, so that displacing forgives nothing. The caller has
-- locked the bucket.
CREATE FUNCTION trs_put_attempt_1(
    p_bucket bigint,
    p_tag bytea,
    p_failures bigint,
    p_since bigint,
    p_opens bigint,
    p_ends bigint,
    p_free bigint,
    p_first bigint,
    p_recovery bigint,
    p_ways bigint,
    p_own bytea[],
    p_now bigint
)
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    v_displaced bigint;
BEGIN
    UPDATE trs_attempts SET failures = p_failures, since = p_since, opens = p_opens, ends = p_ends
    WHERE bucket = p_bucket AND tag = p_tag;
    IF FOUND THEN
        RETURN;
    END IF;
    DELETE FROM trs_attempts WHERE bucket = p_bucket AND ends <= p_now;
    IF (SELECT count(*) FROM trs_attempts WHERE bucket = p_bucket) >= p_ways THEN
        DELETE FROM trs_attempts WHERE bucket = p_bucket AND tag = (
            SELECT tag FROM trs_attempts WHERE bucket = p_bucket AND tag <> ALL (p_own)
            ORDER BY failures, ends LIMIT 1
        ) RETURNING failures INTO v_displaced;
        IF v_displaced > 0 AND p_recovery IS NOT NULL THEN
            p_failures := p_failures + least(v_displaced, p_free - 1);
            IF p_failures >= p_free THEN
                p_opens := greatest(p_opens, p_now + p_first);
            END IF;
            p_ends := greatest(p_since + p_failures * p_recovery, p_opens);
        END IF;
    END IF;
    INSERT INTO trs_attempts (bucket, tag, failures, since, opens, ends)
    VALUES (p_bucket, p_tag, p_failures, p_since, p_opens, p_ends)
    ON CONFLICT (bucket, tag) DO UPDATE SET
        failures = excluded.failures, since = excluded.since, opens = excluded.opens,
        ends = excluded.ends;
END;
$$;

-- 0: counts an attempt or throttles it; 1: an attempt succeeded; 2: forgives failures. The counters
-- are site, network, pair and account, or the first two; the known network is the last bucket and tag
-- where there is one more of those than of counters.
-- r_place: 0 for done, else the number of the counter that throttles for r_wait ms.
CREATE PROCEDURE trs_attempt_1(
    p_action smallint,
    p_ways bigint,
    p_life bigint,
    p_buckets bigint[],
    p_tags bytea[],
    p_free bigint[],
    p_most bigint[],
    p_most_known bigint[],
    p_first bigint[],
    p_longest bigint[],
    p_recovery bigint[],
    p_lock_timeout text,
    INOUT r_place bigint,
    INOUT r_wait bigint
)
LANGUAGE plpgsql
AS $$
DECLARE
    v_count integer := cardinality(p_free);
    v_bucket bigint;
    v_now bigint;
    v_known boolean := false;
    v_there boolean[];
    v_failures bigint[];
    v_since bigint[];
    v_opens bigint[];
    v_row record;
    v_fewer bigint;
    v_most bigint;
    v_wait bigint;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        COMMIT;
        SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    END IF;
    PERFORM set_config('lock_timeout', p_lock_timeout, true);
    -- All locks first and in one order; until the end of the transaction.
    FOR v_bucket IN SELECT DISTINCT b FROM unnest(p_buckets) AS b ORDER BY b LOOP
        PERFORM pg_advisory_xact_lock(1953655649, v_bucket::integer);
    END LOOP;
    v_now := extract(epoch FROM clock_timestamp()) * 1000;
    r_place := 0;
    r_wait := 0;

    IF p_action = 2 THEN
        FOR i IN 1 .. v_count LOOP
            DELETE FROM trs_attempts WHERE bucket = p_buckets[i] AND tag = p_tags[i];
        END LOOP;
        RETURN;
    END IF;

    -- What has not recovered by now.
    FOR i IN 1 .. v_count LOOP
        SELECT failures, since, opens INTO v_row FROM trs_attempts
        WHERE bucket = p_buckets[i] AND tag = p_tags[i] AND ends > v_now;
        v_there[i] := FOUND;
        v_failures[i] := 0;
        v_since[i] := v_now;
        v_opens[i] := 0;
        IF v_there[i] THEN
            v_fewer := least(greatest(0, v_now - v_row.since) / p_recovery[i], v_row.failures);
            v_failures[i] := v_row.failures - v_fewer;
            v_opens[i] := least(v_row.opens, v_now + p_longest[i]);
            IF v_failures[i] > 0 THEN
                -- A clock that was set back does not prolong it.
                v_since[i] := least(v_row.since, v_now) + v_fewer * p_recovery[i];
            END IF;
        END IF;
    END LOOP;

    IF p_action = 1 THEN
        -- The pair starts from the beginning, the account loses the pair's failures.
        v_fewer := CASE WHEN v_count > 2 THEN v_failures[3] ELSE 0 END;
        FOR i IN 1 .. v_count LOOP
            CONTINUE WHEN NOT v_there[i];
            v_failures[i] := v_failures[i]
                - CASE i WHEN 3 THEN v_failures[3] WHEN 4 THEN v_fewer ELSE 1 END;
            IF v_failures[i] <= 0 THEN
                DELETE FROM trs_attempts WHERE bucket = p_buckets[i] AND tag = p_tags[i];
            ELSE
                IF v_failures[i] < p_free[i] THEN
                    v_opens[i] := 0;
                END IF;
                PERFORM trs_put_attempt_1(
                    p_buckets[i], p_tags[i], v_failures[i], v_since[i], v_opens[i],
                    greatest(v_since[i] + v_failures[i] * p_recovery[i], v_opens[i]),
                    p_free[i], p_first[i], p_recovery[i], p_ways, p_tags, v_now
                );
            END IF;
        END LOOP;
        IF cardinality(p_tags) > v_count THEN
            PERFORM trs_put_attempt_1(
                p_buckets[v_count + 1], p_tags[v_count + 1], 0, v_now, 0, v_now + p_life, NULL,
                NULL, NULL, p_ways, p_tags, v_now
            );
        END IF;
        RETURN;
    END IF;

    IF cardinality(p_tags) > v_count THEN
        v_known := EXISTS (
            SELECT 1 FROM trs_attempts
            WHERE bucket = p_buckets[v_count + 1] AND tag = p_tags[v_count + 1] AND ends > v_now
        );
    END IF;
    FOR i IN 1 .. v_count LOOP
        v_most := p_most[i];
        v_wait := greatest(0, v_opens[i] - v_now);
        IF v_known AND p_most_known[i] > 0 THEN
            v_most := p_most_known[i];
            v_wait := 0;
        END IF;
        IF v_failures[i] >= v_most THEN
            v_wait := greatest(
                v_wait, v_since[i] + (v_failures[i] - v_most + 1) * p_recovery[i] - v_now
            );
        END IF;
        IF v_wait > r_wait THEN
            r_place := i;
            r_wait := v_wait;
        END IF;
    END LOOP;
    IF r_wait > 0 THEN
        RETURN;
    END IF;
    FOR i IN 1 .. v_count LOOP
        v_failures[i] := v_failures[i] + 1;
        v_opens[i] := 0;
        IF v_failures[i] >= p_free[i] THEN
            v_opens[i] := v_now + least(
                p_longest[i]::double precision,
                p_first[i] * power(2::double precision, least(v_failures[i] - p_free[i], 62))
            )::bigint;
        END IF;
        PERFORM trs_put_attempt_1(
            p_buckets[i], p_tags[i], v_failures[i], v_since[i], v_opens[i],
            greatest(v_since[i] + v_failures[i] * p_recovery[i], v_opens[i]),
            p_free[i], p_first[i], p_recovery[i], p_ways, p_tags, v_now
        );
    END LOOP;
END;
$$;
