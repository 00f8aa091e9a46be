-- Who pays, and for which operators and aircraft.
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
CREATE OR REPLACE FUNCTION flightbill.price_book_changed() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
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

CREATE TABLE flightbill.customers (
    id                 bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code               text    COLLATE "C" NOT NULL UNIQUE CHECK (code ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$'),
    name               text    NOT NULL CHECK (name <> ''),
    billing_frequency  text    NOT NULL CHECK (billing_frequency IN ('per_flight', 'weekly', 'monthly')),
    week_ends_on       smallint CHECK (week_ends_on BETWEEN 1 AND 7), -- ISO: 1 is Monday
    payment_terms_days integer NOT NULL DEFAULT 30 CHECK (payment_terms_days BETWEEN 0 AND 3650),
    billing_hold       boolean NOT NULL DEFAULT false,
    invoice_seq        bigint  NOT NULL DEFAULT 0, -- the last invoice number given out
    credit_note_seq    bigint  NOT NULL DEFAULT 0, -- the last credit note's
    held_through       date,   -- the last closing date whose run found the customer on hold
    CONSTRAINT customers_week_ends_on_exactly_when_weekly
        CHECK ((billing_frequency = 'weekly') = (week_ends_on IS NOT NULL))
);

CREATE TABLE flightbill.customer_operators (
    operator    text   COLLATE "C" PRIMARY KEY CHECK (operator <> ''),
    customer_id bigint NOT NULL REFERENCES flightbill.customers ON DELETE CASCADE
);
CREATE INDEX customer_operators_customer_idx ON flightbill.customer_operators (customer_id);

CREATE TABLE flightbill.customer_aircraft (
    registration text   COLLATE "C" PRIMARY KEY CHECK (registration <> ''),
    customer_id  bigint NOT NULL REFERENCES flightbill.customers ON DELETE CASCADE
);
CREATE INDEX customer_aircraft_customer_idx ON flightbill.customer_aircraft (customer_id);

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
DROP FUNCTION flightbill.price_book_changed;
DROP TABLE flightbill.price_book;
