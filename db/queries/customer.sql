-- name: CustomerGet :one
SELECT id, code, name, billing_frequency, coalesce(week_ends_on, 0)::int AS week_ends_on
FROM flightbill.customers
WHERE code = @code;
