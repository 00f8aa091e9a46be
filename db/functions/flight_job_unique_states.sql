-- flight_job_unique_states are the states in which a job keeps its flight from being
-- queued again: all but cancelled and discarded, as River's client has it.
CREATE OR REPLACE FUNCTION flightbill.flight_job_unique_states() RETURNS bit(8)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN B'11110101'::bit(8);
REVOKE ALL ON FUNCTION flightbill.flight_job_unique_states FROM PUBLIC;
