-- The next drafts that a run has to issue, of the customers of one chunk. A draft
-- that was parked before this run is tried again.
-- name: InvoiceNextDue :many
SELECT i.id, i.customer_id
FROM flightbill.invoices i
JOIN flightbill.customers c ON c.id = i.customer_id
WHERE i.status = 'DRAFT' AND NOT c.billing_hold AND (i.closes_on <= @closes_on::date OR i.kind = 'flight')
    AND (i.parked_at IS NULL OR i.parked_by_run IS DISTINCT FROM @closes_on::date)
    AND (i.customer_id, i.id) > (@after_customer_id::bigint, @after_id::bigint) AND i.customer_id <= @last_customer_id::bigint
ORDER BY i.customer_id, i.id
LIMIT @max_rows;

-- The drafts that a run has to issue, cut into chunks at customers: two chunks
-- never wait for each other, and a customer's numbers follow its drafts. A chunk
-- has more drafts than asked only with those of its first customer.
-- name: InvoicePlanChunks :many
SELECT min(customer_id)::bigint AS first_customer_id, max(customer_id)::bigint AS last_customer_id, sum(drafts)::bigint AS drafts
FROM (
    SELECT customer_id, drafts, (sum(drafts) OVER (ORDER BY customer_id) - 1)::bigint / @max_rows::bigint AS nth
    FROM (
        SELECT i.customer_id, count(*) AS drafts
        FROM flightbill.invoices i
        JOIN flightbill.customers c ON c.id = i.customer_id
        WHERE i.status = 'DRAFT' AND NOT c.billing_hold AND (i.closes_on <= @closes_on::date OR i.kind = 'flight')
            AND (i.parked_at IS NULL OR i.parked_by_run IS DISTINCT FROM @closes_on::date)
        GROUP BY i.customer_id
    ) AS due
) AS numbered
GROUP BY nth
ORDER BY nth;

-- Locks: the customers first ...
-- name: InvoiceLockCustomers :exec
SELECT c.id FROM flightbill.customers c
WHERE c.id IN (SELECT i.customer_id FROM flightbill.invoices i WHERE i.id = ANY (@drafts::bigint[]))
ORDER BY c.id
FOR NO KEY UPDATE;

-- ... then their drafts, but those that are no longer to be issued.
-- name: InvoiceLockDrafts :many
SELECT i.id FROM flightbill.invoices i
JOIN flightbill.customers c ON c.id = i.customer_id
WHERE i.id = ANY (@drafts::bigint[]) AND i.status = 'DRAFT' AND NOT c.billing_hold
ORDER BY i.id
FOR UPDATE OF i;

-- name: InvoiceIssue :one
SELECT count(*)::bigint AS invoices, coalesce(sum(charges), 0)::bigint AS charges
FROM flightbill.issue_drafts(@drafts::bigint[], @at::timestamptz, @today::date) AS issued (invoice_id, charges);

-- name: InvoicePark :one
UPDATE flightbill.invoices i
SET parked_at = @at::timestamptz, parked_by_run = @run_closes_on, parked_reason = @reason::text
FROM flightbill.customers c
WHERE i.id = @id AND i.status = 'DRAFT' AND c.id = i.customer_id
RETURNING c.code AS customer, i.closes_on, i.currency;

-- name: InvoiceListParked :many
SELECT i.id, c.code AS customer, i.closes_on, i.currency, i.parked_reason::text AS reason
FROM flightbill.invoices i
JOIN flightbill.customers c ON c.id = i.customer_id
WHERE i.status = 'DRAFT' AND i.parked_at IS NOT NULL AND (i.closes_on <= @closes_on::date OR i.kind = 'flight')
ORDER BY i.id
LIMIT @max_rows;

-- What the runs up to a closing date would do, summed as they would sum it: each
-- draft with the first run that has to issue it. Those are the runs that have
-- begun and are not done, and then those of the days after the cut-off. None: it
-- stays as it is.
-- name: InvoicePreview :many
SELECT c.code AS customer, i.id, (CASE WHEN i.closes_on IS NOT NULL AND s.subtotal + s.tax < 0 THEN 'credit_note' ELSE i.kind END)::text AS kind, i.closes_on, i.currency, i.outside_scope,
    s.charges::bigint AS charges, s.subtotal::numeric AS subtotal, s.tax::numeric AS tax, (s.subtotal + s.tax)::numeric AS total,
    c.billing_hold AS on_hold, coalesce(i.parked_reason, '')::text AS parked_reason, run.closes_on::date AS run_closes_on
FROM flightbill.invoices i
JOIN flightbill.customers c ON c.id = i.customer_id
CROSS JOIN (SELECT coalesce(max(closes_on), @baseline::date) AS cutoff FROM flightbill.billing_runs) AS done
JOIN LATERAL (
    SELECT min(run.closes_on) AS closes_on
    FROM (
        SELECT r.closes_on FROM flightbill.billing_runs r
        WHERE r.finished_at IS NULL AND (i.closes_on <= r.closes_on OR i.kind = 'flight') AND (i.parked_at IS NULL OR i.parked_by_run IS DISTINCT FROM r.closes_on)
        UNION ALL
        SELECT greatest(i.closes_on, done.cutoff + 1)
    ) AS run (closes_on)
    WHERE run.closes_on <= greatest(@closes_on::date, done.cutoff)
) AS run ON true
CROSS JOIN LATERAL flightbill.draft_sums(i.id, i.currency) AS s
WHERE i.status = 'DRAFT' AND (i.closes_on <= greatest(@closes_on::date, done.cutoff) OR i.kind = 'flight')
    AND (run.closes_on IS NOT NULL OR c.billing_hold OR i.parked_at IS NOT NULL)
ORDER BY run.closes_on, c.code, i.closes_on NULLS FIRST, i.currency, i.id;

-- The next unpaid invoices due before a day, after the last one found: to begin
-- at the first each time would walk again over the index entries of those that
-- are marked already.
-- name: InvoiceNextPastDue :many
SELECT i.id, i.due_on::date AS due_on FROM flightbill.invoices i
WHERE i.status = 'PENDING' AND i.total > 0 AND i.kind <> 'credit_note' AND i.due_on < @today::date
    AND (i.due_on, i.id) > (@after_due_on::date, @after_id::bigint)
ORDER BY i.due_on, i.id
LIMIT @max_rows;

-- Those that are still unpaid. One that a payment has locked is passed by: it will
-- be paid, or is marked by the next run.
-- name: InvoiceMarkOverdue :execrows
WITH batch AS MATERIALIZED (
    SELECT d.id FROM flightbill.invoices d
    WHERE d.id = ANY (@ids::bigint[]) AND d.status = 'PENDING'
    ORDER BY d.id
    FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE flightbill.invoices i SET status = 'OVERDUE'
FROM batch
WHERE i.id = batch.id AND i.status = 'PENDING';

-- A draft's sums are those of its charges so far.
-- name: InvoiceList :many
SELECT i.id, i.number, c.code AS customer, i.kind, i.closes_on, i.currency, i.outside_scope, i.status,
    coalesce(i.subtotal, s.subtotal)::numeric AS subtotal, coalesce(i.tax, s.tax)::numeric AS tax,
    coalesce(i.total, s.subtotal + s.tax)::numeric AS total,
    s.charges::bigint AS charges, i.issued_at, i.due_on, i.paid_at, b.open
FROM flightbill.invoices i
JOIN flightbill.customers c ON c.id = i.customer_id
CROSS JOIN LATERAL flightbill.draft_sums(i.id, i.currency) AS s
LEFT JOIN flightbill.invoice_balances b ON b.invoice_id = i.id
WHERE (@customer::text = '' OR c.code = @customer::text)
    AND (@status::text = '' OR i.status = @status::text)
ORDER BY c.code, i.closes_on NULLS FIRST, i.id
LIMIT @max_rows;

-- name: InvoiceGet :one
SELECT i.id, i.number, c.code AS customer, coalesce(i.bill_to_name, c.name)::text AS bill_to_name, i.kind, i.closes_on, i.currency, i.outside_scope, i.status,
    i.subtotal, i.tax, i.total, coalesce(i.subtotal, s.subtotal)::numeric AS subtotal_so_far, coalesce(i.tax, s.tax)::numeric AS tax_so_far, i.opened_at, i.issued_at, i.due_on, i.paid_at, i.parked_reason, c.billing_hold,
    i.reason, o.number AS credits, coalesce(n.number, '')::text AS credited_by, b.open
FROM flightbill.invoices i
JOIN flightbill.customers c ON c.id = i.customer_id
LEFT JOIN flightbill.invoices o ON o.id = i.credits_invoice_id
LEFT JOIN flightbill.invoices n ON n.credits_invoice_id = i.id
CROSS JOIN LATERAL flightbill.draft_sums(i.id, i.currency) AS s
LEFT JOIN flightbill.invoice_balances b ON b.invoice_id = i.id
WHERE i.number = sqlc.narg('number')::text OR i.id = sqlc.narg('id')::bigint;

-- Interest has no flight.
-- name: InvoiceCharges :many
SELECT coalesce(flight_id, '')::text AS flight_id, code, description, quantity, unit_rate, amount, tax_rate, tax_amount, flown_on, late, origin, detail
FROM flightbill.charges
WHERE invoice_id = @invoice_id
ORDER BY flown_on, charges.flight_id, id;

-- All lines that a flight has, in the order in which they came, and where they are.
-- name: FlightCharges :many
SELECT h.flight_id::text AS flight_id, h.code, h.description, h.quantity, h.unit_rate, h.amount, h.tax_rate, h.tax_amount, h.flown_on, h.late, h.origin, h.detail,
    i.id AS invoice_id, i.number, i.status, i.currency, c.code AS customer
FROM flightbill.charges h
JOIN flightbill.invoices i ON i.id = h.invoice_id
JOIN flightbill.customers c ON c.id = i.customer_id
WHERE h.flight_id = @flight_id::text
ORDER BY h.id;

-- What tells why flights are late.
-- name: InvoiceLateFlights :many
SELECT b.flight_id, b.landed_on, b.billed_at, c.billing_frequency, coalesce(c.week_ends_on, 0)::int AS week_ends_on
FROM flightbill.billed_flights b
JOIN flightbill.customers c ON c.id = b.customer_id
WHERE b.flight_id IN (SELECT l.flight_id FROM flightbill.charges l WHERE l.invoice_id = @invoice_id AND l.late)
ORDER BY b.landed_on, b.flight_id;

-- name: InvoiceEvents :many
SELECT at, from_status, to_status, note FROM flightbill.invoice_events
WHERE invoice_id = @invoice_id
ORDER BY id;

-- name: BillingCalendarList :many
SELECT customer, closes_on, run_date, due_at, status, coalesce(invoice_id, 0)::bigint AS invoice_id, coalesce(number, '')::text AS number,
    coalesce(currency, '')::text AS currency, coalesce(outside_scope, false)::boolean AS outside_scope, total, coalesce(reason, '')::text AS reason
FROM flightbill.billing_calendar
WHERE closes_on BETWEEN @from_date::date AND @to_date::date
ORDER BY customer, closes_on, currency, invoice_id;

-- name: InvoiceSummary :many
SELECT c.code AS customer, i.status, i.currency, count(*)::bigint AS invoices,
    sum(coalesce(i.total, (SELECT s.subtotal + s.tax FROM flightbill.draft_sums(i.id, i.currency) AS s)))::numeric AS total
FROM flightbill.invoices i
JOIN flightbill.customers c ON c.id = i.customer_id
GROUP BY c.code, i.status, i.currency
ORDER BY c.code, i.status, i.currency;

-- An issued invoice as its customer gets it.
-- name: DocumentGet :one
SELECT i.id, i.number::text AS number, i.kind, i.currency, i.outside_scope, coalesce(i.reason, '')::text AS reason,
    i.subtotal::numeric AS subtotal, i.tax::numeric AS tax, i.total::numeric AS total,
    i.issued_at::timestamptz AS issued_at, i.issued_on::date AS issued_on, i.due_on::date AS due_on,
    coalesce(i.tax_currency, '')::text AS tax_currency, i.tax_currency_rate,
    c.code AS customer, i.bill_to_name::text AS bill_to_name, coalesce(i.bill_to, '{}')::jsonb AS bill_to,
    coalesce(to_jsonb(s) - 'logo', '{}')::jsonb AS issuer, s.logo,
    coalesce(o.number, '')::text AS credits, o.issued_on AS credits_issued_on
FROM flightbill.invoices i
JOIN flightbill.customers c ON c.id = i.customer_id
LEFT JOIN flightbill.issuers s ON s.id = i.issuer_id
LEFT JOIN flightbill.invoices o ON o.id = i.credits_invoice_id
WHERE i.number = @number::text;

-- name: DocumentTaxes :many
SELECT category, rate, base, tax, coalesce(reason, '')::text AS reason
FROM flightbill.invoice_taxes
WHERE invoice_id = @invoice_id
ORDER BY category COLLATE "C", rate DESC;

-- name: DocumentCharges :many
SELECT coalesce(h.flight_id, '')::text AS flight_id, coalesce(h.tariff_id, 0)::bigint AS tariff_id, h.code::text AS code, h.description, h.quantity, h.unit_rate, h.amount,
    h.tax_category, h.tax_rate, coalesce(h.tax_reason, '')::text AS tax_reason, coalesce(h.unit_code, 'C62')::text AS unit_code,
    h.flown_on, h.late, (h.origin IS NOT NULL)::boolean AS correction,
    coalesce(b.facts ->> 'registration', '')::text AS registration, coalesce(b.facts ->> 'callsign', '')::text AS callsign,
    coalesce(b.facts ->> 'origin', '')::text AS origin, coalesce(b.facts ->> 'destination', '')::text AS destination
FROM flightbill.charges h
LEFT JOIN flightbill.billed_flights b ON b.flight_id = h.flight_id
WHERE h.invoice_id = @invoice_id
ORDER BY h.flown_on, h.flight_id, h.id;
