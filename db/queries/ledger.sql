-- name: LedgerAccountList :many
SELECT what, tax_category, tax_rate, account FROM flightbill.ledger_accounts
ORDER BY array_position('{receivable,revenue,tax,bank,interest,rounding}'::text[], what), tax_category NULLS FIRST, tax_rate;

-- name: LedgerAccountSet :exec
INSERT INTO flightbill.ledger_accounts AS a (what, tax_category, tax_rate, account)
VALUES (@what, sqlc.narg('tax_category')::text, sqlc.narg('tax_rate')::numeric, @account)
ON CONFLICT (what, tax_category, tax_rate) DO UPDATE SET account = excluded.account;

-- name: LedgerAccountRemove :exec
DELETE FROM flightbill.ledger_accounts WHERE what = 'tax' AND tax_category = @tax_category::text AND tax_rate = @tax_rate::numeric;

-- name: JournalList :many
SELECT entry::text AS entry, day::date AS day, document::text AS document, customer, what::text AS what, coalesce(account, '')::text AS account, coalesce(code, '')::text AS code,
    coalesce(tax_category, '')::text AS tax_category, tax_rate, currency::text AS currency, debit::numeric AS debit, credit::numeric AS credit
FROM flightbill.journal
WHERE (sqlc.narg('from_date')::date IS NULL OR day >= sqlc.narg('from_date')::date) AND (sqlc.narg('to_date')::date IS NULL OR day <= sqlc.narg('to_date')::date)
ORDER BY day, entered_at, entry, debit = 0, what, account, code, tax_category, tax_rate
LIMIT @max_rows;
