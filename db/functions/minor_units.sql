-- minor_units is the number of decimals of a currency, as billing.MinorUnits has it; of one
-- that that does not know, 2. All who read draft_sums may call it.
CREATE OR REPLACE FUNCTION flightbill.minor_units(currency text) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE
        WHEN currency IN ('BIF', 'CLP', 'DJF', 'GNF', 'ISK', 'JPY', 'KMF', 'KRW', 'PYG', 'RWF', 'UGX', 'UYI', 'VND', 'VUV', 'XAF', 'XOF', 'XPF') THEN 0
        WHEN currency IN ('BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR', 'TND') THEN 3
        WHEN currency IN ('CLF', 'UYW') THEN 4
        ELSE 2
    END;
REVOKE ALL ON FUNCTION flightbill.minor_units FROM PUBLIC;
