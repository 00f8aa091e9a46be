package db_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A set-off is taken back alike from either of its two sides, also where one was voided since.
func TestSetOffTakenBackAfterAVoid(t *testing.T) {
	t.Parallel()
	for _, side := range []string{"EACH-000001", "EACH-000002"} {
		t.Run(side, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.invoice(t, "EACH", "EUR", "100.00", "2024-01-01")
			b.invoice(t, "EACH", "EUR", "50.00", "2024-01-01")
			b.exec(t, `SELECT record_payment('EACH-000002', 150, '2024-01-10')`)
			b.exec(t, `SELECT set_off('EACH-000002', 'EACH-000001')`)
			b.exec(t, `SELECT void_invoice('EACH-000001', 'wrong')`)
			b.exec(t, `SELECT reverse_payment(p.id, 'a mistake') FROM payments p JOIN invoices i ON i.id = p.invoice_id JOIN invoices o ON o.id = p.other_id
				WHERE i.number = $1 AND p.kind = 'set_off' AND o.number IN ('EACH-000001', 'EACH-000002') AND p.reverses_id IS NULL`, side)
			require.Equal(t, "EACH-000001 VOID 0.00, EACH-000002 PAID -100.00, EACH-CN000001 PAID 0.00", b.accounts(t), "100 is the customer's, once")
		})
	}
}

func TestPaymentOfAnInvoiceOfNothingTakenBackAfterItsVoid(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.invoice(t, "EACH", "EUR", "0.00", "2024-01-01")
	id := get[int64](t, b, `SELECT record_payment('EACH-000001', 100, '2024-01-10')`)
	b.exec(t, `SELECT void_invoice('EACH-000001', 'wrong')`)
	b.exec(t, `SELECT reverse_payment($1, 'bounced')`, id)
	require.Zero(t, get[int](t, b, `SELECT count(*) FROM invoice_balances WHERE open <> 0`), b.accounts(t))
}

// Interest on an invoice that is voided leaves the draft that it stands on.
func TestVoidTakesInterestOffTheDraft(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(t, `UPDATE customers SET late_interest_rate = 0.1 WHERE code = 'WEEK'`)
	b.invoice(t, "WEEK", "EUR", "3650.00", "2024-01-01")
	b.exec(t, `SELECT charge_interest('WEEK', '2024-02-15', now(), '2024-02-16')`)
	require.Equal(t, 1, get[int](t, b, `SELECT count(*) FROM charges WHERE interest_on IS NOT NULL AND amount > 0`))
	b.exec(t, `SELECT void_invoice('WEEK-000001', 'wrong')`)
	b.exec(t, `SELECT issue_drafts(ARRAY(SELECT id FROM invoices WHERE status = 'DRAFT'), now(), current_date)`)
	require.Zero(t, get[int](t, b, `SELECT count(*) FROM invoice_balances WHERE open <> 0`), b.accounts(t))
}

// addBankEntry takes in one entry of a bank's statement that names invoices.
func (b *testBundle) addBankEntry(t *testing.T, reference, amount string, numbers ...string) {
	t.Helper()
	b.exec(t, `SELECT add_bank_entries('statement', jsonb_build_array(jsonb_build_object('account', 'X', 'bank_reference', $1::text, 'booked_on', '2024-02-01',
		'amount', $2::numeric, 'currency', 'EUR', 'nth', 1, 'text', 'T', 'payer', '', 'numbers', $3::text[])))`, reference, amount, numbers)
}

// What a clerk has recorded under the bank's reference is not booked again by its statement.
func TestBankEntryThatWasRecordedByHand(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.invoice(t, "EACH", "EUR", "1000.00", "2024-01-01")
	b.exec(t, `SELECT record_payment('EACH-000001', 400, '2024-02-01', NULL, 'R1')`)
	b.addBankEntry(t, "R1", "400", "EACH-000001")
	b.exec(t, `SELECT match_bank_entries()`)
	require.Equal(t, "EACH-000001 PENDING 600.00", b.accounts(t))
	require.Equal(t, "unmatched", get[string](t, b, `SELECT state FROM bank_entries`))
}

func TestBankEntryThatNamesAnInvoiceTwice(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.invoice(t, "EACH", "EUR", "1000.00", "2024-01-01")
	b.addBankEntry(t, "R1", "100", "EACH-000001", "EACH-000001")
	b.exec(t, `SELECT match_bank_entries()`)
	require.Equal(t, "EACH-000001 PENDING 1000.00", b.accounts(t))
}

// A clerk who books an old entry while a file is imported waits for it; neither fails.
func TestBankEntryBookedBesideAnImport(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.invoice(t, "EACH", "EUR", "100.00", "2024-01-01")
	b.addBankEntry(t, "R1", "10", "EACH-999999")
	b.exec(t, `SELECT match_bank_entries()`)
	id := get[int64](t, b, `SELECT id FROM bank_entries`)

	tx := b.begin(t, `SELECT add_bank_entries('statement', '[{"account": "X", "bank_reference": "R2", "booked_on": "2024-02-01", "amount": 20, "currency": "EUR",
		"nth": 1, "text": "T", "payer": "", "numbers": ["EACH-000001"]}]')`)
	booked := b.execMeanwhile(t, `SELECT book_bank_entry($1, 'EACH-000001')`, id)
	_, err := tx.Exec(t.Context(), `SELECT match_bank_entries()`)
	require.NoError(t, err)
	require.NoError(t, tx.Commit(t.Context()))
	_, err = booked()
	require.NoError(t, err)
	require.Equal(t, "EACH-000001 PENDING 70.00", b.accounts(t))
}
