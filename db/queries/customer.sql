-- name: CustomerGet :one
SELECT id, code, name, billing_frequency, coalesce(week_ends_on, 0)::int AS week_ends_on
FROM flightbill.customers
WHERE code = @code;

-- As documents have them; the buyer reference and the language only where the customer has its own.
-- name: CustomerPartyList :many
SELECT c.code, c.billing_frequency, c.payment_terms_days, c.billing_hold,
    jsonb_strip_nulls(jsonb_build_object('code', c.code, 'name', coalesce(c.legal_name, c.name), 'street', c.street, 'city', c.city, 'postcode', c.postcode,
        'subdivision', c.subdivision, 'country', c.country, 'vat_id', c.vat_id, 'legal_id', c.legal_id, 'legal_id_scheme', c.legal_id_scheme,
        'electronic_address', c.electronic_address, 'electronic_address_scheme', c.electronic_address_scheme, 'buyer_reference', c.buyer_reference,
        'emails', to_jsonb(c.emails), 'language', c.language))::jsonb AS party
FROM flightbill.customers c
ORDER BY c.code;

-- The tax categories and currencies of tariffs that hold on a day or later, and whose they
-- are; no customer: everybody's.
-- name: TariffUseList :many
SELECT DISTINCT coalesce(c.code, '')::text AS customer, coalesce(t.tax_category, 'standard')::text AS tax_category, t.currency
FROM flightbill.tariffs t
LEFT JOIN flightbill.customers c ON c.id = t.customer_id
WHERE t.valid_to IS NULL OR t.valid_to > @day::date
ORDER BY 1, 2, 3;
