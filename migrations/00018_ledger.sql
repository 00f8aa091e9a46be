-- What a bank says of the account to which customers pay; and the journal, which says to a
-- ledger what was issued and paid.

-- +goose Up
SET LOCAL search_path = pg_catalog, pg_temp;

-- Entries of a bank's statements, each once and for ever.
CREATE TABLE flightbill.bank_entries (
    id             bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account        text    COLLATE "C" NOT NULL CHECK (char_length(account) <= 64), -- IBAN, or what the bank calls it; '': not known
    bank_reference text    COLLATE "C" NOT NULL CHECK (bank_reference <> '' AND char_length(bank_reference) <= 170), -- the bank's; none:…: made of the rest
    booked_on      date    NOT NULL CHECK (isfinite(booked_on)),
    amount         numeric NOT NULL CHECK (amount <> 0 AND abs(amount) < 1000000000000000), -- below 0: it went
    currency       text    COLLATE "C" NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    nth            integer NOT NULL DEFAULT 1 CHECK (nth > 0), -- of those in a file that are the same in all the above
    value_on       date,
    text           text    NOT NULL CHECK (char_length(text) <= 2000), -- what the payer wrote
    payer          text    NOT NULL CHECK (char_length(payer) <= 200),
    numbers        text[]  NOT NULL DEFAULT '{}', -- of the invoices that the text names
    state          text    NOT NULL DEFAULT 'unmatched' CHECK (state IN ('booked', 'unmatched', 'ignored')),
    payment_ids    bigint[] NOT NULL DEFAULT '{}',
    reason         text    CHECK (reason <> ''), -- why it is not booked, or not all of it
    file           text    NOT NULL,
    imported_at    timestamptz NOT NULL DEFAULT now(),
    imported_by    text    NOT NULL DEFAULT session_user,
    UNIQUE (bank_reference, account, booked_on, amount, currency, nth),
    CHECK (state <> 'booked' OR payment_ids <> '{}' AND reason IS NULL)
);
CREATE INDEX bank_entries_unmatched_idx ON flightbill.bank_entries (booked_on, id) WHERE state = 'unmatched';

-- The accounts of the ledger. Of a tariff that has one of its own, a charge keeps it.
CREATE TABLE flightbill.ledger_accounts (
    id           bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    what         text    NOT NULL CHECK (what IN ('receivable', 'revenue', 'tax', 'bank', 'interest', 'rounding')),
    tax_category text    CHECK (tax_category IN ('standard', 'zero', 'exempt', 'reverse_charge', 'export', 'outside')),
    tax_rate     numeric CHECK (tax_rate >= 0 AND tax_rate <= 1), -- 0.20 is 20 %
    account      text    COLLATE "C" NOT NULL CHECK (account <> '' AND char_length(account) <= 64),
    UNIQUE NULLS NOT DISTINCT (what, tax_category, tax_rate),
    CHECK ((tax_category IS NULL) = (tax_rate IS NULL)),
    CHECK (tax_category IS NULL OR what = 'tax')
);
INSERT INTO flightbill.ledger_accounts (what, account)
VALUES ('receivable', '1200'), ('revenue', '4000'), ('tax', '2200'), ('bank', '1000'), ('interest', '4900'), ('rounding', '4910');

-- +goose StatementBegin
-- bank_entries_stay keeps what the bank said, which shows that no entry is booked twice.
CREATE OR REPLACE FUNCTION flightbill.bank_entries_stay() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF TG_LEVEL = 'STATEMENT' THEN
        RAISE EXCEPTION 'rows of % are kept for ever: they are what shows that no entry of the bank is booked twice', TG_TABLE_NAME;
    END IF;
    RAISE EXCEPTION 'entry % of the bank, of %, cannot be changed or removed: it is what shows that it is not booked twice', OLD.id, OLD.booked_on
        USING HINT = 'What is not to be booked is ignored, with a reason: flightbill.ignore_bank_entry.';
END
$$;
REVOKE ALL ON FUNCTION flightbill.bank_entries_stay FROM PUBLIC;
-- +goose StatementEnd

-- +goose StatementBegin
-- bank_entry_reference is what a payment of an entry is known by: the bank's words, and
-- what makes them differ from those of any other.
CREATE OR REPLACE FUNCTION flightbill.bank_entry_reference(entry flightbill.bank_entries, nth integer) RETURNS text
    LANGUAGE sql IMMUTABLE
    SET search_path = pg_catalog, pg_temp
    RETURN concat_ws(' ', nullif(left(entry.account, 34), ''), left(entry.bank_reference, 120), '#' || entry.id || CASE WHEN nth > 1 THEN '.' || nth ELSE '' END);
REVOKE ALL ON FUNCTION flightbill.bank_entry_reference FROM PUBLIC;
-- +goose StatementEnd

-- +goose StatementBegin
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
-- +goose StatementEnd

-- +goose StatementBegin
-- add_bank_entries takes in entries of a bank's file that are not there yet, and returns
-- how many those are. match_bank_entries is to follow in the same transaction.
--
-- It lets one import at a time go on: another one of the same file then finds the entries there.
--
-- It runs with its owner's rights: who may call it needs no others.
CREATE OR REPLACE FUNCTION flightbill.add_bank_entries(file text, entries jsonb) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    added bigint;
BEGIN
    LOCK TABLE flightbill.bank_entries IN SHARE ROW EXCLUSIVE MODE;
    INSERT INTO flightbill.bank_entries AS b (account, bank_reference, booked_on, amount, currency, nth, value_on, text, payer, numbers, reason, file)
    SELECT e.account, e.bank_reference, e.booked_on, e.amount, e.currency, e.nth, e.value_on, e.text, e.payer, e.numbers, e.reason, add_bank_entries.file
    FROM ROWS FROM (jsonb_to_recordset(entries) AS (account text, bank_reference text, booked_on date, amount numeric, currency text, nth integer,
        value_on date, text text, payer text, numbers text[], reason text)) WITH ORDINALITY AS e
    ORDER BY e.ordinality
    ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS added = ROW_COUNT;
    RETURN added;
END
$$;
REVOKE ALL ON FUNCTION flightbill.add_bank_entries FROM PUBLIC;
-- +goose StatementEnd

-- +goose StatementBegin
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
-- +goose StatementEnd

-- +goose StatementBegin
-- book_bank_entry books an entry, or an amount of it, on an invoice; a debit as what was
-- paid out on a credit note or of an over-payment. It returns the payment's id.
--
-- It runs with its owner's rights: who may call it needs no others.
CREATE OR REPLACE FUNCTION flightbill.book_bank_entry(entry_id bigint, invoice_number text, amount numeric DEFAULT NULL) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    entry    flightbill.bank_entries;
    rest     numeric;
    currency text;
    payment  bigint;
BEGIN
    LOCK TABLE flightbill.bank_entries IN ROW EXCLUSIVE MODE; -- what the update takes, before any invoice: see add_bank_entries
    SELECT * INTO entry FROM flightbill.bank_entries b WHERE b.id = entry_id FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'entry % of the bank is not known', coalesce(entry_id::text, 'NULL')
            USING ERRCODE = 'no_data_found', HINT = 'flightbill bank list shows the entries with their ids.';
    END IF;
    -- Somebody may have taken a payment back, or be doing so.
    PERFORM FROM flightbill.payments p JOIN flightbill.invoices i ON i.id = p.invoice_id
    WHERE p.id = ANY (entry.payment_ids) OR i.number = invoice_number ORDER BY i.id FOR NO KEY UPDATE OF i;
    SELECT i.currency INTO currency FROM flightbill.invoices i WHERE i.number = invoice_number;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'invoice % is not known', coalesce(quote_literal(invoice_number), 'NULL')
            USING ERRCODE = 'no_data_found', HINT = 'Give the number as it stands on the invoice, such as ACME-000123; a draft has none.';
    END IF;
    IF currency <> entry.currency THEN
        RAISE EXCEPTION 'entry % of the bank is of % %, and invoice % is in %', entry_id, entry.amount, entry.currency, invoice_number, currency
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Record what it came to in ' || currency || ' with flightbill.record_payment, and ignore the entry.';
    END IF;
    rest := flightbill.bank_entry_left(entry);
    book_bank_entry.amount := coalesce(book_bank_entry.amount, rest);
    IF rest = 0 THEN
        RAISE EXCEPTION 'entry % of the bank is booked already, as payment %', entry_id, array_to_string(entry.payment_ids, ', ')
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Take the payment back first.';
    END IF;
    IF book_bank_entry.amount = 0 OR sign(book_bank_entry.amount) <> sign(rest) OR abs(book_bank_entry.amount) > abs(rest) THEN
        RAISE EXCEPTION '% of entry % of the bank cannot be booked: % % of it is left', book_bank_entry.amount, entry_id, rest, entry.currency
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Give at most what is left, with its sign; or no amount.';
    END IF;
    payment := flightbill.record_payment(invoice_number, book_bank_entry.amount, entry.booked_on, left(entry.text, 1000),
        flightbill.bank_entry_reference(entry, cardinality(entry.payment_ids) + 1));
    rest := rest - book_bank_entry.amount;
    UPDATE flightbill.bank_entries b
    SET payment_ids = b.payment_ids || payment, state = CASE WHEN rest = 0 THEN 'booked' ELSE 'unmatched' END,
        reason = CASE WHEN rest <> 0 THEN round(rest, greatest(flightbill.minor_units(currency), min_scale(rest))) || ' ' || currency || ' of it is left to book' END
    WHERE b.id = entry_id;
    RETURN payment;
END
$$;
REVOKE ALL ON FUNCTION flightbill.book_bank_entry FROM PUBLIC;
-- +goose StatementEnd

-- +goose StatementBegin
-- ignore_bank_entry puts an entry aside that is no payment of an invoice, or was booked
-- elsewhere. It can be booked later all the same.
--
-- It runs with its owner's rights: who may call it needs no others.
CREATE OR REPLACE FUNCTION flightbill.ignore_bank_entry(entry_id bigint, reason text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    entry flightbill.bank_entries;
BEGIN
    IF coalesce(btrim(ignore_bank_entry.reason), '') = '' THEN
        RAISE EXCEPTION 'entry % of the bank cannot be ignored without a reason', coalesce(entry_id::text, 'NULL')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Say why in a few words: they stand with the entry.';
    END IF;
    LOCK TABLE flightbill.bank_entries IN ROW EXCLUSIVE MODE; -- what the update takes, before any invoice: see add_bank_entries
    SELECT * INTO entry FROM flightbill.bank_entries b WHERE b.id = entry_id FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'entry % of the bank is not known', coalesce(entry_id::text, 'NULL')
            USING ERRCODE = 'no_data_found', HINT = 'flightbill bank list shows the entries with their ids.';
    END IF;
    IF flightbill.bank_entry_left(entry) <> entry.amount THEN
        RAISE EXCEPTION 'entry % of the bank is booked, as payment %', entry_id, array_to_string(entry.payment_ids, ', ')
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Take the payment back first.';
    END IF;
    UPDATE flightbill.bank_entries b SET state = 'ignored', reason = left(btrim(ignore_bank_entry.reason), 1000) WHERE b.id = entry_id;
END
$$;
REVOKE ALL ON FUNCTION flightbill.ignore_bank_entry FROM PUBLIC;
-- +goose StatementEnd

CREATE TRIGGER stay BEFORE DELETE OR UPDATE OF id, account, bank_reference, booked_on, amount, currency, nth, value_on, text, payer, numbers, file, imported_at, imported_by
    ON flightbill.bank_entries FOR EACH ROW EXECUTE FUNCTION flightbill.bank_entries_stay();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON flightbill.bank_entries EXECUTE FUNCTION flightbill.bank_entries_stay();
ALTER TABLE flightbill.bank_entries ENABLE ALWAYS TRIGGER stay, ENABLE ALWAYS TRIGGER refuse_truncate;

-- What was issued and paid, as double entry: for each entry and currency, all debits are as
-- much as all credits. Drafts are not in it. An invoice that is voided stays, and its credit
-- note takes it back: an entry never changes or goes.
--
-- A row sums an invoice's charges of one account and code: of 50,000 invoices and 2 million
-- charges, a month is read in seconds.
CREATE VIEW flightbill.journal AS
SELECT l.entry, l.day, l.entered_at, l.document, c.code AS customer, l.what,
    coalesce(l.account, t.account, a.account) AS account, l.code, l.tax_category, l.tax_rate, l.currency,
    greatest(l.amount, 0) AS debit, greatest(-l.amount, 0) AS credit
FROM (
    SELECT 'invoice ' || i.id AS entry, i.issued_on AS day, i.issued_at AS entered_at, i.number AS document, i.customer_id,
        'receivable'::text AS what, NULL::text COLLATE "C" AS account, NULL::text COLLATE "C" AS code, NULL::text AS tax_category, NULL::numeric AS tax_rate, i.currency, i.total AS amount
    FROM flightbill.invoices i
    WHERE i.status <> 'DRAFT'
    UNION ALL
    SELECT 'invoice ' || i.id AS entry, i.issued_on AS day, i.issued_at AS entered_at, i.number AS document, i.customer_id,
        CASE WHEN h.flight_id IS NULL THEN 'interest' ELSE 'revenue' END AS what, h.account, h.code, NULL::text AS tax_category, NULL::numeric AS tax_rate, i.currency, -sum(h.amount) AS amount
    FROM flightbill.invoices i
    JOIN flightbill.charges h ON h.invoice_id = i.id
    WHERE i.status <> 'DRAFT'
    GROUP BY i.id, h.flight_id IS NULL, h.account, h.code
    UNION ALL
    SELECT 'invoice ' || i.id AS entry, i.issued_on AS day, i.issued_at AS entered_at, i.number AS document, i.customer_id,
        'tax'::text AS what, NULL::text COLLATE "C" AS account, NULL::text COLLATE "C" AS code, x.category AS tax_category, x.rate AS tax_rate, i.currency, -x.tax AS amount
    FROM flightbill.invoices i
    JOIN flightbill.invoice_taxes x ON x.invoice_id = i.id
    WHERE i.status <> 'DRAFT'
    UNION ALL
    SELECT 'payment ' || p.id AS entry, p.paid_on AS day, p.recorded_at AS entered_at, i.number AS document, i.customer_id,
        side.what, NULL::text COLLATE "C" AS account, NULL::text COLLATE "C" AS code, NULL::text AS tax_category, NULL::numeric AS tax_rate, i.currency, side.amount
    FROM flightbill.payments p JOIN flightbill.invoices i ON i.id = p.invoice_id
    CROSS JOIN LATERAL (VALUES (CASE p.kind WHEN 'payment' THEN 'bank' ELSE 'rounding' END, p.amount), ('receivable', -p.amount)) AS side (what, amount)
    WHERE p.kind <> 'set_off'
    UNION ALL
    -- Both documents of a set-off have a row, of opposite amounts: one of them stands for both.
    SELECT 'payment ' || p.id AS entry, p.paid_on AS day, p.recorded_at AS entered_at, i.number AS document, i.customer_id,
        'receivable'::text AS what, NULL::text COLLATE "C" AS account, NULL::text COLLATE "C" AS code, NULL::text AS tax_category, NULL::numeric AS tax_rate, i.currency, side.amount
    FROM flightbill.payments p
    CROSS JOIN LATERAL (VALUES (p.invoice_id, -p.amount), (p.other_id, p.amount)) AS side (invoice_id, amount)
    JOIN flightbill.invoices i ON i.id = side.invoice_id
    WHERE p.kind = 'set_off' AND p.amount > 0
) AS l
JOIN flightbill.customers c ON c.id = l.customer_id
LEFT JOIN flightbill.ledger_accounts a ON a.what = l.what AND a.tax_category IS NULL
LEFT JOIN flightbill.ledger_accounts t ON t.what = l.what AND t.tax_category = l.tax_category AND t.tax_rate = l.tax_rate
WHERE l.amount <> 0;

GRANT SELECT ON flightbill.bank_entries, flightbill.ledger_accounts, flightbill.journal TO flightbill_server, flightbill_reporter, flightbill_accountant;
GRANT INSERT, UPDATE, DELETE ON flightbill.ledger_accounts TO flightbill_accountant;
GRANT EXECUTE ON FUNCTION flightbill.add_bank_entries, flightbill.match_bank_entries, flightbill.book_bank_entry, flightbill.ignore_bank_entry
    TO flightbill_accountant;

-- +goose Down
SET LOCAL search_path = pg_catalog, pg_temp;
DROP VIEW flightbill.journal;
DROP FUNCTION flightbill.ignore_bank_entry;
DROP FUNCTION flightbill.book_bank_entry;
DROP FUNCTION flightbill.match_bank_entries;
DROP FUNCTION flightbill.add_bank_entries;
DROP FUNCTION flightbill.bank_entry_left;
DROP FUNCTION flightbill.bank_entry_reference;
DROP TABLE flightbill.ledger_accounts;
DROP TABLE flightbill.bank_entries;
DROP FUNCTION flightbill.bank_entries_stay;
