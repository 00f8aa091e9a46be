-- name: FlightList :many
SELECT flight_id, callsign, operator, registration, aircraft_type, mtow_kg, origin, destination,
    departed_at, landed_at, distance_km, passengers, movement, mtow_lb, on_block_at, off_block_at, facts
FROM flightbill.flights
WHERE flight_id = ANY (@flight_ids::text[]);

-- A page of the flights that moved in a time, as billing.Flight.MovedAt has it.
-- name: FlightPageMoved :many
SELECT f.flight_id, m.moved_at::timestamptz AS moved_at
FROM flightbill.flights f
CROSS JOIN LATERAL (SELECT CASE WHEN f.movement = 'departure' THEN f.departed_at ELSE f.landed_at END) AS m (moved_at)
WHERE f.flight_id > @after AND m.moved_at >= @from_time::timestamptz AND m.moved_at < @to_time::timestamptz
ORDER BY f.flight_id
LIMIT @page;

-- How many there are.
-- name: FlightCountMoved :one
SELECT count(*) FROM flightbill.flights f
CROSS JOIN LATERAL (SELECT CASE WHEN f.movement = 'departure' THEN f.departed_at ELSE f.landed_at END) AS m (moved_at)
WHERE m.moved_at >= @from_time::timestamptz AND m.moved_at < @to_time::timestamptz;

-- Of flights that are in the ledger, whether an invoice was voided for which the flight
-- has not been billed again.
-- name: BilledFlightStates :many
SELECT b.flight_id, EXISTS (SELECT FROM flightbill.voided_flights v WHERE v.flight_id = b.flight_id AND v.rebilled_at IS NULL) AS voided
FROM flightbill.billed_flights b
WHERE b.flight_id = ANY (@flight_ids::text[]);
