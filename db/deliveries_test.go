package db_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDeliveriesStay(t *testing.T) {
	t.Parallel()
	b := setupInvoices(t)
	b.exec(t, `INSERT INTO webhooks (url, events) VALUES ('https://example.test/', '{invoice.voided}')`)
	b.exec(t, voidInvoice)
	require.Equal(t, "EACH-000001", get[string](t, b, `SELECT payload #>> '{data,number}' FROM deliveries`))
	values := map[string]string{ // every column that there is; without a value: it changes
		"id": "'msg_1'", "kind": "kind", "event": "'invoice.paid'", "invoice_id": "1", "closes_on": "NULL", "webhook_id": "webhook_id", "target": "'other'", "payload": "'{}'", "created_at": "now()",
		"state": "", "attempts": "", "last_error": "", "next_at": "", "delivered_at": "", "job_id": "",
	}
	for _, column := range get[[]string](t, b, `SELECT array_agg(column_name::text) FROM information_schema.columns WHERE table_name = 'deliveries'`) {
		value, known := values[column]
		require.True(t, known, "column %s: may a delivery change in it?", column)
		if value != "" {
			b.requireRefused(t, `UPDATE deliveries SET `+column+` = `+value, "are kept as they are")
		}
	}
	for _, sql := range []string{`DELETE FROM deliveries`, `TRUNCATE deliveries`, `TRUNCATE webhooks CASCADE`} {
		b.requireRefused(t, sql, "are kept as they are")
	}
	replicated := b.session(t, `SET session_replication_role = replica`)
	_, err := replicated.Exec(t.Context(), `DELETE FROM deliveries`)
	requireSQLError(t, err, raised, "are kept as they are")
	b.exec(t, `UPDATE deliveries SET state = 'delivered', next_at = NULL, delivered_at = now(), attempts = 1`)
}

func TestWebhooksAreChecked(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, values := range []string{
		`'ftp://example.test/', '{run.finished}'`, `'https://', '{run.finished}'`, `E'https://example.test/\n', '{run.finished}'`, `'https://example.test/', '{}'`,
		`'https://example.test/', '{run.finished,NULL}'`, `'https://example.test/', '{run.started}'`, `'https://' || repeat('x', 2000), '{run.finished}'`,
	} {
		b.requireSQLError(t, `INSERT INTO webhooks (url, events) VALUES (`+values+`)`, "23514", "webhooks_")
	}
	for url, target := range map[string]string{
		"https://example.test/a/b": "https://example.test/a/b", "https://user:pass@example.test:8443/a?token=1": "https://example.test:8443/a", "http://token@example.test#f": "http://example.test",
		"https://us@er:p@example.test/": "https://example.test/", "https://example.test/a@b": "https://example.test/a@b", "https://example.test?token=a@b": "https://example.test",
	} {
		require.Equal(t, target, get[string](t, b, `INSERT INTO webhooks (url, events) VALUES ($1, '{run.finished}') RETURNING target`, url))
	}
	b.exec(t, `INSERT INTO webhook_secrets SELECT min(id), 'whsec_' || repeat('A', 43) || '=', NULL FROM webhooks`)
	for secret, code := range map[string]string{"": "23514", "whsec_": "23514", "whsec_c2hvcnQ=": "23514"} {
		_, err := b.pool.Exec(t.Context(), `INSERT INTO webhook_secrets SELECT max(id), $1, NULL FROM webhooks`, secret)
		requireSQLError(t, err, code)
	}
	b.requireSQLError(t, `INSERT INTO webhook_secrets SELECT min(id), 'whsec_' || repeat('B', 43) || '=', NULL FROM webhooks`,
		"23505", "webhook_secrets_one_current")
}
