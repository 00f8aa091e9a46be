-- Invoices as files: what was given to a customer once is given again, byte for byte.

-- +goose Up
SET LOCAL search_path = pg_catalog, pg_temp;

CREATE TABLE flightbill.invoice_documents (
    invoice_id bigint NOT NULL REFERENCES flightbill.invoices,
    format     text   COLLATE "C" NOT NULL CHECK (format IN ('pdf', 'ubl', 'cii')),
    version    text   NOT NULL CHECK (version <> ''), -- of the flightbill that wrote it
    made_at    timestamptz NOT NULL DEFAULT now(),
    bytes      bytea  NOT NULL CHECK (length(bytes) > 0),
    sha256     bytea  NOT NULL,
    PRIMARY KEY (invoice_id, format),
    CONSTRAINT invoice_documents_sha256_is_of_bytes CHECK (sha256 = pg_catalog.sha256(bytes))
);
-- A PDF is compressed already.
ALTER TABLE flightbill.invoice_documents ALTER COLUMN bytes SET STORAGE EXTERNAL;

-- +goose StatementBegin
-- documents_stay_as_given refuses that a document which was given changes, or goes before
-- remove_documents may remove it.
CREATE OR REPLACE FUNCTION flightbill.documents_stay_as_given() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    retention text := coalesce(current_setting('flightbill.document_retention', true), '');
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF retention <> '' AND OLD.made_at < least(now() - retention::interval, now() - interval '1 year')
            AND pg_get_userbyid((SELECT t.relowner FROM pg_class t WHERE t.oid = TG_RELID)) = current_user
            -- A subscription repeats what was done elsewhere.
            OR EXISTS (SELECT FROM pg_stat_get_activity(pg_backend_pid()) WHERE backend_type LIKE 'logical replication%') THEN
            RETURN OLD;
        END IF;
    END IF;
    RAISE EXCEPTION 'the % of invoice % was given to somebody on % and stays as it was', upper(OLD.format),
            (SELECT i.number FROM flightbill.invoices i WHERE i.id = OLD.invoice_id), OLD.made_at::date
        USING HINT = 'flightbill.remove_documents removes what is older than it has to be kept.';
END
$$;
REVOKE ALL ON FUNCTION flightbill.documents_stay_as_given FROM PUBLIC;
-- +goose StatementEnd

-- +goose StatementBegin
-- remove_documents removes documents that were first given longer ago than they have to
-- be kept, and returns how many. What they say stays in invoices and charges.
CREATE OR REPLACE FUNCTION flightbill.remove_documents(retention interval) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
DECLARE
    removed bigint;
BEGIN
    IF retention IS NULL OR now() - retention > now() - interval '1 year' THEN -- 360 days are as much, to Postgres
        RAISE EXCEPTION 'documents cannot be removed after %', coalesce(quote_literal(retention), 'NULL')
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Give at least 1 year; the laws of most countries ask for 6 to 10.';
    END IF;
    PERFORM set_config('flightbill.document_retention', retention::text, true);
    DELETE FROM flightbill.invoice_documents WHERE made_at < now() - retention;
    GET DIAGNOSTICS removed = ROW_COUNT;
    PERFORM set_config('flightbill.document_retention', '', true);
    RETURN removed;
END
$$;
REVOKE ALL ON FUNCTION flightbill.remove_documents FROM PUBLIC;
-- +goose StatementEnd

CREATE TRIGGER stay_as_given BEFORE UPDATE OR DELETE ON flightbill.invoice_documents FOR EACH ROW
    EXECUTE FUNCTION flightbill.documents_stay_as_given();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON flightbill.invoice_documents EXECUTE FUNCTION flightbill.refuse_removal();
ALTER TABLE flightbill.invoice_documents ENABLE ALWAYS TRIGGER stay_as_given, ENABLE ALWAYS TRIGGER refuse_truncate;

GRANT SELECT ON flightbill.invoice_documents TO flightbill_server, flightbill_reporter, flightbill_accountant;
GRANT INSERT (invoice_id, format, version, made_at, bytes, sha256) ON flightbill.invoice_documents TO flightbill_server, flightbill_accountant;

-- +goose Down
SET LOCAL search_path = pg_catalog, pg_temp;
DROP TABLE flightbill.invoice_documents;
DROP FUNCTION flightbill.remove_documents, flightbill.documents_stay_as_given;
