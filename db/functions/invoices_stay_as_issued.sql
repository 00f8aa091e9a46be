CREATE OR REPLACE FUNCTION flightbill.invoices_stay_as_issued() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET jit = off
AS $$
DECLARE
    allowed flightbill.invoices;
    open    numeric;
BEGIN
    IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'invoice % has been issued and cannot be deleted', OLD.number
            USING HINT = 'An issued invoice is corrected by a credit note.';
    END IF;
    allowed := NEW;
    allowed.status := OLD.status;
    allowed.paid_at := OLD.paid_at;
    IF allowed IS DISTINCT FROM OLD OR NOT (CASE NEW.status
        WHEN 'DRAFT' THEN OLD.status = 'DRAFT'
        WHEN 'PENDING' THEN OLD.status IN ('DRAFT', 'PENDING')
            -- By reverse_payment and unmark_invoice_paid, with the reason and their owner's
            -- rights; or by a subscription, which repeats what was done elsewhere.
            OR OLD.status = 'PAID' AND (
                coalesce(current_setting('flightbill.payment_taken_back', true), '') <> ''
                    AND pg_get_userbyid((SELECT t.relowner FROM pg_class t WHERE t.oid = TG_RELID)) = current_user
                OR EXISTS (SELECT FROM pg_stat_get_activity(pg_backend_pid()) WHERE backend_type LIKE 'logical replication%'))
        WHEN 'OVERDUE' THEN OLD.status IN ('PENDING', 'OVERDUE') AND OLD.kind <> 'credit_note'
        WHEN 'PAID' THEN OLD.status IN ('PENDING', 'OVERDUE', 'PAID')
        WHEN 'VOID' THEN OLD.status <> 'DRAFT'
            AND EXISTS (SELECT FROM flightbill.invoices c WHERE c.credits_invoice_id = OLD.id AND c.status <> 'DRAFT')
    END) THEN
        RAISE EXCEPTION 'invoice % is % and cannot become what was asked (status %)',
            coalesce(OLD.number, 'draft ' || OLD.id), OLD.status, NEW.status
            USING HINT = 'An issued invoice never changes but in status: PENDING, OVERDUE, then PAID or, by flightbill.void_invoice, VOID; flightbill.reverse_payment takes a payment back.';
    END IF;
    IF NEW.status = 'PAID' AND OLD.status <> 'PAID' AND NEW.total <> 0 AND NOT EXISTS (
        SELECT FROM pg_stat_get_activity(pg_backend_pid()) WHERE backend_type LIKE 'logical replication%'
    ) THEN
        open := NEW.total - coalesce((SELECT sum(p.amount) FROM flightbill.payments p WHERE p.invoice_id = NEW.id), 0);
        IF sign(open) = sign(NEW.total) THEN
            RAISE EXCEPTION 'invoice % cannot become PAID: % % is open on it', NEW.number, open, NEW.currency
                USING HINT = 'flightbill.record_payment and flightbill.mark_invoice_paid record what was paid.';
        END IF;
    END IF;
    RETURN NEW;
END
$$;
REVOKE ALL ON FUNCTION flightbill.invoices_stay_as_issued FROM PUBLIC;
