-- flight_job_key is the unique key that River's client computes for kind
-- ingest_flight, unique by args. Ids are limited to characters that JSON
-- writes as they are, so the text can be put together by hand.
CREATE OR REPLACE FUNCTION flightbill.flight_job_key(flight_id text) RETURNS bytea
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN sha256(decode('&kind=ingest_flight&args={"flight_id":"' || flight_id || '"}', 'escape'));
REVOKE ALL ON FUNCTION flightbill.flight_job_key FROM PUBLIC;
