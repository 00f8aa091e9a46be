-- bank_entries_stay keeps what the bank said, which shows that no entry is booked twice.
CREATE OR REPLACE FUNCTION flightbill.bank_entries_stay() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF TG_LEVEL = 'STATEMENT' THEN
        RAISE EXCEPTION 'rows of % are kept for ever: they are what shows that no entry of the bank is booked twice', TG_TABLE_NAME;
    END IF;
    RAISE EXCEPTION 'entry % of the bank, of %, cannot be changed or removed: it is what shows that it is not booked twice', OLD.id, OLD.booked_on
        USING HINT = 'What is not to be booked is ignored, with a reason: flightbill.ignore_bank_entry.';
END
$$;
REVOKE ALL ON FUNCTION flightbill.bank_entries_stay FROM PUBLIC;
