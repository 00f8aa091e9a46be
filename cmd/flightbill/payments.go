package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/shopspring/decimal"
	"github.com/spf13/cobra"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
)

func (a *app) newPaymentsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "payments", Short: "List payments, record one, or take one back; use a customer's credit", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return usageError{fmt.Errorf("say which: flightbill payments list, record NUMBER AMOUNT, refund NUMBER AMOUNT, reverse ID --reason R, set-off FROM TO [AMOUNT], or write-off NUMBER --reason R")}
		},
	}
	cmd.AddCommand(
		a.newPaymentsListCommand(), a.newPaymentsRecordCommand("record", "Record money that came in for an invoice", decimal.NewFromInt(1)),
		a.newPaymentsRecordCommand("refund", "Record money that was paid out, on a credit note or of an over-payment", decimal.NewFromInt(-1)),
		a.newPaymentsReverseCommand(), a.newPaymentsSetOffCommand(), a.newPaymentsWriteOffCommand(),
	)
	return cmd
}

// paymentView is a payment in a list, and on an invoice.
type paymentView struct {
	ID            int64           `json:"id"`
	PaidOn        billing.Date    `json:"paid_on"`
	Number        string          `json:"number"`
	Customer      string          `json:"customer"`
	Kind          string          `json:"kind"`
	Amount        decimal.Decimal `json:"amount"` // below 0: paid out
	Currency      string          `json:"currency"`
	Reference     *string         `json:"reference"`
	BankReference *string         `json:"bank_reference"`
	Other         *string         `json:"other"`       // of a set-off: the other document
	ReversesID    *int64          `json:"reverses_id"` // what it takes back
	ReversedBy    *int64          `json:"reversed_by"`
	Reason        *string         `json:"reason"`
	RecordedAt    time.Time       `json:"recorded_at"`
	RecordedBy    string          `json:"recorded_by"`
}

func paymentViews(payments []db.Payment) []paymentView {
	views := make([]paymentView, len(payments))
	for i, p := range payments {
		views[i] = paymentView(p)
	}
	return views
}

func (a *app) printPayments(payments []paymentView) error {
	rows := make([][]string, len(payments))
	for i, p := range payments {
		said := ""
		switch {
		case p.ReversesID != nil:
			said = fmt.Sprintf("takes %d back: %s", *p.ReversesID, *p.Reason)
		case p.ReversedBy != nil:
			said = fmt.Sprintf("taken back by %d", *p.ReversedBy)
		case p.Other != nil:
			said = "with " + *p.Other
		case p.Reason != nil:
			said = *p.Reason
		case p.Reference != nil:
			said = *p.Reference
		}
		rows[i] = []string{strconv.FormatInt(p.ID, 10), p.PaidOn.String(), p.Number, p.Customer, p.Kind, money(p.Amount, p.Currency), p.Currency, said}
	}
	return table(a.stdout, []string{">ID", "PAID ON", "INVOICE", "CUSTOMER", "KIND", ">AMOUNT", "CURRENCY", ""}, rows)
}

func (a *app) newPaymentsListCommand() *cobra.Command {
	var from, to string
	var filter db.PaymentFilter
	var asJSON bool
	cmd := &cobra.Command{
		Use: "list", Short: "List payments in the order of their days; what was paid out is below 0", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if filter.FromDate, filter.ToDate, err = daysFlags(from, to); err != nil {
				return err
			}
			return a.withDatabase(cmd.Context(), func(pool *pgxpool.Pool) error {
				payments, err := db.ListPayments(cmd.Context(), pool, filter)
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(a.stdout, paymentViews(payments))
				}
				if err := a.printPayments(paymentViews(payments)); err != nil {
					return err
				}
				if len(payments) == int(filter.MaxRows) {
					fmt.Fprintf(a.stderr, "the first %d; --limit shows more\n", filter.MaxRows)
				}
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&filter.Customer, "customer", "", "only this customer's, by code")
	cmd.Flags().StringVar(&from, "from", "", "paid on that day (YYYY-MM-DD) or later")
	cmd.Flags().StringVar(&to, "to", "", "on that day or earlier")
	cmd.Flags().Int32Var(&filter.MaxRows, "limit", 1000, "at most so many")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func daysFlags(from, to string) (first, last billing.Date, err error) {
	if first, err = dateFlag("--from", from); err != nil {
		return first, last, err
	}
	if last, err = dateFlag("--to", to); err != nil {
		return first, last, err
	}
	if !first.IsZero() && !last.IsZero() && last.Before(first) {
		err = usageError{fmt.Errorf("--to %s is before --from %s", last, first)}
	}
	return first, last, err
}

// amountArgument reads an amount above 0: which way money went a command says.
func amountArgument(text string) (decimal.Decimal, error) {
	amount, err := decimal.NewFromString(text)
	if err != nil || !amount.IsPositive() || len(text) > 40 {
		return amount, usageError{fmt.Errorf("amount %q: write a number above 0, such as 1170.40, with no commas", text)}
	}
	return amount, nil
}

func (a *app) newPaymentsRecordCommand(name, short string, sign decimal.Decimal) *cobra.Command {
	var on, reference, bankReference string
	cmd := &cobra.Command{
		Use: name + " NUMBER AMOUNT", Short: short, Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			amount, err := amountArgument(args[1])
			if err != nil {
				return err
			}
			day, err := dateFlag("--on", on)
			if err != nil {
				return err
			}
			return a.withRightClock(cmd.Context(), func(pool *pgxpool.Pool, calendar billing.Calendar) error {
				if day.IsZero() {
					day = billing.DateOf(a.now(), calendar.Location)
				}
				id, err := db.RecordPayment(cmd.Context(), pool, db.NewPayment{
					Number: args[0], Amount: amount.Mul(sign), PaidOn: day, Reference: reference, BankReference: bankReference,
				})
				if err != nil {
					return err
				}
				return a.sayOpen(cmd.Context(), pool, fmt.Sprintf("payment %d", id), args[0])
			})
		},
	}
	cmd.Flags().StringVar(&on, "on", "", "the local day on which it was paid, YYYY-MM-DD (default: today)")
	cmd.Flags().StringVar(&reference, "reference", "", "what the payer wrote")
	cmd.Flags().StringVar(&bankReference, "bank-reference", "", "the bank's reference; the same one again is the same payment")
	return cmd
}

// sayOpen says what was done, and what is open on invoices after it.
func (a *app) sayOpen(ctx context.Context, pool *pgxpool.Pool, done string, numbers ...string) error {
	for _, number := range numbers {
		b, err := db.ReadBalance(ctx, pool, number)
		if err != nil {
			return err
		}
		a.sayf("%s: %s is %s, %s", done, number, b.Status, openWords(b.Open.Decimal, b.Currency))
	}
	return nil
}

// openWords says what is open on a document.
func openWords(open decimal.Decimal, currency string) string {
	if open.IsNegative() {
		return money(open.Neg(), currency) + " " + currency + " of it is the customer's"
	}
	return money(open, currency) + " " + currency + " open"
}

func (a *app) newPaymentsReverseCommand() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "reverse ID --reason R", Short: "Take a payment, a set-off or a write-off back, as of today", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := strconv.ParseInt(args[0], 10, 64)
			if err != nil {
				return usageError{fmt.Errorf("payment %q: give its id; flightbill payments list shows it", args[0])}
			}
			if reason == "" {
				return usageError{fmt.Errorf("--reason: say why in a few words: they stand in the invoice's story")}
			}
			return a.withDatabase(cmd.Context(), func(pool *pgxpool.Pool) error {
				reversal, err := db.ReversePayment(cmd.Context(), pool, id, reason)
				if err != nil {
					return err
				}
				a.sayf("payment %d is taken back by %d", id, reversal)
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why; stands in the invoice's story")
	return cmd
}

func (a *app) newPaymentsSetOffCommand() *cobra.Command {
	return &cobra.Command{
		Use: "set-off FROM TO [AMOUNT]", Short: "Use a customer's credit, of a credit note or an over-paid invoice, for an invoice; as much as goes without AMOUNT", Args: cobra.RangeArgs(2, 3),
		RunE: func(cmd *cobra.Command, args []string) error {
			var amount decimal.NullDecimal
			if len(args) == 3 {
				given, err := amountArgument(args[2])
				if err != nil {
					return err
				}
				amount = decimal.NewNullDecimal(given)
			}
			return a.withDatabase(cmd.Context(), func(pool *pgxpool.Pool) error {
				done, err := db.SetOff(cmd.Context(), pool, args[0], args[1], amount)
				if err != nil {
					return err
				}
				return a.sayOpen(cmd.Context(), pool, "set off "+done, args[0], args[1])
			})
		},
	}
}

func (a *app) newPaymentsWriteOffCommand() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "write-off NUMBER --reason R", Short: "Write off a rest of at most 100 of the currency's smallest units, such as 1.00 EUR", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if reason == "" {
				return usageError{fmt.Errorf("--reason: say why in a few words: they stand in the invoice's story")}
			}
			return a.withDatabase(cmd.Context(), func(pool *pgxpool.Pool) error {
				id, err := db.WriteOffRounding(cmd.Context(), pool, args[0], reason)
				if err != nil {
					return err
				}
				return a.sayOpen(cmd.Context(), pool, fmt.Sprintf("payment %d", id), args[0])
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why; stands in the invoice's story")
	return cmd
}
