-- flight_jobs_complete_when_billed leaves a flight's job as it is, where it would be
-- completed though the ledger lacks the flight. River's client writes the end of what
-- it has handed out by itself, after the save: where a crash of the server or a failover
-- has taken the save back by then, the job is running again, and that end would lose
-- the flight. So it is given back like any that nobody holds.
CREATE OR REPLACE FUNCTION flightbill.flight_jobs_complete_when_billed() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF EXISTS (SELECT FROM flightbill.billed_flights b WHERE b.flight_id = NEW.args ->> 'flight_id') THEN
        RETURN NEW;
    END IF;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION flightbill.flight_jobs_complete_when_billed FROM PUBLIC;
