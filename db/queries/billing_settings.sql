-- name: BillingSettingsGet :one
SELECT timezone, close, billing_start FROM billing_settings;

-- Fails where Postgres does not know the zone.
-- name: BillingSettingsZoneIsKnown :exec
SELECT now() AT TIME ZONE @timezone::text;

-- name: BillingSettingsInsert :execrows
INSERT INTO billing_settings (timezone, close, billing_start)
VALUES (@timezone, @close, @billing_start)
ON CONFLICT DO NOTHING;

-- name: BillingSettingsDraftsBefore :one
SELECT count(*) FROM invoices WHERE status = 'DRAFT' AND closes_on <= @closes_on::date;

-- name: BillingSettingsUpdate :exec
UPDATE billing_settings SET timezone = @timezone, close = @close, billing_start = @billing_start;
