-- rebill_invoice puts the flights of a voided invoice in the queue, to be billed
-- again from the facts that were kept, at the tariffs then in force for their
-- dates. payer says to whom: 'billed', to who was billed last; 'register', to whom
-- customer_aircraft and customer_operators then have for their dates. It returns how many.
CREATE OR REPLACE FUNCTION flightbill.rebill_invoice(invoice_number text, payer text DEFAULT 'billed') RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    original flightbill.invoices;
    flights  text[];
BEGIN
    IF rebill_invoice.payer NOT IN ('billed', 'register') OR rebill_invoice.payer IS NULL THEN
        RAISE EXCEPTION 'payer % is not known', quote_nullable(rebill_invoice.payer)
            USING ERRCODE = 'invalid_parameter_value',
                HINT = 'Give ''billed'' for who was billed before, or ''register'' for whom customer_aircraft and customer_operators have for a flight''s date.';
    END IF;
    SELECT * INTO original FROM flightbill.invoices i WHERE i.number = invoice_number FOR SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'invoice % is not known', coalesce(quote_literal(invoice_number), 'NULL')
            USING ERRCODE = 'no_data_found', HINT = 'Give the number as it stands on the invoice, such as ACME-000123.';
    END IF;
    IF original.status <> 'VOID' THEN
        RAISE EXCEPTION 'invoice % is % and its flights are billed', invoice_number, original.status
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Void it first: flightbill.void_invoice has its flights billed again with rebill => true.';
    END IF;
    -- Before voided_flights, as a re-billing that is at work takes them.
    PERFORM FROM flightbill.billed_flights b
    WHERE b.flight_id IN (SELECT v.flight_id FROM flightbill.voided_flights v JOIN flightbill.invoices c ON c.id = v.credit_note_id WHERE c.credits_invoice_id = original.id AND v.rebilled_at IS NULL)
    ORDER BY b.flight_id FOR UPDATE;
    WITH asked AS (
        UPDATE flightbill.voided_flights v SET rebill = true, payer = rebill_invoice.payer
        WHERE v.credit_note_id = (SELECT c.id FROM flightbill.invoices c WHERE c.credits_invoice_id = original.id)
            AND v.rebilled_at IS NULL AND (NOT v.rebill OR v.payer <> rebill_invoice.payer)
        RETURNING v.flight_id
    )
    SELECT array_agg(flight_id) INTO flights FROM asked;
    IF flights IS NULL THEN
        RAISE EXCEPTION 'the flights of invoice % have been sent to be billed again already', invoice_number
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'flight_processing_queue shows those that wait, and why; enqueue what was taken back; or give another payer.';
    END IF;
    UPDATE flightbill.billed_flights b SET revision = b.revision + 1 WHERE b.flight_id = ANY (flights);
    PERFORM FROM flightbill.enqueue_flights(flights);
    RETURN cardinality(flights);
END
$$;
REVOKE ALL ON FUNCTION flightbill.rebill_invoice FROM PUBLIC;
