-- Invoices, their charges, the ledger of billed flights, and what keeps them
-- as they were issued.

-- +goose Up
SET LOCAL search_path = pg_catalog, pg_temp;

-- What one unit of a currency is worth in another on a day.
CREATE TABLE flightbill.currency_rates (
    currency    text    COLLATE "C" NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    in_currency text    COLLATE "C" NOT NULL CHECK (in_currency ~ '^[A-Z]{3}$' AND in_currency <> currency),
    day         date    NOT NULL CHECK (isfinite(day)),
    rate        numeric NOT NULL CHECK (rate > 0 AND rate < 1000000000000),
    PRIMARY KEY (currency, in_currency, day)
);

CREATE TABLE flightbill.invoices (
    id            bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    number        text    COLLATE "C" UNIQUE,              -- CODE-000001, of a credit note CODE-CN000001; null while a draft
    customer_id   bigint  NOT NULL REFERENCES flightbill.customers,
    kind          text    NOT NULL CHECK (kind IN ('flight', 'consolidated', 'credit_note')),
    closes_on     date,                        -- of a consolidated invoice, or a credit note in its place: the period's closing date
    currency      text    COLLATE "C" NOT NULL CHECK (currency ~ '^[A-Z]{3}$'), -- ISO 4217
    status        text    NOT NULL DEFAULT 'DRAFT' CHECK (status IN ('DRAFT', 'PENDING', 'OVERDUE', 'PAID', 'VOID')),
    subtotal      numeric,                     -- sum of the lines' amounts; null until issue
    tax           numeric,                     -- sum of its invoice_taxes
    total         numeric,
    bill_to_name  text,                        -- the customer's name as it was at issue
    outside_scope boolean NOT NULL DEFAULT false, -- of VAT: its charges stand on invoices of their own
    issuer_id     bigint  REFERENCES flightbill.issuers, -- as it was at issue; null: there was none
    bill_to       jsonb,                       -- the customer's address and ids as they were at issue, by the names of their columns
    tax_currency  text    COLLATE "C",         -- the issuer's, where it is another than currency
    tax_currency_rate numeric,                 -- what one unit of currency was worth in it at issue; null: no rate was known
    opened_at     timestamptz NOT NULL DEFAULT now(),
    issued_at     timestamptz,
    issued_on     date,                        -- the day of issued_at in the billing zone of that time: the document's date
    due_on        date,                        -- issued_on + payment terms; of a credit note, issued_on
    paid_at       timestamptz,
    parked_at     timestamptz,                 -- a run could not issue this draft
    parked_reason text,
    parked_by_run date,                        -- that run's closing date: a run tries each draft once
    credits_invoice_id bigint REFERENCES flightbill.invoices, -- of a credit note that voids an invoice: that invoice; or the other way round
    reason        text CHECK (reason <> ''),   -- of a credit note, and of what voids one: what it is for
    CHECK (CASE kind WHEN 'consolidated' THEN (closes_on IS NULL) = (credits_invoice_id IS NOT NULL)
        WHEN 'credit_note' THEN closes_on IS NULL OR credits_invoice_id IS NULL
        ELSE num_nonnulls(closes_on, credits_invoice_id) = 0 END),
    CHECK ((kind = 'credit_note' OR credits_invoice_id IS NOT NULL) = (reason IS NOT NULL)),
    CHECK ((parked_at IS NULL) = (parked_reason IS NULL)),
    CONSTRAINT invoices_draft_has_no_number CHECK (
        CASE WHEN status = 'DRAFT'
            THEN num_nonnulls(number, subtotal, tax, total, bill_to_name, issuer_id, bill_to, tax_currency, tax_currency_rate, issued_at, issued_on, due_on, paid_at) = 0
            ELSE num_nulls(number, subtotal, tax, total, bill_to_name, issued_at, issued_on, due_on) = 0
                AND total = subtotal + tax AND parked_at IS NULL
        END),
    CONSTRAINT invoices_paid_at_exactly_when_paid CHECK ((status = 'PAID') = (paid_at IS NOT NULL) OR status = 'VOID')
);
-- A customer has one invoice or credit note for a period, whatever ran twice.
CREATE UNIQUE INDEX invoices_one_per_period ON flightbill.invoices (customer_id, currency, closes_on, outside_scope)
    WHERE closes_on IS NOT NULL AND status <> 'VOID';
CREATE INDEX invoices_drafts_idx ON flightbill.invoices (customer_id, closes_on) WHERE status = 'DRAFT';
-- The drafts whose closing date has come, for /metrics and for what is left to
-- a run: few, whatever the number of open ones.
CREATE INDEX invoices_draft_closing_idx ON flightbill.invoices (closes_on) WHERE status = 'DRAFT';
-- Who has nothing to pay is never overdue.
CREATE INDEX invoices_unpaid_idx ON flightbill.invoices (due_on, id) WHERE status = 'PENDING' AND total > 0 AND kind <> 'credit_note';
-- An invoice is voided once, whoever else voids it at the same moment.
CREATE UNIQUE INDEX invoices_voided_once ON flightbill.invoices (credits_invoice_id) WHERE credits_invoice_id IS NOT NULL;

-- One row per flight ever billed: what makes billing idempotent, for ever.
CREATE TABLE flightbill.billed_flights (
    flight_id   text   COLLATE "C" PRIMARY KEY,
    customer_id bigint NOT NULL REFERENCES flightbill.customers,
    landed_on   date   NOT NULL,               -- movement date in the billing zone: of the landing, of a departure of the take-off
    facts       jsonb  NOT NULL,               -- what it was priced from last, as the flight source had it
    billed_at   timestamptz NOT NULL,
    revision    integer NOT NULL DEFAULT 0,    -- grows with each void, re-billing and correction
    -- What the registers added to the facts, or had put first: {"mtow_kg": {"value": 73500, "from": "aircraft G-ABCD"}}.
    declared    jsonb  NOT NULL DEFAULT '{}'
);

-- What an invoice's tax is made of, written at issue.
CREATE TABLE flightbill.invoice_taxes (
    invoice_id   bigint  NOT NULL REFERENCES flightbill.invoices,
    category     text    NOT NULL CHECK (category IN ('standard', 'zero', 'exempt', 'reverse_charge', 'export', 'outside')),
    rate         numeric NOT NULL,             -- 0.20 is 20 %
    base         numeric NOT NULL,             -- the sum of the charges' amounts
    tax          numeric NOT NULL,
    reason       text,                         -- why it is not taxed as usual
    PRIMARY KEY (invoice_id, category, rate)
);

CREATE TABLE flightbill.charges (
    id          bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    invoice_id  bigint  NOT NULL REFERENCES flightbill.invoices,
    flight_id   text    COLLATE "C" REFERENCES flightbill.billed_flights, -- null: interest
    tariff_id   bigint  REFERENCES flightbill.tariffs,
    code        text    COLLATE "C" NOT NULL,            -- the tariff's; INTEREST
    description text    NOT NULL,
    quantity    numeric NOT NULL,
    unit_rate   numeric NOT NULL,
    amount      numeric NOT NULL,              -- rounded to the currency's minor unit
    tax_rate    numeric NOT NULL,              -- 0.20 is 20 %
    tax_amount  numeric NOT NULL,              -- rounded likewise
    flown_on    date    NOT NULL,              -- movement date in the billing zone; of interest, the day it was charged through
    late        boolean NOT NULL DEFAULT false, -- its own period had been run, or the flight had been billed before
    origin      text CHECK (origin IN ('rebilled', 'correction')), -- why the flight is charged again; null: it is not
    tax_category text   NOT NULL DEFAULT 'standard' CHECK (tax_category IN ('standard', 'zero', 'exempt', 'reverse_charge', 'export', 'outside')),
    tax_reason  text,
    unit_code   text    COLLATE "C",           -- UN/ECE recommendation 20
    account     text    COLLATE "C",           -- of the ledger
    detail      jsonb,                         -- how the amount came about: a list of steps, for a clerk to do again by hand
    interest_on bigint  REFERENCES flightbill.invoices, -- the invoice that was paid late
    interest_through date,                     -- the last day that is charged, from the day after the one before
    CHECK (CASE WHEN interest_on IS NULL THEN num_nulls(flight_id, tariff_id) = 0 AND interest_through IS NULL
        ELSE num_nonnulls(flight_id, tariff_id) = 0 AND interest_through IS NOT NULL END)
);
CREATE INDEX charges_invoice_idx ON flightbill.charges (invoice_id);
CREATE INDEX charges_flight_idx ON flightbill.charges (flight_id);
-- Interest for a day is charged once; a credit note takes it back below 0.
CREATE UNIQUE INDEX charges_interest_once ON flightbill.charges (interest_on, interest_through) WHERE interest_on IS NOT NULL AND amount > 0;

-- One row for each flight of a voided invoice: its charges in that currency are
-- undone by the credit note.
CREATE TABLE flightbill.voided_flights (
    flight_id      text    COLLATE "C" NOT NULL REFERENCES flightbill.billed_flights,
    credit_note_id bigint  NOT NULL REFERENCES flightbill.invoices,
    currency       text    COLLATE "C" NOT NULL,
    rebill         boolean NOT NULL,           -- asked for
    payer          text    NOT NULL DEFAULT 'billed' CHECK (payer IN ('billed', 'register')), -- who is to pay: who did, or whom customers have for the day
    rebilled_at    timestamptz,                -- null: it has not been billed again
    PRIMARY KEY (flight_id, credit_note_id)
);
CREATE INDEX voided_flights_credit_note_idx ON flightbill.voided_flights (credit_note_id);
-- What an enqueueing looks through.
CREATE INDEX voided_flights_open_idx ON flightbill.voided_flights (flight_id) WHERE rebilled_at IS NULL;

-- One row for every change of status, and for a draft that is parked or no
-- longer is.
CREATE TABLE flightbill.invoice_events (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    invoice_id  bigint NOT NULL REFERENCES flightbill.invoices ON DELETE CASCADE,
    at          timestamptz NOT NULL,
    from_status text,                          -- null: the draft was opened
    to_status   text NOT NULL,
    note        text                           -- what else there is to say: why, on which day, by which other document
);
CREATE INDEX invoice_events_invoice_idx ON flightbill.invoice_events (invoice_id);

-- +goose StatementBegin
-- It runs with its owner's rights: nobody else need write events, nor can forge one.
CREATE OR REPLACE FUNCTION flightbill.invoices_record_event() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET jit = off
AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO flightbill.invoice_events (invoice_id, at, from_status, to_status)
        SELECT id, opened_at, NULL, status FROM new_rows;
    ELSE
        INSERT INTO flightbill.invoice_events (invoice_id, at, from_status, to_status, note)
        SELECT n.id, CASE WHEN n.status = 'DRAFT' THEN coalesce(n.parked_at, now()) WHEN o.status = 'DRAFT' THEN n.issued_at ELSE now() END,
            o.status, n.status,
            CASE
                WHEN n.status = 'DRAFT' THEN coalesce('parked: ' || n.parked_reason, 'no longer parked')
                WHEN n.status = 'PAID' AND n.total = 0 THEN 'nothing due'
                WHEN n.status = 'PAID' AND n.credits_invoice_id IS NOT NULL AND n.paid_at = n.issued_at
                    THEN 'set against ' || (SELECT c.number FROM flightbill.invoices c WHERE c.id = n.credits_invoice_id)
                WHEN n.status = 'PENDING' AND o.status = 'PAID' THEN 'payment of ' || (o.paid_at AT TIME ZONE coalesce((SELECT s.timezone FROM flightbill.billing_settings s), 'UTC'))::date
                    || ' taken back: ' || coalesce(current_setting('flightbill.payment_taken_back', true), '')
                WHEN n.status = 'PAID' THEN coalesce((
                    SELECT CASE p.kind WHEN 'set_off' THEN 'set against ' || (SELECT c.number FROM flightbill.invoices c WHERE c.id = p.other_id) || ', settled on '
                        WHEN 'rounding' THEN 'rest of ' || p.amount || ' written off (' || p.reason || '), settled on ' END
                    FROM flightbill.payments p WHERE p.invoice_id = n.id ORDER BY p.invoice_id DESC, p.id DESC LIMIT 1), 'paid on ') || (n.paid_at AT TIME ZONE coalesce((SELECT s.timezone FROM flightbill.billing_settings s), 'UTC'))::date
                WHEN n.status = 'VOID' THEN (SELECT c.number || ': ' || c.reason FROM flightbill.invoices c WHERE c.credits_invoice_id = n.id)
                WHEN n.reason IS NOT NULL AND o.status = 'DRAFT' THEN coalesce((
                    SELECT 'voids ' || c.number || CASE WHEN p.paid = c.total AND p.paid <> 0 THEN ', which was paid: the amount is owed back'
                            WHEN p.paid <> 0 THEN ', of which ' || p.paid || ' was paid: that is owed back' ELSE '' END || ': '
                    FROM flightbill.invoices c CROSS JOIN LATERAL (SELECT coalesce(sum(p.amount), 0) AS paid FROM flightbill.payments p WHERE p.invoice_id = c.id) AS p
                    WHERE c.id = n.credits_invoice_id), '') || n.reason
                WHEN o.parked_at IS NOT NULL THEN 'no longer parked'
            END
        FROM new_rows n JOIN old_rows o USING (id)
        WHERE n.status <> o.status OR n.parked_reason IS DISTINCT FROM o.parked_reason;
    END IF;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION flightbill.invoices_record_event FROM PUBLIC;
-- +goose StatementEnd

-- +goose StatementBegin
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
-- +goose StatementEnd

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION flightbill.charges_stay_as_issued() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    issued text;
BEGIN
    -- Locked, so that a draft is not issued, with the sums of before, while its
    -- charge is being changed; looked at in a later statement, which sees what
    -- was committed while this one waited.
    PERFORM FROM flightbill.invoices WHERE id = OLD.invoice_id OR TG_OP = 'UPDATE' AND id = NEW.invoice_id ORDER BY id FOR SHARE;
    SELECT number INTO issued FROM flightbill.invoices
    WHERE status <> 'DRAFT' AND (id = OLD.invoice_id OR TG_OP = 'UPDATE' AND id = NEW.invoice_id);
    IF FOUND THEN
        RAISE EXCEPTION 'charge % stands on invoice %, which has been issued: it cannot be changed or removed', OLD.id, issued
            USING HINT = 'An issued invoice is corrected by a credit note.';
    END IF;
    RETURN CASE TG_OP WHEN 'UPDATE' THEN NEW ELSE OLD END;
END
$$;
REVOKE ALL ON FUNCTION flightbill.charges_stay_as_issued FROM PUBLIC;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION flightbill.charges_join_drafts_only() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    issued text;
BEGIN
    SELECT i.number INTO issued
    FROM new_rows n JOIN flightbill.invoices i ON i.id = n.invoice_id
    WHERE i.status <> 'DRAFT' LIMIT 1;
    IF FOUND AND NOT EXISTS (
        -- A subscription copies a table as it is, whatever comes first.
        SELECT FROM pg_stat_get_activity(pg_backend_pid()) WHERE backend_type LIKE 'logical replication%'
    ) THEN
        RAISE EXCEPTION 'invoice % has been issued: no charge can be added to it', issued
            USING HINT = 'A charge that comes late goes on the customer''s next draft.';
    END IF;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION flightbill.charges_join_drafts_only FROM PUBLIC;
-- +goose StatementEnd

-- +goose StatementBegin
-- What is written of an invoice's taxes makes its totals: nothing is added later.
CREATE OR REPLACE FUNCTION flightbill.invoice_taxes_make_totals() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET jit = off
AS $$
DECLARE
    wrong text;
BEGIN
    SELECT coalesce(i.number, 'draft ' || i.id) INTO wrong
    FROM (SELECT DISTINCT n.invoice_id FROM new_rows n) AS d
    JOIN flightbill.invoices i ON i.id = d.invoice_id
    CROSS JOIN LATERAL (SELECT sum(t.base) AS base, sum(t.tax) AS tax FROM flightbill.invoice_taxes t WHERE t.invoice_id = i.id) AS s
    WHERE i.subtotal IS DISTINCT FROM s.base OR i.tax IS DISTINCT FROM s.tax
    LIMIT 1;
    IF FOUND AND NOT EXISTS (
        -- A subscription copies a table as it is, whatever comes first.
        SELECT FROM pg_stat_get_activity(pg_backend_pid()) WHERE backend_type LIKE 'logical replication%'
    ) THEN
        RAISE EXCEPTION 'the taxes of invoice % do not make its totals', wrong
            USING HINT = 'They are written when it is issued, by flightbill.issue_drafts, and never after.';
    END IF;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION flightbill.invoice_taxes_make_totals FROM PUBLIC;
-- +goose StatementEnd

-- +goose StatementBegin
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
-- +goose StatementEnd

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION flightbill.refuse_removal() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are kept for ever: they show what was billed, and that no flight is billed twice', TG_TABLE_NAME;
END
$$;
REVOKE ALL ON FUNCTION flightbill.refuse_removal FROM PUBLIC;
-- +goose StatementEnd

CREATE TRIGGER record_opening AFTER INSERT ON flightbill.invoices
    REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION flightbill.invoices_record_event();
CREATE TRIGGER record_change AFTER UPDATE ON flightbill.invoices
    REFERENCING NEW TABLE AS new_rows OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION flightbill.invoices_record_event();

CREATE TRIGGER stay_as_issued BEFORE UPDATE ON flightbill.invoices FOR EACH ROW
    WHEN (OLD.status <> 'DRAFT' OR NEW.status NOT IN ('DRAFT', 'PENDING'))
    EXECUTE FUNCTION flightbill.invoices_stay_as_issued();
CREATE TRIGGER stay_when_issued BEFORE DELETE ON flightbill.invoices FOR EACH ROW
    WHEN (OLD.status <> 'DRAFT')
    EXECUTE FUNCTION flightbill.invoices_stay_as_issued();

CREATE TRIGGER stay_as_issued BEFORE UPDATE OR DELETE ON flightbill.charges
    FOR EACH ROW EXECUTE FUNCTION flightbill.charges_stay_as_issued();
CREATE TRIGGER join_drafts_only AFTER INSERT ON flightbill.charges
    REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION flightbill.charges_join_drafts_only();

CREATE TRIGGER make_totals AFTER INSERT ON flightbill.invoice_taxes
    REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION flightbill.invoice_taxes_make_totals();

CREATE TRIGGER keep_numbers BEFORE UPDATE OF code, invoice_seq, credit_note_seq ON flightbill.customers FOR EACH ROW
    WHEN (OLD.code <> NEW.code OR NEW.invoice_seq < OLD.invoice_seq OR NEW.credit_note_seq < OLD.credit_note_seq)
    EXECUTE FUNCTION flightbill.customers_keep_numbers();
ALTER TABLE flightbill.customers ENABLE ALWAYS TRIGGER keep_numbers; -- in an apply worker of a replication too

CREATE TRIGGER refuse_removal BEFORE DELETE OR UPDATE OF flight_id ON flightbill.billed_flights
    FOR EACH ROW EXECUTE FUNCTION flightbill.refuse_removal();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON flightbill.billed_flights EXECUTE FUNCTION flightbill.refuse_removal();
CREATE TRIGGER refuse_removal BEFORE DELETE OR UPDATE OF flight_id, credit_note_id ON flightbill.voided_flights
    FOR EACH ROW EXECUTE FUNCTION flightbill.refuse_removal();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON flightbill.voided_flights EXECUTE FUNCTION flightbill.refuse_removal();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON flightbill.invoices EXECUTE FUNCTION flightbill.refuse_removal();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON flightbill.charges EXECUTE FUNCTION flightbill.refuse_removal();
CREATE TRIGGER refuse_removal BEFORE DELETE OR UPDATE ON flightbill.invoice_taxes
    FOR EACH ROW EXECUTE FUNCTION flightbill.refuse_removal();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON flightbill.invoice_taxes EXECUTE FUNCTION flightbill.refuse_removal();

-- For an apply worker of a logical replication, and whoever else calls himself a replica, too.
ALTER TABLE flightbill.invoices ENABLE ALWAYS TRIGGER stay_as_issued, ENABLE ALWAYS TRIGGER stay_when_issued, ENABLE ALWAYS TRIGGER refuse_truncate;
ALTER TABLE flightbill.charges ENABLE ALWAYS TRIGGER stay_as_issued, ENABLE ALWAYS TRIGGER join_drafts_only, ENABLE ALWAYS TRIGGER refuse_truncate;
ALTER TABLE flightbill.invoice_taxes ENABLE ALWAYS TRIGGER make_totals, ENABLE ALWAYS TRIGGER refuse_removal, ENABLE ALWAYS TRIGGER refuse_truncate;
ALTER TABLE flightbill.billed_flights ENABLE ALWAYS TRIGGER refuse_removal, ENABLE ALWAYS TRIGGER refuse_truncate;
ALTER TABLE flightbill.voided_flights ENABLE ALWAYS TRIGGER refuse_removal, ENABLE ALWAYS TRIGGER refuse_truncate;

-- +goose Down
SET LOCAL search_path = pg_catalog, pg_temp;

-- +goose StatementBegin
DO $$
DECLARE
    issued bigint;
BEGIN
    LOCK TABLE flightbill.invoices IN ACCESS EXCLUSIVE MODE;
    SELECT count(*) INTO issued FROM flightbill.invoices WHERE status <> 'DRAFT';
    IF issued > 0 AND current_setting('flightbill.lose_invoices', true) IS DISTINCT FROM 'on' THEN
        RAISE EXCEPTION '% issued invoices would be lost for good', issued
            USING HINT = 'Keep a backup. If that is what you want: flightbill migrate down --lose-invoices; or set flightbill.lose_invoices to on in this session.';
    END IF;
END
$$;
-- +goose StatementEnd

DROP TABLE flightbill.invoice_events;
DROP TABLE flightbill.voided_flights;
DROP TABLE flightbill.charges;
DROP TABLE flightbill.invoice_taxes;
DROP TABLE flightbill.billed_flights;
DROP TABLE flightbill.invoices;
DROP TABLE flightbill.currency_rates;
DROP TRIGGER keep_numbers ON flightbill.customers;
DROP FUNCTION flightbill.customers_keep_numbers;
DROP FUNCTION flightbill.refuse_removal;
DROP FUNCTION flightbill.invoice_taxes_make_totals;
DROP FUNCTION flightbill.charges_join_drafts_only;
DROP FUNCTION flightbill.charges_stay_as_issued;
DROP FUNCTION flightbill.invoices_stay_as_issued;
DROP FUNCTION flightbill.invoices_record_event;
