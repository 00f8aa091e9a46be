package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/dbtest"
	"github.com/flightbill/flightbill/jobs"
)

// hostile commands a terminal, turns the direction of writing, hides, and ends the line.
const hostile = "A\x1b[2J\x1b]0;owned\x07\u009b31m\x7f\u202eB\u2066\u200b\ufeff\u2028\U000E0041\r\nFAKE\tLINE\v\x00"

// requireHarmless: nothing in text commands a terminal, or is a line of its own.
func requireHarmless(t *testing.T, text, what string) {
	t.Helper()
	require.True(t, utf8.ValidString(text), "%s: %q", what, text)
	for line := range strings.Lines(text) {
		require.False(t, strings.HasPrefix(line, "FAKE"), "%s: %q", what, text)
		for _, r := range strings.TrimSuffix(line, "\n") {
			require.True(t, unicode.IsGraphic(r), "%s: %q in %q", what, r, line)
		}
	}
}

// Whatever names, reasons and Pinot's errors have in them, no command gives it to a terminal.
func TestHostileNamesOnTheTerminal(t *testing.T) {
	t.Parallel()
	url := dbtest.URL(t)
	pool, err := db.Open(t.Context(), url, db.Options{SearchPath: db.Schema})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	pinot := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_ = json.NewEncoder(w).Encode(map[string]any{"exceptions": []map[string]any{{"errorCode": 200, "message": hostile}}})
	}))
	t.Cleanup(pinot.Close)
	env := map[string]string{
		"DATABASE_URL": url, "FLIGHTBILL_BILLING_START": "2013-01-03", "FLIGHTBILL_TIMEZONE": "UTC", "FLIGHTBILL_RESULTS": "",
		"PINOT_BROKERS": strings.TrimPrefix(pinot.URL, "http://"),
	}
	now := time.Date(2013, 1, 10, 12, 0, 0, 0, time.UTC)
	flightbill := func(stdin string, args ...string) (status int, stdout string) {
		var out, failures strings.Builder
		a := &app{stdin: strings.NewReader(stdin), stdout: &out, stderr: &failures, now: func() time.Time { return now }}
		status = a.run(t.Context(), args, func(name string) (string, bool) { value, given := env[name]; return value, given })
		requireHarmless(t, out.String(), fmt.Sprint(args))
		requireHarmless(t, failures.String(), fmt.Sprint(args))
		return status, out.String()
	}
	exec := func(sql string, args ...any) {
		_, err := pool.Exec(t.Context(), sql, args...)
		require.NoError(t, err, sql)
	}
	name := strings.TrimSuffix(hostile, "\v\x00") + "." // which Postgres can keep
	exec(`INSERT INTO customers (code, name, billing_frequency, week_ends_on) VALUES ('WEEK', $1, 'weekly', 7), ('EACH', $1, 'per_flight', NULL)`, name)
	exec(`UPDATE customers SET legal_name = $1, street = $1, country = 'DE', buyer_reference = $1, emails = ARRAY[E'\x1b[2J\u202e@b.example']`, name)
	exec(`INSERT INTO issuers (since, name, street, country, note, tax_currency, contact_email) VALUES ('2013-01-01', $1, $1, 'DE', $1, 'USD', '@' || $1)`, name)
	exec(`INSERT INTO customer_operators (operator, customer_id) SELECT code || $1, id FROM customers`, name)
	exec(`INSERT INTO tariffs (code, description, basis, applies_to, unit_rate, currency, valid_from) VALUES ($1, $1, 'per_flight', 'any', 5, 'EUR', '2012-01-01')`, name)
	exec(`INSERT INTO flights (flight_id, operator, registration, origin, landed_at, departed_at) VALUES
		('W1', 'WEEK' || $1, 'R' || $1, $1, '2013-01-06 00:00+00', '2013-01-05 00:00+00'),
		('E1', 'EACH' || $1, 'R' || $1, $1, '2013-01-06 00:00+00', '2013-01-05 00:00+00'),
		('X1', 'NOBODY' || $1, $1, $1, '2013-01-06 00:00+00', '2013-01-05 00:00+00')`, name)
	flightbill("", "overdue", "--date", "2013-01-03") // stores the settings
	service, err := jobs.New(jobs.Config{
		Pool: pool, Source: db.NewFlights(pool), Workers: 1, Schedules: jobs.NoSchedules, Now: func() time.Time { return now },
		Stats: jobs.NewStats(), Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	require.NoError(t, service.Start(t.Context()))
	exec(enqueueAll)
	eventually(t, "the flights are billed", func() bool {
		return number(t, pool, `SELECT count(*) FROM billed_flights`) == 2 && number(t, pool, `SELECT count(*) FROM river_job WHERE state = 'cancelled'`) == 1
	})
	require.NoError(t, service.Stop(t.Context()))

	exec(`INSERT INTO webhooks (url, events) VALUES ('https://example.test/', '{invoice.voided}')`)
	exec(`UPDATE webhooks SET stopped_at = now(), stopped_reason = $1`, name)
	exec(`INSERT INTO deliveries (kind, event, invoice_id, target, payload, last_error) SELECT 'mail', 'invoice.issued', id, $1, '{}', $1 FROM invoices WHERE number = 'EACH-000001'`, name)

	tariffs := filepath.Join(t.TempDir(), "tariffs.csv")
	require.NoError(t, os.WriteFile(tariffs, []byte(pricedTariffs+`"`+name+`","`+name+`",per_flight,"`+name+`",,any,,,,,,1,,EUR,0,2012-01-01,,`+"\n"), 0o600))
	statement := filepath.Join(t.TempDir(), "bank.csv")
	require.NoError(t, os.WriteFile(statement, []byte(`booking_day,amount,currency,reference,payer`+"\n"+`2013-01-10,1,EUR,"`+name+`","`+name+`"`+"\n"), 0o600))
	flightbill("", "bank", "import", statement)
	flightbill("", "accounts", "set", "revenue="+name)
	lists := map[string][]string{
		"bank import": {statement, "--dry-run"}, "bank list": nil, "accounts": nil, "journal": nil,
		"consolidate": {"--dry-run", "--run-date", "2013-01-20"}, "invoices list": nil, "invoices show": {"EACH-000001"}, "overlaps": nil,
		"calendar": {"--from", "2013-01-01", "--to", "2013-01-31"}, "unmatched": nil, "reconcile": {"--from", "2013-01-01", "--to", "2013-01-09"}, "settings": nil, "issuer": nil, "customers": nil, "customers check": nil, "migrate status": nil, "migrate grant": {"reporter"},
		"pinot check": {"W1"}, "price": {"E1"}, "tariffs check": {tariffs},
		"webhooks list": nil, "deliveries list": nil,
		"tariffs try":   {tariffs, "--from", "2013-01-01", "--to", "2013-01-31"},
		"payments list": nil, "statement": {"EACH"}, "aging": nil, "interest": {"--dry-run"},
	}
	login := "r\x1b[2J'\nFAKE" + pool.Config().ConnConfig.Database
	quoted := pgx.Identifier{login}.Sanitize()
	exec(`CREATE ROLE ` + quoted + ` LOGIN`)
	t.Cleanup(func() {
		_, err := pool.Exec(context.WithoutCancel(t.Context()), `DROP ROLE `+quoted)
		require.NoError(t, err)
	})
	status, out := flightbill("", "migrate", "grant", "reporter", login)
	require.Equal(t, exitDone, status)
	require.Contains(t, out, `\u000aFAKE`)
	_, out = flightbill("", "migrate", "grant", "reporter", "--json")
	var members []memberView
	require.NoError(t, json.Unmarshal([]byte(out), &members))
	require.Contains(t, members, memberView{Login: login})
	status, _ = flightbill("", "migrate", "grant", "reporter", login, "--json")
	require.Equal(t, exitUsage, status)
	status, out = flightbill("", "payments", "record", "EACH-000001", "1.00", "--reference", name)
	require.Equal(t, exitDone, status)
	require.Contains(t, out, "EACH-000001 is PENDING, 4.00 EUR open")
	// After the lists that need them as they are, some are changed.
	status, _ = flightbill("", "void", "EACH-000001", "--reason", name)
	require.Equal(t, exitDone, status)
	exec(`UPDATE flights SET operator = NULL WHERE flight_id = 'W1'`)
	var walk func(path string, cmd *cobra.Command)
	seen := 0
	walk = func(path string, cmd *cobra.Command) {
		for _, sub := range cmd.Commands() {
			walk(strings.TrimSpace(path+" "+sub.Name()), sub)
		}
		if cmd.Flags().Lookup("json") == nil {
			return
		}
		args, known := lists[path]
		require.True(t, known, "flightbill %s: say here what arguments show a hostile name", path)
		seen++
		args = append(strings.Fields(path), args...)
		flightbill("", args...)
		_, out := flightbill("", append(args, "--json")...)
		require.True(t, out == "" || json.Valid([]byte(out)), "%s: %s", path, out)
	}
	walk("", (&app{}).newRootCommand(func(string) (string, bool) { return "", false }))
	require.Len(t, lists, seen)
	exec(`ALTER ROLE ` + quoted + ` SUPERUSER`)
	flightbill("", "migrate", "grant", "reporter", login) // warns
	flightbill("", "correct", "--changed")

	_, shown := flightbill("", "invoices", "show", "EACH-000001")
	require.Contains(t, shown, `Bill to    A\u001b[2J\u001b]0;owned\u0007\u009b31m\u007f\u202eB\u2066\u200b\ufeff\u2028\udb40\udc41\u000d\u000aFAKE\u0009LINE. (EACH)`)
	_, shown = flightbill("", "invoices", "show", "EACH-000001", "--json")
	var invoice struct {
		Name string `json:"bill_to_name"`
	}
	require.NoError(t, json.Unmarshal([]byte(shown), &invoice))
	require.Equal(t, name, invoice.Name, "what a program reads is as it is")

	for _, args := range [][]string{
		{hostile}, {"invoices", "show", hostile}, {"invoices", "list", "--customer", hostile}, {"enqueue", hostile}, {"enqueue", "--file", hostile},
		{"import", "customers", hostile}, {"--" + hostile}, {"settings", "set", hostile}, {"issuer", "set", hostile}, {"issuer", "set", "street=" + hostile}, {"issuer", "set", "logo=@" + hostile}, {"customers", "check", hostile}, {"void", hostile, "--reason", hostile}, {"correct", hostile}, {"price", hostile}, {"price", "E1", "--customer", hostile},
		{"bank", "import", hostile}, {"bank", "book", hostile, hostile}, {"bank", "book", "1", hostile, hostile}, {"bank", "ignore", "1", "--reason", hostile}, {"accounts", "set", hostile},
		{"webhooks", "add", hostile}, {"webhooks", "add", "https://" + hostile}, {"webhooks", "rotate", hostile}, {"deliveries", "retry", hostile}, {"deliveries", "list", "--state", hostile},
		{"migrate", "grant", hostile}, {"migrate", "grant", "reporter", hostile[:40]},
	} {
		flightbill("", args...)
	}
	flightbill("code,name,billing_frequency\n"+hostile+",,\n", "import", "customers", "-")
	flightbill(hostile, "enqueue", "--file", "-")
	flightbill(hostile, "import", "tariffs", "-")
	flightbill(hostile, "bank", "import", "-")
	flightbill("<a>"+hostile, "bank", "import", "-")
	flightbill(hostile, "tariffs", "try", "-", "--from", "2013-01-01", "--to", "2013-01-31")
}

func TestHostileLogs(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"text", "json"} {
		var out strings.Builder
		logger, err := newLogger(screen{&out}, format, slog.LevelInfo)
		require.NoError(t, err)
		logger.With("before", hostile).Info(hostile, "name", hostile, "error", fmt.Errorf("pinot: %s", hostile), hostile, 1, slog.Group(hostile, hostile, hostile))
		requireHarmless(t, out.String(), format)
		require.Equal(t, 1, strings.Count(out.String(), "\n"))
	}
}

func FuzzEscaped(f *testing.F) {
	for _, seed := range []string{"", "é世😀", hostile, "\xff\x9b", `\u001b`, "\n\t", "\\\u202e"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		requireHarmless(t, oneLine(text), "one line")
		require.Equal(t, oneLine(text), oneLine(oneLine(text)))
		var out strings.Builder
		require.NoError(t, printJSON(screen{&out}, text))
		requireHarmless(t, out.String(), "JSON")
		var read string
		require.NoError(t, json.Unmarshal([]byte(out.String()), &read))
		if utf8.ValidString(text) {
			require.Equal(t, text, read, "what a program reads is as it is")
		}
	})
}
