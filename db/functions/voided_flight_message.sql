-- voided_flight_message says why a flight is not billed again, and what to do.
CREATE OR REPLACE FUNCTION flightbill.voided_flight_message(flight_id text) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (
        SELECT format('flight %s is not billed again: its invoice %s was voided by %s without that (%s); take the flight off the queue, '
            'or have the invoice''s flights billed again: SELECT flightbill.rebill_invoice(%L)', v.flight_id, i.number, c.number, c.reason, i.number)
        FROM flightbill.voided_flights v
        JOIN flightbill.invoices c ON c.id = v.credit_note_id
        JOIN flightbill.invoices i ON i.id = c.credits_invoice_id
        WHERE v.flight_id = voided_flight_message.flight_id AND v.rebilled_at IS NULL AND NOT v.rebill
        ORDER BY v.credit_note_id DESC LIMIT 1);
END
$$;
REVOKE ALL ON FUNCTION flightbill.voided_flight_message FROM PUBLIC;
