-- The logo is apart: JSON would double it.
-- name: IssuerGet :one
SELECT i.id, i.since, (to_jsonb(i) - '{id,since,logo}'::text[])::jsonb AS issuer, i.logo
FROM flightbill.issuers i
ORDER BY i.id DESC
LIMIT 1;

-- Cells go as an object of text; those that are empty are left out.
-- name: IssuerInsert :exec
INSERT INTO flightbill.issuers (
    since, name, street, city, postcode, subdivision, country, vat_id, tax_registration, legal_id, legal_id_scheme, electronic_address,
    electronic_address_scheme, contact_name, contact_phone, contact_email, mail_from, iban, bic, account_name, tax_currency, language, note, logo
)
SELECT @since, r.t ->> 'name', r.t ->> 'street', r.t ->> 'city', r.t ->> 'postcode', r.t ->> 'subdivision', r.t ->> 'country', r.t ->> 'vat_id',
    r.t ->> 'tax_registration', r.t ->> 'legal_id', r.t ->> 'legal_id_scheme', r.t ->> 'electronic_address', r.t ->> 'electronic_address_scheme',
    r.t ->> 'contact_name', r.t ->> 'contact_phone', r.t ->> 'contact_email', r.t ->> 'mail_from', r.t ->> 'iban', r.t ->> 'bic', r.t ->> 'account_name',
    r.t ->> 'tax_currency', coalesce(r.t ->> 'language', 'en'), r.t ->> 'note', @logo
FROM (SELECT @cells::jsonb AS t) AS r;
