-- Waits until every save in flight is done, and holds the next ones back until
-- the transaction ends.
-- name: BillingRunLock :exec
LOCK TABLE flightbill.billing_run_lock IN EXCLUSIVE MODE;

-- name: BillingRunCutoff :one
SELECT max(closes_on)::date AS cutoff FROM flightbill.billing_runs;

-- name: BillingRunInsert :exec
INSERT INTO flightbill.billing_runs (closes_on, run_date, due_at, trigger, started_at, finished_at)
VALUES (@closes_on, @run_date, @due_at, @trigger, @started_at, @finished_at);

-- Runs whose drafts are still being issued: this one, or one that a crash cut
-- short.
-- name: BillingRunListUnfinished :many
SELECT closes_on, run_date, due_at, trigger, started_at FROM flightbill.billing_runs
WHERE finished_at IS NULL
ORDER BY closes_on;

-- name: BillingRunGetUnfinished :one
SELECT closes_on, started_at FROM flightbill.billing_runs
WHERE closes_on = @closes_on AND finished_at IS NULL;

-- No row: the run is done, and what is due now is for the next one.
-- name: BillingRunAddIssued :execrows
UPDATE flightbill.billing_runs SET invoices = invoices + @invoices, charges = charges + @charges
WHERE closes_on = @closes_on AND finished_at IS NULL;

-- To finish a run takes three statements: who is on hold, then the run's own row,
-- then the look whether all is out, which sees what was committed meanwhile.
-- name: BillingRunMarkHolds :exec
UPDATE flightbill.customers SET held_through = @closes_on::date
WHERE id IN (SELECT h.id FROM flightbill.customers h WHERE h.billing_hold ORDER BY h.id FOR NO KEY UPDATE);

-- name: BillingRunLockUnfinished :one
SELECT started_at FROM flightbill.billing_runs
WHERE closes_on = @closes_on AND finished_at IS NULL
FOR NO KEY UPDATE;

-- No row: a draft is left that is neither held nor parked.
-- name: BillingRunFinish :one
UPDATE flightbill.billing_runs r
SET finished_at = @finished_at,
    held = (SELECT count(*) FROM flightbill.invoices i JOIN flightbill.customers c ON c.id = i.customer_id
            WHERE i.status = 'DRAFT' AND c.billing_hold AND (i.closes_on <= r.closes_on OR i.kind = 'flight')),
    parked = (SELECT count(*) FROM flightbill.invoices i WHERE i.status = 'DRAFT' AND i.parked_at IS NOT NULL AND (i.closes_on <= r.closes_on OR i.kind = 'flight'))
WHERE r.closes_on = @closes_on AND NOT EXISTS (
    SELECT FROM flightbill.invoices i JOIN flightbill.customers c ON c.id = i.customer_id
    WHERE i.status = 'DRAFT' AND (i.closes_on <= r.closes_on OR i.kind = 'flight')
        AND (i.parked_at IS NULL OR i.parked_by_run IS DISTINCT FROM r.closes_on)
        AND NOT (c.billing_hold AND c.held_through IS NOT DISTINCT FROM r.closes_on))
RETURNING closes_on, run_date, due_at, trigger, started_at, finished_at, invoices, charges, held, parked;

-- The run that made a closing date one that has been run.
-- name: BillingRunFirstFrom :one
SELECT closes_on, trigger, started_at FROM flightbill.billing_runs
WHERE closes_on >= @closes_on::date
ORDER BY closes_on
LIMIT 1;

-- name: BillingRunLast :one
SELECT closes_on, run_date, due_at, trigger, started_at, finished_at, invoices, charges, held, parked
FROM flightbill.billing_runs
ORDER BY closes_on DESC
LIMIT 1;

-- For /metrics. Drafts whose closing date's run is done: those of customers on hold,
-- those parked, and those that nothing explains (a hold lifted since that run does).
-- name: BillingRunState :one
SELECT coalesce(sum(CASE WHEN c.billing_hold THEN 1 END), 0)::bigint AS held,
    coalesce(sum(CASE WHEN NOT c.billing_hold AND i.parked_at IS NOT NULL THEN 1 END), 0)::bigint AS parked,
    coalesce(sum(CASE WHEN NOT c.billing_hold AND i.parked_at IS NULL AND c.held_through IS DISTINCT FROM last.closes_on
        AND (i.closes_on IS NOT NULL OR i.opened_at <= last.started_at) THEN 1 END), 0)::bigint AS past_closing
FROM (SELECT closes_on, started_at FROM flightbill.billing_runs WHERE finished_at IS NOT NULL ORDER BY closes_on DESC LIMIT 1) AS last
JOIN flightbill.invoices i ON i.status = 'DRAFT' AND (i.closes_on <= last.closes_on OR i.closes_on IS NULL)
JOIN flightbill.customers c ON c.id = i.customer_id;

-- When the first run was due that is not done: one under way, else the next.
-- name: BillingRunNextDueAt :one
SELECT coalesce(
    (SELECT min(due_at) FROM flightbill.billing_runs WHERE finished_at IS NULL),
    (SELECT d.due_at FROM flightbill.billing_days d WHERE d.closes_on = (SELECT max(closes_on) + 1 FROM flightbill.billing_runs)))::timestamptz AS due_at;
