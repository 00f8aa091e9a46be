-- Who bills, who pays, and for which operators and aircraft.
--
-- Codes and flight ids are sorted byte by byte, here and in all tables: a cluster's
-- own collation can change with its operating system, and then leave an index that
-- no longer finds a flight that was billed.

-- +goose Up
SET LOCAL search_path = pg_catalog, pg_temp;

-- One row, one number: it grows with every change of what a flight's price
-- depends on (customers, operators, aircraft, tariffs, settings). A process
-- prices from a copy that it keeps, and a save refuses a price that was made
-- from an older copy.
CREATE TABLE flightbill.price_book (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    version   bigint  NOT NULL
);
INSERT INTO flightbill.price_book (version) VALUES (1);

-- +goose StatementBegin
-- It runs with its owner's rights: nobody else need write the version.
CREATE OR REPLACE FUNCTION flightbill.price_book_changed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
BEGIN
    IF TG_LEVEL = 'ROW' THEN -- once a transaction: each UPDATE of one row walks past those before it
        IF current_setting('flightbill.price_book_changed', true) = pg_current_xact_id()::text THEN
            RETURN NULL;
        END IF;
        PERFORM set_config('flightbill.price_book_changed', pg_current_xact_id()::text, true);
    END IF;
    UPDATE flightbill.price_book SET version = version + 1;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION flightbill.price_book_changed FROM PUBLIC;
-- +goose StatementEnd

-- +goose StatementBegin
-- code_form is the form in which codes and registrations are compared: G-OWN, gown and
-- G OWN are one aircraft. billing.CodeForm returns the same.
--
-- Whoever writes to a table whose constraint calls it must be able to, so all may. The
-- expression alone, so that Postgres puts it in place of the call.
CREATE OR REPLACE FUNCTION flightbill.code_form(code text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN translate(upper(code COLLATE "C"), unistr('\0009\000a\000b\000c\000d \0085\00a0\1680\2000\2001\2002\2003\2004\2005\2006\2007\2008\2009\200a\200b\2028\2029\202f\205f\3000\feff-\00ad\2010\2011\2012\2013\2014\2015\2212'), '');
-- +goose StatementEnd

-- +goose StatementBegin
-- clean_text is text as it is kept: without the blanks around it, and '' where it only
-- says that there is nothing. billing.CleanText returns the same. All may call it: see
-- code_form.
CREATE OR REPLACE FUNCTION flightbill.clean_text(written text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE
        -- Most codes, at a fifth of the price.
        WHEN written COLLATE "C" ~ '^[A-Z0-9][A-Z0-9-]*$' AND written NOT IN ('NA', 'NULL', 'NONE', 'NIL') THEN written
        WHEN btrim(written, unistr('\0009\000a\000b\000c\000d \0085\00a0\1680\2000\2001\2002\2003\2004\2005\2006\2007\2008\2009\200a\200b\2028\2029\202f\205f\3000\feff-\00ad\2010\2011\2012\2013\2014\2015\2212')) = ''
            OR upper(btrim(written, unistr('\0009\000a\000b\000c\000d \0085\00a0\1680\2000\2001\2002\2003\2004\2005\2006\2007\2008\2009\200a\200b\2028\2029\202f\205f\3000\feff')) COLLATE "C") IN ('NA', 'N/A', 'N.A.', '#N/A', '#NA', '<NA>', 'NULL', '(NULL)', '<NULL>', '\N', 'NONE', 'NIL')
            OR btrim(written, unistr('\0009\000a\000b\000c\000d \0085\00a0\1680\2000\2001\2002\2003\2004\2005\2006\2007\2008\2009\200a\200b\2028\2029\202f\205f\3000\feff')) IN ('NaN', 'nan')
        THEN ''
        ELSE btrim(written, unistr('\0009\000a\000b\000c\000d \0085\00a0\1680\2000\2001\2002\2003\2004\2005\2006\2007\2008\2009\200a\200b\2028\2029\202f\205f\3000\feff'))
    END;
-- +goose StatementEnd

-- Who issues the invoices. Each change is a new row; the last one counts, and an invoice
-- names the one that it was issued with.
CREATE TABLE flightbill.issuers (
    id                        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    since                     timestamptz NOT NULL,
    name                      text NOT NULL CHECK (name <> '' AND char_length(name) <= 1000), -- legal
    street                    text CHECK (street <> '' AND char_length(street) <= 200),
    city                      text CHECK (city <> '' AND char_length(city) <= 200),
    postcode                  text CHECK (postcode <> '' AND char_length(postcode) <= 64),
    subdivision               text CHECK (subdivision <> '' AND char_length(subdivision) <= 200),
    country                   text COLLATE "C" CHECK (country ~ '^[A-Z]{2}$'),      -- ISO 3166
    vat_id                    text COLLATE "C" CHECK (vat_id ~ '^[A-Z]{2}[A-Z0-9+*]{2,62}$'),
    tax_registration          text COLLATE "C" CHECK (tax_registration <> '' AND char_length(tax_registration) <= 64), -- where there is no VAT id
    legal_id                  text COLLATE "C" CHECK (legal_id <> '' AND char_length(legal_id) <= 64),
    legal_id_scheme           text COLLATE "C" CHECK (legal_id_scheme ~ '^[0-9]{4}$'), -- ISO 6523
    electronic_address        text COLLATE "C" CHECK (electronic_address <> '' AND char_length(electronic_address) <= 254),
    electronic_address_scheme text COLLATE "C" CHECK (electronic_address_scheme ~ '^([0-9]{4}|[A-Z]{2})$'), -- EAS
    contact_name              text CHECK (contact_name <> '' AND char_length(contact_name) <= 200),
    contact_phone             text CHECK (contact_phone <> '' AND char_length(contact_phone) <= 64),
    contact_email             text CHECK (contact_email ~ '@' AND char_length(contact_email) <= 254),
    mail_from                 text CHECK (mail_from ~ '@' AND char_length(mail_from) <= 200),  -- null: invoices are not mailed
    iban                      text COLLATE "C" CHECK (iban ~ '^[A-Z]{2}[0-9]{2}[A-Z0-9]{10,30}$'),
    bic                       text COLLATE "C" CHECK (bic ~ '^[A-Z0-9]{8}([A-Z0-9]{3})?$'),
    account_name              text CHECK (account_name <> '' AND char_length(account_name) <= 200),
    tax_currency              text COLLATE "C" CHECK (tax_currency ~ '^[A-Z]{3}$'), -- in which tax is declared; null: each invoice's
    language                  text COLLATE "C" NOT NULL DEFAULT 'en' CHECK (language IN ('en', 'de', 'fr', 'es')),
    note                      text CHECK (note <> '' AND char_length(note) <= 1000), -- on each invoice
    logo                      bytea CHECK (octet_length(logo) BETWEEN 1 AND 200000)  -- PNG or JPEG
);

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION flightbill.issuers_stay() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION 'a row of issuers stays as it is: invoices were issued with it'
        USING HINT = 'Insert a row with the change, as flightbill issuer set does: the last one counts.';
END
$$;
REVOKE ALL ON FUNCTION flightbill.issuers_stay FROM PUBLIC;
-- +goose StatementEnd
CREATE TRIGGER stay BEFORE UPDATE OR DELETE ON flightbill.issuers FOR EACH ROW EXECUTE FUNCTION flightbill.issuers_stay();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON flightbill.issuers EXECUTE FUNCTION flightbill.issuers_stay();
ALTER TABLE flightbill.issuers ENABLE ALWAYS TRIGGER stay, ENABLE ALWAYS TRIGGER refuse_truncate; -- in an apply worker of a replication too

CREATE TABLE flightbill.customers (
    id                 bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code               text    COLLATE "C" NOT NULL UNIQUE CHECK (code ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$'),
    name               text    NOT NULL CHECK (name <> '' AND name = flightbill.clean_text(name) AND char_length(name) <= 1000),
    billing_frequency  text    NOT NULL CHECK (billing_frequency IN ('per_flight', 'weekly', 'monthly')),
    week_ends_on       smallint CHECK (week_ends_on BETWEEN 1 AND 7), -- ISO: 1 is Monday
    payment_terms_days integer NOT NULL DEFAULT 30 CHECK (payment_terms_days BETWEEN 0 AND 3650),
    billing_hold       boolean NOT NULL DEFAULT false,
    invoice_seq        bigint  NOT NULL DEFAULT 0, -- the last invoice number given out
    credit_note_seq    bigint  NOT NULL DEFAULT 0, -- the last credit note's
    held_through       date,   -- the last closing date whose run found the customer on hold
    -- What stands on its invoices. Null: not known.
    legal_name         text CHECK (legal_name <> '' AND char_length(legal_name) <= 1000), -- null: name
    street             text CHECK (street <> '' AND char_length(street) <= 200),
    city               text CHECK (city <> '' AND char_length(city) <= 200),
    postcode           text CHECK (postcode <> '' AND char_length(postcode) <= 64),
    subdivision        text CHECK (subdivision <> '' AND char_length(subdivision) <= 200),
    country            text COLLATE "C" CHECK (country ~ '^[A-Z]{2}$'), -- ISO 3166
    vat_id             text COLLATE "C" CHECK (vat_id ~ '^[A-Z]{2}[A-Z0-9+*]{2,62}$'),
    legal_id           text COLLATE "C" CHECK (legal_id <> '' AND char_length(legal_id) <= 64),
    legal_id_scheme    text COLLATE "C" CHECK (legal_id_scheme ~ '^[0-9]{4}$'), -- ISO 6523
    electronic_address text COLLATE "C" CHECK (electronic_address <> '' AND char_length(electronic_address) <= 254),
    electronic_address_scheme text COLLATE "C" CHECK (electronic_address_scheme ~ '^([0-9]{4}|[A-Z]{2})$'), -- EAS
    buyer_reference    text CHECK (buyer_reference <> '' AND char_length(buyer_reference) <= 200), -- null: code
    -- To which invoices are mailed; files have ; between them.
    emails             text[] NOT NULL DEFAULT '{}' CHECK (cardinality(emails) <= 20 AND '' <> ALL (emails)
                           AND array_to_string(emails, '', ';') !~ '[;[:space:]]' AND char_length(array_to_string(emails, ';')) <= 1000),
    language           text COLLATE "C" CHECK (language IN ('en', 'de', 'fr', 'es')), -- null: the issuer's
    late_interest_rate numeric CHECK (late_interest_rate >= 0 AND late_interest_rate <= 1), -- a year, 0.08 is 8 %; null: none is charged
    CONSTRAINT customers_week_ends_on_exactly_when_weekly
        CHECK ((billing_frequency = 'weekly') = (week_ends_on IS NOT NULL))
);
-- acme beside ACME would be taken for it.
CREATE UNIQUE INDEX customers_code_once_in_any_case ON flightbill.customers (upper(code));

-- Who pays for which operators and aircraft, and when: on a day, each is one customer's.
CREATE TABLE flightbill.customer_operators (
    operator    text   COLLATE "C" NOT NULL CHECK (operator <> '' AND operator = flightbill.clean_text(operator)),
    customer_id bigint NOT NULL REFERENCES flightbill.customers ON DELETE CASCADE,
    valid_from  date   CHECK (isfinite(valid_from)), -- null: from the beginning
    valid_to    date   CHECK (isfinite(valid_to)),   -- excluded; null: no end
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    CHECK (valid_to > valid_from),
    CONSTRAINT customer_operators_have_one_customer EXCLUDE USING gist (
        flightbill.code_form(operator) WITH =,
        daterange(valid_from, valid_to) WITH &&
    )
);
CREATE INDEX customer_operators_customer_idx ON flightbill.customer_operators (customer_id);
CREATE INDEX customer_operators_form_idx ON flightbill.customer_operators (flightbill.code_form(operator));

CREATE TABLE flightbill.customer_aircraft (
    registration text   COLLATE "C" NOT NULL CHECK (registration <> '' AND registration = flightbill.clean_text(registration)),
    customer_id  bigint NOT NULL REFERENCES flightbill.customers ON DELETE CASCADE,
    valid_from   date   CHECK (isfinite(valid_from)), -- null: from the beginning
    valid_to     date   CHECK (isfinite(valid_to)),   -- excluded; null: no end
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    CHECK (valid_to > valid_from),
    CONSTRAINT customer_aircraft_have_one_customer EXCLUDE USING gist (
        flightbill.code_form(registration) WITH =,
        daterange(valid_from, valid_to) WITH &&
    )
);
CREATE INDEX customer_aircraft_customer_idx ON flightbill.customer_aircraft (customer_id);
CREATE INDEX customer_aircraft_form_idx ON flightbill.customer_aircraft (flightbill.code_form(registration));

-- invoice_seq, credit_note_seq and billing_hold change without changing a price: not listed.
CREATE TRIGGER price_book_changed AFTER INSERT OR DELETE OR TRUNCATE OR UPDATE OF code, name, billing_frequency, week_ends_on
    ON flightbill.customers FOR EACH STATEMENT EXECUTE FUNCTION flightbill.price_book_changed();
CREATE TRIGGER price_book_changed AFTER INSERT OR DELETE OR TRUNCATE OR UPDATE
    ON flightbill.customer_operators FOR EACH STATEMENT EXECUTE FUNCTION flightbill.price_book_changed();
CREATE TRIGGER price_book_changed AFTER INSERT OR DELETE OR TRUNCATE OR UPDATE
    ON flightbill.customer_aircraft FOR EACH STATEMENT EXECUTE FUNCTION flightbill.price_book_changed();

-- An apply worker of a logical replication fires no trigger of a statement but
-- TRUNCATE's, and none of a row that is not told to.
CREATE TRIGGER price_book_changed_by_replica AFTER INSERT OR DELETE OR UPDATE
    ON flightbill.customers FOR EACH ROW EXECUTE FUNCTION flightbill.price_book_changed();
ALTER TABLE flightbill.customers ENABLE ALWAYS TRIGGER price_book_changed, ENABLE REPLICA TRIGGER price_book_changed_by_replica;
CREATE TRIGGER price_book_changed_by_replica AFTER INSERT OR DELETE OR UPDATE
    ON flightbill.customer_operators FOR EACH ROW EXECUTE FUNCTION flightbill.price_book_changed();
ALTER TABLE flightbill.customer_operators ENABLE ALWAYS TRIGGER price_book_changed, ENABLE REPLICA TRIGGER price_book_changed_by_replica;
CREATE TRIGGER price_book_changed_by_replica AFTER INSERT OR DELETE OR UPDATE
    ON flightbill.customer_aircraft FOR EACH ROW EXECUTE FUNCTION flightbill.price_book_changed();
ALTER TABLE flightbill.customer_aircraft ENABLE ALWAYS TRIGGER price_book_changed, ENABLE REPLICA TRIGGER price_book_changed_by_replica;

-- +goose Down
SET LOCAL search_path = pg_catalog, pg_temp;
DROP TABLE flightbill.customer_aircraft;
DROP TABLE flightbill.customer_operators;
DROP TABLE flightbill.customers;
DROP TABLE flightbill.issuers;
DROP FUNCTION flightbill.issuers_stay;
DROP FUNCTION flightbill.clean_text;
DROP FUNCTION flightbill.code_form;
DROP FUNCTION flightbill.price_book_changed;
DROP TABLE flightbill.price_book;
