-- name: QueueEnqueue :one
SELECT e.enqueued::bigint AS enqueued, e.revived::bigint AS revived,
    e.already_queued::bigint AS already_queued, e.already_billed::bigint AS already_billed, e.refused::bigint AS refused
FROM flightbill.enqueue_flights(@flight_ids::text[]) AS e (enqueued, revived, already_queued, already_billed, refused);

-- Some clients insert into River's default queue, where no worker of
-- flightbill looks.
-- name: QueueAdoptStrays :one
WITH moved AS (
    UPDATE flightbill.river_job SET queue = 'flights'
    WHERE id IN (
        SELECT s.id FROM flightbill.river_job s
        WHERE s.kind = 'ingest_flight' AND s.queue <> 'flights' AND s.state IN ('available', 'retryable', 'scheduled')
        ORDER BY s.id
        LIMIT 10000
        FOR UPDATE SKIP LOCKED)
    RETURNING 1
), notice AS (
    SELECT pg_notify('flightbill.river_insert', '{"queue": "flights"}') WHERE EXISTS (SELECT FROM moved)
)
SELECT (SELECT count(*) FROM moved)::bigint AS moved, (SELECT count(*) FROM notice)::bigint AS notices;

-- Whether a flight that was enqueued before an instant has still to have its
-- first try: asked for half an hour from then, after that nobody waits for it. A
-- try that ended with its process is none: River's rescue counts these. Nor is one
-- that found the flight source away, unless that goes on for a day: it may be that
-- one flight alone that cannot be read. A flight may still be in another queue.
-- name: QueueHasUntried :one
SELECT EXISTS (
    SELECT FROM flightbill.river_job
    WHERE kind = 'ingest_flight' AND state IN ('available', 'retryable', 'running', 'scheduled')
        AND created_at <= @before::timestamptz AND now() - interval '30 minutes' < @before::timestamptz
        AND CASE -- a snooze takes its attempt back
            WHEN NOT metadata ? 'snoozes' THEN state <> 'scheduled' OR scheduled_at <= @before::timestamptz
            ELSE metadata ->> 'reason' IN ('source_down', 'database_down') AND metadata #> '{waiting,since}' IS NULL AND created_at + interval '1 day' > @before::timestamptz
        END
        AND attempt - CASE WHEN state = 'running' THEN 1 ELSE 0 END <= CASE
            WHEN jsonb_typeof(metadata -> 'river:rescue_count') = 'number' THEN (metadata ->> 'river:rescue_count')::numeric ELSE 0 END);

-- name: QueueCounts :many
SELECT state, coalesce(reason, '')::text AS reason, count(*)::bigint AS jobs FROM flightbill.flight_processing_queue
GROUP BY 1, 2
ORDER BY 1, 2;

-- Flights that have not had their first try.
-- name: QueueCountUntried :one
SELECT count(*) FROM flightbill.river_job
WHERE kind = 'ingest_flight' AND NOT metadata ? 'snoozes'
    AND state IN ('available', 'retryable', 'running')
    AND attempt - CASE WHEN state = 'running' THEN 1 ELSE 0 END <= CASE
        WHEN jsonb_typeof(metadata -> 'river:rescue_count') = 'number' THEN (metadata ->> 'river:rescue_count')::numeric ELSE 0 END;

-- The flights next in line, for the trial of a flight source that was away.
-- name: QueueNextInLine :many
SELECT (args ->> 'flight_id')::text AS flight_id FROM flightbill.river_job
WHERE state = 'available' AND queue = 'flights' AND kind = 'ingest_flight' AND scheduled_at <= now()
    AND flightbill.flight_id_is_valid(args ->> 'flight_id')
ORDER BY priority, scheduled_at, id
LIMIT @most;

-- Flights that only the flight source keeps waiting, while it is away.
-- name: QueueCountReady :one
SELECT count(*) FROM flightbill.river_job
WHERE queue = 'flights' AND kind = 'ingest_flight'
    AND (state IN ('available', 'running') OR state = 'scheduled' AND metadata ->> 'reason' = 'source_down');

-- Flights that the flight source does not have, or without a time that is waited for, that have been
-- waited for since before an instant.
-- name: QueueCountOverdue :one
SELECT count(*)::bigint AS flights, coalesce(min((metadata #>> '{waiting,since}')::timestamptz), now())::timestamptz AS oldest
FROM flightbill.river_job
WHERE queue = 'flights' AND kind = 'ingest_flight' AND state IN ('available', 'running', 'scheduled') AND metadata ->> 'reason' IN ('flight_unknown', 'not_landed', 'not_off_block')
    AND CASE WHEN jsonb_typeof(metadata #> '{waiting,since}') = 'string' THEN (metadata #>> '{waiting,since}')::timestamptz <= @since_before::timestamptz END;

-- This process cannot read the flight source: the view shows why flights wait.
-- name: SourceOutageTell :exec
INSERT INTO flightbill.flight_source_outages (client, since, reason, told_at) VALUES (@client, @since, @reason, now())
ON CONFLICT (client) DO UPDATE SET since = excluded.since, reason = excluded.reason, told_at = excluded.told_at;

-- Or can again; and what killed processes have left.
-- name: SourceOutageEnd :exec
DELETE FROM flightbill.flight_source_outages WHERE client = @client OR told_at < now() - interval '1 hour';

-- Whether a job is running, and whether it is this attempt that has it.
-- name: QueueJobHolder :one
SELECT count(*) > 0 AS running,
    coalesce(bool_or(attempt = @attempt::smallint AND attempted_at = @attempted_at AND attempted_by[array_upper(attempted_by, 1)] = @client::text), false)::bool AS held
FROM flightbill.river_job
WHERE id = @id AND state = 'running';

-- The flights that a client has in work, claimed before an instant.
-- name: QueueHeldBy :many
SELECT id, attempt, attempted_at::timestamptz AS attempted_at FROM flightbill.river_job
WHERE state = 'running' AND queue = 'flights' AND kind = 'ingest_flight'
    AND attempted_by[array_upper(attempted_by, 1)] = @client::text AND attempted_at <= now() - make_interval(secs => @older_than::float8);

-- Makes flights available that are due, as River's scheduler does; but that one waits
-- for a row which somebody has locked, and all that is due with it. A unique key other
-- than the queue's own may be taken: River discards such jobs.
-- name: QueueSweepDue :one
WITH due AS (
    UPDATE flightbill.river_job SET state = 'available'
    WHERE id IN (
        SELECT d.id
        FROM unnest('{scheduled,retryable}'::flightbill.river_job_state[]) AS s (state), generate_series(1, 4) AS p (priority),
            LATERAL (
                SELECT n.id FROM flightbill.river_job n
                WHERE n.state = s.state AND n.queue = 'flights' AND n.priority = p.priority AND n.scheduled_at <= now() AND n.kind = 'ingest_flight'
                    AND (n.unique_key IS NULL OR n.unique_states = flightbill.flight_job_unique_states())
                ORDER BY n.scheduled_at, n.id
                LIMIT 5000
                FOR UPDATE SKIP LOCKED) AS d)
    RETURNING 1
), notice AS (
    SELECT pg_notify('flightbill.river_insert', '{"queue": "flights"}') WHERE EXISTS (SELECT FROM due)
)
SELECT (SELECT count(*) FROM due)::bigint AS due, (SELECT count(*) FROM notice)::bigint AS notices;

-- Whether a client of River's has cancelled a job.
-- name: QueueIsCancelled :one
SELECT EXISTS (SELECT FROM flightbill.river_job WHERE id = @id AND metadata ? 'cancel_attempted_at');

-- Whether a client has been River's leader for so long.
-- name: QueueLeads :one
SELECT EXISTS (SELECT FROM flightbill.river_leader
    WHERE leader_id = @client AND expires_at > now() AND elected_at < now() - make_interval(secs => @for_seconds::float8));

-- Whether a queue is paused; as it stays until the transaction ends.
-- name: QueueLockPaused :one
SELECT (paused_at IS NOT NULL)::boolean AS paused FROM flightbill.river_queue WHERE name = @name FOR NO KEY UPDATE;

-- Jobs that a notice has cancelled, and no client of River's: any login may send one. They
-- go back as they were; one that was to wait waits on. A delivery's try is made whatever
-- the notice says, and counts.
-- name: QueueUndoForgedCancels :many
WITH forged AS (
    SELECT c.id, d.state IS NOT DISTINCT FROM 'failed' AS tried,
        CASE WHEN jsonb_typeof(c.metadata #> '{waiting,until}') = 'string' THEN (c.metadata #>> '{waiting,until}')::timestamptz ELSE d.next_at END AS until
    FROM flightbill.river_job c LEFT JOIN flightbill.deliveries d ON d.job_id = c.id AND c.kind = 'deliver'
    WHERE c.state = 'cancelled' AND c.finalized_at >= @since::timestamptz AND c.finalized_at IS NOT NULL -- by the index on finalized_at: see enqueue_as_jobs
        AND (c.kind IN ('ingest_flight', 'consolidate_invoices', 'issue_invoices', 'mark_overdue', 'reconcile_flights', 'deliver')) IS TRUE
        AND NOT c.metadata ? 'cancel_attempted_at' AND c.errors[array_upper(c.errors, 1)] ->> 'error' = 'JobCancelError: job cancelled remotely'
        AND NOT EXISTS ( -- enqueued again meanwhile
            SELECT FROM flightbill.river_job o WHERE o.id <> c.id AND o.unique_key = c.unique_key
                AND o.unique_states IS NOT NULL AND flightbill.river_job_state_in_bitmask(o.unique_states, o.state))
    ORDER BY c.id
    FOR UPDATE OF c SKIP LOCKED
)
UPDATE flightbill.river_job j
SET state = CASE WHEN f.until > now() THEN 'scheduled' ELSE 'available' END::flightbill.river_job_state,
    scheduled_at = CASE WHEN f.until > now() THEN f.until ELSE j.scheduled_at END,
    finalized_at = NULL, attempt = greatest(j.attempt - CASE WHEN f.tried THEN 0 ELSE 1 END, 0), errors = j.errors[:array_upper(j.errors, 1) - 1]
FROM forged f
WHERE j.id = f.id
RETURNING coalesce(j.args ->> 'flight_id', j.kind)::text AS what;

-- Whether a run's chunks are being worked, or wait to be.
-- name: QueueHasChunks :one
SELECT EXISTS (
    SELECT FROM flightbill.river_job
    WHERE queue = 'issuing' AND kind = 'issue_invoices' AND state IN ('available', 'pending', 'retryable', 'running', 'scheduled')
        AND args ->> 'closes_on' = @closes_on::text);
