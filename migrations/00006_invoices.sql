-- Invoices, their charges, the ledger of billed flights, and what keeps them
-- as they were issued.

-- +goose Up
CREATE TABLE invoices (
    id            bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    number        text    UNIQUE,              -- CODE-000001; null while a draft
    customer_id   bigint  NOT NULL REFERENCES customers,
    kind          text    NOT NULL CHECK (kind IN ('flight', 'consolidated', 'credit_note')),
    closes_on     date,                        -- the period's closing date; null for kind flight
    currency      text    NOT NULL CHECK (currency ~ '^[A-Z]{3}$'), -- ISO 4217
    status        text    NOT NULL DEFAULT 'DRAFT' CHECK (status IN ('DRAFT', 'PENDING', 'OVERDUE', 'PAID', 'VOID')),
    subtotal      numeric,                     -- sum of the lines' amounts; null until issue
    tax           numeric,                     -- sum of the lines' taxes
    total         numeric,
    bill_to_name  text,                        -- the customer's name as it was at issue
    opened_at     timestamptz NOT NULL DEFAULT now(),
    issued_at     timestamptz,
    due_on        date,                        -- local date of issue + payment terms
    paid_at       timestamptz,
    parked_at     timestamptz,                 -- a run could not issue this draft
    parked_reason text,
    CHECK (kind <> 'consolidated' OR closes_on IS NOT NULL),
    CHECK (kind <> 'flight' OR closes_on IS NULL),
    CHECK ((parked_at IS NULL) = (parked_reason IS NULL)),
    CONSTRAINT invoices_draft_has_no_number CHECK (
        CASE WHEN status = 'DRAFT'
            THEN num_nonnulls(number, subtotal, tax, total, bill_to_name, issued_at, due_on, paid_at) = 0
            ELSE num_nulls(number, subtotal, tax, total, bill_to_name, issued_at, due_on) = 0
                AND total = subtotal + tax AND parked_at IS NULL
        END),
    CONSTRAINT invoices_paid_at_exactly_when_paid CHECK ((status = 'PAID') = (paid_at IS NOT NULL) OR status = 'VOID')
);
-- A customer has one invoice for a period, whatever ran twice.
CREATE UNIQUE INDEX invoices_one_per_period ON invoices (customer_id, currency, closes_on)
    WHERE kind = 'consolidated' AND status <> 'VOID';
CREATE INDEX invoices_drafts_idx ON invoices (customer_id, closes_on) WHERE status = 'DRAFT';
CREATE INDEX invoices_unpaid_idx ON invoices (due_on, id) WHERE status = 'PENDING' AND total > 0;

-- One row per flight ever billed: what makes billing idempotent, for ever.
CREATE TABLE billed_flights (
    flight_id   text PRIMARY KEY,
    customer_id bigint NOT NULL REFERENCES customers,
    landed_on   date   NOT NULL,               -- landing date in the billing zone
    facts       jsonb  NOT NULL,               -- what it was priced from
    billed_at   timestamptz NOT NULL
);

CREATE TABLE charges (
    id          bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    invoice_id  bigint  NOT NULL REFERENCES invoices,
    flight_id   text    NOT NULL REFERENCES billed_flights,
    tariff_id   bigint  NOT NULL REFERENCES tariffs,
    code        text    NOT NULL,              -- the tariff's
    description text    NOT NULL,
    quantity    numeric NOT NULL,
    unit_rate   numeric NOT NULL,
    amount      numeric NOT NULL,              -- rounded to the currency's minor unit
    tax_rate    numeric NOT NULL,              -- 0.20 is 20 %
    tax_amount  numeric NOT NULL,              -- rounded likewise
    flown_on    date    NOT NULL,              -- landing date in the billing zone
    late        boolean NOT NULL DEFAULT false -- its own period had been run
);
CREATE INDEX charges_invoice_idx ON charges (invoice_id);
CREATE INDEX charges_flight_idx ON charges (flight_id);

-- One row for every change of status.
CREATE TABLE invoice_events (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    invoice_id  bigint NOT NULL REFERENCES invoices ON DELETE CASCADE,
    at          timestamptz NOT NULL,
    from_status text,                          -- null: the draft was opened
    to_status   text NOT NULL
);
CREATE INDEX invoice_events_invoice_idx ON invoice_events (invoice_id);

-- +goose StatementBegin
CREATE FUNCTION invoices_record_event() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = public, pg_temp
AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO invoice_events (invoice_id, at, from_status, to_status)
        SELECT id, opened_at, NULL, status FROM new_rows;
    ELSE
        INSERT INTO invoice_events (invoice_id, at, from_status, to_status)
        SELECT n.id, CASE WHEN o.status = 'DRAFT' THEN n.issued_at ELSE now() END, o.status, n.status
        FROM new_rows n JOIN old_rows o USING (id)
        WHERE n.status <> o.status;
    END IF;
    RETURN NULL;
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION invoices_stay_as_issued() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = public, pg_temp
AS $$
DECLARE
    allowed invoices;
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
        WHEN 'OVERDUE' THEN OLD.status IN ('PENDING', 'OVERDUE')
        WHEN 'PAID' THEN OLD.status IN ('PENDING', 'OVERDUE', 'PAID')
        WHEN 'VOID' THEN OLD.status <> 'DRAFT'
    END) THEN
        RAISE EXCEPTION 'invoice % is % and cannot become what was asked (status %)',
            coalesce(OLD.number, 'draft ' || OLD.id), OLD.status, NEW.status
            USING HINT = 'An issued invoice never changes but in status: PENDING, OVERDUE, then PAID or VOID.';
    END IF;
    RETURN NEW;
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION charges_stay_as_issued() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = public, pg_temp
AS $$
DECLARE
    issued text;
BEGIN
    -- Locked, so that a draft is not issued, with the sums of before, while its
    -- charge is being changed; looked at in a later statement, which sees what
    -- was committed while this one waited.
    PERFORM FROM invoices WHERE id = OLD.invoice_id OR TG_OP = 'UPDATE' AND id = NEW.invoice_id ORDER BY id FOR SHARE;
    SELECT number INTO issued FROM invoices
    WHERE status <> 'DRAFT' AND (id = OLD.invoice_id OR TG_OP = 'UPDATE' AND id = NEW.invoice_id);
    IF FOUND THEN
        RAISE EXCEPTION 'charge % stands on invoice %, which has been issued: it cannot be changed or removed', OLD.id, issued
            USING HINT = 'An issued invoice is corrected by a credit note.';
    END IF;
    RETURN CASE TG_OP WHEN 'UPDATE' THEN NEW ELSE OLD END;
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION charges_join_drafts_only() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = public, pg_temp
AS $$
DECLARE
    issued text;
BEGIN
    SELECT i.number INTO issued
    FROM new_rows n JOIN invoices i ON i.id = n.invoice_id
    WHERE i.status <> 'DRAFT' LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'invoice % has been issued: no charge can be added to it', issued
            USING HINT = 'A charge that comes late goes on the customer''s next draft.';
    END IF;
    RETURN NULL;
END
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION refuse_removal() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = public, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are kept for ever: they are what shows that no flight is billed twice', TG_TABLE_NAME;
END
$$;
-- +goose StatementEnd

CREATE TRIGGER record_opening AFTER INSERT ON invoices
    REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION invoices_record_event();
CREATE TRIGGER record_change AFTER UPDATE ON invoices
    REFERENCING NEW TABLE AS new_rows OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION invoices_record_event();

CREATE TRIGGER stay_as_issued BEFORE UPDATE ON invoices FOR EACH ROW
    WHEN (OLD.status <> 'DRAFT' OR NEW.status NOT IN ('DRAFT', 'PENDING'))
    EXECUTE FUNCTION invoices_stay_as_issued();
CREATE TRIGGER stay_when_issued BEFORE DELETE ON invoices FOR EACH ROW
    WHEN (OLD.status <> 'DRAFT')
    EXECUTE FUNCTION invoices_stay_as_issued();

CREATE TRIGGER stay_as_issued BEFORE UPDATE OR DELETE ON charges
    FOR EACH ROW EXECUTE FUNCTION charges_stay_as_issued();
CREATE TRIGGER join_drafts_only AFTER INSERT ON charges
    REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION charges_join_drafts_only();

CREATE TRIGGER refuse_removal BEFORE DELETE OR UPDATE OF flight_id ON billed_flights
    FOR EACH ROW EXECUTE FUNCTION refuse_removal();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON billed_flights EXECUTE FUNCTION refuse_removal();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON invoices EXECUTE FUNCTION refuse_removal();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON charges EXECUTE FUNCTION refuse_removal();

-- +goose Down
DROP TABLE invoice_events;
DROP TABLE charges;
DROP TABLE billed_flights;
DROP TABLE invoices;
DROP FUNCTION refuse_removal();
DROP FUNCTION charges_join_drafts_only();
DROP FUNCTION charges_stay_as_issued();
DROP FUNCTION invoices_stay_as_issued();
DROP FUNCTION invoices_record_event();
