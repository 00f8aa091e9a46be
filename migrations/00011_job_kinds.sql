-- A flight's job writes two index entries of ten less on its way to being completed.

-- +goose Up

-- Nearly all jobs are of one kind: nobody finds one of these by it. The others are
-- found as before. With a million jobs, River UI's list of all kinds, for its search,
-- takes 0.2 s instead of 0.05.
DROP INDEX IF EXISTS river_job_kind;
CREATE INDEX river_job_kind ON river_job (kind) WHERE kind <> 'ingest_flight';

-- +goose Down
DROP INDEX river_job_kind;
CREATE INDEX river_job_kind ON river_job (kind);
