-- name: ClockNow :one
SELECT clock_timestamp()::timestamptz;

-- name: ClockZoneDiffers :one
-- The first instant at which Postgres has another offset from UTC, in seconds. 1,100 instants take 2 ms.
SELECT g.at::timestamptz AS at, to_char(g.at AT TIME ZONE @zone::text, 'YYYY-MM-DD HH24:MI')::text AS there
FROM (SELECT unnest(@instants::timestamptz[]) AS at, unnest(@offsets::int[]) AS here) g
WHERE extract(epoch FROM (g.at AT TIME ZONE @zone::text) - (g.at AT TIME ZONE 'UTC')) <> g.here
ORDER BY 1 LIMIT 1;
