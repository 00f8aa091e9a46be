-- A page of the flights that were billed with a date of these days. Voided: their invoice is, and they
-- have not been billed again.
-- name: ReconcileLedgerPage :many
SELECT b.flight_id, b.landed_on,
    EXISTS (SELECT FROM flightbill.voided_flights v WHERE v.flight_id = b.flight_id AND v.rebilled_at IS NULL) AS voided
FROM flightbill.billed_flights b
WHERE b.flight_id > @after AND b.landed_on BETWEEN @from_date::date AND @to_date::date
ORDER BY b.flight_id
LIMIT @page;

-- What flightbill has of flights, as of one moment: a flight leaves the queue in the transaction that
-- bills it. Of several jobs, the one that is still to be done counts, or else the newest.
-- name: ReconcileFlightStates :many
SELECT f.flight_id::text AS flight_id, b.landed_on,
    EXISTS (SELECT FROM flightbill.voided_flights v WHERE v.flight_id = f.flight_id AND v.rebilled_at IS NULL) AS voided,
    coalesce(q.state, '')::text AS state, coalesce(q.reason, '')::text AS reason
FROM unnest(@flight_ids::text[]) AS f (flight_id)
LEFT JOIN flightbill.billed_flights b ON b.flight_id = f.flight_id
LEFT JOIN (
    SELECT DISTINCT ON (flight_id) flight_id, state, reason
    FROM flightbill.flight_processing_queue
    WHERE flight_id = ANY (@flight_ids::text[])
    ORDER BY flight_id, state IN ('cancelled', 'discarded'), job_id DESC
) AS q ON q.flight_id = f.flight_id;

-- What the last daily reconciliation found. River keeps it for a day.
-- name: ReconcileLast :many
SELECT finalized_at::timestamptz AS finalized_at, (metadata -> 'output')::jsonb AS output
FROM flightbill.river_job
WHERE kind = 'reconcile_flights' AND state = 'completed' AND metadata ? 'output'
ORDER BY finalized_at DESC
LIMIT 1;
