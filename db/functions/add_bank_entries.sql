-- add_bank_entries takes in entries of a bank's file that are not there yet, and returns
-- how many those are. match_bank_entries is to follow in the same transaction.
--
-- It lets one import at a time go on: another one of the same file then finds the entries there.
--
-- It runs with its owner's rights: who may call it needs no others.
CREATE OR REPLACE FUNCTION flightbill.add_bank_entries(file text, entries jsonb) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    added bigint;
BEGIN
    LOCK TABLE flightbill.bank_entries IN SHARE ROW EXCLUSIVE MODE;
    INSERT INTO flightbill.bank_entries AS b (account, bank_reference, booked_on, amount, currency, nth, value_on, text, payer, numbers, reason, file)
    SELECT e.account, e.bank_reference, e.booked_on, e.amount, e.currency, e.nth, e.value_on, e.text, e.payer, e.numbers, e.reason, add_bank_entries.file
    FROM ROWS FROM (jsonb_to_recordset(entries) AS (account text, bank_reference text, booked_on date, amount numeric, currency text, nth integer,
        value_on date, text text, payer text, numbers text[], reason text)) WITH ORDINALITY AS e
    ORDER BY e.ordinality
    ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS added = ROW_COUNT;
    RETURN added;
END
$$;
REVOKE ALL ON FUNCTION flightbill.add_bank_entries FROM PUBLIC;
