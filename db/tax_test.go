package db_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/document"
)

// taxedLine is a charge as a tariff would make it, its own tax rounded.
type taxedLine struct {
	amount, rate, category, reason string
	times                          int // 0: 1
}

// draft opens a draft of WEEK's and puts charges on it; it returns the draft's id.
func (b *testBundle) draft(t *testing.T, closesOn, currency string, lines ...taxedLine) int64 {
	t.Helper()
	b.exec(t, `INSERT INTO billed_flights SELECT 'T1', id, '2026-03-04', '{"registration": "EI-ABC", "origin": "EIDW"}', now() FROM customers WHERE code = 'WEEK' ON CONFLICT DO NOTHING`)
	draft := get[int64](t, b, `SELECT open_draft(id, $1::date, $2, now(), $3) FROM customers WHERE code = 'WEEK'`,
		closesOn, currency, lines[0].category == "outside")
	for _, l := range lines {
		b.exec(t, `INSERT INTO charges (invoice_id, flight_id, tariff_id, code, description, quantity, unit_rate, amount, tax_rate, tax_amount, flown_on, tax_category, tax_reason)
			SELECT $1, 'T1', t.id, t.code, t.description, sign($2::text::numeric), abs($2::text::numeric), $2::text::numeric, $3::text::numeric,
				round($2::text::numeric * $3::text::numeric, minor_units($4)), '2026-03-04', coalesce(nullif($5, ''), 'standard'), nullif($6, '')
			FROM tariffs t, generate_series(1, greatest($7, 1)) WHERE t.code = 'RUNWAY'`, draft, l.amount, l.rate, currency, l.category, l.reason, l.times)
	}
	return draft
}

// totals is what an invoice says of itself: its totals, and its taxes.
const totals = `SELECT concat_ws(' ', i.subtotal, i.tax, i.total) || ': ' || string_agg(concat_ws(' ', t.category, trim_scale(t.rate), t.base, t.tax, t.reason), '; '
		ORDER BY t.category, t.rate DESC)
	FROM invoices i JOIN invoice_taxes t ON t.invoice_id = i.id WHERE i.id = $1 GROUP BY i.id`

func TestMinorUnitsInSQL(t *testing.T) {
	t.Parallel()
	b := setup(t)
	rows, _ := b.pool.Query(t.Context(), `SELECT a || b || c, minor_units(a || b || c) FROM
		regexp_split_to_table('ABCDEFGHIJKLMNOPQRSTUVWXYZ', '') AS a, regexp_split_to_table('ABCDEFGHIJKLMNOPQRSTUVWXYZ', '') AS b,
		regexp_split_to_table('ABCDEFGHIJKLMNOPQRSTUVWXYZ', '') AS c`)
	var known int
	var currency string
	var places int32
	_, err := pgx.ForEachRow(rows, []any{&currency, &places}, func() error {
		want, ok := billing.MinorUnits(currency)
		if !ok {
			want = 2
		} else {
			known++
		}
		require.Equal(t, want, places, currency)
		return nil
	})
	require.NoError(t, err)
	require.Greater(t, known, 150)
}

func TestTaxByInvoice(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i, tc := range []struct {
		name, currency string
		lines          []taxedLine
		invoice, line  string
	}{
		// 12.33 × 0.20 = 2.466, as 2.47 a line: 4.00 too much.
		{"1,000 lines", "EUR", []taxedLine{{amount: "12.33", rate: "0.2", times: 1000}},
			"12330.00 2466.00 14796.00: standard 0.2 12330.00 2466.00", "12330.00 2470.00 14800.00: standard 0.2 12330.00 2470.00"},
		{"JPY", "JPY", []taxedLine{{amount: "1235", rate: "0.1", times: 3}}, // 370.5
			"3705 371 4076: standard 0.1 3705 371", "3705 372 4077: standard 0.1 3705 372"},
		{"KWD", "KWD", []taxedLine{{amount: "1.003", rate: "0.05", times: 3}}, // 0.15045
			"3.009 0.150 3.159: standard 0.05 3.009 0.150", "3.009 0.150 3.159: standard 0.05 3.009 0.150"},
		{"half away from zero", "EUR", []taxedLine{{amount: "0.05", rate: "0.1"}}, "0.05 0.01 0.06: standard 0.1 0.05 0.01", "0.05 0.01 0.06: standard 0.1 0.05 0.01"},
		{"below zero too", "EUR", []taxedLine{{amount: "-0.05", rate: "0.1"}}, "-0.05 -0.01 -0.06: standard 0.1 -0.05 -0.01", "-0.05 -0.01 -0.06: standard 0.1 -0.05 -0.01"},
		{"a negative line", "EUR", []taxedLine{{amount: "12.33", rate: "0.2", times: 3}, {amount: "-12.33", rate: "0.2"}},
			"24.66 4.93 29.59: standard 0.2 24.66 4.93", "24.66 4.94 29.60: standard 0.2 24.66 4.94"},
		{"several rates", "EUR", []taxedLine{{amount: "12.33", rate: "0.2", times: 2}, {amount: "12.33", rate: "0.1", times: 2}},
			"49.32 7.40 56.72: standard 0.2 24.66 4.93; standard 0.1 24.66 2.47", "49.32 7.40 56.72: standard 0.2 24.66 4.94; standard 0.1 24.66 2.46"},
		{"one rate, written twice", "EUR", []taxedLine{{amount: "12.33", rate: "0.2"}, {amount: "12.33", rate: "0.200"}},
			"24.66 4.93 29.59: standard 0.2 24.66 4.93", "24.66 4.94 29.60: standard 0.2 24.66 4.94"},
		{"exempt beside standard, zero", "EUR", []taxedLine{
			{amount: "12.33", rate: "0.2"}, {amount: "10.00", rate: "0", category: "exempt", reason: "VATEX-EU-148-G"}, {amount: "1.00", rate: "0", category: "zero"},
		}, "23.33 2.47 25.80: exempt 0 10.00 0.00 VATEX-EU-148-G; standard 0.2 12.33 2.47; zero 0 1.00 0.00",
			"23.33 2.47 25.80: exempt 0 10.00 0.00 VATEX-EU-148-G; standard 0.2 12.33 2.47; zero 0 1.00 0.00"},
		{"two reasons", "EUR", []taxedLine{
			{amount: "1.00", rate: "0", category: "exempt", reason: "B"}, {amount: "1.00", rate: "0", category: "exempt", reason: "A"}, {amount: "1.00", rate: "0", category: "exempt"},
		}, "3.00 0.00 3.00: exempt 0 3.00 0.00 A; B", "3.00 0.00 3.00: exempt 0 3.00 0.00 A; B"},
		{"outside VAT's scope", "EUR", []taxedLine{{amount: "5.00", rate: "0", category: "outside"}}, "5.00 0.00 5.00: outside 0 5.00 0.00", "5.00 0.00 5.00: outside 0 5.00 0.00"},
	} {
		for j, by := range []string{"invoice", "line"} {
			b.exec(t, `UPDATE billing_settings SET tax_by = $1`, by)
			draft := b.draft(t, billing.NewDate(2026, 3, 8).AddDays(7*(2*i+j)).String(), tc.currency, tc.lines...)
			want := map[string]string{"invoice": tc.invoice, "line": tc.line}[by]
			sums, _, _ := strings.Cut(want, ":")
			require.Equal(t, sums, get[string](t, b, `SELECT concat_ws(' ', s.subtotal, s.tax, s.subtotal + s.tax) FROM draft_sums($1, $2) AS s`, draft, tc.currency), "%s, draft", tc.name)
			b.issue(t, int(draft))
			require.Equal(t, want, get[string](t, b, totals, draft), "%s by %s", tc.name, by)
			// Whatever the rule is when it is voided.
			b.exec(t, `UPDATE billing_settings SET tax_by = CASE tax_by WHEN 'line' THEN 'invoice' ELSE 'line' END`)
			b.exec(t, `SELECT void_invoice(number, 'why') FROM invoices WHERE id = $1`, draft)
			require.Empty(t, get[string](t, b, `SELECT coalesce(string_agg(concat_ws(' ', category, rate, base, tax), '; '), '') FROM (
				SELECT t.category, t.rate, sum(t.base) AS base, sum(t.tax) AS tax FROM invoice_taxes t JOIN invoices i ON i.id = t.invoice_id
				WHERE $1 IN (i.id, i.credits_invoice_id) GROUP BY t.category, t.rate) AS s WHERE base <> 0 OR tax <> 0`, draft), "%s by %s, voided", tc.name, by)
			require.Zero(t, get[int](t, b, `SELECT sum(total)::int FROM invoices WHERE $1 IN (id, credits_invoice_id)`, draft), tc.name)
		}
	}
}

func TestTaxesOfAnyInvoice(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var week int
	rapid.Check(t, func(r *rapid.T) {
		currency := rapid.SampledFrom([]string{"EUR", "JPY", "KWD"}).Draw(r, "currency")
		places, _ := billing.MinorUnits(currency)
		lines := make([]taxedLine, rapid.IntRange(1, 12).Draw(r, "lines"))
		for i := range lines {
			lines[i] = taxedLine{
				amount: decimal.New(rapid.Int64Range(-99999, 99999).Draw(r, "amount"), -places).StringFixed(places),
				rate:   rapid.SampledFrom([]string{"0.2", "0.20", "0.075", "0"}).Draw(r, "rate"), times: rapid.IntRange(1, 40).Draw(r, "times"),
			}
			if lines[i].rate == "0" {
				lines[i].category = rapid.SampledFrom([]string{"standard", "zero", "exempt"}).Draw(r, "category")
			}
		}
		by := rapid.SampledFrom([]string{"invoice", "line"}).Draw(r, "by")
		b.exec(t, `UPDATE billing_settings SET tax_by = $1`, by)
		week++
		draft := b.draft(t, billing.NewDate(2026, 3, 8).AddDays(7*week).String(), currency, lines...)
		preview := get[string](t, b, `SELECT concat_ws(' ', s.subtotal, s.tax, s.subtotal + s.tax) FROM draft_sums($1, $2) AS s`, draft, currency)
		b.issue(t, int(draft))
		d, err := db.ReadDocument(t.Context(), b.pool, get[string](t, b, `SELECT number FROM invoices WHERE id = $1`, draft))
		require.NoError(t, err)
		require.Equal(t, preview, fmt.Sprintf("%s %s %s", d.Subtotal.StringFixed(places), d.Tax.StringFixed(places), d.Total.StringFixed(places)))
		require.Equal(t, d.Total.IsNegative(), d.CreditNote)
		b.exec(t, `UPDATE billing_settings SET tax_by = $1`, rapid.SampledFrom([]string{"invoice", "line"}).Draw(r, "voided by"))
		undone, err := db.ReadDocument(t.Context(), b.pool, get[string](t, b, `SELECT void_invoice($1, 'why')`, d.Number))
		require.NoError(t, err)

		requireAddUp(t, d)
		requireAddUp(t, undone)
		require.Equal(t, d.Number, undone.Credits.Number)
		require.Len(t, undone.Taxes, len(d.Taxes))
		for i, tax := range d.Taxes {
			if by == "invoice" {
				require.True(t, tax.Base.Mul(tax.Rate).Round(places).Equal(tax.Tax), "%s of %s at %s", tax.Tax, tax.Base, tax.Rate)
			}
			require.True(t, tax.Rate.Equal(undone.Taxes[i].Rate) && tax.Category == undone.Taxes[i].Category)
			require.True(t, tax.Base.Add(undone.Taxes[i].Base).IsZero() && tax.Tax.Add(undone.Taxes[i].Tax).IsZero())
		}
	})
}

// requireAddUp holds a document to its own sums.
func requireAddUp(t *testing.T, d *document.Invoice) {
	t.Helper()
	var base, tax, lines, charges decimal.Decimal
	for _, x := range d.Taxes {
		base, tax = base.Add(x.Base), tax.Add(x.Tax)
	}
	var of int
	for _, l := range d.Lines {
		lines, of = lines.Add(l.Amount), of+l.Charges
	}
	for _, c := range d.Charges {
		charges = charges.Add(c.Amount)
	}
	require.Len(t, d.Charges, of)
	for _, sum := range []decimal.Decimal{base, lines, charges} {
		require.True(t, d.Subtotal.Equal(sum), "%s, and not %s", d.Subtotal, sum)
	}
	require.True(t, d.Tax.Equal(tax), "%s, and not %s", d.Tax, tax)
	require.True(t, d.Total.Equal(d.Subtotal.Add(d.Tax)))
}

// A charge changes while its draft is issued, which waits for it.
func TestTaxOfAChargeChangedWhileItsDraftIsIssued(t *testing.T) {
	t.Parallel()
	b := setupInvoices(t)
	clerk := b.begin(t, `UPDATE charges SET amount = 25.13 WHERE flight_id = 'F1'`)
	b.issueBehind(t, clerk)
	require.Equal(t, "25.13 5.03 30.16: standard 0.2 25.13 5.03", get[string](t, b, totals, 1))
}

func TestInvoiceTaxesStay(t *testing.T) {
	t.Parallel()
	b := setupInvoices(t)
	before := get[string](t, b, totals, 2)
	replica := b.session(t, `SET session_replication_role = replica`)
	for sql, says := range map[string]string{
		`UPDATE invoice_taxes SET tax = 0`: "kept for ever", `DELETE FROM invoice_taxes`: "kept for ever", `TRUNCATE invoice_taxes`: "kept for ever",
		`INSERT INTO invoice_taxes VALUES (2, 'standard', 0.1, 1, 0.1)`: "invoice EACH-000001 do not make its totals",
		`INSERT INTO invoice_taxes VALUES (1, 'standard', 0.2, 10, 2)`:  "draft 1 do not make its totals",
	} {
		b.requireRefused(t, sql, says)
		_, err := replica.Exec(t.Context(), sql)
		requireSQLError(t, err, raised, says)
	}
	require.Equal(t, before, get[string](t, b, totals, 2))
}

// What a charge says of its tax, its unit and its account is what its tariff said when it
// was saved; what is taken back says the same.
func TestChargesKeepWhatTheirTariffSaid(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(t, `UPDATE tariffs SET tax_rate = 0, tax_category = 'exempt', tax_reason = 'VATEX-EU-148-G', account = '4711'`)
	books := db.NewPriceBooks(b.pool)
	b.save(t, nil, b.priced(t, books, "F1", "EACH"), db.Billed)
	b.save(t, nil, b.priced(t, books, "F2", "WEEK"), db.Billed)
	b.exec(t, `UPDATE tariffs SET tax_category = 'reverse_charge', tax_reason = 'VATEX-EU-AE', account = '4712', unit_code = 'STN', unit_rate = 3`)
	_, err := books.Refresh(t.Context())
	require.NoError(t, err)
	const lines = `SELECT string_agg(concat_ws(' ', origin, amount, tax_category, tax_reason, unit_code, account), '; ' ORDER BY id) FROM charges WHERE flight_id = $1`
	billed, err := db.ReadBilledFlight(t.Context(), b.pool, "F2")
	require.NoError(t, err)
	outcome, err := db.AdjustFlight(t.Context(), b.pool, nil, billed.Corrected(b.priced(t, books, "F2", "WEEK")), testNow)
	require.NoError(t, err)
	require.Equal(t, db.Billed, outcome)
	require.Equal(t, "142.00 exempt VATEX-EU-148-G TNE 4711; correction -142.00 exempt VATEX-EU-148-G TNE 4711; correction 213.00 reverse_charge VATEX-EU-AE STN 4712",
		get[string](t, b, lines, "F2"))
	b.exec(t, `SELECT void_invoice('EACH-000001', 'why')`)
	require.Equal(t, "142.00 exempt VATEX-EU-148-G TNE 4711; -142.00 exempt VATEX-EU-148-G TNE 4711", get[string](t, b, lines, "F1"))
}

func TestTariffUnitCode(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for set, want := range map[string]string{
		`basis = 'per_flight'`: "C62", `basis = 'per_passenger'`: "C62", `basis = 'route'`: "C62", `basis = 'percent'`: "C62",
		`basis = 'per_tonne'`: "TNE", `basis = 'per_tonne', tonne_kg = 1000`: "TNE", `basis = 'per_tonne', tonne_kg = 453.59237`: "C62", `basis = 'per_tonne', unit = 25`: "C62",
		`basis = 'per_km'`: "KMT", `basis = 'per_km', unit = 100`: "C62", `basis = 'per_km', times = 'tonnes'`: "C62",
		`basis = 'per_time'`: "MIN", `basis = 'per_time', unit = 60`: "HUR", `basis = 'per_time', unit = 15`: "C62",
		`basis = 'per_unit', "of" = '{cargo_kg}'`: "KGM", `basis = 'per_unit', "of" = '{cargo_kg}', unit = 1000`: "TNE", `basis = 'per_unit', "of" = '{cargo_kg,mail_kg}'`: "C62",
		`basis = 'per_unit', "of" = '{bags}'`: "C62", `basis = 'per_km', unit_code = 'SMI'`: "SMI",
	} {
		tx := b.begin(t, `UPDATE tariffs SET `+set)
		var got string
		require.NoError(t, tx.QueryRow(t.Context(), `SELECT tariff_unit_code(t) FROM tariffs t`).Scan(&got))
		require.Equal(t, want, got, set)
		require.NoError(t, tx.Rollback(t.Context()))
	}
}

// Charges outside VAT's scope go on drafts and invoices of their own, whatever brings them.
func TestOutsideScopeStandsApart(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(t, `INSERT INTO tariffs (code, description, basis, applies_to, unit_rate, currency, valid_from, tax_category, tax_reason)
		VALUES ('ROUTE', 'Route charge', 'per_flight', 'any', 50, 'EUR', '2020-01-01', 'outside', 'VATEX-EU-O')`)
	books := db.NewPriceBooks(b.pool)
	for _, id := range []string{"F1", "F2"} {
		b.save(t, nil, b.priced(t, books, id, "WEEK"), db.Billed)
	}
	b.save(t, nil, b.priced(t, books, "F3", "EACH"), db.Billed)
	const all = `SELECT string_agg(concat_ws(' ', coalesce(i.number, i.status), i.closes_on, i.outside_scope::text, i.total, (SELECT string_agg(c.flight_id || ' ' || c.code, ',' ORDER BY c.id)
		FROM charges c WHERE c.invoice_id = i.id)), '; ' ORDER BY i.id) FROM invoices i WHERE i.status <> 'VOID'`
	require.Equal(t, "DRAFT 2026-03-08 false F1 RUNWAY,F2 RUNWAY; DRAFT 2026-03-08 true F1 ROUTE,F2 ROUTE; EACH-000001 false 170.40 F3 RUNWAY; EACH-000002 true 50.00 F3 ROUTE",
		get[string](t, b, all))
	b.exec(t, `SELECT void_invoice('EACH-000002', 'why', true)`)
	b.exec(t, `UPDATE tariffs SET unit_rate = 60 WHERE code = 'ROUTE'`)
	_, err := books.Refresh(t.Context())
	require.NoError(t, err)
	for id, operator := range map[string]string{"F1": "WEEK", "F3": "EACH"} {
		billed, err := db.ReadBilledFlight(t.Context(), b.pool, id)
		require.NoError(t, err)
		bill := b.priced(t, books, id, operator)
		adjustment := billed.Corrected(bill)
		if id == "F3" {
			adjustment = billed.Rebilled(bill)
		}
		outcome, err := db.AdjustFlight(t.Context(), b.pool, nil, adjustment, testNow)
		require.NoError(t, err)
		require.Equal(t, db.Billed, outcome)
	}
	require.Equal(t, "DRAFT 2026-03-08 false F1 RUNWAY,F2 RUNWAY; DRAFT 2026-03-08 true F1 ROUTE,F2 ROUTE,F1 ROUTE,F1 ROUTE; EACH-000001 false 170.40 F3 RUNWAY; "+
		"EACH-CN000001 true -50.00 F3 ROUTE; EACH-000003 true 60.00 F3 ROUTE", get[string](t, b, all))
	list, err := db.ListInvoices(t.Context(), b.pool, db.InvoiceFilter{Customer: "WEEK", MaxRows: 9})
	require.NoError(t, err)
	require.True(t, !list[0].OutsideScope && list[1].OutsideScope)
	require.Equal(t, "110", list[1].Total.String(), "50, and 60 in place of 50")
	closings, err := db.ListClosings(t.Context(), b.pool, billing.NewDate(2026, 3, 8), billing.NewDate(2026, 3, 8))
	require.NoError(t, err)
	require.True(t, !closings[0].OutsideScope && closings[1].OutsideScope)
	b.issue(t, 1)
	b.issue(t, 2)
	d, err := db.ReadDocument(t.Context(), b.pool, "WEEK-000002")
	require.NoError(t, err)
	require.True(t, d.OutsideScope)
	require.Equal(t, billing.TaxOutside, d.Taxes[0].Category)
	require.Equal(t, "VATEX-EU-O", d.Taxes[0].Reason)
}

func TestInvoiceSaysWhoBillsWhom(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := b.draft(t, "2026-03-08", "USD", taxedLine{amount: "10.00", rate: "0.2"})
	b.issue(t, int(first))
	d, err := db.ReadDocument(t.Context(), b.pool, "WEEK-000001")
	require.NoError(t, err)
	require.Equal(t, document.Issuer{}, d.Issuer)
	b.exec(t, `SELECT void_invoice('WEEK-000001', 'why')`)
	require.Equal(t, document.Party{Code: "WEEK", Name: "Weekly Air", BuyerReference: "WEEK", Language: "en"}, d.BillTo)

	b.exec(t, `INSERT INTO issuers (since, name, tax_currency, language, logo) VALUES (now(), 'Old Airport', 'GBP', 'fr', NULL), (now(), 'Airport', 'EUR', 'de', '\x89504e47')`)
	b.exec(t, `UPDATE customers SET legal_name = 'Weekly Air Ltd', street = '1 Road', country = 'IE', emails = '{a@example.org}', buyer_reference = 'PO-1' WHERE code = 'WEEK'`)
	for _, tc := range []struct{ rates, want string }{
		{``, "EUR"},
		{`('USD', 'EUR', '2026-02-24', 0.8)`, "EUR"}, // eight days old
		{`('EUR', 'USD', '2026-02-25', 1.25)`, "EUR 0.8"},
		{`('USD', 'EUR', '2026-03-03', 0.85)`, "EUR 0.85"},
		{`('EUR', 'USD', '2026-03-03', 1.25), ('USD', 'EUR', '2026-03-05', 0.5), ('USD', 'GBP', '2026-03-04', 0.7)`, "EUR 0.85"},
	} {
		if tc.rates != "" {
			b.exec(t, `INSERT INTO currency_rates VALUES `+tc.rates)
		}
		tx := b.begin(t)
		var got string
		require.NoError(t, tx.QueryRow(t.Context(), `WITH made AS (SELECT open_draft(id, NULL, 'USD', now()) AS id FROM customers WHERE code = 'WEEK') SELECT id::text FROM made`).Scan(&got))
		for _, sql := range []string{
			`INSERT INTO charges (invoice_id, flight_id, tariff_id, code, description, quantity, unit_rate, amount, tax_rate, tax_amount, flown_on)
				SELECT ` + got + `, 'T1', id, code, '', 1, 1, 1, 0, 0, '2026-03-04' FROM tariffs`,
			`SELECT issue_drafts('{` + got + `}', now(), '2026-03-04')`,
		} {
			_, err := tx.Exec(t.Context(), sql)
			require.NoError(t, err)
		}
		require.NoError(t, tx.QueryRow(t.Context(), `SELECT concat_ws(' ', tax_currency, trim_scale(tax_currency_rate)) FROM invoices WHERE id = `+got).Scan(&got))
		require.Equal(t, tc.want, got, tc.rates)
		require.NoError(t, tx.Rollback(t.Context()))
	}
	second := b.draft(t, "2026-03-15", "USD", taxedLine{amount: "10.00", rate: "0.2"})
	b.issue(t, int(second))
	b.exec(t, `DELETE FROM currency_rates`)
	for _, number := range []string{"WEEK-000002", get[string](t, b, `SELECT void_invoice('WEEK-000002', 'why')`)} {
		d, err = db.ReadDocument(t.Context(), b.pool, number)
		require.NoError(t, err)
		require.Equal(t, "Airport", d.Issuer.Name)
		require.Equal(t, "\x89PNG", string(d.Issuer.Logo))
		require.Equal(t, document.Party{
			Code: "WEEK", Name: "Weekly Air Ltd", Street: "1 Road", Country: "IE", Emails: []string{"a@example.org"}, BuyerReference: "PO-1", Language: "de",
		}, d.BillTo)
		require.Equal(t, "EUR 0.85", d.TaxCurrency+" "+d.TaxCurrencyRate.String(), "a void is at the rate of what it voids")
	}
	own := b.draft(t, "2026-03-15", "EUR", taxedLine{amount: "10.00", rate: "0.2"})
	b.issue(t, int(own))
	require.True(t, get[bool](t, b, `SELECT num_nonnulls(tax_currency, tax_currency_rate) = 0 FROM invoices WHERE id = $1`, own))
}

// Charges of one tariff, rate and category are a line; corrections are others.
func TestReadDocument(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(t, `INSERT INTO tariffs (code, description, basis, applies_to, unit_rate, currency, tax_rate, valid_from, account) VALUES ('LAND', 'Landing', 'per_flight', 'any', 1, 'EUR', 0.1, '2020-01-01', '9')`)
	b.exec(t, `INSERT INTO billed_flights SELECT 'F' || n, c.id, '2026-03-04', '{"registration": "EI-ABC", "callsign": "WK12", "origin": "EIDW", "destination": "EGLL"}', now()
		FROM customers c, generate_series(1, 1000) AS n WHERE code = 'WEEK'`)
	draft := b.draft(t, "2026-03-08", "EUR", taxedLine{amount: "-3.00", rate: "0.2"})
	b.exec(t, `INSERT INTO charges (invoice_id, flight_id, tariff_id, code, description, quantity, unit_rate, amount, tax_rate, tax_amount, flown_on, unit_code, late, origin)
		SELECT $1, 'F' || n, t.id, t.code, t.description, 5, CASE t.code WHEN 'LAND' THEN 1 ELSE 2.50 END, 12.33, t.tax_rate, 0, date '2026-03-02' + n % 3, 'TNE', n = 1,
			CASE n WHEN 2 THEN 'rebilled' END
		FROM tariffs t, generate_series(1, 1000) AS n`, draft)
	_, err := db.ReadDocument(t.Context(), b.pool, fmt.Sprint(draft))
	require.ErrorContains(t, err, "is a draft, or the id of an invoice: a draft is no invoice yet")
	_, err = db.ReadDocument(t.Context(), b.pool, "WEEK-000001")
	require.ErrorContains(t, err, `invoice "WEEK-000001" is not known`)
	b.issue(t, int(draft))
	d, err := db.ReadDocument(t.Context(), b.pool, "WEEK-000001")
	require.NoError(t, err)
	requireAddUp(t, d)
	require.Len(t, d.Charges, 2001)
	require.Equal(t, []billing.Date{billing.NewDate(2026, 3, 2), billing.NewDate(2026, 3, 4)}, []billing.Date{d.From, d.To})
	require.Equal(t, document.Charge{
		FlightID: "F1", FlownOn: billing.NewDate(2026, 3, 3), Registration: "EI-ABC", Callsign: "WK12", Origin: "EIDW", Destination: "EGLL", Code: "RUNWAY", Description: "Runway use",
		UnitCode: "TNE", Quantity: decimal.RequireFromString("5"), UnitRate: decimal.RequireFromString("2.50"), Amount: decimal.RequireFromString("12.33"),
		TaxCategory: billing.TaxStandard, TaxRate: decimal.RequireFromString("0.20"), Late: true,
	}, d.Charges[slices.IndexFunc(d.Charges, func(c document.Charge) bool { return c.FlightID == "F1" && c.Code == "RUNWAY" })])
	var lines []string
	for _, l := range d.Lines {
		lines = append(lines, fmt.Sprint(l.Code, " ", l.UnitCode, " ", l.Quantity, " × ", l.UnitRate, " = ", l.Amount, " at ", l.TaxRate, " of ", l.Charges, " ", l.Correction))
	}
	require.Equal(t, []string{
		"LAND TNE 4995 × 1 = 12317.67 at 0.1 of 999 false", "RUNWAY TNE 4995 × 2.5 = 12317.67 at 0.2 of 999 false",
		"LAND TNE 5 × 1 = 12.33 at 0.1 of 1 true", "RUNWAY TNE 5 × 2.5 = 12.33 at 0.2 of 1 true", "RUNWAY C62 -1 × 3 = -3 at 0.2 of 1 true",
	}, lines)
	require.Equal(t, "0.2 0.1", d.Taxes[0].Rate.String()+" "+d.Taxes[1].Rate.String())

	// What voids it has its lines, each with the other sign.
	undone, err := db.ReadDocument(t.Context(), b.pool, get[string](t, b, `SELECT void_invoice('WEEK-000001', 'why')`))
	require.NoError(t, err)
	require.True(t, undone.CreditNote)
	require.True(t, undone.DueOn.IsZero())
	require.Equal(t, &document.Reference{Number: "WEEK-000001", IssuedOn: billing.NewDate(2026, 3, 4)}, undone.Credits)
	requireAddUp(t, undone)
	require.Equal(t, "RUNWAY 3", undone.Lines[len(undone.Lines)-1].Code+" "+undone.Lines[len(undone.Lines)-1].Amount.String(), "a correction there too")
}
