-- set_off uses a customer's credit, on a credit note or an invoice that was paid more than
-- once, for another invoice of his in the same currency: an amount, or as much as goes. It
-- returns how much.
--
-- It runs with its owner's rights: who may call it needs no others.
CREATE OR REPLACE FUNCTION flightbill.set_off(from_number text, to_number text, amount numeric DEFAULT NULL) RETURNS numeric
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    source flightbill.invoices;
    target flightbill.invoices;
    credit numeric;
    open   numeric;
BEGIN
    PERFORM FROM flightbill.invoices i WHERE i.number IN (from_number, to_number) ORDER BY i.id FOR NO KEY UPDATE;
    SELECT * INTO source FROM flightbill.invoice_to_settle(from_number);
    SELECT * INTO target FROM flightbill.invoice_to_settle(to_number);
    IF source.customer_id <> target.customer_id OR source.currency <> target.currency THEN
        RAISE EXCEPTION '% cannot be set off against %: they are of different customers or currencies', source.number, target.number
            USING ERRCODE = 'invalid_parameter_value', HINT = 'A credit goes on an invoice of the same customer in the same currency.';
    END IF;
    credit := -flightbill.open_amount(source.id);
    open := flightbill.open_amount(target.id);
    IF credit <= 0 THEN
        RAISE EXCEPTION '% has no credit: % % is open on it', source.number, -credit, source.currency
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Name the credit first, and then the invoice that it is used for.';
    END IF;
    IF open <= 0 THEN
        RAISE EXCEPTION 'nothing is open on invoice %', target.number
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Name the credit first, and then the invoice that it is used for.';
    END IF;
    set_off.amount := coalesce(set_off.amount, least(credit, open));
    PERFORM flightbill.check_payment(target, set_off.amount);
    set_off.amount := round(set_off.amount, flightbill.minor_units(target.currency));
    IF set_off.amount < 0 OR set_off.amount > least(credit, open) THEN
        RAISE EXCEPTION '% of % cannot be set off against %: the credit is %, and % is open', set_off.amount, source.number, target.number, credit, open
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Give at most the smaller of the two, above 0; or no amount.';
    END IF;
    PERFORM flightbill.set_off_pair(target.id, source.id, set_off.amount);
    RETURN set_off.amount;
END
$$;
REVOKE ALL ON FUNCTION flightbill.set_off FROM PUBLIC;
