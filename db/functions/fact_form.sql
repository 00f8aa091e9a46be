-- fact_form is the form in which values of a fact are compared: 12, "12" and 12.0 are one,
-- and text that only says that there is nothing is null; as a country, NA is Namibia.
-- billing.NamedFact reads them so. All may call it: see code_form.
CREATE OR REPLACE FUNCTION flightbill.fact_form(name text, written text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN flightbill.clean_text(written) ~ '^-?[0-9]{1,30}([.][0-9]{1,30})?$'
        THEN trim_scale(flightbill.clean_text(written)::numeric)::text
        WHEN upper(written COLLATE "C") = 'NA' AND name ~ '(^|_)country$' THEN written
        ELSE nullif(flightbill.clean_text(written), '') END;
