-- job_id_proof shows that a job id was taken for a flight in this transaction: only
-- flightbill's functions know the secret.
CREATE OR REPLACE FUNCTION flightbill.job_id_proof(secret bytea, flight_id text, job_id bigint) RETURNS text
    LANGUAGE sql STABLE
    RETURN left(encode(sha256(secret || convert_to(concat_ws(' ', pg_current_xact_id(), job_id, flight_id), 'UTF8')), 'base64'), 12);
REVOKE ALL ON FUNCTION flightbill.job_id_proof FROM PUBLIC;
