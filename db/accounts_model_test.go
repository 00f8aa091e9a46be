package db_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
)

// modelDocument is what a naive bookkeeper keeps of a document, in cents.
type modelDocument struct {
	id       int64
	number   string
	total    int64
	day      int // of issue
	void     bool
	payments []*modelPayment
}

type modelPayment struct {
	id       int64
	on       *modelDocument
	amount   int64
	day      int
	partner  *modelPayment // of a set-off
	reversed bool
	final    bool // a reversal, or a void's
	money    bool
}

func (d *modelDocument) open(day int) int64 {
	if d.day > day {
		return 0
	}
	open := d.total
	for _, p := range d.payments {
		if p.day <= day {
			open -= p.amount
		}
	}
	return open
}

func (d *modelDocument) status(today int) string {
	open := d.open(today)
	switch {
	case d.void:
		return "VOID"
	case d.total > 0 && open > 0, d.total < 0 && open < 0:
		return "PENDING"
	}
	return "PAID"
}

// Whatever happens to a customer's account: what is open on each document is what a bookkeeper
// has, its status follows, and on each day statement, aging and the documents are one sum.
func TestAccountsModel(t *testing.T) {
	t.Parallel()
	b := setup(t)
	now := get[time.Time](t, b, `SELECT now()`)
	today := 90
	date := func(day int) billing.Date { return billing.DateOf(now, time.UTC).AddDays(day - today) }
	customers := 0
	rapid.Check(t, func(rt *rapid.T) {
		if customers++; customers > 40 { // each is some fifty statements
			return
		}
		code := fmt.Sprint("MODEL", customers)
		b.exec(t, `INSERT INTO customers (code, name, billing_frequency) VALUES ($1, 'Model Air', 'per_flight')`, code)
		var documents []*modelDocument
		document := func(label string) *modelDocument { return rapid.SampledFrom(documents).Draw(rt, label) }
		call := func(ok bool, sql string, args ...any) (answer any) {
			err := b.pool.QueryRow(t.Context(), `SELECT `+sql, args...).Scan(&answer)
			require.Equal(rt, ok, err == nil, "%s %v: %v", sql, args, err)
			return answer
		}
		known := map[int64]bool{}
		pay := func(d *modelDocument, amount int64, day int) *modelPayment {
			p := &modelPayment{on: d, amount: amount, day: day}
			d.payments = append(d.payments, p)
			return p
		}
		pair := func(a, c *modelDocument, amount int64) (*modelPayment, *modelPayment) {
			p, q := pay(a, amount, today), pay(c, -amount, today)
			p.partner, q.partner = q, p
			return p, q
		}
		// What the database calls the new payments.
		name := func() {
			rows, err := b.pool.Query(t.Context(), `SELECT p.id, p.invoice_id, (p.amount * 100)::bigint FROM payments p JOIN invoices i ON i.id = p.invoice_id JOIN customers c ON c.id = customer_id WHERE code = $1 ORDER BY p.id`, code)
			require.NoError(rt, err)
			var id, invoice, amount int64
			_, err = pgx.ForEachRow(rows, []any{&id, &invoice, &amount}, func() error {
				if known[id] {
					return nil
				}
				known[id] = true
				for _, d := range documents {
					for _, p := range d.payments {
						if p.id == 0 && d.id == invoice && p.amount == amount {
							p.id = id
							return nil
						}
					}
				}
				return fmt.Errorf("payment %d is not in the model", id)
			})
			require.NoError(rt, err)
		}
		cents := func(amount int64) decimal.Decimal { return decimal.New(amount, -2) }
		notes := map[*modelDocument]*modelDocument{}
		for range rapid.IntRange(3, 12).Draw(rt, "steps") {
			if len(documents) == 0 {
				documents = append(documents, b.modelInvoice(t, code, 10_000, 0, date))
			}
			d := document("document")
			switch rapid.IntRange(0, 6).Draw(rt, "what") {
			case 0:
				documents = append(documents, b.modelInvoice(t, code, rapid.Int64Range(1, 30_000).Draw(rt, "total"), rapid.IntRange(0, today).Draw(rt, "day"), date))
			case 1, 2:
				amount, day := rapid.SampledFrom([]int64{-5_000, -100, 100, 5_000, 10_000, d.open(today)}).Draw(rt, "amount"), rapid.IntRange(d.day, today).Draw(rt, "day")
				ok := amount > 0 && d.total > 0 || amount < 0 && amount >= min(d.open(today), 0)
				call(ok, `record_payment($1, $2, $3)`, d.number, cents(amount), date(day))
				if ok {
					pay(d, amount, day).money = true
				}
			case 3:
				if len(d.payments) == 0 {
					continue
				}
				p := rapid.SampledFrom(d.payments).Draw(rt, "payment")
				call(!p.reversed && !p.final, `reverse_payment($1, 'why')`, p.id)
				if p.reversed || p.final {
					continue
				}
				for _, q := range []*modelPayment{p, p.partner} {
					if q != nil {
						q.reversed = true
						pay(q.on, -q.amount, today).final = true
					}
				}
				if note := notes[d]; d.void && d.open(today) > 0 && note.open(today) < 0 {
					one, two := pair(d, note, min(d.open(today), -note.open(today)))
					one.final, two.final = true, true
				}
			case 4:
				to := document("to")
				credit, open := -d.open(today), to.open(today)
				call(credit > 0 && open > 0, `set_off($1, $2)`, d.number, to.number)
				if credit > 0 && open > 0 {
					pair(to, d, min(credit, open))
				}
			case 5:
				ok := d.total > 0 && !d.void
				number := call(ok, `void_invoice($1, 'why')`, d.number)
				if !ok {
					continue
				}
				note := &modelDocument{number: number.(string), total: -d.total, day: today}
				note.id = get[int64](t, b, `SELECT id FROM invoices WHERE number = $1`, note.number)
				if open := d.open(today); open != 0 {
					one, two := pair(d, note, open)
					one.final, two.final = true, true
				}
				d.void, notes[d] = true, note
				documents = append(documents, note)
			case 6:
				ok := d.status(today) == "PAID" && slices.ContainsFunc(d.payments, func(p *modelPayment) bool { return p.money && !p.reversed })
				call(ok, `unmark_invoice_paid($1, 'why')::text`, d.number)
				if ok {
					for _, p := range slices.Clone(d.payments) {
						if p.money && !p.reversed {
							p.reversed = true
							pay(d, -p.amount, today).final = true
						}
					}
				}
			}
			name()
		}
		for _, d := range documents {
			require.Equal(rt, fmt.Sprint(d.status(today), " ", cents(d.open(today)).StringFixed(2)),
				get[string](t, b, `SELECT status || ' ' || open FROM invoice_balances WHERE number = $1`, d.number), d.number)
		}
		for _, day := range []int{rapid.IntRange(0, today).Draw(rt, "on"), today - 1, today} {
			var sum int64
			for _, d := range documents {
				sum += d.open(day)
			}
			statements, err := db.ReadStatement(t.Context(), b.pool, code, date(rapid.IntRange(0, day).Draw(rt, "from")), date(day))
			require.NoError(rt, err)
			closing, aged := decimal.Zero, decimal.Zero
			for _, s := range statements {
				closing = closing.Add(s.Closing)
			}
			ages, err := db.ListAging(t.Context(), b.pool, date(day), code)
			require.NoError(rt, err)
			for _, a := range ages {
				aged = aged.Add(decimal.Sum(a.NotYetDue, a.Days30, a.Days60, a.Days90, a.Over90, a.Credit))
			}
			require.Equal(rt, cents(sum).StringFixed(2), closing.StringFixed(2), "statement on day %d", day)
			require.Equal(rt, cents(sum).StringFixed(2), aged.StringFixed(2), "aging on day %d", day)
		}
	})
}

func (b *testBundle) modelInvoice(t *testing.T, customer string, total int64, day int, date func(int) billing.Date) *modelDocument {
	t.Helper()
	number := b.invoice(t, customer, "EUR", decimal.New(total, -2).StringFixed(2), date(day).String())
	return &modelDocument{id: get[int64](t, b, `SELECT id FROM invoices WHERE number = $1`, number), number: number, total: total, day: day}
}
