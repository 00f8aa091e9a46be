-- For people and reports to read: the billing calendar, which says what became of every
-- customer's closing dates; and the codes that fit nothing.

-- +goose Up
SET LOCAL search_path = pg_catalog, pg_temp;

-- Each day from the billing start on (counted), and each that has been run: when
-- the run of the closing date is due. Of a date that has been run, when it was.
--
-- 01:00 is the first instant at which the clocks show it or later. AT TIME ZONE
-- alone does not find that: of two 01:00 it takes the second, and where the
-- clocks skip it the one that the old offset gives. So both offsets, that of the
-- day before and that of the day after, are tried; where neither shows 01:00,
-- the change itself is looked for, minute by minute.
CREATE VIEW flightbill.billing_days AS
WITH settings AS (
    SELECT timezone, CASE close WHEN 'next_day' THEN 1 ELSE 0 END AS days_after,
        billing_start - CASE close WHEN 'next_day' THEN 1 ELSE 0 END AS first,
        greatest(billing_start, (now() AT TIME ZONE timezone)::date, (SELECT max(closes_on) FROM flightbill.billing_runs)) AS known
    FROM flightbill.billing_settings
), days AS (
    SELECT first + n AS closes_on FROM settings, generate_series(0, known - first + 32) AS n
    UNION
    SELECT closes_on FROM flightbill.billing_runs
)
SELECT day.closes_on, day.closes_on >= s.first AS counted,
    coalesce(r.run_date, day.closes_on + s.days_after) AS run_date,
    coalesce(r.due_at, CASE
        WHEN least(early, late) AT TIME ZONE timezone = clock THEN least(early, late)
        WHEN greatest(early, late) AT TIME ZONE timezone = clock THEN greatest(early, late)
        ELSE (SELECT min(t) FROM generate_series(least(early, late), greatest(early, late), interval '1 minute') AS t
              WHERE t AT TIME ZONE timezone >= clock)
    END) AS due_at
FROM settings s
CROSS JOIN days day
LEFT JOIN flightbill.billing_runs r ON r.closes_on = day.closes_on
CROSS JOIN LATERAL (SELECT day.closes_on + s.days_after + time '01:00' AS clock) AS local
CROSS JOIN LATERAL (SELECT clock AT TIME ZONE 'UTC' AS shown) AS as_utc
CROSS JOIN LATERAL (
    SELECT shown - ((shown - interval '26 hours') AT TIME ZONE timezone - (clock - interval '26 hours')) AS early,
        shown - ((shown + interval '26 hours') AT TIME ZONE timezone - (clock + interval '26 hours')) AS late
) AS candidates;

-- One row for each customer and closing date; more where a period has invoices in
-- several currencies. Closing dates are those of the customer's frequency as it
-- is now, from the billing start to the next one to come, and those that its
-- consolidated invoices, and the credit notes in their place, have: of an earlier frequency, or before the start.
--
--   open    its run is still to come
--   due     its run should be about to be done, or is being done; or its hold was
--           lifted and the next run issues it
--   issued, empty   the run is done: there is an invoice or a credit note, or was nothing to bill
--   held    left open since the customer is on hold
--   parked  could not be issued: reason says why
--   missed  half an hour and five minutes after it was due (a scheduled run waits half an hour at
--           most for flights), the run has not begun, or has begun and is not
--           done; or it is done and has left the draft, neither held nor parked
CREATE VIEW flightbill.billing_calendar AS
WITH state AS (
    SELECT max(closes_on) AS cutoff, max(closes_on) FILTER (WHERE finished_at IS NOT NULL) AS finished,
        min(started_at) FILTER (WHERE finished_at IS NULL) AS working_since,
        (SELECT (now() AT TIME ZONE timezone)::date FROM flightbill.billing_settings) AS today,
        interval '35 minutes' AS grace
    FROM flightbill.billing_runs
), days AS MATERIALIZED (
    SELECT d.closes_on, d.run_date, d.due_at, d.counted,
        CASE WHEN d.closes_on <= s.cutoff THEN 'empty' WHEN now() < d.due_at THEN 'open' WHEN now() < d.due_at + s.grace THEN 'due' ELSE 'missed' END AS status
    FROM flightbill.billing_days d, state s
), closings AS (
    SELECT d.*, extract(isodow FROM d.closes_on)::int AS ends
    FROM days d, state s
    WHERE d.counted AND d.closes_on - 7 <= greatest(s.today, s.cutoff)
    UNION ALL
    SELECT d.*, 0
    FROM days d, state s
    WHERE d.counted AND extract(day FROM d.closes_on + 1) = 1 AND date_trunc('month', d.closes_on)::date - 1 <= greatest(s.today, s.cutoff)
)
SELECT c.code AS customer, i.closes_on, d.run_date, d.due_at,
    CASE
        WHEN i.status <> 'DRAFT' THEN 'issued'
        WHEN i.closes_on > s.cutoff THEN d.status
        WHEN c.billing_hold THEN 'held'
        WHEN i.parked_at IS NOT NULL THEN 'parked'
        WHEN now() < s.working_since + s.grace OR s.working_since IS NULL AND c.held_through >= s.finished THEN 'due'
        ELSE 'missed'
    END AS status,
    i.id AS invoice_id, i.number, i.currency, i.outside_scope, i.total, i.parked_reason AS reason
FROM flightbill.invoices i
JOIN flightbill.customers c ON c.id = i.customer_id
CROSS JOIN state s
LEFT JOIN days d ON d.closes_on = i.closes_on
WHERE i.closes_on IS NOT NULL
UNION ALL
SELECT c.code, d.closes_on, d.run_date, d.due_at, d.status, NULL, NULL, NULL, NULL, NULL, NULL
FROM flightbill.customers c
JOIN closings d ON d.ends = CASE c.billing_frequency WHEN 'weekly' THEN c.week_ends_on::int WHEN 'monthly' THEN 0 END
WHERE NOT EXISTS (
    SELECT FROM flightbill.invoices i WHERE i.customer_id = c.id AND i.closes_on = d.closes_on);

-- One row for each code that may be a mistake, since what it should fit does not have it,
-- in whatever spelling and on whatever day; an airport's codes are one:
--
--   flights    airport       of flights of which no tariff names either airport, though
--                            some name airports. An airport at the other end of a flight
--                            that a tariff names is none: all the world's are
--              operator      of flights that nobody pays for: no customer has it, nor
--                            their aircraft
--              registration  of such flights whose operator is not known
--   tariffs    airport       that no flight has
--   customers  operator, registration  that no flight has
--
-- Flights are those of the ledger with the facts that they were billed from, those of
-- table flights, and those in the queue that were given up for this. A million billed
-- flights take 3 s on 2 busy cores.
CREATE VIEW flightbill.unmatched_codes AS
WITH flight AS (
    SELECT (b.facts ->> 'operator') COLLATE "C" AS operator, (b.facts ->> 'registration') COLLATE "C" AS registration,
        (b.facts ->> 'origin') COLLATE "C" AS origin, (b.facts ->> 'destination') COLLATE "C" AS destination, b.landed_on
    FROM flightbill.billed_flights b
    UNION ALL
    SELECT f.operator, f.registration, f.origin, f.destination,
        (CASE f.movement WHEN 'departure' THEN f.departed_at ELSE f.landed_at END AT TIME ZONE coalesce((SELECT s.timezone FROM flightbill.billing_settings s), 'UTC'))::date
    FROM flightbill.flights f
    WHERE NOT EXISTS (SELECT FROM flightbill.billed_flights b WHERE b.flight_id = f.flight_id)
    UNION ALL
    SELECT (j.metadata #>> '{facts,operator}') COLLATE "C", (j.metadata #>> '{facts,registration}') COLLATE "C",
        (j.metadata #>> '{facts,origin}') COLLATE "C", (j.metadata #>> '{facts,destination}') COLLATE "C",
        ((CASE j.metadata #>> '{facts,movement}' WHEN 'departure' THEN j.metadata #>> '{facts,departed_at}' ELSE j.metadata #>> '{facts,landed_at}' END)::timestamptz AT TIME ZONE coalesce((SELECT s.timezone FROM flightbill.billing_settings s), 'UTC'))::date
    FROM flightbill.river_job j
    WHERE j.state = 'cancelled' AND j.kind = 'ingest_flight' AND j.metadata ? 'facts' AND j.metadata ->> 'reason' IN ('no_customer', 'no_tariff')
        AND NOT EXISTS (SELECT FROM flightbill.billed_flights b WHERE b.flight_id = j.args ->> 'flight_id')
        AND NOT EXISTS (SELECT FROM flightbill.flights f WHERE f.flight_id = j.args ->> 'flight_id')
), grouped AS MATERIALIZED (
    SELECT grouping(f.operator) = 1 AS is_route, f.operator, f.registration, f.origin, f.destination, count(*) AS flights, max(f.landed_on) AS last_seen
    FROM flight f
    GROUP BY GROUPING SETS ((f.operator, f.registration), (f.origin, f.destination))
), route AS (
    SELECT nullif(coalesce(flightbill.code_form(o.airport), flightbill.code_form(g.origin)), '') AS origin_form,
        nullif(coalesce(flightbill.code_form(d.airport), flightbill.code_form(g.destination)), '') AS destination_form,
        g.origin, g.destination, g.flights, g.last_seen
    FROM grouped g
    LEFT JOIN flightbill.airport_codes o ON o.form = flightbill.code_form(g.origin)
    LEFT JOIN flightbill.airport_codes d ON d.form = flightbill.code_form(g.destination)
    WHERE g.is_route
), party AS (
    SELECT nullif(flightbill.code_form(operator), '') AS operator_form, nullif(flightbill.code_form(registration), '') AS registration_form,
        operator, registration, flights, last_seen
    FROM grouped WHERE NOT is_route
), charged AS (
    SELECT coalesce(flightbill.code_form(k.airport), flightbill.code_form(t.airport)) AS form, min(t.airport) AS code
    FROM flightbill.tariffs t LEFT JOIN flightbill.airport_codes k ON k.form = flightbill.code_form(t.airport)
    WHERE t.airport IS NOT NULL GROUP BY 1
), held_operator AS (
    SELECT DISTINCT flightbill.code_form(operator) AS form FROM flightbill.customer_operators
), held_registration AS (
    SELECT DISTINCT flightbill.code_form(registration) AS form FROM flightbill.customer_aircraft
), unpaid AS (
    SELECT * FROM party p
    WHERE NOT EXISTS (SELECT FROM held_operator h WHERE h.form = p.operator_form)
        AND NOT EXISTS (SELECT FROM held_registration h WHERE h.form = p.registration_form)
), uncharged AS (
    SELECT * FROM route r
    WHERE EXISTS (SELECT FROM charged)
        AND NOT EXISTS (SELECT FROM charged c WHERE c.form = r.origin_form)
        AND NOT EXISTS (SELECT FROM charged c WHERE c.form = r.destination_form)
), uncharged_end AS (
    SELECT origin_form AS form, origin AS code, flights, last_seen FROM uncharged
    UNION ALL
    SELECT destination_form, destination, flights, last_seen FROM uncharged WHERE destination_form IS DISTINCT FROM origin_form
)
SELECT 'flights'::text AS found_in, 'airport'::text AS kind, min(code) AS code, sum(flights)::bigint AS flights, max(last_seen) AS last_seen
FROM uncharged_end WHERE form IS NOT NULL GROUP BY form
UNION ALL
SELECT 'flights', 'operator', min(operator), sum(flights)::bigint, max(last_seen) FROM unpaid WHERE operator_form IS NOT NULL GROUP BY operator_form
UNION ALL
SELECT 'flights', 'registration', min(registration), sum(flights)::bigint, max(last_seen) FROM unpaid
WHERE operator_form IS NULL AND registration_form IS NOT NULL GROUP BY registration_form
UNION ALL
SELECT 'tariffs', 'airport', c.code, 0, NULL FROM charged c
WHERE EXISTS (SELECT FROM grouped)
    AND NOT EXISTS (SELECT FROM route r WHERE r.origin_form = c.form)
    AND NOT EXISTS (SELECT FROM route r WHERE r.destination_form = c.form)
UNION ALL
SELECT 'customers', 'operator', min(o.operator), 0, NULL FROM flightbill.customer_operators o
WHERE EXISTS (SELECT FROM grouped) AND NOT EXISTS (SELECT FROM party p WHERE p.operator_form = flightbill.code_form(o.operator))
GROUP BY flightbill.code_form(o.operator)
UNION ALL
SELECT 'customers', 'registration', min(a.registration), 0, NULL FROM flightbill.customer_aircraft a
WHERE EXISTS (SELECT FROM grouped) AND NOT EXISTS (SELECT FROM party p WHERE p.registration_form = flightbill.code_form(a.registration))
GROUP BY flightbill.code_form(a.registration);

-- +goose Down
SET LOCAL search_path = pg_catalog, pg_temp;
DROP VIEW flightbill.unmatched_codes;
DROP VIEW flightbill.billing_calendar;
DROP VIEW flightbill.billing_days;
