-- customers_keep_numbers keeps invoice numbers from coming twice: a code that stands on
-- invoices stays its customer's, since one who got it after would begin again at
-- CODE-000001; and the last number given out does not go back.
CREATE OR REPLACE FUNCTION flightbill.customers_keep_numbers() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NEW.invoice_seq < OLD.invoice_seq OR NEW.credit_note_seq < OLD.credit_note_seq THEN
        RAISE EXCEPTION 'customer % has been given invoice numbers up to % and credit note numbers up to %, which cannot be given again',
            OLD.code, OLD.invoice_seq, OLD.credit_note_seq;
    END IF;
    IF NEW.code <> OLD.code AND EXISTS (SELECT FROM flightbill.invoices i WHERE i.customer_id = OLD.id AND i.number IS NOT NULL) THEN
        RAISE EXCEPTION 'customer % has issued invoices: its code cannot become %', OLD.code, quote_literal(NEW.code)
            USING HINT = 'The code begins the numbers of its invoices. Change the name, or make a new customer and give it the operators and aircraft.';
    END IF;
    RETURN NEW;
END
$$;
REVOKE ALL ON FUNCTION flightbill.customers_keep_numbers FROM PUBLIC;
