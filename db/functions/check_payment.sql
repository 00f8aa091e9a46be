-- check_payment refuses what is no amount of a document's currency.
CREATE OR REPLACE FUNCTION flightbill.check_payment(invoice flightbill.invoices, amount numeric) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF amount IS NULL OR amount = 0 OR NOT abs(amount) < 1000000000000000 THEN
        RAISE EXCEPTION '% cannot be paid on invoice %', coalesce(quote_literal(amount), 'NULL'), invoice.number
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Give the amount that was paid, in ' || invoice.currency || ', other than 0.';
    END IF;
    IF amount <> round(amount, flightbill.minor_units(invoice.currency)) THEN
        RAISE EXCEPTION '% cannot be paid on invoice %: amounts in % have % decimals', quote_literal(amount), invoice.number, invoice.currency, flightbill.minor_units(invoice.currency)
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Give the amount as it was paid.';
    END IF;
END
$$;
REVOKE ALL ON FUNCTION flightbill.check_payment FROM PUBLIC;
