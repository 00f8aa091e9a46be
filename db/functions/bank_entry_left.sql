-- bank_entry_left is what is not booked of an entry. A payment that was taken back is not.
CREATE OR REPLACE FUNCTION flightbill.bank_entry_left(entry flightbill.bank_entries) RETURNS numeric
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET jit = off
AS $$
    SELECT entry.amount - coalesce((
        SELECT sum(p.amount) FROM flightbill.payments p
        WHERE p.id = ANY (entry.payment_ids) AND NOT EXISTS (SELECT FROM flightbill.payments r WHERE r.reverses_id = p.id)), 0)
$$;
REVOKE ALL ON FUNCTION flightbill.bank_entry_left FROM PUBLIC;
