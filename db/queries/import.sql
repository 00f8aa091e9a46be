-- What the import of customers and tariffs reads and writes. Each statement
-- takes all rows at once: the price book's version then grows by one for each
-- statement, and not for each row.

-- Locked in the order in which everybody locks customers. Cells are those of what stands
-- on invoices, as a file has them, without the empty ones.
-- name: CustomerListForImport :many
SELECT c.id, c.code, c.name, c.billing_frequency, c.week_ends_on, c.payment_terms_days, c.billing_hold,
    jsonb_strip_nulls(jsonb_build_object('legal_name', c.legal_name, 'street', c.street, 'city', c.city, 'postcode', c.postcode, 'subdivision', c.subdivision,
        'country', c.country, 'vat_id', c.vat_id, 'legal_id', c.legal_id, 'legal_id_scheme', c.legal_id_scheme, 'electronic_address', c.electronic_address,
        'electronic_address_scheme', c.electronic_address_scheme, 'buyer_reference', c.buyer_reference, 'emails', nullif(array_to_string(c.emails, ';'), ''),
        'language', c.language, 'late_interest_rate', trim_scale(c.late_interest_rate)::text))::jsonb AS cells
FROM flightbill.customers c
WHERE c.code = ANY(@codes::text[])
ORDER BY c.id
FOR NO KEY UPDATE;

-- Only what has no default: it answers with the table's defaults for the rest.
-- name: CustomerInsertMany :many
INSERT INTO flightbill.customers (code, name, billing_frequency, week_ends_on)
SELECT r.code, r.name, r.billing_frequency, nullif(r.week_ends_on, 0)
FROM (SELECT unnest(@codes::text[]) AS code, unnest(@names::text[]) AS name,
    unnest(@billing_frequencies::text[]) AS billing_frequency, unnest(@weeks_end_on::smallint[]) AS week_ends_on) AS r
RETURNING id, code, name, billing_frequency, week_ends_on, payment_terms_days, billing_hold;

-- name: CustomerUpdateMany :exec
UPDATE flightbill.customers c
SET name = r.name, billing_frequency = r.billing_frequency, week_ends_on = nullif(r.week_ends_on, 0),
    payment_terms_days = r.payment_terms_days, billing_hold = r.billing_hold
FROM (SELECT unnest(@ids::bigint[]) AS id, unnest(@names::text[]) AS name,
    unnest(@billing_frequencies::text[]) AS billing_frequency, unnest(@weeks_end_on::smallint[]) AS week_ends_on,
    unnest(@payment_terms_days::integer[]) AS payment_terms_days, unnest(@billing_holds::boolean[]) AS billing_hold) AS r
WHERE c.id = r.id;

-- Rows go as those of TariffInsertMany. No price depends on these columns, and the price
-- book's version stays.
-- name: CustomerUpdateCells :exec
UPDATE flightbill.customers c
SET legal_name = r.t ->> 'legal_name', street = r.t ->> 'street', city = r.t ->> 'city', postcode = r.t ->> 'postcode', subdivision = r.t ->> 'subdivision',
    country = r.t ->> 'country', vat_id = r.t ->> 'vat_id', legal_id = r.t ->> 'legal_id', legal_id_scheme = r.t ->> 'legal_id_scheme',
    electronic_address = r.t ->> 'electronic_address', electronic_address_scheme = r.t ->> 'electronic_address_scheme',
    buyer_reference = r.t ->> 'buyer_reference', emails = string_to_array(coalesce(r.t ->> 'emails', ''), ';'), language = r.t ->> 'language',
    late_interest_rate = CAST(r.t ->> 'late_interest_rate' AS numeric)
FROM (SELECT jsonb_array_elements(@rows::jsonb) AS t) AS r
WHERE c.id = CAST(r.t ->> 'id' AS bigint);

-- Codes that differ from those given in case only.
-- name: CustomerListOtherCase :many
SELECT code FROM flightbill.customers
WHERE upper(code) = ANY(@upper_codes::text[]) AND code <> ALL(@codes::text[]);

-- name: CustomerIDList :many
SELECT id, code FROM flightbill.customers WHERE code = ANY(@codes::text[]);

-- Of these forms, and all of these customers.
-- name: CustomerOperatorListForImport :many
SELECT o.id, o.operator, o.valid_from, o.valid_to, o.customer_id, c.code AS customer
FROM flightbill.customer_operators o JOIN flightbill.customers c ON c.id = o.customer_id
WHERE flightbill.code_form(o.operator) = ANY(@forms::text[]) OR o.customer_id = ANY(@customer_ids::bigint[])
ORDER BY o.operator, o.id;

-- name: CustomerOperatorDeleteMany :exec
DELETE FROM flightbill.customer_operators WHERE id = ANY(@ids::bigint[]);

-- Days go as text; empty is none.
-- name: CustomerOperatorInsertMany :exec
INSERT INTO flightbill.customer_operators (operator, customer_id, valid_from, valid_to)
SELECT r.operator, r.customer_id, CAST(nullif(r.valid_from, '') AS date), CAST(nullif(r.valid_to, '') AS date)
FROM (SELECT unnest(@operators::text[]) AS operator, unnest(@customer_ids::bigint[]) AS customer_id,
    unnest(@valid_froms::text[]) AS valid_from, unnest(@valid_tos::text[]) AS valid_to) AS r;

-- name: CustomerAircraftListForImport :many
SELECT a.id, a.registration, a.valid_from, a.valid_to, a.customer_id, c.code AS customer
FROM flightbill.customer_aircraft a JOIN flightbill.customers c ON c.id = a.customer_id
WHERE flightbill.code_form(a.registration) = ANY(@forms::text[]) OR a.customer_id = ANY(@customer_ids::bigint[])
ORDER BY a.registration, a.id;

-- name: CustomerAircraftDeleteMany :exec
DELETE FROM flightbill.customer_aircraft WHERE id = ANY(@ids::bigint[]);

-- name: CustomerAircraftInsertMany :exec
INSERT INTO flightbill.customer_aircraft (registration, customer_id, valid_from, valid_to)
SELECT r.registration, r.customer_id, CAST(nullif(r.valid_from, '') AS date), CAST(nullif(r.valid_to, '') AS date)
FROM (SELECT unnest(@registrations::text[]) AS registration, unnest(@customer_ids::bigint[]) AS customer_id,
    unnest(@valid_froms::text[]) AS valid_from, unnest(@valid_tos::text[]) AS valid_to) AS r;

-- Rows go as a list of objects with the cells of a tariff file that are not empty, all of
-- them text, so that decimals arrive as they are; customer_id beside them.
-- name: TariffInsertMany :exec
INSERT INTO flightbill.tariffs (
    code, description, basis, customer_id, airport, applies_to, band_from, band_to, unit_rate, minimum, currency, tax_rate, valid_from,
    valid_to, "when", during, "of", unit, free, free_mode, rounding, times, tonne_kg, tonne_rounding, tonne_step, band_of, band_mode, fixed,
    factor, maximum, minimum_at_zero, distance_less, distance_unit, distance_power, mass_unit, mass_power, decimals, tax_category,
    tax_reason, unit_code, account
)
SELECT
    r.t ->> 'code', coalesce(r.t ->> 'description', ''), r.t ->> 'basis', CAST(r.t ->> 'customer_id' AS bigint), r.t ->> 'airport',
    r.t ->> 'applies_to', CAST(r.t ->> 'band_from' AS numeric), CAST(r.t ->> 'band_to' AS numeric), CAST(r.t ->> 'unit_rate' AS numeric),
    CAST(r.t ->> 'minimum' AS numeric), r.t ->> 'currency', CAST(r.t ->> 'tax_rate' AS numeric), CAST(r.t ->> 'valid_from' AS date),
    CAST(r.t ->> 'valid_to' AS date), r.t ->> 'when', r.t ->> 'during', string_to_array(r.t ->> 'of', '+'), CAST(r.t ->> 'unit' AS numeric),
    CAST(r.t ->> 'free' AS numeric), r.t ->> 'free_mode', r.t ->> 'rounding', r.t ->> 'times', CAST(r.t ->> 'tonne_kg' AS numeric),
    r.t ->> 'tonne_rounding', CAST(r.t ->> 'tonne_step' AS numeric), r.t ->> 'band_of', r.t ->> 'band_mode',
    CAST(r.t ->> 'fixed' AS numeric), CAST(r.t ->> 'factor' AS numeric), CAST(r.t ->> 'maximum' AS numeric),
    coalesce(r.t ->> 'minimum_at_zero', 'no') = 'yes', CAST(r.t ->> 'distance_less' AS numeric), CAST(r.t ->> 'distance_unit' AS numeric),
    CAST(r.t ->> 'distance_power' AS numeric), CAST(r.t ->> 'mass_unit' AS numeric), CAST(r.t ->> 'mass_power' AS numeric),
    CAST(r.t ->> 'decimals' AS smallint), r.t ->> 'tax_category', r.t ->> 'tax_reason', r.t ->> 'unit_code', r.t ->> 'account'
FROM (SELECT jsonb_array_elements(@rows::jsonb) AS t) AS r;

-- As TariffInsertMany, with the id beside the cells. The customer stays.
-- name: TariffUpdateMany :exec
UPDATE flightbill.tariffs t
SET
    code = r.t ->> 'code', description = coalesce(r.t ->> 'description', ''), basis = r.t ->> 'basis', airport = r.t ->> 'airport',
    applies_to = r.t ->> 'applies_to', band_from = CAST(r.t ->> 'band_from' AS numeric), band_to = CAST(r.t ->> 'band_to' AS numeric),
    unit_rate = CAST(r.t ->> 'unit_rate' AS numeric), minimum = CAST(r.t ->> 'minimum' AS numeric), currency = r.t ->> 'currency',
    tax_rate = CAST(r.t ->> 'tax_rate' AS numeric), valid_from = CAST(r.t ->> 'valid_from' AS date),
    valid_to = CAST(r.t ->> 'valid_to' AS date), "when" = r.t ->> 'when', during = r.t ->> 'during',
    "of" = string_to_array(r.t ->> 'of', '+'), unit = CAST(r.t ->> 'unit' AS numeric), free = CAST(r.t ->> 'free' AS numeric),
    free_mode = r.t ->> 'free_mode', rounding = r.t ->> 'rounding', times = r.t ->> 'times', tonne_kg = CAST(r.t ->> 'tonne_kg' AS numeric),
    tonne_rounding = r.t ->> 'tonne_rounding', tonne_step = CAST(r.t ->> 'tonne_step' AS numeric), band_of = r.t ->> 'band_of',
    band_mode = r.t ->> 'band_mode', fixed = CAST(r.t ->> 'fixed' AS numeric), factor = CAST(r.t ->> 'factor' AS numeric),
    maximum = CAST(r.t ->> 'maximum' AS numeric), minimum_at_zero = coalesce(r.t ->> 'minimum_at_zero', 'no') = 'yes',
    distance_less = CAST(r.t ->> 'distance_less' AS numeric), distance_unit = CAST(r.t ->> 'distance_unit' AS numeric),
    distance_power = CAST(r.t ->> 'distance_power' AS numeric), mass_unit = CAST(r.t ->> 'mass_unit' AS numeric),
    mass_power = CAST(r.t ->> 'mass_power' AS numeric), decimals = CAST(r.t ->> 'decimals' AS smallint),
    tax_category = r.t ->> 'tax_category', tax_reason = r.t ->> 'tax_reason', unit_code = r.t ->> 'unit_code', account = r.t ->> 'account'
FROM (SELECT jsonb_array_elements(@rows::jsonb) AS t) AS r
WHERE t.id = CAST(r.t ->> 'id' AS bigint);

-- Declarations of aircraft with these registrations, by their form.
-- name: AircraftListForImport :many
SELECT id, registration, valid_from, valid_to, coalesce(aircraft_type, '')::text AS aircraft_type, coalesce(mtow_kg, 0)::bigint AS mtow_kg, facts::jsonb AS facts
FROM flightbill.aircraft
WHERE flightbill.code_form(registration) = ANY(@forms::text[])
ORDER BY id;

-- Rows go as those of TariffInsertMany; facts are an object.
-- name: AircraftInsertMany :exec
INSERT INTO flightbill.aircraft (registration, valid_from, valid_to, aircraft_type, mtow_kg, facts)
SELECT r.t ->> 'registration', CAST(r.t ->> 'valid_from' AS date), CAST(r.t ->> 'valid_to' AS date), r.t ->> 'aircraft_type',
    CAST(r.t ->> 'mtow_kg' AS bigint), r.t -> 'facts'
FROM (SELECT jsonb_array_elements(@rows::jsonb) AS t) AS r;

-- name: AircraftUpdateMany :exec
UPDATE flightbill.aircraft a
SET registration = r.t ->> 'registration', valid_to = CAST(r.t ->> 'valid_to' AS date), aircraft_type = r.t ->> 'aircraft_type',
    mtow_kg = CAST(r.t ->> 'mtow_kg' AS bigint), facts = r.t -> 'facts'
FROM (SELECT jsonb_array_elements(@rows::jsonb) AS t) AS r
WHERE a.id = CAST(r.t ->> 'id' AS bigint);

-- name: AircraftTypeListForImport :many
SELECT aircraft_type, coalesce(mtow_kg, 0)::bigint AS mtow_kg, facts::jsonb AS facts
FROM flightbill.aircraft_types
WHERE flightbill.code_form(aircraft_type) = ANY(@forms::text[]);

-- name: AircraftTypeInsertMany :exec
INSERT INTO flightbill.aircraft_types (aircraft_type, mtow_kg, facts)
SELECT r.t ->> 'aircraft_type', CAST(r.t ->> 'mtow_kg' AS bigint), r.t -> 'facts'
FROM (SELECT jsonb_array_elements(@rows::jsonb) AS t) AS r;

-- The id is the type as it was written before.
-- name: AircraftTypeUpdateMany :exec
UPDATE flightbill.aircraft_types a
SET aircraft_type = r.t ->> 'aircraft_type', mtow_kg = CAST(r.t ->> 'mtow_kg' AS bigint), facts = r.t -> 'facts'
FROM (SELECT jsonb_array_elements(@rows::jsonb) AS t) AS r
WHERE a.aircraft_type = r.t ->> 'id';

-- Airports that have any of these codes.
-- name: AirportListForImport :many
SELECT code, other_codes::text[] AS other_codes, coalesce(country, '')::text AS country, coalesce(timezone, '')::text AS timezone
FROM flightbill.airports
WHERE code IN (SELECT airport FROM flightbill.airport_codes WHERE form = ANY(@forms::text[]));

-- name: AirportInsertMany :exec
INSERT INTO flightbill.airports (code, other_codes, country, timezone)
SELECT r.t ->> 'code', string_to_array(coalesce(r.t ->> 'other_codes', ''), ' '), r.t ->> 'country', r.t ->> 'timezone'
FROM (SELECT jsonb_array_elements(@rows::jsonb) AS t) AS r;

-- The id is the code as it was written before. One statement, since codes may change hands.
-- name: AirportUpdateMany :exec
UPDATE flightbill.airports a
SET code = r.t ->> 'code', other_codes = string_to_array(coalesce(r.t ->> 'other_codes', ''), ' '), country = r.t ->> 'country', timezone = r.t ->> 'timezone'
FROM (SELECT jsonb_array_elements(@rows::jsonb) AS t) AS r
WHERE a.code = r.t ->> 'id';

-- Of facts that tariffs count, those that a flight or a register has as text.
-- name: FactNameListText :many
SELECT n.name::text AS name
FROM (SELECT unnest(@names::text[]) AS name) AS n
WHERE EXISTS (SELECT FROM flightbill.aircraft_types a WHERE a.facts ->> n.name !~ '^-?[0-9]{1,30}([.][0-9]{1,30})?$')
    OR EXISTS (SELECT FROM flightbill.aircraft a WHERE a.facts ->> n.name !~ '^-?[0-9]{1,30}([.][0-9]{1,30})?$')
    OR EXISTS (SELECT FROM flightbill.flights f WHERE f.facts ->> n.name !~ '^-?[0-9]{1,30}([.][0-9]{1,30})?$');

-- Names of facts that no flight and no register has, nor any flight that was billed.
-- name: FactNameListUnknown :many
SELECT n.name::text AS name
FROM (SELECT unnest(@names::text[]) AS name) AS n
WHERE NOT EXISTS (SELECT FROM flightbill.aircraft_types a WHERE jsonb_exists(a.facts::jsonb, n.name))
    AND NOT EXISTS (SELECT FROM flightbill.aircraft a WHERE jsonb_exists(a.facts::jsonb, n.name))
    AND NOT EXISTS (SELECT FROM flightbill.flights f WHERE jsonb_exists(f.facts::jsonb, n.name))
    AND NOT EXISTS (SELECT FROM flightbill.billed_flights b WHERE jsonb_exists(b.facts -> 'facts', n.name));
