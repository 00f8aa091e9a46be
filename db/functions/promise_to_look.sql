-- promise_to_look: until so many seconds from now, no notice of new flights need be
-- sent, since this client looks at the queue after that. It keeps the promise so:
-- before the time has passed, by a clock that it read before it called this, it
-- promises anew, or it calls withdraw_promise and, once that is committed, looks.
-- A flight whose transaction has committed by then is found. One whose transaction
-- has seen the promise and commits later waits for River's poll, a second at most.
--
-- Neither function waits for the disk at its commit, as none does that writes an
-- unlogged table alone. After a crash the table is empty: no promise is in force.
CREATE OR REPLACE FUNCTION flightbill.promise_to_look(client text, seconds double precision) RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off
    SET jit = off
AS $$
DECLARE
    moment timestamptz := clock_timestamp();
    expiry timestamptz := moment + make_interval(secs => seconds);
BEGIN
    UPDATE flightbill.queue_promises p SET until = expiry WHERE p.client = promise_to_look.client;
    IF NOT FOUND THEN
        INSERT INTO flightbill.queue_promises VALUES (client, expiry)
        ON CONFLICT ON CONSTRAINT queue_promises_pkey DO UPDATE SET until = excluded.until;
        DELETE FROM flightbill.queue_promises p WHERE p.until < moment - interval '1 minute'; -- of processes that were killed
    END IF;
END
$$;
REVOKE ALL ON FUNCTION flightbill.promise_to_look FROM PUBLIC;
