package faults_test

import "github.com/jackc/pgx/v5"

// witnesses write down, in the transactions themselves, what was asked for and under which cut-off and prices it was done.
const witnesses = `
CREATE SCHEMA witness;

-- One row for each transaction, so that its outcome is known where the connection is lost at the commit.
CREATE TABLE witness.transactions (token bigint PRIMARY KEY);

-- What applications asked for: a flight to be billed, or taken back.
CREATE TABLE witness.asked (
	n         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	flight_id text NOT NULL,
	taken     boolean NOT NULL DEFAULT false,
	at        timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX ON witness.asked (flight_id);

-- What clerks did to invoices: paid, unpaid, void.
CREATE TABLE witness.documents (n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, number text NOT NULL, what text NOT NULL);

-- The tariffs of each version of the price book.
CREATE TABLE witness.prices (version bigint PRIMARY KEY, tariffs jsonb NOT NULL);
CREATE FUNCTION witness.prices() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
	INSERT INTO witness.prices
	SELECT NEW.version, jsonb_agg(to_jsonb(t) || jsonb_build_object('customer', c.code)) FROM flightbill.tariffs t LEFT JOIN flightbill.customers c ON c.id = t.customer_id
	ON CONFLICT (version) DO UPDATE SET tariffs = excluded.tariffs;
	RETURN NULL;
END $$;
CREATE TRIGGER witness AFTER UPDATE ON flightbill.price_book FOR EACH ROW EXECUTE FUNCTION witness.prices();

-- Each time a flight was billed, voided, billed again or corrected. A save holds the run lock: the cut-off is the one of its prices.
CREATE TABLE witness.billed (
	flight_id text,
	revision  integer,
	what      text NOT NULL,        -- save, void, rebill (asked for), rebilled, correction
	cutoff    date NOT NULL,
	version   bigint NOT NULL,      -- of the price book, when it was written
	began     timestamptz NOT NULL, -- the transaction
	at        timestamptz NOT NULL DEFAULT clock_timestamp(),
	voids     text[],               -- currencies of voided invoices to be billed again
	PRIMARY KEY (flight_id, revision)
);
CREATE FUNCTION witness.billed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
	stack text;
	voids text[];
BEGIN
	GET DIAGNOSTICS stack = PG_CONTEXT;
	voids := ARRAY(SELECT DISTINCT v.currency FROM flightbill.voided_flights v WHERE v.flight_id = NEW.flight_id AND v.rebill AND v.rebilled_at IS NULL);
	INSERT INTO witness.billed (flight_id, revision, what, cutoff, version, began, voids)
	SELECT NEW.flight_id, NEW.revision,
		CASE WHEN TG_OP = 'INSERT' THEN 'save' WHEN stack LIKE '%function flightbill.rebill_invoice(%' THEN 'rebill'
			WHEN stack LIKE '%function flightbill.void_invoice(%' THEN 'void' WHEN voids <> '{}' THEN 'rebilled' ELSE 'correction' END,
		(SELECT max(closes_on) FROM flightbill.billing_runs), (SELECT p.version FROM flightbill.price_book p), now(), voids;
	RETURN NULL;
END $$;
CREATE TRIGGER witness AFTER INSERT OR UPDATE ON flightbill.billed_flights FOR EACH ROW EXECUTE FUNCTION witness.billed();

-- Under which cut-off each charge was made.
CREATE TABLE witness.charged (charge_id bigint PRIMARY KEY, cutoff date NOT NULL);
CREATE FUNCTION witness.charged() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
	INSERT INTO witness.charged SELECT n.id, (SELECT max(closes_on) FROM flightbill.billing_runs) FROM new_rows n;
	RETURN NULL;
END $$;
CREATE TRIGGER witness AFTER INSERT ON flightbill.charges REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION witness.charged();

GRANT USAGE ON SCHEMA witness TO PUBLIC;
GRANT SELECT, INSERT ON witness.transactions, witness.asked, witness.documents TO PUBLIC;
`

type pgxTx = pgx.Tx

// collect reads all rows into structs, by position.
func collect[T any](rows pgx.Rows) ([]T, error) {
	return pgx.CollectRows(rows, pgx.RowToStructByPos[T])
}
