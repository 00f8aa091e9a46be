package db_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/dbtest"
	"github.com/flightbill/flightbill/document/render"
)

const kept = `SELECT coalesce(string_agg(format || ' ' || number || ' ' || (made_at AT TIME ZONE 'UTC')::date || ' ' || (length(bytes) > 100)::text, ', ' ORDER BY number, format), '')
	FROM invoice_documents JOIN invoices i ON i.id = invoice_id`

func give(t *testing.T, b *testBundle, number string, format render.Format) []byte {
	t.Helper()
	file, err := db.GiveDocument(t.Context(), b.pool, number, format, testNow)
	require.NoError(t, err)
	return file
}

// What was written once is given again, whatever would be written now; data are written anew.
func TestGiveDocument(t *testing.T) {
	t.Parallel()
	b := setupInvoices(t)
	for _, format := range render.Formats {
		require.NotEmpty(t, give(t, b, "EACH-000001", format))
	}
	day := testNow.UTC().Format(time.DateOnly)
	require.Equal(t, fmt.Sprintf("cii EACH-000001 %s true, pdf EACH-000001 %[1]s true, ubl EACH-000001 %[1]s true", day), get[string](t, b, kept))
	require.Equal(t, render.Version(), get[string](t, b, `SELECT DISTINCT version FROM invoice_documents`))
	before := give(t, b, "EACH-000001", render.PDF)
	require.True(t, get[bool](t, b, `SELECT sha256 = sha256($1::bytea) FROM invoice_documents WHERE format = 'pdf'`, before))

	// Of an older flightbill.
	b.exec(t, voidInvoice)
	b.exec(t, `INSERT INTO invoice_documents (invoice_id, format, version, bytes, sha256) SELECT id, 'pdf', 'v0.1', 'as sent', sha256('as sent') FROM invoices WHERE number = 'EACH-CN000001'`)
	require.Equal(t, "as sent", string(give(t, b, "EACH-CN000001", render.PDF)))

	for number, part := range map[string]string{"1": "a draft is no invoice yet", "EACH-000099": `invoice "EACH-000099" is not known`, "": `invoice "" is not known`} {
		for _, format := range render.Formats {
			_, err := db.GiveDocument(t.Context(), b.pool, number, format, testNow)
			require.ErrorContains(t, err, part)
		}
	}
}

// Of many who write a document at once all get the one that is kept.
func TestGiveDocumentAtOnce(t *testing.T) {
	t.Parallel()
	b := setupInvoices(t)
	const many = 4
	given := make([][]byte, many)
	var all errgroup.Group
	for i := range given {
		all.Go(func() (err error) {
			given[i], err = db.GiveDocument(t.Context(), b.pool, "EACH-000001", render.PDF, testNow.Add(time.Duration(i)*time.Hour))
			return err
		})
	}
	require.NoError(t, all.Wait())
	require.Equal(t, 1, get[int](t, b, `SELECT count(*) FROM invoice_documents`))
	for _, file := range given {
		require.Equal(t, given[0], file)
	}
}

// Who writes second waits for the first, and gets the first one's.
func TestGiveDocumentBehind(t *testing.T) {
	t.Parallel()
	b := setupInvoices(t)
	first := b.begin(t, `INSERT INTO invoice_documents (invoice_id, format, version, bytes, sha256) SELECT id, 'cii', 'v0.1', 'first', sha256('first') FROM invoices WHERE number = 'EACH-000001'`)
	second := meanwhile(t, b, func() ([]byte, error) {
		return db.GiveDocument(t.Context(), b.pool, "EACH-000001", render.CII, testNow)
	})
	require.NoError(t, first.Commit(t.Context()))
	file, err := second()
	require.NoError(t, err)
	require.Equal(t, "first", string(file))
}

// Nobody changes a document, nor removes one before its time: not the owner either, and no replica.
func TestDocumentsStay(t *testing.T) {
	t.Parallel()
	b := setupInvoices(t)
	give(t, b, "EACH-000001", render.PDF)
	before := get[string](t, b, kept)
	for _, sql := range []string{
		`UPDATE invoice_documents SET version = 'v2'`, `UPDATE invoice_documents SET made_at = '2000-01-01'`, `UPDATE invoice_documents SET bytes = 'x', sha256 = sha256('x')`,
		`DELETE FROM invoice_documents`, `SET flightbill.document_retention = '1 day'; DELETE FROM invoice_documents; RESET flightbill.document_retention`,
		`SET session_replication_role = replica; DELETE FROM invoice_documents; RESET session_replication_role`,
	} {
		conn := b.session(t, ``)
		_, err := conn.Exec(t.Context(), sql)
		require.ErrorContains(t, err, "the PDF of invoice EACH-000001 was given to somebody on 2026-03-04 and stays as it was", sql)
	}
	b.requireRefused(t, `TRUNCATE invoice_documents`, "invoice_documents")
	b.requireSQLError(t, `INSERT INTO invoice_documents (invoice_id, format, version, bytes, sha256) VALUES (2, 'ubl', 'v1', 'x', sha256('y'))`,
		checkViolation, "invoice_documents_sha256_is_of_bytes")
	require.Equal(t, before, get[string](t, b, kept))
}

// Documents go after a time that is set, of a year at least.
func TestRemoveDocuments(t *testing.T) {
	t.Parallel()
	b := setupInvoices(t)
	b.exec(t, `INSERT INTO invoice_documents (invoice_id, format, version, made_at, bytes, sha256)
		SELECT 2, f, 'v1', now() - age, 'x', sha256('x') FROM (VALUES ('pdf', interval '10 years 1 day'), ('ubl', interval '9 years 360 days'), ('cii', interval '0')) AS v (f, age)`)
	for _, retention := range []string{"364 days", "-10 years", "0"} {
		_, err := db.RemoveDocuments(t.Context(), b.pool, retention)
		require.ErrorContains(t, err, "documents cannot be removed after")
	}
	for _, want := range []int64{1, 0} {
		removed, err := db.RemoveDocuments(t.Context(), b.pool, "10 years")
		require.NoError(t, err)
		require.Equal(t, want, removed)
	}
	require.Equal(t, "cii ubl", get[string](t, b, `SELECT string_agg(format, ' ' ORDER BY format) FROM invoice_documents`))
	b.requireRefused(t, `DELETE FROM invoice_documents`, "stays as it was")
}

// Server and accountant keep documents; a reporter gets those that are kept, and all data. Nobody but the owner removes.
func TestDocumentsByRole(t *testing.T) {
	t.Parallel()
	b := setupInvoices(t)
	as := func(role string, format render.Format) error {
		_, err := db.GiveDocument(t.Context(), open(t, dbtest.As(t, b.url, role), 1), "EACH-000001", format, testNow)
		return err
	}
	err := as("flightbill_reporter", render.PDF)
	require.ErrorContains(t, err, "the PDF of invoice EACH-000001 is not kept yet, and is given by who may keep it")
	require.True(t, db.NoRight(err))
	require.NoError(t, as("flightbill_reporter", render.CSV))
	require.NoError(t, as("flightbill_reporter", render.JSON))
	require.NoError(t, as("flightbill_accountant", render.PDF))
	require.NoError(t, as("flightbill_server", render.UBL))
	require.NoError(t, as("flightbill_reporter", render.PDF))
	for _, role := range []string{"flightbill_reporter", "flightbill_accountant", "flightbill_server"} {
		_, err := db.RemoveDocuments(t.Context(), open(t, dbtest.As(t, b.url, role), 1), "10 years")
		require.True(t, db.NoRight(err), role)
	}
}

// The days are those of issue, in the billing zone of that time.
func TestListNumbers(t *testing.T) {
	t.Parallel()
	b := setupInvoices(t)
	b.exec(t, voidInvoice)
	b.exec(t, `UPDATE billing_settings SET timezone = 'Pacific/Kiritimati'`) // since: 14 hours ahead, where 4 March 12:00 UTC is the 5th
	list := func(customer string, from, to billing.Date) []string {
		numbers, err := db.ListNumbers(t.Context(), b.pool, customer, from, to)
		require.NoError(t, err)
		return numbers
	}
	none, third, fourth := billing.Date{}, billing.NewDate(2026, 3, 3), billing.NewDate(2026, 3, 4)
	require.Equal(t, []string{"EACH-000001", "EACH-CN000001"}, list("", none, none), "no draft")
	require.Equal(t, []string{"EACH-000001"}, list("EACH", fourth, fourth))
	require.Empty(t, list("EACH", none, third))
	require.Empty(t, list("WEEK", none, none))
}
