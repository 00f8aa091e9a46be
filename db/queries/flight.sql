-- name: FlightGet :one
SELECT flight_id, callsign, operator, registration, aircraft_type, mtow_kg, origin, destination,
    departed_at, landed_at, distance_km, passengers
FROM flightbill.flights
WHERE flight_id = @flight_id;

-- One round trip, one transaction, however many; the function in the migrations says how.
-- name: FlightSave :one
SELECT flightbill.save_flights(
    @price_book_version::bigint, @cutoff::date, @at::timestamptz, @today::date,
    @job_ids::bigint[], @job_attempts::smallint[], @job_client::text,
    @flight_ids::text[], @customer_ids::bigint[], @landed_on::date[], @facts::jsonb[], @closes_on::date[], @late::boolean[],
    @line_of::integer[], @tariff_ids::bigint[], @codes::text[], @descriptions::text[], CAST(@quantities::text[] AS numeric[]), CAST(@unit_rates::text[] AS numeric[]),
    CAST(@amounts::text[] AS numeric[]), CAST(@tax_rates::text[] AS numeric[]), CAST(@tax_amounts::text[] AS numeric[]), @currencies::text[]
)::text[] AS outcomes;

-- Whether a flight is in the ledger, and whether an invoice of it was voided for
-- which it has not been billed again.
-- name: BilledFlightState :one
SELECT EXISTS (SELECT FROM flightbill.billed_flights b WHERE b.flight_id = @flight_id::text) AS billed,
    EXISTS (SELECT FROM flightbill.voided_flights v WHERE v.flight_id = @flight_id::text AND v.rebilled_at IS NULL) AS voided;
