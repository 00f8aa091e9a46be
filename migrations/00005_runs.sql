-- What periods are, and which of them have been run.

-- +goose Up
SET LOCAL search_path = pg_catalog, pg_temp;

-- Stored at the first start; a process that was given other values refuses to
-- start.
CREATE TABLE flightbill.billing_settings (
    singleton     boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    timezone      text NOT NULL, -- IANA name
    close         text NOT NULL CHECK (close IN ('period_end', 'next_day')),
    billing_start date NOT NULL, -- the first run date of all
    -- How an invoice's tax is rounded: once for each category and rate, on the sum, as
    -- e-invoices want it; or line by line.
    tax_by        text NOT NULL DEFAULT 'invoice' CHECK (tax_by IN ('invoice', 'line'))
);
CREATE TRIGGER price_book_changed AFTER INSERT OR DELETE OR TRUNCATE OR UPDATE
    ON flightbill.billing_settings FOR EACH STATEMENT EXECUTE FUNCTION flightbill.price_book_changed();
CREATE TRIGGER price_book_changed_by_replica AFTER INSERT OR DELETE OR UPDATE
    ON flightbill.billing_settings FOR EACH ROW EXECUTE FUNCTION flightbill.price_book_changed();
ALTER TABLE flightbill.billing_settings ENABLE ALWAYS TRIGGER price_book_changed, ENABLE REPLICA TRIGGER price_book_changed_by_replica;

-- One row for each closing date run. The last one is the cut-off: a flight
-- whose closing date is not after it is late. Its first row, of trigger start,
-- stands for all the periods before the billing start.
CREATE TABLE flightbill.billing_runs (
    closes_on   date PRIMARY KEY,      -- the closing date that was run
    run_date    date NOT NULL,         -- the local day on which it was due
    due_at      timestamptz NOT NULL,  -- the instant at which it was due
    trigger     text NOT NULL CHECK (trigger IN ('start', 'schedule', 'manual')),
    started_at  timestamptz NOT NULL,
    finished_at timestamptz,           -- null: its drafts are still being issued
    invoices    bigint NOT NULL DEFAULT 0, -- issued by this run
    charges     bigint NOT NULL DEFAULT 0, -- the lines on them
    held        bigint NOT NULL DEFAULT 0, -- drafts left open because their customer is on hold
    parked      bigint NOT NULL DEFAULT 0  -- drafts that could not be issued
);
CREATE INDEX billing_runs_unfinished_idx ON flightbill.billing_runs (closes_on) WHERE finished_at IS NULL;

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION flightbill.billing_runs_only_forward() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.closes_on <= (SELECT max(closes_on) FROM flightbill.billing_runs) AND NOT EXISTS (
            -- A subscription copies a table as it lies on the disk.
            SELECT FROM pg_stat_get_activity(pg_backend_pid()) WHERE backend_type LIKE 'logical replication%'
        ) THEN
            RAISE EXCEPTION 'closing date % has been run: the cut-off never moves back', NEW.closes_on;
        END IF;
        RETURN NEW;
    END IF;
    IF TG_OP = 'UPDATE' AND NEW.closes_on = OLD.closes_on THEN
        RETURN NEW;
    END IF;
    IF TG_OP = 'TRUNCATE' THEN
        RAISE EXCEPTION 'closing dates have been run: their records cannot be removed';
    END IF;
    RAISE EXCEPTION 'closing date % has been run: its record cannot be changed or removed', OLD.closes_on;
END
$$;
REVOKE ALL ON FUNCTION flightbill.billing_runs_only_forward FROM PUBLIC;
-- +goose StatementEnd

CREATE TRIGGER only_forward BEFORE INSERT OR DELETE OR UPDATE OF closes_on
    ON flightbill.billing_runs FOR EACH ROW EXECUTE FUNCTION flightbill.billing_runs_only_forward();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON flightbill.billing_runs EXECUTE FUNCTION flightbill.billing_runs_only_forward();
ALTER TABLE flightbill.billing_runs ENABLE ALWAYS TRIGGER only_forward, ENABLE ALWAYS TRIGGER refuse_truncate;

-- The run lock: a run locks this empty table alone while it moves the cut-off,
-- every save locks it in ROW SHARE mode, which Postgres has a fast path for and no
-- dump or vacuum meets. No row is written; and unlike an advisory lock, nobody can
-- take it who may not write here.
CREATE TABLE flightbill.billing_run_lock (never boolean PRIMARY KEY CHECK (false));

-- +goose Down
SET LOCAL search_path = pg_catalog, pg_temp;
DROP TABLE flightbill.billing_run_lock;
DROP TABLE flightbill.billing_runs;
DROP FUNCTION flightbill.billing_runs_only_forward;
DROP TABLE flightbill.billing_settings;
