-- when_facts is the values of each fact that meet the conditions in the column when, as
-- billing.When has them: numbers; texts, or all others than those; or that there is no such
-- fact; codes in their form. A fact is null where a condition cannot be read, or no value meets all on it. It
-- reads what billing.ParseWhen writes. All may call it: see code_form.
CREATE OR REPLACE FUNCTION flightbill.when_facts(conditions text)
    RETURNS TABLE (fact text, numbers nummultirange, texts text[], others boolean, absent boolean)
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE ROWS 2
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    part text;
    m text[];
    operator text;
    value text;
    number numeric;
    points nummultirange;
    words text[];
    -- What is known of each fact; the texts of one, which have no |, as one text.
    names text[] := '{}';
    all_numbers nummultirange[];
    all_texts text[];
    all_others boolean[];
    all_absent boolean[];
    is_code boolean;
    i int;
BEGIN
    FOREACH part IN ARRAY string_to_array(conditions, ';') LOOP
        m := regexp_match(btrim(part, ' ') COLLATE "C", '^([a-z][a-z0-9_]{0,62})(?: *(!=|<=|>=|=|<|>) *(.*)| +(present|absent))$');
        IF m IS NULL OR m[1] IN ('tonnes', 'kg', 'units') THEN
            fact := NULL;
            RETURN NEXT;
            RETURN;
        END IF;
        operator := coalesce(m[2], m[4]);
        is_code := m[1] IN ('origin', 'destination', 'registration', 'operator');
        points := '{}';
        words := '{}';
        number := NULL;
        FOREACH value IN ARRAY CASE WHEN m[2] IS NULL THEN '{}' WHEN m[3] = '' THEN '{""}' ELSE string_to_array(m[3], '|') END LOOP
            value := btrim(value, ' ');
            IF value ~ '^([=!<>]|$)' OR char_length(value) > 200
                OR flightbill.clean_text(value) <> value AND NOT (m[1] ~ '(^|_)country$' AND upper(value COLLATE "C") = 'NA')
                OR operator IN ('<', '<=', '>', '>=') AND (is_code OR m[1] IN ('flight_id', 'callsign', 'aircraft_type', 'departed_at', 'landed_at', 'movement',
                    'on_block_at', 'off_block_at', 'origin_country', 'destination_country', 'international') OR strpos(m[3], '|') > 0 OR value !~ '^-?[0-9]{1,30}(\.[0-9]{1,30})?$') THEN
                fact := NULL;
                RETURN NEXT;
                RETURN;
            END IF;
            IF is_code THEN
                words := words || flightbill.code_form(value);
            ELSIF value ~ '^-?[0-9]{1,30}(\.[0-9]{1,30})?$' THEN
                number := value::numeric;
                points := points + nummultirange(numrange(number, number, '[]'));
            ELSE
                words := words || upper(value COLLATE "C");
            END IF;
        END LOOP;
        numbers := CASE operator
            WHEN '=' THEN points
            WHEN '!=' THEN '{(,)}' - points
            WHEN '<' THEN nummultirange(numrange(NULL, number))
            WHEN '<=' THEN nummultirange(numrange(NULL, number, '(]'))
            WHEN '>' THEN nummultirange(numrange(number, NULL, '()'))
            WHEN '>=' THEN nummultirange(numrange(number, NULL))
            WHEN 'present' THEN '{(,)}'
            ELSE '{}'
        END;
        others := operator IN ('!=', 'present');
        absent := operator = 'absent';
        i := array_position(names, m[1]);
        IF i IS NULL THEN
            i := cardinality(names) + 1;
            names[i] := m[1];
            all_numbers[i] := numbers;
        ELSE -- both must be met
            all_numbers[i] := all_numbers[i] * numbers;
            texts := string_to_array(all_texts[i], '|');
            words := CASE
                WHEN others AND all_others[i] THEN texts || words
                WHEN others THEN array(SELECT unnest(texts) EXCEPT SELECT unnest(words))
                WHEN all_others[i] THEN array(SELECT unnest(words) EXCEPT SELECT unnest(texts))
                ELSE array(SELECT unnest(words) INTERSECT SELECT unnest(texts))
            END;
            others := others AND all_others[i];
            absent := absent AND all_absent[i];
        END IF;
        all_texts[i] := array_to_string(words, '|');
        all_others[i] := others;
        all_absent[i] := absent;
    END LOOP;
    FOR i IN 1 .. cardinality(names) LOOP
        numbers := all_numbers[i];
        texts := string_to_array(all_texts[i], '|');
        others := all_others[i];
        absent := all_absent[i];
        fact := CASE WHEN others OR absent OR texts <> '{}' OR NOT isempty(numbers) THEN names[i] END;
        RETURN NEXT;
    END LOOP;
END
$$;
