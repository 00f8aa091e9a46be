-- Rows go as a list of objects of text.
-- name: CurrencyRateListForImport :many
SELECT c.currency, c.in_currency, c.day, trim_scale(c.rate)::text AS rate
FROM flightbill.currency_rates c
JOIN (SELECT jsonb_array_elements(@given::jsonb) AS t) AS r
    ON c.currency = r.t ->> 'currency' AND c.in_currency = r.t ->> 'in_currency' AND c.day = CAST(r.t ->> 'day' AS date);

-- name: CurrencyRateUpsertMany :exec
INSERT INTO flightbill.currency_rates (currency, in_currency, day, rate)
SELECT r.t ->> 'currency', r.t ->> 'in_currency', CAST(r.t ->> 'day' AS date), CAST(r.t ->> 'rate' AS numeric)
FROM (SELECT jsonb_array_elements(@rows::jsonb) AS t) AS r
ON CONFLICT (currency, in_currency, day) DO UPDATE SET rate = excluded.rate;

-- Pairs of currencies that have a rate on a day, as the function currency_rate has it.
-- name: CurrencyRatePairs :many
SELECT DISTINCT currency, in_currency
FROM flightbill.currency_rates
WHERE day > CAST(@day AS date) - 8 AND day <= CAST(@day AS date);
