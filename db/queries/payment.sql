-- name: PaymentRecord :one
SELECT flightbill.record_payment(@number::text, @amount::numeric, @paid_on::date, @reference::text, @bank_reference::text)::bigint AS id;

-- name: PaymentReverse :one
SELECT flightbill.reverse_payment(@id::bigint, @reason::text)::bigint AS id;

-- name: PaymentSetOff :one
SELECT flightbill.set_off(@from_number::text, @to_number::text, sqlc.narg('amount')::numeric)::text AS amount;

-- name: PaymentWriteOff :one
SELECT flightbill.write_off_rounding(@number::text, @reason::text)::bigint AS id;

-- name: PaymentList :many
SELECT p.id, p.paid_on, i.number::text AS number, c.code AS customer, p.kind, p.amount, i.currency, p.reference, p.bank_reference, o.number AS other,
    p.reverses_id, r.id AS reversed_by, p.reason, p.recorded_at, p.recorded_by
FROM flightbill.payments p
JOIN flightbill.invoices i ON i.id = p.invoice_id
JOIN flightbill.customers c ON c.id = i.customer_id
LEFT JOIN flightbill.invoices o ON o.id = p.other_id
LEFT JOIN flightbill.payments r ON r.reverses_id = p.id
WHERE (@customer::text = '' OR c.code = @customer::text)
    AND (sqlc.narg('invoice_id')::bigint IS NULL OR p.invoice_id = sqlc.narg('invoice_id')::bigint)
    AND (sqlc.narg('from_date')::date IS NULL OR p.paid_on >= sqlc.narg('from_date')::date)
    AND (sqlc.narg('to_date')::date IS NULL OR p.paid_on <= sqlc.narg('to_date')::date)
ORDER BY p.paid_on, p.id
LIMIT @max_rows;

-- What a customer owed before a day, by currency.
-- name: StatementOpening :many
SELECT i.currency, (sum(i.total) - sum(p.paid))::numeric AS balance
FROM flightbill.invoices i
JOIN flightbill.customers c ON c.id = i.customer_id
CROSS JOIN LATERAL (SELECT coalesce(sum(p.amount), 0) AS paid FROM flightbill.payments p WHERE p.invoice_id = i.id AND p.paid_on < @day::date) AS p
WHERE c.code = @customer AND i.status <> 'DRAFT' AND i.issued_on < @day::date
GROUP BY i.currency
ORDER BY i.currency;

-- A customer's documents and payments, in the order of their days. A set-off moves nothing
-- between it and who bills.
-- name: StatementLines :many
SELECT l.currency::text AS currency, l.day::date AS day, l.what::text AS what, l.number::text AS number, l.due_on::date AS due_on, l.reference::text AS reference, l.amount::numeric AS amount
FROM (
    SELECT i.currency, i.issued_on AS day, 1 AS nth, i.id, CASE WHEN i.kind = 'credit_note' THEN 'credit note' ELSE 'invoice' END AS what,
        i.number, i.due_on, coalesce(i.reason, '') AS reason, i.total AS amount
    FROM flightbill.invoices i JOIN flightbill.customers c ON c.id = i.customer_id
    WHERE c.code = @customer AND i.status <> 'DRAFT'
    UNION ALL
    SELECT i.currency, p.paid_on, 2, p.id, CASE WHEN p.reverses_id IS NOT NULL THEN p.kind || ' taken back' ELSE p.kind END, i.number, NULL,
        coalesce(p.reason, p.reference, ''), -p.amount
    FROM flightbill.payments p JOIN flightbill.invoices i ON i.id = p.invoice_id JOIN flightbill.customers c ON c.id = i.customer_id
    WHERE c.code = @customer AND p.kind <> 'set_off'
) AS l (currency, day, nth, id, what, number, due_on, reference, amount)
WHERE l.day BETWEEN @from_date::date AND @to_date::date
ORDER BY l.currency, l.day, l.nth, l.id;

-- What was open at the end of a day, by how long it was past due then.
-- name: AgingList :many
SELECT o.customer, o.currency,
    coalesce(sum(o.open) FILTER (WHERE o.open > 0 AND o.days_late <= 0), 0)::numeric AS not_yet_due,
    coalesce(sum(o.open) FILTER (WHERE o.open > 0 AND o.days_late BETWEEN 1 AND 30), 0)::numeric AS days_30,
    coalesce(sum(o.open) FILTER (WHERE o.open > 0 AND o.days_late BETWEEN 31 AND 60), 0)::numeric AS days_60,
    coalesce(sum(o.open) FILTER (WHERE o.open > 0 AND o.days_late BETWEEN 61 AND 90), 0)::numeric AS days_90,
    coalesce(sum(o.open) FILTER (WHERE o.open > 0 AND o.days_late > 90), 0)::numeric AS over_90,
    coalesce(sum(o.open) FILTER (WHERE o.open < 0), 0)::numeric AS credit,
    sum(o.open)::numeric AS open
FROM (
    SELECT c.code AS customer, i.currency, (d.day - i.due_on)::int AS days_late,
        i.total - coalesce((SELECT sum(p.amount) FROM flightbill.payments p WHERE p.invoice_id = i.id AND p.paid_on <= d.day), 0) AS open
    FROM flightbill.invoices i
    JOIN flightbill.customers c ON c.id = i.customer_id
    CROSS JOIN (SELECT @day::date AS day) AS d
    WHERE i.status <> 'DRAFT' AND i.issued_on <= d.day AND (@customer::text = '' OR c.code = @customer::text)
) AS o
WHERE o.open <> 0
GROUP BY o.customer, o.currency
ORDER BY o.customer, o.currency;

-- Who has to pay interest on what is late, if anybody.
-- name: InterestCustomers :many
SELECT c.code FROM flightbill.customers c
WHERE c.late_interest_rate > 0 AND (@customer::text = '' OR c.code = @customer::text)
ORDER BY c.id;

-- name: InterestCharge :many
SELECT number::text AS number, currency::text AS currency, first_day::date AS first_day, last_day::date AS last_day, amount::numeric AS amount, charged_on::bigint AS charged_on
FROM flightbill.charge_interest(@customer::text, @through::date, @at::timestamptz, @today::date);

-- name: InvoiceBalanceGet :one
SELECT number::text AS number, status, currency, open FROM flightbill.invoice_balances WHERE number = @number::text;
