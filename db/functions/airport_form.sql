-- airport_form is the form in which airports are compared: that of the code under which
-- the register has an airport, and of any other code its own.
CREATE OR REPLACE FUNCTION flightbill.airport_form(code text) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN coalesce(
        (SELECT flightbill.code_form(c.airport) FROM flightbill.airport_codes c WHERE c.form = flightbill.code_form(airport_form.code)),
        flightbill.code_form(airport_form.code));
REVOKE ALL ON FUNCTION flightbill.airport_form FROM PUBLIC;
