-- bill_to is what an invoice says of its customer, by the names of document.Party.
CREATE OR REPLACE FUNCTION flightbill.bill_to(customer flightbill.customers) RETURNS jsonb
    LANGUAGE sql STABLE PARALLEL SAFE
    RETURN jsonb_strip_nulls(jsonb_build_object(
        'code', customer.code, 'name', coalesce(customer.legal_name, customer.name),
        'street', customer.street, 'city', customer.city, 'postcode', customer.postcode, 'subdivision', customer.subdivision, 'country', customer.country,
        'vat_id', customer.vat_id, 'legal_id', customer.legal_id, 'legal_id_scheme', customer.legal_id_scheme,
        'electronic_address', customer.electronic_address, 'electronic_address_scheme', customer.electronic_address_scheme,
        'buyer_reference', customer.buyer_reference, 'emails', nullif(to_jsonb(customer.emails), '[]'), 'language', customer.language));
REVOKE ALL ON FUNCTION flightbill.bill_to FROM PUBLIC;
