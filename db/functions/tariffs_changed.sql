-- tariffs_changed notes which rules may overlap others now: those that are new or changed,
-- and those that an airport's new code may concern.
CREATE OR REPLACE FUNCTION flightbill.tariffs_changed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET jit = off
AS $$
BEGIN
    IF TG_TABLE_NAME = 'tariffs' THEN
        INSERT INTO flightbill.changed_tariffs (ids) SELECT array_agg(n.id) FROM new_rows n HAVING count(*) > 0;
    ELSE
        INSERT INTO flightbill.changed_tariffs (ids)
        SELECT array_agg(t.id) FROM flightbill.tariffs t
        WHERE flightbill.code_form(t.airport) IN (SELECT n.form FROM new_rows n) OR t."when" ~ '\m(origin|destination)\M'
        HAVING count(*) > 0;
    END IF;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION flightbill.tariffs_changed FROM PUBLIC;
