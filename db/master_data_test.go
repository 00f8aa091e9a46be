package db_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/document"
)

func TestChangeIssuer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	none, err := db.ReadIssuer(t.Context(), b.pool)
	require.NoError(t, err)
	require.Nil(t, none)
	change := func(now time.Time, logo *[]byte, cells ...string) (before, after *db.IssuerVersion, err error) {
		c := db.IssuerChange{Cells: map[string]string{}, Logo: logo}
		for i := 0; i < len(cells); i += 2 {
			c.Cells[cells[i]] = cells[i+1]
		}
		return db.ChangeIssuer(t.Context(), b.pool, c, now)
	}
	versions := func() int { return get[int](t, b, `SELECT count(*) FROM issuers`) }

	_, _, err = change(testNow, nil, "country", "IE")
	wrong, ok := errors.AsType[*db.IssuerError](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, "name", wrong.Column)
	require.Zero(t, versions())

	logo := []byte("a picture")
	before, first, err := change(testNow, &logo, "name", "Port Air", "country", "IE", "note", "")
	require.NoError(t, err)
	require.Nil(t, before)
	require.Equal(t, map[string]string{"name": "Port Air", "country": "IE", "language": "en"}, first.Cells)
	for range 2 { // nothing changes
		before, after, err := change(testNow.Add(time.Hour), nil, "country", "IE", "street", "", "language", "")
		require.NoError(t, err)
		require.Same(t, before, after)
	}
	require.Equal(t, 1, versions())

	_, _, err = change(testNow, nil, "legal_id_scheme", "0088")
	require.ErrorContains(t, err, "legal_id: write the id too")
	_, _, err = change(testNow, nil, "name", "")
	require.ErrorContains(t, err, "name: write the legal name")
	_, after, err := change(testNow.Add(time.Hour), nil, "legal_id_scheme", "0088", "legal_id", "4035811991014", "country", "")
	require.NoError(t, err)
	require.Equal(t, map[string]string{"name": "Port Air", "language": "en", "legal_id": "4035811991014", "legal_id_scheme": "0088"}, after.Cells)
	require.Equal(t, logo, after.Logo)
	_, _, err = change(testNow.Add(2*time.Hour), new([]byte))
	require.NoError(t, err)
	require.Equal(t, 3, versions())

	now, err := db.ReadIssuer(t.Context(), b.pool)
	require.NoError(t, err)
	require.Equal(t, testNow.Add(2*time.Hour), now.Since.UTC())
	require.Nil(t, now.Logo)
	issuer, err := now.Issuer()
	require.NoError(t, err)
	require.Equal(t, &document.Issuer{Party: document.Party{Name: "Port Air", Language: "en", LegalID: "4035811991014", LegalIDScheme: "0088"}}, issuer)

	for _, sql := range []string{`UPDATE issuers SET note = 'x'`, `DELETE FROM issuers`, `TRUNCATE issuers CASCADE`} {
		b.requireRefused(t, sql, "a row of issuers stays as it is")
	}
}

// Two that change other columns at once: nobody's change is lost without a word.
func TestChangeIssuerAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, _, err := db.ChangeIssuer(t.Context(), b.pool, db.IssuerChange{Cells: map[string]string{"name": "Port Air"}}, testNow)
	require.NoError(t, err)
	var wg sync.WaitGroup
	failed := make([]error, 8)
	for i := range failed {
		wg.Go(func() {
			column := []string{"street", "city", "postcode", "subdivision", "contact_name", "account_name", "note", "tax_registration"}[i]
			_, _, failed[i] = db.ChangeIssuer(t.Context(), b.pool, db.IssuerChange{Cells: map[string]string{column: "x"}}, testNow)
		})
	}
	wg.Wait()
	done := 0
	for _, err := range failed {
		if err == nil {
			done++
		} else {
			require.ErrorContains(t, err, "somebody else changed it at the same time")
		}
	}
	require.Positive(t, done)
	now, err := db.ReadIssuer(t.Context(), b.pool)
	require.NoError(t, err)
	require.Len(t, now.Cells, 2+done)
}

// What another application may write by SQL is as long as what flightbill would.
func TestMasterDataIsBounded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	value := map[string]string{"late_interest_rate": "0.5", "emails": "a@b.example"}
	for table, columns := range map[string][]document.Column{"customers": document.CustomerColumns, "issuers": document.IssuerColumns} {
		for _, c := range columns {
			try := func(text string) error {
				value := "'" + strings.ReplaceAll(text, "'", "''") + "'"
				if c.Name == "emails" {
					value = "string_to_array(" + value + ", ';')"
				}
				sql := `UPDATE customers SET ` + c.Name + ` = ` + value + ` WHERE code = 'MON'`
				switch {
				case table == "issuers" && c.Name == "name":
					sql = `INSERT INTO issuers (since, name) VALUES (now(), ` + value + `)`
				case table == "issuers":
					sql = `INSERT INTO issuers (since, name, ` + c.Name + `) VALUES (now(), 'Port', ` + value + `)`
				}
				_, err := b.pool.Exec(t.Context(), sql)
				return err
			}
			for _, text := range []string{
				strings.Repeat("x", c.Most), strings.Repeat("A", c.Most), strings.Repeat("1", c.Most), "IE6388047V", "IE29AIBK93115212345678", "AIBKIE2D", "EUR", "en",
				strings.Repeat("a", max(1, c.Most-10)) + "@b.example", value[c.Name],
			} {
				if kept, expected := c.Read(text); expected == "" && kept != "" {
					require.NoError(t, try(kept), "%s.%s: %q", table, c.Name, kept)
				}
			}
			require.Error(t, try(strings.Repeat("9", 1001)), "%s.%s", table, c.Name)
			if c.Name != "emails" {
				require.Error(t, try(""), "%s.%s", table, c.Name)
			}
		}
	}
	for _, wrong := range []string{"'{\"a@b.example; c\"}'", "'{NULL}'", "'{\"\"}'", "'{\"a b\"}'"} {
		b.requireSQLError(t, `UPDATE customers SET emails = `+wrong, checkViolation, "customers_emails_check")
	}
	b.requireSQLError(t, `INSERT INTO issuers (since, name, logo) VALUES (now(), 'Port', convert_to(repeat('x', 200001), 'UTF8'))`,
		checkViolation, "issuers_logo_check")
}

func TestCheckMasterData(t *testing.T) {
	t.Parallel()
	b := setup(t)
	day := billing.DateOf(testNow, time.UTC)
	check := func(codes ...string) db.MasterData {
		t.Helper()
		data, err := db.CheckMasterData(t.Context(), b.pool, codes, day)
		require.NoError(t, err)
		return data
	}
	gaps := func(gaps []document.Gap) string {
		columns := make([]string, len(gaps))
		for i, g := range gaps {
			columns[i] = g.Column
		}
		return strings.Join(columns, " ")
	}
	data := check()
	require.Equal(t, "name", gaps(data.Issuer))
	require.Len(t, data.Customers, 4)
	require.Empty(t, data.Rates)

	_, _, err := db.ChangeIssuer(t.Context(), b.pool, db.IssuerChange{Cells: map[string]string{"name": "Port", "country": "US", "vat_id": "US12", "tax_currency": "USD"}}, testNow)
	require.NoError(t, err)
	b.exec(t, `UPDATE customers SET country = 'BR', emails = '{a@b.example}'`)
	b.exec(t, `INSERT INTO tariffs (code, description, basis, customer_id, applies_to, unit_rate, currency, tax_rate, tax_category, valid_from, valid_to)
		SELECT 'RC' || n, '', 'per_flight', (SELECT id FROM customers WHERE code = 'MON'), 'any', 2, currency, 0, 'reverse_charge', day, until
		FROM (VALUES (1, 'JPY', '2020-01-01'::date, '2026-03-04'::date), (2, 'GBP', '2026-04-01', NULL)) AS v (n, currency, day, until)`)
	data = check()
	require.Equal(t, "mail_from", gaps(data.Issuer))
	require.Equal(t, []db.MissingRate{{Currency: "EUR", InCurrency: "USD"}, {Currency: "GBP", InCurrency: "USD"}}, data.Rates) // JPY has ended
	for _, c := range data.Customers {
		require.Equal(t, map[bool]string{true: "vat_id"}[c.Code == "MON"], gaps(c.Gaps), c.Code)
	}
	b.exec(t, `INSERT INTO currency_rates VALUES ('EUR', 'USD', '2026-03-05', 1.1), ('USD', 'GBP', '2026-03-04', 0.7)`)
	require.Equal(t, []db.MissingRate{{Currency: "EUR", InCurrency: "USD"}}, check("MON").Rates, "tomorrow's is none yet; either direction will do")
	b.exec(t, `UPDATE currency_rates SET day = '2026-02-24'`)
	require.Len(t, check("MON").Rates, 2, "of more than a week ago")
	require.Len(t, check("MON").Customers, 1)
	_, err = db.CheckMasterData(t.Context(), b.pool, []string{"NOBODY"}, day)
	require.ErrorContains(t, err, `there is no customer "NOBODY"`)
}
