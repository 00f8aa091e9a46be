-- retry_deliveries has deliveries tried again at once, as if for the first time where
-- they were given up; without ids, all that have failed, but those of webhooks that are no more. It returns how many.
--
-- It runs with its owner's rights: who may call it needs no others.
CREATE OR REPLACE FUNCTION flightbill.retry_deliveries(delivery_ids text[] DEFAULT NULL) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
DECLARE
    wanted    text[];
    given_up  text[]; -- of these; their job ends, though River may not have written so yet
    ended     text[]; -- of these, those whose job is over
    unknown   text;
    delivered record;
BEGIN
    SELECT u.id INTO unknown FROM unnest(delivery_ids) AS u (id) WHERE NOT EXISTS (SELECT FROM flightbill.deliveries d WHERE d.id = u.id) LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'delivery % is not known', coalesce(quote_literal(unknown), 'NULL')
            USING ERRCODE = 'no_data_found', HINT = 'Give its id as flightbill deliveries list shows it: msg_ and 32 letters and digits.';
    END IF;
    wanted := ARRAY(
        SELECT d.id FROM flightbill.deliveries d
        WHERE CASE WHEN delivery_ids IS NOT NULL THEN d.id = ANY (delivery_ids) ELSE d.state IN ('failed', 'given_up')
            AND (d.webhook_id IS NULL OR EXISTS (SELECT FROM flightbill.webhooks w WHERE w.id = d.webhook_id AND w.active)) END
        ORDER BY d.id FOR UPDATE);
    SELECT d.id, d.delivered_at INTO delivered FROM flightbill.deliveries d WHERE d.id = ANY (delivery_ids) AND d.state = 'delivered' LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'delivery % was delivered at %', delivered.id, delivered.delivered_at
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Only what was not delivered is tried again.';
    END IF;
    given_up := ARRAY(SELECT d.id FROM flightbill.deliveries d WHERE d.id = ANY (wanted) AND d.state = 'given_up');
    UPDATE flightbill.deliveries d SET state = 'pending', next_at = now() WHERE d.id = ANY (wanted);

    -- A job that waits goes at once; one at work, or next in line, is as good.
    UPDATE flightbill.river_job j SET state = 'available', scheduled_at = now()
    FROM (
        SELECT w.id FROM flightbill.river_job w
        WHERE w.id IN (SELECT d.job_id FROM flightbill.deliveries d WHERE d.id = ANY (wanted)) AND w.kind = 'deliver' AND w.state IN ('scheduled', 'retryable')
        ORDER BY w.id FOR UPDATE
    ) AS waits
    WHERE j.id = waits.id;
    ended := ARRAY(
        SELECT d.id FROM flightbill.deliveries d
        WHERE d.id = ANY (wanted) AND (d.id = ANY (given_up) OR NOT EXISTS (
            SELECT FROM flightbill.river_job j WHERE j.id = d.job_id AND j.kind = 'deliver' AND j.state IN ('available', 'running'))));
    UPDATE flightbill.deliveries d SET job_id = nextval('flightbill.river_job_id_seq') WHERE d.id = ANY (ended);
    PERFORM flightbill.enqueue_deliveries(ended);
    RETURN cardinality(wanted);
END
$$;
REVOKE ALL ON FUNCTION flightbill.retry_deliveries FROM PUBLIC;
