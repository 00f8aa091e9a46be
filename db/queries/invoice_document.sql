-- name: InvoiceDocumentGet :one
SELECT d.bytes
FROM flightbill.invoice_documents d
JOIN flightbill.invoices i ON i.id = d.invoice_id
WHERE i.number = @number::text AND d.format = @format;

-- Of two at once, the second waits for the first and adds nothing.
-- name: InvoiceDocumentAdd :exec
INSERT INTO flightbill.invoice_documents (invoice_id, format, version, made_at, bytes, sha256)
SELECT i.id, @format::text, @version::text, @made_at::timestamptz, @bytes::bytea, sha256(@bytes::bytea)
FROM flightbill.invoices i
WHERE i.number = @number::text
ON CONFLICT DO NOTHING;

-- name: InvoiceDocumentRemove :one
SELECT flightbill.remove_documents((@retention::text)::interval);

-- The documents that were issued on these days; no day: since ever, or until now.
-- name: InvoiceNumbers :many
SELECT i.number::text
FROM flightbill.invoices i
JOIN flightbill.customers c ON c.id = i.customer_id
WHERE i.status <> 'DRAFT' AND (@customer::text = '' OR c.code = @customer::text)
    AND (sqlc.narg(from_day)::date IS NULL OR i.issued_on >= sqlc.narg(from_day)::date)
    AND (sqlc.narg(to_day)::date IS NULL OR i.issued_on <= sqlc.narg(to_day)::date)
ORDER BY i.issued_at, i.number;
