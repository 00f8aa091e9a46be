-- name: UnmatchedCodeList :many
SELECT found_in::text AS found_in, kind::text AS kind, code::text AS code, flights::bigint AS flights, last_seen::date AS last_seen
FROM flightbill.unmatched_codes
ORDER BY found_in = 'flights' DESC, found_in, kind, flights DESC, code;

-- name: UnmatchedCodeCounts :many
SELECT found_in::text AS found_in, kind::text AS kind, count(*) AS codes FROM flightbill.unmatched_codes
GROUP BY 1, 2
ORDER BY found_in = 'flights' DESC, 1, 2;
