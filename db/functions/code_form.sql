-- code_form is the form in which codes and registrations are compared: G-OWN, gown and
-- G OWN are one aircraft. billing.CodeForm returns the same.
--
-- Whoever writes to a table whose constraint calls it must be able to, so all may. The
-- expression alone, so that Postgres puts it in place of the call.
CREATE OR REPLACE FUNCTION flightbill.code_form(code text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN translate(upper(code COLLATE "C"), unistr('\0009\000a\000b\000c\000d \0085\00a0\1680\2000\2001\2002\2003\2004\2005\2006\2007\2008\2009\200a\200b\2028\2029\202f\205f\3000\feff-\00ad\2010\2011\2012\2013\2014\2015\2212'), '');
