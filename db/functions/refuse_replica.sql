-- Whoever may insert into the queue may call it.
CREATE OR REPLACE FUNCTION flightbill.refuse_replica() RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION 'an INSERT into flight_processing_queue enqueues nothing where session_replication_role is replica'
        USING ERRCODE = 'feature_not_supported', HINT = 'Call flightbill.enqueue_flights(ARRAY[...]) instead, which works there too.';
END
$$;
