-- The numbers of those that are there.
-- name: InvoiceNumbersThere :many
SELECT number::text FROM flightbill.invoices WHERE number = ANY (@numbers::text[]);

-- name: CustomerCodes :many
SELECT code FROM flightbill.customers;

-- name: BankEntryAdd :one
SELECT flightbill.add_bank_entries(@file::text, @entries::jsonb)::bigint AS added;

-- name: BankEntryMatch :exec
SELECT flightbill.match_bank_entries();

-- name: BankEntryBook :one
SELECT flightbill.book_bank_entry(@entry_id::bigint, @invoice_number::text, sqlc.narg('amount')::numeric)::bigint AS payment_id;

-- name: BankEntryIgnore :exec
SELECT flightbill.ignore_bank_entry(@entry_id::bigint, @reason::text);

-- Those that this transaction has brought.
-- name: BankEntryImported :many
SELECT state, count(*)::bigint AS entries FROM flightbill.bank_entries WHERE imported_at = now() GROUP BY state;

-- An entry whose payment was taken back is unmatched again.
-- name: BankEntryList :many
SELECT e.id, e.account, e.bank_reference, e.booked_on, e.value_on, e.amount, e.currency, e.payer, e.text, e.state, e.reason, e.numbers, e.payments, e.rest, e.file, e.imported_at
FROM (
    SELECT b.id, b.account, b.bank_reference, b.booked_on, b.value_on, b.amount, b.currency, b.payer, b.text, b.numbers, b.file, b.imported_at,
        (CASE WHEN b.state = 'booked' AND b.amount <> paid.amount THEN 'unmatched' ELSE b.state END)::text AS state,
        coalesce(b.reason, CASE WHEN b.state = 'booked' AND b.amount <> paid.amount THEN 'its payment was taken back' END, '')::text AS reason,
        (b.amount - paid.amount)::numeric AS rest, paid.payments::text[] AS payments
    FROM flightbill.bank_entries b
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(p.amount), 0) AS amount, coalesce(array_agg(i.number || ' ' || p.amount ORDER BY p.id), '{}') AS payments
        FROM flightbill.payments p JOIN flightbill.invoices i ON i.id = p.invoice_id
        WHERE p.id = ANY (b.payment_ids) AND NOT EXISTS (SELECT FROM flightbill.payments r WHERE r.reverses_id = p.id)
    ) AS paid
    WHERE NOT @here::boolean OR b.imported_at = now()
) AS e
WHERE NOT @unmatched::boolean OR e.state = 'unmatched'
ORDER BY e.booked_on DESC, e.id DESC
LIMIT @max_rows;

-- All that the issuer has had, the last first: customers pay to the one before for a while.
-- name: IssuerIBANList :many
SELECT iban::text FROM flightbill.issuers WHERE iban IS NOT NULL ORDER BY id DESC;
