package imports_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/imports"
)

// setupBank has customers with invoices: ACME-000001 and so on of 100.00, 200.00, 300.00
// EUR, and BETA-000001 of 50.00 USD, issued on 1 March 2026.
func setupBank(t *testing.T) *testBundle {
	t.Helper()
	b := setup(t)
	b.exec(`INSERT INTO customers (code, name, billing_frequency) VALUES ('ACME', 'Acme', 'per_flight'), ('BETA', 'Beta', 'per_flight');
		INSERT INTO tariffs (code, description, basis, applies_to, unit_rate, currency, valid_from) VALUES ('LAND', 'Landing', 'per_flight', 'any', 1, 'EUR', '2025-01-01')`)
	for _, amount := range []string{"100.00", "200.00", "300.00"} {
		b.issue("ACME", "EUR", amount)
	}
	b.issue("BETA", "USD", "50.00")
	return b
}

func (b *testBundle) exec(sql string, args ...any) {
	b.t.Helper()
	_, err := b.owner.Exec(b.t.Context(), sql, args...)
	require.NoError(b.t, err)
}

func (b *testBundle) issue(customer, currency, amount string) {
	b.t.Helper()
	b.exec(`INSERT INTO billed_flights (flight_id, customer_id, landed_on, facts, billed_at)
		SELECT 'F' || (SELECT count(*) FROM billed_flights), id, '2026-02-01', '{}', now() FROM customers WHERE code = $1`, customer)
	b.exec(`INSERT INTO invoices (customer_id, kind, currency) SELECT id, 'flight', $2 FROM customers WHERE code = $1`, customer, currency)
	b.exec(`INSERT INTO charges (invoice_id, flight_id, tariff_id, code, description, quantity, unit_rate, amount, tax_rate, tax_amount, flown_on)
		SELECT (SELECT max(id) FROM invoices), 'F' || (SELECT count(*) - 1 FROM billed_flights), 1, 'LAND', 'Landing', 1, $1::text::numeric, $1::text::numeric, 0, 0, '2026-02-01'`, amount)
	b.exec(`SELECT issue_drafts(ARRAY[(SELECT max(id) FROM invoices)], '2026-03-01 12:00Z', '2026-03-01')`)
}

func (b *testBundle) bank(content string, dry bool) (imports.BankResult, error) {
	b.t.Helper()
	return imports.LoadBank(b.t.Context(), b.pool, "bank.file", strings.NewReader(content), imports.BankByContent, dry, nil)
}

func (b *testBundle) text(sql string, args ...any) (text string) {
	b.t.Helper()
	require.NoError(b.t, b.owner.QueryRow(b.t.Context(), `SELECT coalesce((`+sql+`)::text, '')`, args...).Scan(&text))
	return text
}

const (
	bankHeader = "booking_day,value_day,amount,currency,reference,bank_reference,payer"
	entryLines = `SELECT string_agg(concat_ws(' ', bank_reference, state, reason), E'\n' ORDER BY id) FROM bank_entries`
	openLines  = `SELECT string_agg(number || ' ' || status || ' ' || open, ', ' ORDER BY number COLLATE "C") FROM invoice_balances`
)

// What names an invoice is booked; of each other entry it is said why not.
func TestBankFile(t *testing.T) {
	t.Parallel()
	b := setupBank(t)
	b.exec(`SELECT void_invoice('ACME-000003', 'wrong'); UPDATE billing_settings SET timezone = 'UTC'`)
	for range 4 { // ACME-000004 …
		b.issue("ACME", "EUR", "10.00")
	}
	content := csvOf(bankHeader,
		`2026-03-05,2026-03-06,60.00,EUR,part of acme 000001,R1,Acme Ltd`,
		`2026-03-06,,40,eur,the rest of ACME-000001,R2,`,
		`2026-03-07,,5.00,EUR,ACME-000001 once more,R3,`,
		`2026-03-08,,210.00,EUR,ACME-000002 and ACME-000004,R4,`,
		`2026-03-08,,20.00,EUR,"ACME-000005, ACME-000006",R4b,`,
		`2026-03-08,,21.00,EUR,"ACME-000005, ACME-000007",R5,`,
		`2026-03-08,,11.00,EUR,ACME-000007,R6,`,
		`2026-03-08,,10.00,USD,ACME-000007,R7,`,
		`2026-03-08,,300.00,EUR,ACME-000003,R8,`,
		`2026-03-08,,300.00,EUR,ACME-CN000001,R9,`,
		`2026-03-08,,300.00,EUR,thank you,R10,`,
		`2026-03-08,,-300.00,EUR,ACME-000007,R11,`,
		`2026-02-28,,10.00,EUR,ACME-000007,R12,`,
		`2026-03-09,,1.00,EUR,ACME-000007,R13,`,
		`2026-03-09,,1.00,EUR,ACME-000007,R13,`,
		`2026-03-10,,1.00,EUR,ACME-000007,R13,`,
		`2026-03-09,,2.00,EUR,ACME-000007,,X`,
		`2026-03-09,,2.00,EUR,ACME-000007,NONREF,X`,
		`2999-01-01,,2.00,EUR,ACME-000007,R14,X`,
		`2026-03-09,,0.00,EUR,ACME-000007,R15,X`,
		`2026-03-09,,0.001,EUR,ACME-000007,R16,X`,
		`2026-03-09,,50.00,USD,BETA000001,R17,X`,
	)
	const states = `R1 booked
R2 booked
R3 unmatched nothing is open on ACME-000001
R4 booked
R4b booked
R5 unmatched nothing is open on ACME-000005
R6 unmatched 11 EUR came, and what is open is 10.00 on ACME-000007
R7 unmatched ACME-000007 is in EUR
R8 unmatched ACME-000003 is VOID
R9 unmatched ACME-CN000001 is a credit note
R10 unmatched no number of an invoice is found in its text
R11 unmatched money that went is not booked by itself
R12 unmatched ACME-000007 was issued on 2026-03-01, after the money came
R13 unmatched another entry has the same bank reference and amount: is it the same?
R13 unmatched the file has an entry of this bank reference, day and amount more than once
R13 unmatched another entry has the same bank reference and amount: is it the same?
none booked
none booked
R14 unmatched invoice ACME-000007 cannot be paid on 2999-01-01: that day is still to come in UTC
R16 unmatched '0.001' cannot be paid on invoice ACME-000007: amounts in EUR have 2 decimals
R17 booked`
	dry, err := b.bank(content, true)
	require.NoError(t, err)
	require.Equal(t, "0", b.text(`SELECT count(*) FROM bank_entries`), "a dry run changes nothing")
	require.Len(t, dry.Listed, 21)
	result, err := b.bank(content, false)
	require.NoError(t, err)
	listed := result.Listed
	result.Listed = nil
	require.Equal(t, imports.BankResult{Entries: 21, Booked: 7, Unmatched: 14, NotBooked: 1}, result)
	require.Len(t, listed, 14)
	dry.Listed = nil
	require.Equal(t, result, dry)
	require.Equal(t, states, b.text(strings.Replace(entryLines, "bank_reference", "regexp_replace(bank_reference, ':.*', '')", 1)))
	const open = "ACME-000001 PAID 0.00, ACME-000002 PAID 0.00, ACME-000003 VOID 0.00, ACME-000004 PAID 0.00, ACME-000005 PAID 0.00, ACME-000006 PAID 0.00, " +
		"ACME-000007 PENDING 6.00, ACME-CN000001 PAID 0.00, BETA-000001 PAID 0.00"
	require.Equal(t, open, b.text(openLines))
	require.Equal(t, "R1 #22", b.text(`SELECT bank_reference FROM payments WHERE amount = 60`), "after the dry run's ids")
	require.Equal(t, "2026-03-05 part of acme 000001", b.text(`SELECT paid_on || ' ' || reference FROM payments WHERE amount = 60`))

	// The file again, and one that overlaps.
	result, err = b.bank(content, false)
	require.NoError(t, err)
	require.Equal(t, imports.BankResult{Entries: 21, Known: 21, NotBooked: 1, Listed: []db.BankEntry{}}, withoutNil(result))
	result, err = b.bank(csvOf(bankHeader, `2026-03-05,2026-03-06,60.00,EUR,part of acme 000001,R1,Acme Ltd`, `2026-03-11,,6.00,EUR,ACME-000007,R18,`), false)
	require.NoError(t, err)
	require.Equal(t, imports.BankResult{Entries: 2, Booked: 1, Known: 1, Listed: []db.BankEntry{}}, withoutNil(result))
	require.Equal(t, strings.Replace(open, "PENDING 6.00", "PAID 0.00", 1), b.text(openLines))
}

func withoutNil(r imports.BankResult) imports.BankResult {
	if r.Listed == nil {
		r.Listed = []db.BankEntry{}
	}
	return r
}

const camtFile = "../../bank/testdata/german.08.xml"

// A statement, plain and zipped, is the same; one of another account than the issuer's is refused.
func TestBankStatement(t *testing.T) {
	t.Parallel()
	b := setupBank(t)
	statement, err := os.ReadFile(camtFile)
	require.NoError(t, err)
	b.exec(`INSERT INTO issuers (since, name, iban) VALUES (now(), 'Airfield', 'DE02 1203 0000 0000 2020 51')`)
	// The test's account checks out only with these digits.
	content := strings.ReplaceAll(string(statement), "DE58123456780123456789", "DE89370400440532013000")
	_, err = b.bank(content, false)
	require.ErrorContains(t, err, "bank.file: it is of account DE89370400440532013000, and the issuer's is DE02120300000000202051: give the statement of that account, or set the issuer's IBAN")
	require.Equal(t, "0", b.text(`SELECT count(*) FROM bank_entries`))
	b.exec(`INSERT INTO issuers (since, name, iban) VALUES (now(), 'Airfield', 'DE89370400440532013000'), (now(), 'Airfield', NULL)`)
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	_, err = w.Write([]byte(content))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	result, err := b.bank(zipped.String(), false)
	require.NoError(t, err)
	result.Listed = nil
	require.Equal(t, imports.BankResult{Entries: 4, Booked: 2, Unmatched: 2, NotBooked: 2}, result)
	require.Equal(t, "2026031243781000001 unmatched no number of an invoice is found in its text\n2026031243781000002/1 booked\n2026031243781000002/2 booked\n"+
		"none:"+b.text(`SELECT substr(bank_reference, 6) FROM bank_entries WHERE amount < 0`)+" unmatched money that went is not booked by itself", b.text(entryLines))
	require.Equal(t, "DE89370400440532013000 2026031243781000002/1 #2", b.text(`SELECT bank_reference FROM payments WHERE amount = 100`))
	result, err = b.bank(content, false)
	require.NoError(t, err)
	require.EqualValues(t, 4, result.Known)

	// The same entry as CSV: the account is the issuer's.
	result, err = b.bank(csvOf(bankHeader, "2026-03-12,,100,EUR,ACME-000001,2026031243781000002/1,"), false)
	require.NoError(t, err)
	require.EqualValues(t, 1, result.Known)
}

// Of a file with anything wrong nothing is taken in, and the message says where.
func TestBankFileAllOrNothing(t *testing.T) {
	t.Parallel()
	b := setupBank(t)
	statement, err := os.ReadFile(camtFile)
	require.NoError(t, err)
	var long strings.Builder
	for i := range 600 {
		fmt.Fprintf(&long, "2026-03-05,,0.01,EUR,ACME-000001,R%d,\n", i)
	}
	for content, parts := range map[string][]string{
		"": {"bank.file"},
		strings.SplitAfter(string(statement), "<Btch>")[0]:     {`bank.file: statement "0352C5320260312180000", entry 2: the statement cannot be read`, "nothing of the file was taken in: have the bank give it anew"},
		strings.Replace(string(statement), "200.00", "2OO", 1): {}, // of a batch whose amounts nobody can tell: listed
		"<a/>": {"there is no account statement"},
		bankHeader + "\n" + long.String() + "2026-03-05,,1e3,EUR,ACME-000001,X,\n": {"line 602", "column amount", `"1e3"`, "such as 1234.50"},
		csvOf(bankHeader, "05.03.2026,,1,EUR,x,y,"):                                {"line 2", "booking_day", "2026-11-23"},
		csvOf(bankHeader, ",,1,EUR,x,y,"):                                          {"line 2", "booking_day is empty"},
		csvOf(bankHeader, "2026-03-05,,1,Euro,x,y,"):                               {"currency", `"Euro"`},
		csvOf(bankHeader, "2026-03-05,,1000000000000000,EUR,x,y,"):                 {"write less than"},
		csvOf(bankHeader, "2026-03-05,,,EUR,x,y,"):                                 {"column amount is empty"},
		csvOf("booking_day,amount,currency", "2026-03-05,1,EUR"):                   {"column reference is missing"},
		csvOf(bankHeader+",iban", "2026-03-05,,1,EUR,x,y,,z"):                      {`column "iban" is not known`},
		csvOf(bankHeader, "2026-03-05,,1,EUR,"+strings.Repeat("x", 2001)+",y,"):    {"2001 characters"},
	} {
		_, err := b.bank(content, false)
		if len(parts) == 0 {
			require.NoError(t, err)
			require.Equal(t, "it is the sum of 2 payments, whose amounts the file does not have: see the bank's list", b.text(`SELECT reason FROM bank_entries WHERE amount = 300`))
			b.exec(`ALTER TABLE bank_entries DISABLE TRIGGER stay; DELETE FROM bank_entries; ALTER TABLE bank_entries ENABLE ALWAYS TRIGGER stay`)
			continue
		}
		require.Error(t, err, content)
		for _, part := range parts {
			require.ErrorContains(t, err, part)
		}
		require.Equal(t, "0 0", b.text(`SELECT (SELECT count(*) FROM bank_entries) || ' ' || (SELECT count(*) FROM payments)`), parts)
	}
	result, err := b.bank(bankHeader+"\n"+strings.ReplaceAll(long.String(), "ACME", "none"), false)
	require.NoError(t, err)
	require.EqualValues(t, 600, result.Unmatched)
	require.Len(t, result.Listed, 600)
}

// The same file, and one that overlaps, by several at once: each entry is booked once.
func TestBankFilesAtOnce(t *testing.T) {
	t.Parallel()
	b := setupBank(t)
	var rows []string
	for i := range 90 {
		rows = append(rows, fmt.Sprintf("2026-03-05,,0.10,EUR,ACME-00000%d,R%d,", i%3+1, i))
	}
	files := []string{csvOf(append([]string{bankHeader}, rows...)...), csvOf(append([]string{bankHeader}, rows[30:]...)...)}
	var group errgroup.Group
	booked := make([]int64, 4)
	for i := range booked {
		group.Go(func() error {
			result, err := imports.LoadBank(t.Context(), b.pool, "bank.csv", strings.NewReader(files[i%2]), imports.BankCSV, false, nil)
			booked[i] = result.Booked
			return err
		})
	}
	require.NoError(t, group.Wait())
	require.EqualValues(t, 90, booked[0]+booked[1]+booked[2]+booked[3])
	require.Equal(t, "ACME-000001 PENDING 97.00, ACME-000002 PENDING 197.00, ACME-000003 PENDING 297.00, BETA-000001 PENDING 50.00", b.text(openLines))
	require.Equal(t, "90 90", b.text(`SELECT (SELECT count(*) FROM bank_entries) || ' ' || (SELECT count(*) FROM payments)`))
}

// What could not be booked by itself is booked by a person, in parts or whole, or put aside.
func TestBankEntriesByHand(t *testing.T) {
	t.Parallel()
	b := setupBank(t)
	today := b.text(`SELECT (now() AT TIME ZONE 'UTC')::date`)
	_, err := b.bank(csvOf(bankHeader, "2026-03-05,,350.00,EUR,all,R1,", today+",,-20.00,EUR,back,R2,", "2026-03-06,,7.00,EUR,interest,R3,", "2026-03-06,,100.00,EUR,ACME-000001,R4,"), false)
	require.NoError(t, err)
	book := func(entry int64, number, amount string) error {
		var d decimal.NullDecimal
		if amount != "" {
			d = decimal.NewNullDecimal(decimal.RequireFromString(amount))
		}
		_, err := db.BookBankEntry(t.Context(), b.pool, entry, number, d)
		return err
	}
	require.ErrorContains(t, book(9, "ACME-000001", ""), "entry 9 of the bank is not known")
	require.ErrorContains(t, book(1, "ACME-000009", ""), "invoice 'ACME-000009' is not known")
	require.ErrorContains(t, book(1, "BETA-000001", ""), "entry 1 of the bank is of 350 EUR, and invoice BETA-000001 is in USD")
	require.ErrorContains(t, book(1, "ACME-000002", "351"), "351 of entry 1 of the bank cannot be booked: 350 EUR of it is left")
	require.ErrorContains(t, book(1, "ACME-000002", "-1"), "cannot be booked")
	require.ErrorContains(t, book(1, "ACME-000002", "0"), "cannot be booked")
	require.ErrorContains(t, book(4, "ACME-000002", ""), "entry 4 of the bank is booked already, as payment 1")
	require.ErrorContains(t, db.IgnoreBankEntry(t.Context(), b.pool, 4, "why"), "entry 4 of the bank is booked, as payment 1")
	require.ErrorContains(t, db.IgnoreBankEntry(t.Context(), b.pool, 3, " "), "without a reason")
	require.ErrorContains(t, db.IgnoreBankEntry(t.Context(), b.pool, 9, "why"), "not known")
	require.ErrorContains(t, book(2, "ACME-000002", ""), "cannot be paid out")

	require.NoError(t, book(1, "ACME-000002", "200"))
	require.Equal(t, "unmatched 150 of it is left to book", b.text(`SELECT state || ' ' || reason FROM bank_entries WHERE id = 1`))
	require.NoError(t, book(1, "ACME-000003", "")) // the rest
	require.Equal(t, "booked 2", b.text(`SELECT state || ' ' || cardinality(payment_ids) FROM bank_entries WHERE id = 1`))
	require.NoError(t, db.IgnoreBankEntry(t.Context(), b.pool, 3, "the bank's interest"))
	require.Equal(t, "ignored the bank's interest", b.text(`SELECT state || ' ' || reason FROM bank_entries WHERE id = 3`))

	// Money that goes back to the customer: of what was paid on a voided invoice.
	b.exec(`SELECT void_invoice('ACME-000001', 'wrong')`)
	require.NoError(t, book(2, "ACME-CN000001", ""))
	require.Equal(t, "ACME-000001 VOID 0.00, ACME-000002 PAID 0.00, ACME-000003 PENDING 150.00, ACME-CN000001 PENDING -80.00, BETA-000001 PENDING 50.00", b.text(openLines))

	// A payment that is taken back leaves its entry to be booked elsewhere.
	b.exec(`SELECT reverse_payment((SELECT id FROM payments WHERE amount = 200), 'wrong invoice')`)
	list := func(pool *pgxpool.Pool, unmatched bool) (lines []string) {
		entries, err := db.BankEntries(t.Context(), pool, unmatched, 10)
		require.NoError(t, err)
		for _, e := range entries {
			lines = append(lines, fmt.Sprint(e.ID, " ", e.State, " ", e.Rest, " ", e.Payments, " ", e.Reason))
		}
		return lines
	}
	require.Equal(t, []string{"1 unmatched 200 [ACME-000003 150] its payment was taken back"}, list(b.pool, true))
	require.NoError(t, book(1, "ACME-000003", "150"))
	require.NoError(t, book(1, "ACME-000002", ""))
	require.Equal(t, []string{
		"2 booked 0 [ACME-CN000001 -20] ", "4 booked 0 [ACME-000001 100] ", "3 ignored 7 [] the bank's interest",
		"1 booked 0 [ACME-000003 150 ACME-000003 150 ACME-000002 50] ",
	}, list(b.pool, false))

	for _, change := range []string{
		`DELETE FROM bank_entries`, `TRUNCATE bank_entries`, `UPDATE bank_entries SET amount = 1`, `UPDATE bank_entries SET bank_reference = 'x'`, `UPDATE bank_entries SET booked_on = booked_on + 1`,
	} {
		_, err := b.owner.Exec(t.Context(), change)
		require.ErrorContains(t, err, "booked twice", change)
	}
}
