-- currency_rate is what one unit of a currency was last worth in another, on a day or in
-- the week before it; null: that is not known.
CREATE OR REPLACE FUNCTION flightbill.currency_rate(currency text, in_currency text, on_day date) RETURNS numeric
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN (
        SELECT CASE WHEN r.currency = currency_rate.currency THEN r.rate ELSE 1 / r.rate END
        FROM flightbill.currency_rates r
        WHERE r.day BETWEEN on_day - 7 AND on_day
            AND (r.currency = currency_rate.currency AND r.in_currency = currency_rate.in_currency
                OR r.currency = currency_rate.in_currency AND r.in_currency = currency_rate.currency)
        ORDER BY r.day DESC, r.currency = currency_rate.currency DESC
        LIMIT 1);
REVOKE ALL ON FUNCTION flightbill.currency_rate FROM PUBLIC;
