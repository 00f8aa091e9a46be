-- voided_flight_message says why a flight is not billed again, and what to do: for_all, for
-- everybody who sees the queue, without invoice numbers and the reason of the void.
CREATE OR REPLACE FUNCTION flightbill.voided_flight_message(flight_id text, for_all boolean) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    advice text := 'have who enqueued it, or flightbill_queue_admin, take it off the queue, or have the invoice''s flights billed again';
BEGIN
    IF for_all THEN
        RETURN format('flight %s is not billed again: its invoice was voided without that; %s', flight_id, advice);
    END IF;
    RETURN (
        SELECT format('flight %s is not billed again: its invoice %s was voided by %s without that (%s); %s: SELECT flightbill.rebill_invoice(%L)',
            v.flight_id, i.number, c.number, c.reason, advice, i.number)
        FROM flightbill.voided_flights v
        JOIN flightbill.invoices c ON c.id = v.credit_note_id
        JOIN flightbill.invoices i ON i.id = c.credits_invoice_id
        WHERE v.flight_id = voided_flight_message.flight_id AND v.rebilled_at IS NULL AND NOT v.rebill
        ORDER BY v.credit_note_id DESC LIMIT 1);
END
$$;
REVOKE ALL ON FUNCTION flightbill.voided_flight_message FROM PUBLIC;
