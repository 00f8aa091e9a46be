-- tax_of is the tax of charges of one category and rate: by invoice, on their sum, rounded
-- once, half away from zero; by line, the sum of the charges' own.
CREATE OR REPLACE FUNCTION flightbill.tax_of(tax_by text, currency text, base numeric, rate numeric, of_lines numeric) RETURNS numeric
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE tax_by WHEN 'line' THEN of_lines ELSE round(base * rate, flightbill.minor_units(currency)) END;
REVOKE ALL ON FUNCTION flightbill.tax_of FROM PUBLIC;
