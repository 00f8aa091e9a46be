-- remove_documents removes documents that were first given longer ago than they have to
-- be kept, and returns how many. What they say stays in invoices and charges.
CREATE OR REPLACE FUNCTION flightbill.remove_documents(retention interval) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
DECLARE
    removed bigint;
BEGIN
    IF retention IS NULL OR now() - retention > now() - interval '1 year' THEN -- 360 days are as much, to Postgres
        RAISE EXCEPTION 'documents cannot be removed after %', coalesce(quote_literal(retention), 'NULL')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Give at least 1 year; the laws of most countries ask for 6 to 10.';
    END IF;
    PERFORM set_config('flightbill.document_retention', retention::text, true);
    DELETE FROM flightbill.invoice_documents WHERE made_at < now() - retention;
    GET DIAGNOSTICS removed = ROW_COUNT;
    PERFORM set_config('flightbill.document_retention', '', true);
    RETURN removed;
END
$$;
REVOKE ALL ON FUNCTION flightbill.remove_documents FROM PUBLIC;
