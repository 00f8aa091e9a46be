-- withdraw_promise: from its commit on, notices are sent again, unless another client
-- has promised to look. See promise_to_look.
CREATE OR REPLACE FUNCTION flightbill.withdraw_promise(client text) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET jit = off
AS $$
BEGIN
    DELETE FROM flightbill.queue_promises p WHERE p.client = withdraw_promise.client;
END
$$;
REVOKE ALL ON FUNCTION flightbill.withdraw_promise FROM PUBLIC;
