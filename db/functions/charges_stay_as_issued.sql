CREATE OR REPLACE FUNCTION flightbill.charges_stay_as_issued() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    issued text;
BEGIN
    -- Locked, so that a draft is not issued, with the sums of before, while its
    -- charge is being changed; looked at in a later statement, which sees what
    -- was committed while this one waited.
    PERFORM FROM flightbill.invoices WHERE id = OLD.invoice_id OR TG_OP = 'UPDATE' AND id = NEW.invoice_id ORDER BY id FOR SHARE;
    SELECT number INTO issued FROM flightbill.invoices
    WHERE status <> 'DRAFT' AND (id = OLD.invoice_id OR TG_OP = 'UPDATE' AND id = NEW.invoice_id);
    IF FOUND THEN
        RAISE EXCEPTION 'charge % stands on invoice %, which has been issued: it cannot be changed or removed', OLD.id, issued
            USING HINT = 'An issued invoice is corrected by a credit note.';
    END IF;
    RETURN CASE TG_OP WHEN 'UPDATE' THEN NEW ELSE OLD END;
END
$$;
REVOKE ALL ON FUNCTION flightbill.charges_stay_as_issued FROM PUBLIC;
