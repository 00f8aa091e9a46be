-- name: FlightGet :one
SELECT flight_id, callsign, operator, registration, aircraft_type, mtow_kg, origin, destination,
    departed_at, landed_at, distance_km, passengers
FROM flights
WHERE flight_id = @flight_id;

-- One round trip, one transaction, however many; the function in the migrations says how.
-- name: FlightSave :batchone
SELECT save_flight(
    sqlc.narg('job_id')::bigint, sqlc.narg('job_attempt')::smallint, sqlc.narg('job_client')::text,
    @price_book_version::bigint, @cutoff::date,
    @flight_id::text, @customer_id::bigint, @landed_on::date, @facts::jsonb,
    @closes_on::date, @late::boolean, @at::timestamptz, @today::date,
    @tariff_ids::bigint[], @codes::text[], @descriptions::text[], CAST(@quantities::text[] AS numeric[]), CAST(@unit_rates::text[] AS numeric[]),
    CAST(@amounts::text[] AS numeric[]), CAST(@tax_rates::text[] AS numeric[]), CAST(@tax_amounts::text[] AS numeric[]), @currencies::text[]
)::text AS outcome;

-- Whether a flight is in the ledger, and whether an invoice of it was voided for
-- which it has not been billed again.
-- name: BilledFlightState :one
SELECT EXISTS (SELECT FROM billed_flights b WHERE b.flight_id = @flight_id::text) AS billed,
    EXISTS (SELECT FROM voided_flights v WHERE v.flight_id = @flight_id::text AND v.rebilled_at IS NULL) AS voided;
