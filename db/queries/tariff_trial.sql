-- How many billed flights moved on these days.
-- name: TrialFlightCount :one
SELECT count(*)
FROM flightbill.billed_flights b
WHERE b.landed_on BETWEEN @from_date::date AND @to_date::date
    AND NOT EXISTS (SELECT FROM flightbill.voided_flights v WHERE v.flight_id = b.flight_id AND v.rebilled_at IS NULL);

-- A page of them, with who pays and what they were priced from.
-- name: TrialFlightPage :many
SELECT b.flight_id, b.landed_on, b.facts, b.declared, c.id AS customer_id, c.code AS customer
FROM flightbill.billed_flights b
JOIN flightbill.customers c ON c.id = b.customer_id
WHERE b.flight_id > @after AND b.landed_on BETWEEN @from_date::date AND @to_date::date
    AND NOT EXISTS (SELECT FROM flightbill.voided_flights v WHERE v.flight_id = b.flight_id AND v.rebilled_at IS NULL)
ORDER BY b.flight_id
LIMIT @page;
