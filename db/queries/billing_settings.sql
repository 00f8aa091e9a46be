-- name: BillingSettingsGet :one
SELECT timezone, close, billing_start, tax_by FROM flightbill.billing_settings;

-- name: BillingSettingsInsert :execrows
INSERT INTO flightbill.billing_settings (timezone, close, billing_start, tax_by)
VALUES (@timezone, @close, @billing_start, @tax_by)
ON CONFLICT DO NOTHING;

-- name: BillingSettingsDraftsBefore :one
SELECT count(*) FROM flightbill.invoices WHERE status = 'DRAFT' AND closes_on <= @closes_on::date;

-- name: BillingSettingsUpdate :exec
UPDATE flightbill.billing_settings SET timezone = @timezone, close = @close, billing_start = @billing_start, tax_by = @tax_by;
