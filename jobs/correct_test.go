package jobs_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/jobs"
)

func (b *testBundle) corrector() *jobs.Corrector {
	return &jobs.Corrector{Pool: b.clerk, Books: db.NewPriceBooks(b.clerk), Source: db.NewFlights(b.clerk), Now: b.clock.Now}
}

// correct corrects a flight and reports how many lines that took.
func (b *testBundle) correct(t *testing.T, id string) (lines int, factsChanged bool) {
	t.Helper()
	correction, err := b.corrector().Correct(t.Context(), id)
	require.NoError(t, err)
	return len(correction.Lines), correction.FactsChanged
}

func TestCorrectMass(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.billed(t, "W1", "WEEK", landed(4, 9))
	b.run(t, march(8))
	b.exec(t, `UPDATE flights SET mtow_kg = 80000`)
	lines, changed := b.correct(t, "W1")
	require.Equal(t, 2, lines)
	require.True(t, changed)
	require.Equal(t, "WEEK-000001 2026-03-08 EUR PENDING 170.40: W1 142.00\n"+
		"WEEK 2026-03-15 EUR DRAFT W1 -142.00 late correction, W1 160.00 late correction", b.documents(t))
	require.Equal(t, "-71 2 -28.40; 80 2 32.00", get[string](t, b, `SELECT string_agg(concat_ws(' ', quantity, unit_rate, tax_amount), '; ' ORDER BY id) FROM charges WHERE origin IS NOT NULL`))
	require.Equal(t, "80000 1", get[string](t, b, `SELECT facts ->> 'mtow_kg' || ' ' || revision FROM billed_flights`))

	// Nothing has changed since: nothing is done. Then it is heavier still, on the
	// same draft: only the last price stands.
	before := b.documents(t)
	lines, changed = b.correct(t, "W1")
	require.Zero(t, lines)
	require.False(t, changed)
	require.Equal(t, before, b.documents(t))
	require.Equal(t, 1, get[int](t, b, `SELECT revision FROM billed_flights`))
	b.exec(t, `UPDATE flights SET mtow_kg = 90000`)
	b.correct(t, "W1")
	b.run(t, march(15))
	require.Equal(t, "216.00", get[string](t, b, `SELECT sum(total)::text FROM invoices`)) // 90 × 2.00 + 20 %
	require.Equal(t, 5, get[int](t, b, `SELECT count(*) FROM charges`))
	b.requireSound(t)
}

// A period that comes to less than nothing is a credit note, in place of its invoice.
func TestCorrectToLess(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.billed(t, "W1", "WEEK", landed(4, 9))
	b.run(t, march(8))
	b.exec(t, `UPDATE flights SET mtow_kg = 50000`)
	b.correct(t, "W1")
	b.run(t, march(15))
	require.Equal(t, "WEEK-000001 consolidated PENDING 170.40 2026-03-08; WEEK-CN000001 credit_note PENDING -50.40 2026-03-15 what was taken back is more than what was charged",
		get[string](t, b, `SELECT string_agg(concat_ws(' ', number, kind, status, total, closes_on, reason), '; ' ORDER BY number) FROM invoices`))
	require.True(t, get[bool](t, b, `SELECT due_on = (issued_at AT TIME ZONE 'UTC')::date FROM invoices WHERE kind = 'credit_note'`))
	require.Equal(t, "issued WEEK-CN000001 -50.40", get[string](t, b, `SELECT string_agg(concat_ws(' ', status, number, total), ', ') FROM billing_calendar WHERE customer = 'WEEK' AND closes_on = '2026-03-15'`))
	_, err := b.owner.Exec(t.Context(), `INSERT INTO invoices (customer_id, kind, closes_on, currency) SELECT customer_id, 'consolidated', closes_on, currency FROM invoices WHERE kind = 'credit_note'`)
	require.ErrorContains(t, err, "invoices_one_per_period")
	require.EqualValues(t, 1, b.markOverdue(t, march(8).AddDays(1000)))
	require.Equal(t, "WEEK-000001", b.overdue(t))

	// A customer billed per flight gets a credit note, on hold or not.
	b.billed(t, "E1", "EACH", landed(4, 9))
	b.exec(t, `UPDATE flights SET mtow_kg = 50000 WHERE flight_id = 'E1'`)
	b.exec(t, `UPDATE customers SET billing_hold = true WHERE code = 'EACH'`)
	b.correct(t, "E1")
	require.Equal(t, "EACH-CN000001 PENDING -50.40 flight E1 corrected; it was charged on EACH-000001", get[string](t, b,
		`SELECT concat_ws(' ', number, status, total, reason) FROM invoices WHERE kind = 'credit_note' AND closes_on IS NULL`))
	// And an invoice where there is more to pay, which a hold keeps.
	b.exec(t, `UPDATE flights SET mtow_kg = 60000 WHERE flight_id = 'E1'`)
	b.correct(t, "E1")
	require.Equal(t, 1, get[int](t, b, `SELECT count(*) FROM invoices i JOIN customers c ON c.id = customer_id WHERE code = 'EACH' AND status = 'DRAFT' AND kind = 'flight'`))
	b.exec(t, `UPDATE customers SET billing_hold = false WHERE code = 'EACH'`)
	b.run(t, march(16))
	require.Equal(t, "144.00", get[string](t, b, `SELECT sum(total)::text FROM invoices i JOIN customers c ON c.id = customer_id WHERE code = 'EACH'`))

	// Voided now, only with re-billing: what was corrected stands elsewhere.
	_, err = b.owner.Exec(t.Context(), `SELECT void_invoice('EACH-000001', 'why')`)
	require.ErrorContains(t, err, "flight E1 (EACH-000002, EACH-CN000001) has charges elsewhere too")
	b.exec(t, `SELECT void_invoice('EACH-000001', 'why', true)`)
	b.start(t)
	b.emptyQueue(t)
	require.Equal(t, "144.00", get[string](t, b, `SELECT sum(total)::text FROM invoices i JOIN customers c ON c.id = customer_id WHERE code = 'EACH'`))
}

func TestCorrectPayer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.billed(t, "W1", "WEEK", landed(4, 9))
	b.run(t, march(8))
	b.exec(t, `UPDATE flights SET operator = 'MON'`)
	b.correct(t, "W1")
	require.Equal(t, "WEEK-000001 2026-03-08 EUR PENDING 170.40: W1 142.00\n"+
		"WEEK 2026-03-15 EUR DRAFT W1 -142.00 late correction\n"+
		"MON 2026-03-31 EUR DRAFT W1 142.00 late correction", b.documents(t))
	require.Equal(t, "MON", get[string](t, b, `SELECT code FROM billed_flights JOIN customers ON id = customer_id`))
	b.exec(t, `UPDATE flights SET operator = 'EACH'`)
	b.correct(t, "W1")
	require.Equal(t, "EACH 170.40, MON 0.00, WEEK 0.00", get[string](t, b, `SELECT string_agg(code || ' ' || total, ', ' ORDER BY code) FROM (
		SELECT u.code, sum(c.amount + c.tax_amount) AS total FROM charges c JOIN invoices i ON i.id = invoice_id JOIN customers u ON u.id = i.customer_id GROUP BY 1) AS s`))
}

// A corrected mass does not charge the new owner; another day or another aircraft asks
// who pays for that.
func TestCorrectKeepsThePayer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(t, `INSERT INTO customer_aircraft SELECT 'G-OWN', id FROM customers WHERE code = 'EACH'`)
	b.flight(t, "E1", "WEEK", landed(4, 9))
	b.exec(t, `UPDATE flights SET registration = 'GOWN'`)
	_, err := db.SaveFlights(t.Context(), b.pool, []db.Save{{Bill: b.bill(t, "E1"), At: b.clock.Now()}})
	require.NoError(t, err)
	payer := func(correct jobs.Corrector) string {
		t.Helper()
		correction, err := correct.Correct(t.Context(), "E1")
		require.NoError(t, err)
		require.Equal(t, correction.Customer, get[string](t, b, `SELECT code FROM billed_flights JOIN customers ON id = customer_id`))
		return correction.Customer
	}
	asked := func(p db.Payer) jobs.Corrector {
		c := *b.corrector()
		c.Payer = p
		return c
	}
	b.exec(t, `UPDATE customer_aircraft SET customer_id = (SELECT id FROM customers WHERE code = 'MON')`)
	b.exec(t, `UPDATE flights SET mtow_kg = 80000, registration = 'g-own'`)
	require.Equal(t, "EACH", payer(asked("")))
	require.Equal(t, "MON", payer(asked(db.PayerRegister)))
	b.exec(t, `UPDATE customer_aircraft SET valid_from = '2026-03-04'`)
	b.exec(t, `UPDATE flights SET landed_at = '2026-03-03 23:00Z', departed_at = NULL`)
	require.Equal(t, "MON", payer(asked(db.PayerBilled)))
	b.exec(t, `UPDATE flights SET registration = 'G-NEW'`)
	require.Equal(t, "WEEK", payer(asked("")), "its operator")
	b.exec(t, `UPDATE flights SET registration = 'G-OWN', landed_at = '2026-03-04 00:00Z'`)
	require.Equal(t, "MON", payer(asked("")))
}

func TestCorrectCurrencyDateAndFactsAlone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(t, `UPDATE tariffs SET airport = 'EIDW'`)
	b.exec(t, `INSERT INTO tariffs (code, basis, airport, applies_to, unit_rate, currency, valid_from) VALUES ('RUNWAY', 'per_flight', 'RJTT', 'departure', 5000, 'JPY', '2020-01-01')`)
	b.billed(t, "W1", "WEEK", landed(4, 9))
	b.run(t, march(8))

	b.exec(t, `UPDATE flights SET callsign = 'EIN164', landed_at = '2026-03-03 23:00Z', departed_at = '2026-03-03 22:00Z'`)
	lines, changed := b.correct(t, "W1")
	require.Zero(t, lines)
	require.True(t, changed)
	require.Equal(t, "EIN164 2026-03-03", get[string](t, b, `SELECT facts ->> 'callsign' || ' ' || landed_on FROM billed_flights`))

	b.exec(t, `UPDATE flights SET origin = 'RJTT'`)
	b.correct(t, "W1")
	require.Equal(t, "WEEK-000001 2026-03-08 EUR PENDING 170.40: W1 142.00\n"+
		"WEEK 2026-03-15 EUR DRAFT W1 -142.00 late correction\n"+
		"WEEK 2026-03-15 JPY DRAFT W1 5000 late correction", b.documents(t))
}

func TestCorrectRefusals(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.billed(t, "E1", "EACH", landed(4, 9))
	b.flight(t, "NEW", "EACH", landed(4, 9))
	refused := func(id string, parts ...string) {
		t.Helper()
		before := b.documents(t)
		_, err := b.corrector().Correct(t.Context(), id)
		for _, part := range parts {
			require.ErrorContains(t, err, part)
		}
		require.Equal(t, before, b.documents(t))
	}
	refused("NOWHERE", "flight NOWHERE is not in the flight source")
	refused("NEW", "flight NEW has not been billed: there is nothing to correct; enqueue it")
	b.exec(t, `UPDATE flights SET mtow_kg = NULL WHERE flight_id = 'E1'`)
	refused("E1", "flight E1 has no maximum take-off mass")
	b.exec(t, `SELECT void_invoice('EACH-000001', 'why')`)
	refused("E1", "its invoice EACH-000001 was voided and it was not billed again", "rebill_invoice")
	b.exec(t, `SELECT rebill_invoice('EACH-000001')`)
	refused("E1", "is about to be billed again, since its invoice EACH-000001 was voided")
}

// Two corrections of one flight at once, and one that meets a void: each sees
// what the other did.
func TestCorrectMeetsOthers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.billed(t, "E1", "EACH", landed(4, 9))
	b.exec(t, `UPDATE flights SET mtow_kg = 80000`)
	bill := b.bill(t, "E1")
	billed, err := db.ReadBilledFlight(t.Context(), b.pool, "E1")
	require.NoError(t, err)
	first := b.begin(t)
	outcome, err := db.AdjustFlight(t.Context(), first, nil, billed.Corrected(bill), b.clock.Now())
	require.NoError(t, err)
	require.Equal(t, db.Billed, outcome)
	second := inBackground(func() (jobs.Correction, error) { return b.corrector().Correct(context.Background(), "E1") })
	waits := func() bool {
		return get[int](t, b, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`) == 1
	}
	eventually(t, "the second waits", waits)
	require.NoError(t, first.Commit(t.Context()))
	correction := <-second
	require.NoError(t, correction.err)
	require.Empty(t, correction.value.Lines, "the first has done it")
	require.Equal(t, "192.00", get[string](t, b, `SELECT sum(total)::text FROM invoices`))

	// A void is under way.
	b.exec(t, `UPDATE flights SET mtow_kg = 90000`)
	void := b.begin(t, `SELECT void_invoice('EACH-000001', 'why', true)`)
	second = inBackground(func() (jobs.Correction, error) { return b.corrector().Correct(context.Background(), "E1") })
	eventually(t, "the correction waits", waits)
	require.NoError(t, void.Commit(t.Context()))
	correction = <-second
	require.ErrorContains(t, correction.err, "is about to be billed again")

	// A correction is under way that the void must take into account.
	b.start(t)
	b.emptyQueue(t)
	bill = b.bill(t, "E1")
	billed, err = db.ReadBilledFlight(t.Context(), b.pool, "E1")
	require.NoError(t, err)
	first = b.begin(t)
	_, err = db.AdjustFlight(t.Context(), first, nil, billed.Corrected(bill), b.clock.Now())
	require.NoError(t, err)
	voided := inBackground(func() (string, error) {
		_, err := b.owner.Exec(context.Background(), `SELECT void_invoice('EACH-000002', 'why')`)
		return "", err
	})
	eventually(t, "the void waits", waits)
	require.NoError(t, first.Commit(t.Context()))
	require.ErrorContains(t, (<-voided).err, "flight E1 (")
	require.Equal(t, "216.00", get[string](t, b, `SELECT sum(total)::text FROM invoices`))
	b.requireSound(t)
}

// A correction waits for a run that moves the cut-off, and goes on the draft after.
func TestCorrectMeetsARun(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.billed(t, "W1", "WEEK", landed(4, 9))
	b.run(t, march(8))
	b.exec(t, `UPDATE flights SET mtow_kg = 80000`)
	run := b.begin(t, `LOCK TABLE billing_run_lock IN EXCLUSIVE MODE`,
		`INSERT INTO billing_runs (closes_on, run_date, due_at, trigger, started_at, finished_at) VALUES ('2026-03-15', '2026-03-15', now(), 'manual', now(), now())`)
	correction := inBackground(func() (jobs.Correction, error) { return b.corrector().Correct(context.Background(), "W1") })
	b.waitForRunLock(t, 1, "RowShareLock")
	require.NoError(t, run.Commit(t.Context()))
	require.NoError(t, (<-correction).err)
	require.Equal(t, "2026-03-22", get[string](t, b, `SELECT closes_on::text FROM invoices WHERE status = 'DRAFT'`))
}

// A period's credit note is undone by an invoice, of the invoices' series.
func TestVoidPeriodCreditNote(t *testing.T) {
	t.Parallel()
	for _, paidOut := range []bool{false, true} {
		b := setup(t)
		b.billed(t, "W1", "WEEK", landed(4, 9))
		b.run(t, march(8))
		b.exec(t, `UPDATE flights SET mtow_kg = 50000`)
		b.correct(t, "W1")
		b.run(t, march(15))
		if paidOut {
			b.exec(t, `SELECT mark_invoice_paid('WEEK-CN000001')`)
		}
		_, err := b.owner.Exec(t.Context(), `SELECT void_invoice('WEEK-CN000001', 'why')`)
		require.ErrorContains(t, err, "flight W1 (WEEK-000001) has charges elsewhere too")
		b.exec(t, `UPDATE tariffs SET unit_rate = 1`)
		require.Equal(t, "WEEK-000002", get[string](t, b, `SELECT void_invoice('WEEK-CN000001', 'the mass was right', true)`))
		settled := "PAID set against WEEK-CN000001"
		if paidOut {
			settled = "PENDING voids WEEK-CN000001, which was paid: the amount is owed back: the mass was right"
		}
		require.Equal(t, "consolidated 50.40 the mass was right WEEK-CN000001 "+settled, get[string](t, b, `SELECT concat_ws(' ', i.kind, i.total, i.reason, c.number, i.status, e.note)
			FROM invoices i JOIN invoices c ON c.id = i.credits_invoice_id
			JOIN invoice_events e ON e.id = (SELECT max(id) FROM invoice_events WHERE invoice_id = i.id) WHERE i.number = 'WEEK-000002'`))
		require.True(t, get[bool](t, b, `SELECT due_on = (issued_at AT TIME ZONE 'UTC')::date + payment_terms_days AND closes_on IS NULL
			FROM invoices i JOIN customers c ON c.id = customer_id WHERE number = 'WEEK-000002'`))
		require.Equal(t, "VOID WEEK-000002: the mass was right", get[string](t, b, `SELECT i.status || ' ' || e.note FROM invoices i
			JOIN invoice_events e ON e.invoice_id = i.id AND e.to_status = 'VOID' WHERE number = 'WEEK-CN000001'`))
		_, err = b.owner.Exec(t.Context(), `SELECT void_invoice('WEEK-CN000001', 'why', true)`)
		require.ErrorContains(t, err, "WEEK-CN000001 is VOID already, by WEEK-000002")

		// Its flight is billed again, and comes to what it costs now.
		b.start(t)
		b.emptyQueue(t)
		b.run(t, march(22))
		require.Equal(t, "60.00", get[string](t, b, `SELECT sum(total)::text FROM invoices`)) // 50 × 1.00 + 20 %
		require.Equal(t, "WEEK-CN000002 credit_note -110.40", get[string](t, b, `SELECT concat_ws(' ', number, kind, total) FROM invoices WHERE closes_on = '2026-03-22'`))
		b.requireSound(t)
	}
}

// What has nothing to pay is paid as it is issued: a flight that is exempt, a period
// whose corrections come to its charges, and what voids them.
func TestNothingDue(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(t, `UPDATE tariffs SET unit_rate = 0, minimum = 0`)
	b.billed(t, "E1", "EACH", landed(4, 9))
	b.billed(t, "W1", "WEEK", landed(4, 9))
	b.run(t, march(8))
	const story = `SELECT string_agg(concat_ws(' ', number, i.status, total, paid_at = issued_at, e.note), '; ' ORDER BY number)
		FROM invoices i JOIN invoice_events e ON e.id = (SELECT max(id) FROM invoice_events WHERE invoice_id = i.id)`
	require.Equal(t, "EACH-000001 PAID 0.00 t nothing due; WEEK-000001 PAID 0.00 t nothing due", get[string](t, b, story))
	b.exec(t, `SELECT void_invoice('EACH-000001', 'why'), void_invoice('WEEK-000001', 'why')`)
	require.Equal(t, "EACH-000001 VOID 0.00 t EACH-CN000001: why; EACH-CN000001 PAID 0.00 t nothing due; WEEK-000001 VOID 0.00 t WEEK-CN000001: why; WEEK-CN000001 PAID 0.00 t nothing due",
		get[string](t, b, story))
	_, err := b.owner.Exec(t.Context(), `SELECT unmark_invoice_paid('EACH-CN000001', 'why')`)
	require.ErrorContains(t, err, "EACH-CN000001 is PAID without a payment")

	// Taken back and charged again within one period.
	b.exec(t, `UPDATE tariffs SET unit_rate = 2`)
	b.billed(t, "W2", "WEEK", landed(4, 10))
	b.run(t, march(15))
	b.exec(t, `UPDATE flights SET mtow_kg = 80000 WHERE flight_id = 'W2'`)
	b.correct(t, "W2")
	b.exec(t, `UPDATE flights SET mtow_kg = 71000 WHERE flight_id = 'W2'`)
	b.correct(t, "W2")
	b.run(t, march(22))
	require.Equal(t, "consolidated PAID 0.00", get[string](t, b, `SELECT concat_ws(' ', kind, status, total) FROM invoices WHERE closes_on = '2026-03-22'`))
	b.requireSound(t)
}
