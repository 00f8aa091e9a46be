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
            ELSE metadata ->> 'reason' = 'source_down' AND metadata #> '{waiting,since}' IS NULL AND created_at + interval '1 day' > @before::timestamptz
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

-- The flights that are worked next, behind a place in the line, and that no other
-- client reads. It waits for others that look, and notes that this client reads them.
-- name: QueueNextToRead :many
SELECT r.job_id::bigint AS id, r.flight_id::text AS flight_id, r.priority::smallint AS priority, r.scheduled_at::timestamptz AS scheduled_at,
    r.since::timestamptz AS since, r.shared::bool AS shared
FROM flightbill.flights_to_read(@client, @kept::bigint[], @most, @priority, @due, @id) AS r (job_id, flight_id, priority, scheduled_at, since, shared);

-- Flights that only the flight source keeps waiting, while it is away.
-- name: QueueCountReady :one
SELECT count(*) FROM flightbill.river_job
WHERE queue = 'flights' AND kind = 'ingest_flight'
    AND (state = 'available' OR state = 'scheduled' AND metadata ->> 'reason' = 'source_down');

-- Whether an attempt still has its job.
-- name: QueueJobIsHeld :one
SELECT EXISTS (
    SELECT FROM flightbill.river_job
    WHERE id = @id AND state = 'running' AND attempt = @attempt::smallint
        AND attempted_by[array_upper(attempted_by, 1)] = @client::text);

-- Puts back, as they were, flights that were taken and not begun. One that somebody
-- cancelled meanwhile is then cancelled, with what River says of one in work.
-- name: QueueReturn :exec
WITH back AS (
    UPDATE flightbill.river_job
    SET state = CASE WHEN metadata ? 'cancel_attempted_at' THEN 'cancelled' ELSE 'available' END::flightbill.river_job_state,
        finalized_at = CASE WHEN metadata ? 'cancel_attempted_at' THEN now() END,
        errors = errors || CASE WHEN metadata ? 'cancel_attempted_at' THEN ARRAY[
            jsonb_build_object('at', now(), 'attempt', attempt, 'error', 'JobCancelError: job cancelled remotely', 'trace', '')] END,
        metadata = CASE WHEN metadata ? 'cancel_attempted_at' THEN metadata - 'reason' ELSE metadata END, -- why it waited before
        attempt = attempt - 1, attempted_by = attempted_by[:cardinality(attempted_by) - 1]
    WHERE id = ANY (@ids::bigint[]) AND state = 'running' AND attempted_by[array_upper(attempted_by, 1)] = @client::text
    RETURNING state
)
SELECT pg_notify('flightbill.river_insert', '{"queue": "flights"}') WHERE EXISTS (SELECT FROM back WHERE state = 'available');

-- Whether a run's chunks are being worked, or wait to be.
-- name: QueueHasChunks :one
SELECT EXISTS (
    SELECT FROM flightbill.river_job
    WHERE queue = 'issuing' AND kind = 'issue_invoices' AND state IN ('available', 'pending', 'retryable', 'running', 'scheduled')
        AND args ->> 'closes_on' = @closes_on::text);
