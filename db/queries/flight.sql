-- name: FlightList :many
SELECT flight_id, callsign, operator, registration, aircraft_type, mtow_kg, origin, destination,
    departed_at, landed_at, distance_km, passengers, movement, mtow_lb, on_block_at, off_block_at, facts
FROM flightbill.flights
WHERE flight_id = ANY (@flight_ids::text[]);

-- Of flights that are in the ledger, whether an invoice was voided for which the flight
-- has not been billed again.
-- name: BilledFlightStates :many
SELECT b.flight_id, EXISTS (SELECT FROM flightbill.voided_flights v WHERE v.flight_id = b.flight_id AND v.rebilled_at IS NULL) AS voided
FROM flightbill.billed_flights b
WHERE b.flight_id = ANY (@flight_ids::text[]);
