-- is_queue_admin: whether the session's login looks after everybody's flights. SET ROLE
-- does not change that, nor does a function that runs with its owner's rights.
CREATE OR REPLACE FUNCTION flightbill.is_queue_admin() RETURNS boolean
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
BEGIN
    RETURN pg_has_role(session_user, current_user, 'MEMBER') OR pg_has_role(session_user, 'flightbill_queue_admin', 'MEMBER');
END
$$;
