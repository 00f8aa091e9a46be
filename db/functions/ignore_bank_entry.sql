-- ignore_bank_entry puts an entry aside that is no payment of an invoice, or was booked
-- elsewhere. It can be booked later all the same.
--
-- It runs with its owner's rights: who may call it needs no others.
CREATE OR REPLACE FUNCTION flightbill.ignore_bank_entry(entry_id bigint, reason text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    entry flightbill.bank_entries;
BEGIN
    IF coalesce(btrim(ignore_bank_entry.reason), '') = '' THEN
        RAISE EXCEPTION 'entry % of the bank cannot be ignored without a reason', coalesce(entry_id::text, 'NULL')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Say why in a few words: they stand with the entry.';
    END IF;
    LOCK TABLE flightbill.bank_entries IN ROW EXCLUSIVE MODE; -- what the update takes, before any invoice: see add_bank_entries
    SELECT * INTO entry FROM flightbill.bank_entries b WHERE b.id = entry_id FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'entry % of the bank is not known', coalesce(entry_id::text, 'NULL')
            USING ERRCODE = 'no_data_found', HINT = 'flightbill bank list shows the entries with their ids.';
    END IF;
    IF flightbill.bank_entry_left(entry) <> entry.amount THEN
        RAISE EXCEPTION 'entry % of the bank is booked, as payment %', entry_id, array_to_string(entry.payment_ids, ', ')
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Take the payment back first.';
    END IF;
    UPDATE flightbill.bank_entries b SET state = 'ignored', reason = left(btrim(ignore_bank_entry.reason), 1000) WHERE b.id = entry_id;
END
$$;
REVOKE ALL ON FUNCTION flightbill.ignore_bank_entry FROM PUBLIC;
