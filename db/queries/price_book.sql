-- name: PriceBookGet :one
SELECT
    (SELECT version FROM flightbill.price_book)::bigint AS version,
    (SELECT max(closes_on) FROM flightbill.billing_runs)::date AS cutoff,
    EXISTS (SELECT FROM flightbill.billing_runs WHERE finished_at IS NULL) AS unfinished,
    s.timezone, s.close, s.billing_start
FROM flightbill.billing_settings s;

-- name: TariffList :many
SELECT id, code, description, basis, coalesce(customer_id, 0)::bigint AS customer_id, coalesce(airport, '')::text AS airport,
    applies_to, band_from, band_to, unit_rate, minimum, currency, tax_rate, valid_from, valid_to
FROM flightbill.tariffs
ORDER BY id;

-- Who pays for which aircraft and which operators, at most so many of them in all.
-- name: PayerList :many
SELECT p.pays_for, p.is_aircraft, c.id, c.code, c.name, c.billing_frequency, coalesce(c.week_ends_on, 0)::int AS week_ends_on
FROM (
    SELECT registration AS pays_for, true AS is_aircraft, customer_id FROM flightbill.customer_aircraft
    UNION ALL
    SELECT operator, false, customer_id FROM flightbill.customer_operators
    LIMIT @most
) AS p
JOIN flightbill.customers c ON c.id = p.customer_id;

-- The customers of flights: each by its aircraft first, else by its operator; flights
-- of nobody are left out. The version tells whether the rest of the price book is
-- still that of the answer. The operators come by number, since sqlc cannot read an
-- unnest of two arrays.
-- name: CustomersOfFlights :many
SELECT f.nr::int AS nr, c.id, c.code, c.name, c.billing_frequency, coalesce(c.week_ends_on, 0)::int AS week_ends_on,
    (f.aircraft IS NOT NULL)::bool AS by_aircraft, (SELECT version FROM flightbill.price_book)::bigint AS version
FROM (
    SELECT n.nr, (SELECT a.customer_id FROM flightbill.customer_aircraft a WHERE a.registration = n.registration) AS aircraft,
        (SELECT o.customer_id FROM flightbill.customer_operators o WHERE o.operator = (@operators::text[])[n.nr]) AS operator
    FROM unnest(@registrations::text[]) WITH ORDINALITY AS n (registration, nr)
) AS f
JOIN flightbill.customers c ON c.id = coalesce(f.aircraft, f.operator);
