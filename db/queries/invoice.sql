-- The next drafts that a run has to issue. A draft that was parked before this
-- run is tried again.
-- name: InvoiceNextDue :many
SELECT i.id, i.customer_id
FROM invoices i
JOIN customers c ON c.id = i.customer_id
WHERE i.status = 'DRAFT' AND NOT c.billing_hold AND (i.closes_on <= @closes_on::date OR i.kind = 'flight')
    AND (i.parked_at IS NULL OR i.parked_at < @run_started_at::timestamptz)
    AND (i.customer_id, i.id) > (@after_customer_id::bigint, @after_id::bigint)
ORDER BY i.customer_id, i.id
LIMIT @max_rows;

-- Locks, in order: the customers first ...
-- name: InvoiceLockCustomers :exec
SELECT c.id FROM customers c
WHERE c.id IN (SELECT i.customer_id FROM invoices i WHERE i.id = ANY (@drafts::bigint[]))
ORDER BY c.id
FOR NO KEY UPDATE;

-- ... then their drafts, but those that are no longer to be issued.
-- name: InvoiceLockDrafts :many
SELECT i.id FROM invoices i
JOIN customers c ON c.id = i.customer_id
WHERE i.id = ANY (@drafts::bigint[]) AND i.status = 'DRAFT' AND NOT c.billing_hold
ORDER BY i.id
FOR UPDATE OF i;

-- name: InvoiceIssue :one
SELECT count(*)::bigint AS invoices, coalesce(sum(charges), 0)::bigint AS charges
FROM issue_drafts(@drafts::bigint[], @at::timestamptz, @today::date) AS issued (invoice_id, charges);

-- name: InvoicePark :exec
UPDATE invoices SET parked_at = @at, parked_reason = @reason
WHERE id = @id AND status = 'DRAFT';

-- What a run would issue, summed as it would sum it.
-- name: InvoiceListDue :many
SELECT c.code AS customer, i.id, i.kind, i.closes_on, i.currency,
    s.lines::bigint AS charges, s.subtotal::numeric AS subtotal, s.tax::numeric AS tax, (s.subtotal + s.tax)::numeric AS total
FROM invoices i
JOIN customers c ON c.id = i.customer_id
JOIN LATERAL (
    SELECT count(*) AS lines, coalesce(sum(amount), 0) AS subtotal, coalesce(sum(tax_amount), 0) AS tax
    FROM charges WHERE invoice_id = i.id
) AS s ON true
WHERE i.status = 'DRAFT' AND NOT c.billing_hold AND (i.closes_on <= @closes_on::date OR i.kind = 'flight')
ORDER BY c.code, i.closes_on NULLS FIRST, i.currency, i.id;

-- name: InvoiceMarkOverdue :execrows
UPDATE invoices SET status = 'OVERDUE'
WHERE status = 'PENDING' AND id IN (
    SELECT d.id FROM invoices d
    WHERE d.status = 'PENDING' AND d.due_on < @today::date
    ORDER BY d.due_on, d.id
    LIMIT @max_rows
    FOR UPDATE SKIP LOCKED);

-- A draft's sums are those of its charges so far.
-- name: InvoiceList :many
SELECT i.id, i.number, c.code AS customer, i.kind, i.closes_on, i.currency, i.status,
    coalesce(i.subtotal, s.subtotal)::numeric AS subtotal, coalesce(i.tax, s.tax)::numeric AS tax,
    coalesce(i.total, s.subtotal + s.tax)::numeric AS total,
    s.lines::bigint AS charges, i.issued_at, i.due_on, i.paid_at
FROM invoices i
JOIN customers c ON c.id = i.customer_id
JOIN LATERAL (
    SELECT count(*) AS lines, coalesce(sum(amount), 0) AS subtotal, coalesce(sum(tax_amount), 0) AS tax
    FROM charges WHERE invoice_id = i.id
) AS s ON true
WHERE (@customer::text = '' OR c.code = @customer::text)
    AND (@status::text = '' OR i.status = @status::text)
ORDER BY c.code, i.closes_on NULLS FIRST, i.id
LIMIT @max_rows;

-- name: InvoiceGet :one
SELECT i.id, i.number, c.code AS customer, coalesce(i.bill_to_name, c.name)::text AS bill_to_name, i.kind, i.closes_on, i.currency, i.status,
    i.subtotal, i.tax, i.total, i.opened_at, i.issued_at, i.due_on, i.paid_at, i.parked_reason, c.billing_hold
FROM invoices i
JOIN customers c ON c.id = i.customer_id
WHERE i.number = sqlc.narg('number')::text OR i.id = sqlc.narg('id')::bigint;

-- name: InvoiceCharges :many
SELECT flight_id, code, description, quantity, unit_rate, amount, tax_rate, tax_amount, flown_on, late
FROM charges
WHERE invoice_id = @invoice_id
ORDER BY flown_on, flight_id, id;

-- What tells why flights are late.
-- name: InvoiceLateFlights :many
SELECT b.flight_id, b.landed_on, b.billed_at, c.billing_frequency, coalesce(c.week_ends_on, 0)::int AS week_ends_on
FROM billed_flights b
JOIN customers c ON c.id = b.customer_id
WHERE b.flight_id IN (SELECT l.flight_id FROM charges l WHERE l.invoice_id = @invoice_id AND l.late)
ORDER BY b.landed_on, b.flight_id;

-- name: InvoiceEvents :many
SELECT at, from_status, to_status FROM invoice_events
WHERE invoice_id = @invoice_id
ORDER BY id;

-- What the calendar shows of a customer's periods.
-- name: InvoiceListPeriods :many
SELECT i.customer_id, i.closes_on, i.id, i.number, i.status, i.currency, i.total, i.issued_at, i.parked_reason
FROM invoices i
WHERE i.kind = 'consolidated' AND i.closes_on BETWEEN @from_date::date AND @to_date::date
ORDER BY i.customer_id, i.closes_on, i.id;

-- name: CustomerList :many
SELECT id, code, name, billing_frequency, coalesce(week_ends_on, 0)::int AS week_ends_on, payment_terms_days, billing_hold
FROM customers
ORDER BY code;

-- name: InvoiceSummary :many
SELECT c.code AS customer, i.status, i.currency, count(*)::bigint AS invoices,
    sum(coalesce(i.total, (SELECT coalesce(sum(amount + tax_amount), 0) FROM charges WHERE invoice_id = i.id)))::numeric AS total
FROM invoices i
JOIN customers c ON c.id = i.customer_id
GROUP BY c.code, i.status, i.currency
ORDER BY c.code, i.status, i.currency;
