-- match_bank_entries books the entries that have not been looked at: money that came, with
-- the number of one invoice, and no more than is open on it; or with the numbers of several,
-- and just what is open on all of them. Of each other one it notes why a person has to look.
--
-- It runs with its owner's rights: who may call it needs no others.
CREATE OR REPLACE FUNCTION flightbill.match_bank_entries() RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    entry flightbill.bank_entries;
    doc   record;
    docs  integer;
    total numeric; -- open on all of them
    opens text;
    why   text;
    paid  bigint[];
BEGIN
    LOCK TABLE flightbill.bank_entries IN SHARE ROW EXCLUSIVE MODE;
    -- In the order in which all lock invoices.
    PERFORM FROM flightbill.invoices i
    WHERE i.number IN (SELECT unnest(b.numbers) FROM flightbill.bank_entries b WHERE b.state = 'unmatched' AND b.reason IS NULL)
    ORDER BY i.id FOR NO KEY UPDATE;
    FOR entry IN
        SELECT b.* FROM flightbill.bank_entries b
        WHERE b.state = 'unmatched' AND b.reason IS NULL
        ORDER BY b.id
    LOOP
        docs := 0;
        total := 0;
        opens := NULL;
        why := NULL;
        paid := '{}';
        FOR doc IN
            SELECT i.number, i.currency, i.status, i.total, i.issued_on, flightbill.open_amount(i.id) AS open
            FROM flightbill.invoices i WHERE i.number = ANY (entry.numbers) ORDER BY array_position(entry.numbers, i.number)
        LOOP
            docs := docs + 1;
            total := total + doc.open;
            opens := concat_ws(' and ', opens, doc.open || ' on ' || doc.number);
            why := coalesce(why, CASE
                WHEN doc.currency <> entry.currency THEN doc.number || ' is in ' || doc.currency
                WHEN doc.status = 'VOID' THEN doc.number || ' is VOID'
                WHEN doc.total < 0 THEN doc.number || ' is a credit note'
                WHEN doc.open <= 0 THEN 'nothing is open on ' || doc.number
                WHEN doc.issued_on > entry.booked_on THEN doc.number || ' was issued on ' || doc.issued_on || ', after the money came'
            END);
        END LOOP;
        why := coalesce(why, CASE
            WHEN docs = 0 THEN 'no number of an invoice is found in its text'
            WHEN EXISTS (SELECT FROM flightbill.bank_entries b WHERE b.bank_reference = entry.bank_reference AND b.amount = entry.amount AND b.currency = entry.currency AND b.id <> entry.id
                    AND CASE b.account WHEN entry.account THEN entry.bank_reference NOT LIKE 'none:%' ELSE b.booked_on = entry.booked_on END)
                THEN 'another entry has the same bank reference and amount: is it the same?'
            WHEN EXISTS (SELECT FROM flightbill.payments p WHERE p.bank_reference = entry.bank_reference)
                THEN 'a payment has this bank reference already: is it the same?'
            WHEN docs < cardinality(entry.numbers) THEN 'a number in it is none of an invoice, or stands there twice'
            WHEN docs = 1 AND entry.amount > total OR docs > 1 AND entry.amount <> total
                THEN round(entry.amount, greatest(flightbill.minor_units(entry.currency), min_scale(entry.amount))) || ' ' || entry.currency || ' came, and what is open is ' || opens
        END);
        IF why IS NULL THEN
            BEGIN
                FOR doc IN
                    SELECT n.number, n.nth, CASE WHEN docs = 1 THEN entry.amount ELSE flightbill.open_amount(i.id) END AS amount
                    FROM unnest(entry.numbers) WITH ORDINALITY AS n (number, nth) JOIN flightbill.invoices i ON i.number = n.number ORDER BY n.nth
                LOOP
                    paid := paid || flightbill.record_payment(doc.number, doc.amount, entry.booked_on, left(entry.text, 1000),
                        flightbill.bank_entry_reference(entry, doc.nth::integer));
                END LOOP;
            EXCEPTION WHEN raise_exception OR invalid_parameter_value OR object_not_in_prerequisite_state OR unique_violation THEN
                why := left(SQLERRM, 1000);
                paid := '{}';
            END;
        END IF;
        UPDATE flightbill.bank_entries b SET state = CASE WHEN why IS NULL THEN 'booked' ELSE 'unmatched' END, reason = why, payment_ids = paid WHERE b.id = entry.id;
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION flightbill.match_bank_entries FROM PUBLIC;
