-- bank_entry_reference is what a payment of an entry is known by: the bank's words, and
-- what makes them differ from those of any other.
CREATE OR REPLACE FUNCTION flightbill.bank_entry_reference(entry flightbill.bank_entries, nth integer) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
    RETURN concat_ws(' ', nullif(left(entry.account, 34), ''), left(entry.bank_reference, 120), '#' || entry.id || CASE WHEN nth > 1 THEN '.' || nth ELSE '' END);
REVOKE ALL ON FUNCTION flightbill.bank_entry_reference FROM PUBLIC;
