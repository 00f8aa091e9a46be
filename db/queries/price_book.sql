-- name: PriceBookGet :one
SELECT
    (SELECT version FROM flightbill.price_book)::bigint AS version,
    (SELECT max(closes_on) FROM flightbill.billing_runs)::date AS cutoff,
    EXISTS (SELECT FROM flightbill.billing_runs WHERE finished_at IS NULL) AS unfinished,
    s.timezone, s.close, s.billing_start
FROM flightbill.billing_settings s;

-- Empty is the default, as in a tariff file; of a number that need not be there, null.
-- name: TariffList :many
SELECT t.id, t.code, t.description, t.basis, coalesce(t.customer_id, 0)::bigint AS customer_id, coalesce(c.code, '')::text AS customer,
    coalesce(t.airport, '')::text AS airport, t.applies_to, t.band_from, t.band_to, t.unit_rate, t.minimum, t.currency, t.tax_rate, t.valid_from, t.valid_to,
    coalesce(t."when", '')::text AS "when", coalesce(t.during, '')::text AS during, coalesce(t."of", '{}')::text[] AS "of",
    coalesce(t.unit, 0)::numeric AS unit, coalesce(t.free, 0)::numeric AS free, coalesce(t.free_mode, '')::text AS free_mode,
    coalesce(t.rounding, '')::text AS rounding, coalesce(t.times, '')::text AS times, coalesce(trim_scale(t.tonne_kg)::text, '')::text AS tonne_kg,
    coalesce(t.tonne_rounding, '')::text AS tonne_rounding, coalesce(t.tonne_step, 0)::numeric AS tonne_step,
    coalesce(t.band_of, '')::text AS band_of, coalesce(t.band_mode, '')::text AS band_mode, coalesce(t.fixed, 0)::numeric AS fixed,
    t.factor, t.maximum, t.minimum_at_zero, coalesce(t.distance_less, 0)::numeric AS distance_less,
    coalesce(t.distance_unit, 0)::numeric AS distance_unit, t.distance_power, coalesce(t.mass_unit, 0)::numeric AS mass_unit, t.mass_power,
    t.decimals, coalesce(t.tax_category, '')::text AS tax_category, coalesce(t.tax_reason, '')::text AS tax_reason,
    coalesce(t.unit_code, '')::text AS unit_code, coalesce(t.account, '')::text AS account
FROM flightbill.tariffs t
LEFT JOIN flightbill.customers c ON c.id = t.customer_id
ORDER BY t.id;

-- Who pays for which aircraft and which operators, and when, at most so many of them in all.
-- name: PayerList :many
SELECT flightbill.code_form(p.pays_for)::text AS form, p.is_aircraft, p.valid_from, p.valid_to,
    c.id, c.code, c.name, c.billing_frequency, coalesce(c.week_ends_on, 0)::int AS week_ends_on
FROM (
    SELECT registration AS pays_for, true AS is_aircraft, valid_from, valid_to, customer_id FROM flightbill.customer_aircraft
    UNION ALL
    SELECT operator, false, valid_from, valid_to, customer_id FROM flightbill.customer_operators
    LIMIT @most
) AS p
JOIN flightbill.customers c ON c.id = p.customer_id;

-- Who pays for these aircraft and operators, given in the form of code_form; id 0 for
-- those that are nobody's. The version tells whether the rest of the price book is still
-- that of the answer.
-- name: PayerListOf :many
SELECT asked.form::text AS form, asked.is_aircraft::bool AS is_aircraft, p.valid_from, p.valid_to,
    coalesce(c.id, 0)::bigint AS id, coalesce(c.code, '')::text AS code, coalesce(c.name, '')::text AS name,
    coalesce(c.billing_frequency, '')::text AS billing_frequency, coalesce(c.week_ends_on, 0)::int AS week_ends_on,
    (SELECT version FROM flightbill.price_book)::bigint AS version
FROM (
    SELECT unnest(@registrations::text[]) AS form, true AS is_aircraft
    UNION ALL
    SELECT unnest(@operators::text[]), false
) AS asked
LEFT JOIN LATERAL (
    SELECT a.valid_from, a.valid_to, a.customer_id FROM flightbill.customer_aircraft a
    WHERE asked.is_aircraft AND flightbill.code_form(a.registration) = asked.form
    UNION ALL
    SELECT o.valid_from, o.valid_to, o.customer_id FROM flightbill.customer_operators o
    WHERE NOT asked.is_aircraft AND flightbill.code_form(o.operator) = asked.form
) AS p ON true
LEFT JOIN flightbill.customers c ON c.id = p.customer_id;

-- The forms in which airports are compared.
-- name: AirportFormList :many
SELECT a.code::text AS code, flightbill.airport_form(a.code)::text AS form FROM (SELECT unnest(@codes::text[]) AS code) AS a;

-- What is declared of aircraft, and when, of at most so many.
-- name: AircraftList :many
SELECT flightbill.code_form(registration)::text AS form, registration, valid_from, valid_to, coalesce(aircraft_type, '')::text AS aircraft_type, mtow_kg, facts
FROM flightbill.aircraft
LIMIT @most;

-- name: AircraftTypeList :many
SELECT flightbill.code_form(aircraft_type)::text AS form, aircraft_type, mtow_kg, facts
FROM flightbill.aircraft_types
LIMIT @most;

-- What the registers have of these aircraft, of these types and those of the aircraft,
-- and of these airports, all given in the form of code_form; an empty name where they
-- have nothing. The version is as that of PayerListOf.
-- name: RegisterListOf :many
SELECT 'aircraft'::text AS kind, asked.form::text AS form, coalesce(a.registration, '')::text AS name, a.valid_from, a.valid_to,
    coalesce(a.aircraft_type, '')::text AS aircraft_type, a.mtow_kg, coalesce(a.facts, '{}')::jsonb AS facts, ''::text AS country, ''::text AS timezone,
    (SELECT version FROM flightbill.price_book)::bigint AS version
FROM (SELECT unnest(@registrations::text[]) AS form) AS asked
LEFT JOIN flightbill.aircraft a ON flightbill.code_form(a.registration) = asked.form
UNION ALL
SELECT 'aircraft type', asked.form, coalesce(t.aircraft_type, ''), NULL, NULL, '', t.mtow_kg, coalesce(t.facts, '{}')::jsonb, '', '', (SELECT version FROM flightbill.price_book)
FROM (
    SELECT unnest(@aircraft_types::text[]) AS form
    UNION
    SELECT flightbill.code_form(a.aircraft_type) FROM flightbill.aircraft a
    WHERE flightbill.code_form(a.registration) = ANY (@registrations::text[]) AND a.aircraft_type IS NOT NULL
) AS asked
LEFT JOIN flightbill.aircraft_types t ON flightbill.code_form(t.aircraft_type) = asked.form
UNION ALL
SELECT 'airport', asked.form, coalesce(p.code, ''), NULL, NULL, '', NULL, '{}', coalesce(p.country, ''), coalesce(p.timezone, ''), (SELECT version FROM flightbill.price_book)
FROM (SELECT unnest(@airports::text[]) AS form) AS asked
LEFT JOIN flightbill.airport_codes k ON k.form = asked.form
LEFT JOIN flightbill.airports p ON p.code = k.airport;
