-- name: BillingSettingsGet :one
SELECT timezone, close, billing_start FROM billing_settings;

-- name: BillingSettingsInsert :execrows
INSERT INTO billing_settings (timezone, close, billing_start)
VALUES (@timezone, @close, @billing_start)
ON CONFLICT DO NOTHING;

-- name: BillingSettingsDraftsBefore :one
SELECT count(*) FROM invoices WHERE status = 'DRAFT' AND closes_on <= @closes_on::date;

-- name: BillingSettingsUpdate :exec
UPDATE billing_settings SET timezone = @timezone, close = @close, billing_start = @billing_start;
