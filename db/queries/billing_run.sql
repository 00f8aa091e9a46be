-- Waits until every save in flight is done, and holds the next ones back until
-- the transaction ends.
-- name: BillingRunLock :exec
LOCK TABLE billing_run_lock IN EXCLUSIVE MODE;

-- name: BillingRunCutoff :one
SELECT max(closes_on)::date AS cutoff FROM billing_runs;

-- name: BillingRunInsert :exec
INSERT INTO billing_runs (closes_on, run_date, due_at, trigger, started_at, finished_at)
VALUES (@closes_on, @run_date, @due_at, @trigger, @started_at, @finished_at);

-- Runs whose drafts are still being issued: this one, or one that a crash cut
-- short.
-- name: BillingRunListUnfinished :many
SELECT closes_on, run_date, due_at, trigger, started_at FROM billing_runs
WHERE finished_at IS NULL
ORDER BY closes_on;

-- name: BillingRunAddIssued :exec
UPDATE billing_runs SET invoices = invoices + @invoices, charges = charges + @charges
WHERE closes_on = @closes_on;

-- name: BillingRunFinish :one
UPDATE billing_runs r
SET finished_at = @finished_at,
    held = (SELECT count(*) FROM invoices i JOIN customers c ON c.id = i.customer_id
            WHERE i.status = 'DRAFT' AND c.billing_hold AND (i.closes_on <= r.closes_on OR i.kind = 'flight')),
    parked = (SELECT count(*) FROM invoices i WHERE i.status = 'DRAFT' AND i.parked_at IS NOT NULL AND (i.closes_on <= r.closes_on OR i.kind = 'flight'))
WHERE r.closes_on = @closes_on AND r.finished_at IS NULL
RETURNING closes_on, run_date, due_at, trigger, started_at, finished_at, invoices, charges, held, parked;

-- name: BillingRunList :many
SELECT closes_on, run_date, due_at, trigger, started_at, finished_at, invoices, charges, held, parked
FROM billing_runs
WHERE closes_on BETWEEN @from_date::date AND @to_date::date
ORDER BY closes_on;

-- The run that made a closing date one that has been run.
-- name: BillingRunFirstFrom :one
SELECT closes_on, trigger, started_at FROM billing_runs
WHERE closes_on >= @closes_on::date
ORDER BY closes_on
LIMIT 1;

-- name: BillingRunLast :one
SELECT closes_on, run_date, due_at, trigger, started_at, finished_at, invoices, charges, held, parked
FROM billing_runs
ORDER BY closes_on DESC
LIMIT 1;
