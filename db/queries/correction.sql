-- What a flight was billed from. The revision tells whether anything of it has
-- changed since.
-- name: BilledFlightGet :one
SELECT b.facts, b.declared, b.landed_on, b.revision,
    c.id AS customer_id, c.code AS customer, c.name, c.billing_frequency, coalesce(c.week_ends_on, 0)::int AS week_ends_on
FROM flightbill.billed_flights b
JOIN flightbill.customers c ON c.id = b.customer_id
WHERE b.flight_id = @flight_id;

-- What stands between a flight and 'billed': voided invoices that it has not been
-- billed again for.
-- name: VoidedFlightList :many
SELECT v.currency, v.rebill, v.payer, i.number, c.number AS credit_note
FROM flightbill.voided_flights v
JOIN flightbill.invoices c ON c.id = v.credit_note_id
JOIN flightbill.invoices i ON i.id = c.credits_invoice_id
WHERE v.flight_id = @flight_id AND v.rebilled_at IS NULL
ORDER BY v.credit_note_id;

-- name: VoidedFlightMessage :one
SELECT flightbill.voided_flight_message(@flight_id::text, false)::text AS message,
    flightbill.voided_flight_message(@flight_id::text, true)::text AS public;

-- All lines that a flight has, in the order in which they came. Those of a voided
-- invoice and of its credit note come to nothing.
-- name: BilledFlightCharges :many
SELECT h.tariff_id::bigint AS tariff_id, h.code, h.description, h.quantity, h.unit_rate, h.amount, h.tax_rate, h.tax_amount, h.flown_on, h.detail, h.tax_category, i.currency,
    c.id AS customer_id, c.code AS customer, c.name, c.billing_frequency, coalesce(c.week_ends_on, 0)::int AS week_ends_on
FROM flightbill.charges h
JOIN flightbill.invoices i ON i.id = h.invoice_id
JOIN flightbill.customers c ON c.id = i.customer_id
WHERE h.flight_id = @flight_id::text
ORDER BY h.id;

-- name: FlightAdjust :one
SELECT flightbill.adjust_flight(
    sqlc.narg('job_client')::text, sqlc.narg('job_id')::bigint, sqlc.narg('job_attempt')::smallint, sqlc.narg('job_attempted_at')::timestamptz,
    @price_book_version::bigint, @cutoff::date,
    @flight_id::text, @revision::integer, @customer_id::bigint, @landed_on::date, @facts::jsonb, @declared::jsonb,
    @origin::text, @at::timestamptz, @today::date, @lines::jsonb
)::text AS outcome;

-- name: InvoiceVoid :one
SELECT flightbill.void_invoice(@number::text, @reason::text, @rebill::boolean, @payer::text)::text AS credit_note;

-- How many of a credit note's flights who pays, were they billed again now; nobody pays
-- for those without a customer.
-- name: VoidedFlightPayers :many
SELECT coalesce(c.code, '')::text AS customer, count(*) AS flights
FROM flightbill.voided_flights v
JOIN flightbill.invoices n ON n.id = v.credit_note_id
JOIN flightbill.billed_flights b ON b.flight_id = v.flight_id
LEFT JOIN flightbill.customers c ON c.id = CASE v.payer WHEN 'billed' THEN b.customer_id ELSE coalesce(
    (SELECT a.customer_id FROM flightbill.customer_aircraft a
        WHERE flightbill.code_form(a.registration) = flightbill.code_form(b.facts ->> 'registration') AND daterange(a.valid_from, a.valid_to) @> b.landed_on),
    (SELECT o.customer_id FROM flightbill.customer_operators o
        WHERE flightbill.code_form(o.operator) = flightbill.code_form(b.facts ->> 'operator') AND daterange(o.valid_from, o.valid_to) @> b.landed_on)) END
WHERE n.number = @credit_note::text
GROUP BY 1
ORDER BY 1;

-- name: InvoiceUnmarkPaid :exec
SELECT flightbill.unmark_invoice_paid(@number::text, @reason::text);

-- name: OverlappingFlightList :many
SELECT registration::text AS registration, flight_id, customer, departed_at, landed_at,
    other_flight_id, other_customer, other_departed_at, other_landed_at, overlap::text AS overlap
FROM flightbill.overlapping_flights
ORDER BY registration, coalesce(landed_at, departed_at), flight_id;

-- A page of the flights that are billed, by their landing date; of those without a bound
-- where that is null.
-- name: BilledFlightPage :many
SELECT b.flight_id, b.facts
FROM flightbill.billed_flights b
WHERE b.flight_id > @after
    AND (sqlc.narg('from_date')::date IS NULL OR b.landed_on >= sqlc.narg('from_date')::date)
    AND (sqlc.narg('to_date')::date IS NULL OR b.landed_on <= sqlc.narg('to_date')::date)
    AND NOT EXISTS (SELECT FROM flightbill.voided_flights v WHERE v.flight_id = b.flight_id AND v.rebilled_at IS NULL)
ORDER BY b.flight_id
LIMIT @page;
