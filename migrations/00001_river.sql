-- flightbill's queue is a River queue: River's own tables come first, from
-- River's own migrator. This step checks that they are there and fits their
-- indexes to what flightbill asks of them.
--
-- All of flightbill, River's tables and goose's own among it, is in schema
-- flightbill. Other applications may have River, goose and tables of the same names
-- in the same database.

-- +goose Up
SET LOCAL search_path = pg_catalog, pg_temp;

-- +goose StatementBegin
DO $$
BEGIN
    IF to_regclass('flightbill.goose_db_version') IS NULL THEN
        RAISE EXCEPTION 'flightbill''s migrations keep their version in table flightbill.goose_db_version'
            USING HINT = 'Run "flightbill migrate up"; or CREATE SCHEMA flightbill, and run goose with -table flightbill.goose_db_version.';
    END IF;
    IF NOT EXISTS (
        SELECT FROM pg_attribute
        WHERE attrelid = to_regclass('flightbill.river_job') AND attname = 'unique_states'
    ) OR to_regclass('flightbill.river_notification') IS NULL THEN
        RAISE EXCEPTION 'the tables of River are missing from schema flightbill, or are older than its migration 7'
            USING HINT = 'Run "flightbill migrate up", which makes them first; or River''s own tool: river migrate-up --line main --schema flightbill --database-url "$DATABASE_URL"; then run this again.';
    END IF;
END
$$;
-- +goose StatementEnd

-- For the constraints that keep tariffs, operators and aircraft apart.
CREATE EXTENSION IF NOT EXISTS btree_gist WITH SCHEMA flightbill;

-- No query of River, of River UI or of flightbill reads these two; without them
-- an insert writes 469 instead of 838 bytes of WAL, a worked job 1,294 instead
-- of 1,997.
DROP INDEX IF EXISTS flightbill.river_job_args_index;
DROP INDEX IF EXISTS flightbill.river_job_metadata_index;

-- Nearly all jobs are of one kind: nobody finds one of these by it. The others are
-- found as before. With a million jobs, River UI's list of all kinds, for its search,
-- takes 0.2 s instead of 0.05.
DROP INDEX IF EXISTS flightbill.river_job_kind;
CREATE INDEX river_job_kind ON flightbill.river_job (kind) WHERE kind <> 'ingest_flight';

-- +goose Down
SET LOCAL search_path = pg_catalog, pg_temp;
DROP INDEX flightbill.river_job_kind;
CREATE INDEX river_job_kind ON flightbill.river_job (kind);
CREATE INDEX IF NOT EXISTS river_job_args_index ON flightbill.river_job USING gin (args);
CREATE INDEX IF NOT EXISTS river_job_metadata_index ON flightbill.river_job USING gin (metadata);
