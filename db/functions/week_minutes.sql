-- week_minutes is the minutes of a week, from Monday 00:00, that are in the windows of the
-- column during, as billing.During has them; null where they cannot be read. It reads what
-- billing.ParseDuring writes. All may call it: see code_form.
CREATE OR REPLACE FUNCTION flightbill.week_minutes(during text) RETURNS int4multirange
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    item text;
    m text[];
    first int;
    last int;
    begins int;
    ends int;
    minutes int4multirange := '{}';
BEGIN
    FOREACH item IN ARRAY string_to_array(during, ',') LOOP
        m := regexp_match(btrim(item, ' ') COLLATE "C",
            '^(?=.)(?:(Mo|Tu|We|Th|Fr|Sa|Su)(?:-(Mo|Tu|We|Th|Fr|Sa|Su))?(?: +|$))?(?:((?:[01][0-9]|2[0-3]):[0-5][0-9])-((?:[01][0-9]|2[0-3]):[0-5][0-9]|24:00))?$');
        IF m IS NULL OR m[1] = m[2] OR m[3] = m[4] THEN
            RETURN NULL;
        END IF;
        first := (strpos('MoTuWeThFrSaSu', coalesce(m[1], 'Mo')) - 1) / 2;
        last := (strpos('MoTuWeThFrSaSu', coalesce(m[2], m[1], 'Su')) - 1) / 2;
        begins := coalesce(left(m[3], 2)::int * 60 + right(m[3], 2)::int, 0);
        ends := coalesce(left(m[4], 2)::int * 60 + right(m[4], 2)::int, 1440);
        IF ends < begins THEN -- past midnight
            ends := ends + 1440;
        END IF;
        FOR day IN first .. last + CASE WHEN last < first THEN 7 ELSE 0 END LOOP
            minutes := minutes + int4multirange(int4range(day % 7 * 1440 + begins, day % 7 * 1440 + ends));
        END LOOP;
    END LOOP;
    -- Of the week after there is a night at most, and that is this week's first.
    IF upper(minutes) > 10080 THEN
        minutes := minutes + int4multirange(int4range(0, upper(minutes) - 10080));
    END IF;
    RETURN minutes * int4multirange(int4range(0, 10080));
END
$$;
