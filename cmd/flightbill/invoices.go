package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/shopspring/decimal"
	"github.com/spf13/cobra"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
)

func (a *app) newInvoicesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "invoices", Short: "List invoices, show or export some, or take a payment back", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return usageError{fmt.Errorf("say which: flightbill invoices list, show NUMBER|ID, export NUMBER…, or unpay NUMBER --reason R")}
		},
	}
	var listJSON, showJSON, withDetail bool
	var filter db.InvoiceFilter
	list := &cobra.Command{
		Use: "list", Short: "List invoices; a draft's total is that of its charges so far", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			filter.Status = strings.ToUpper(filter.Status)
			switch filter.Status {
			case "", "DRAFT", "PENDING", "OVERDUE", "PAID", "VOID":
			default:
				return usageError{fmt.Errorf("--status: %q is not one of draft, pending, overdue, paid, void", filter.Status)}
			}
			return a.withDatabase(cmd.Context(), func(pool *pgxpool.Pool) error {
				return a.listInvoices(cmd.Context(), pool, filter, listJSON)
			})
		},
	}
	list.Flags().StringVar(&filter.Customer, "customer", "", "only this customer's, by code")
	list.Flags().StringVar(&filter.Status, "status", "", "only of this status")
	list.Flags().Int32Var(&filter.MaxRows, "limit", 1000, "at most so many")
	list.Flags().BoolVar(&listJSON, "json", false, "print JSON")
	show := &cobra.Command{
		Use: "show NUMBER|ID", Short: "Show an invoice with its charges and its story; a draft by its id", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withDatabase(cmd.Context(), func(pool *pgxpool.Pool) error {
				return a.showInvoice(cmd.Context(), pool, args[0], withDetail, showJSON)
			})
		},
	}
	show.Flags().BoolVar(&withDetail, "detail", false, "under each charge, how its amount came about")
	show.Flags().BoolVar(&showJSON, "json", false, "print JSON, always with the detail")
	var reason string
	unpay := &cobra.Command{
		Use: "unpay NUMBER --reason R", Short: "Take back a payment that was marked by mistake: the invoice is PENDING again", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if reason == "" {
				return usageError{fmt.Errorf("--reason: say why in a few words: they stand in the invoice's story")}
			}
			return a.withDatabase(cmd.Context(), func(pool *pgxpool.Pool) error {
				if err := db.UnmarkInvoicePaid(cmd.Context(), pool, args[0], reason); err != nil {
					return err
				}
				a.sayf("%s is PENDING again", args[0])
				return nil
			})
		},
	}
	unpay.Flags().StringVar(&reason, "reason", "", "why; stands in the invoice's story")
	cmd.AddCommand(list, show, a.newInvoicesExportCommand(), unpay)
	return cmd
}

// invoiceView is an invoice in a list.
type invoiceView struct {
	ID       int64            `json:"id"`
	Number   *string          `json:"number"`
	Customer string           `json:"customer"`
	Kind     string           `json:"kind"`
	ClosesOn billing.Date     `json:"closes_on"`
	Status   string           `json:"status"`
	Charges  int64            `json:"charges"`
	Currency string           `json:"currency"`
	Outside  bool             `json:"outside_scope"` // of VAT
	Subtotal decimal.Decimal  `json:"subtotal"`
	Tax      decimal.Decimal  `json:"tax"`
	Total    decimal.Decimal  `json:"total"`
	IssuedAt *time.Time       `json:"issued_at"`
	DueOn    billing.Date     `json:"due_on"`
	PaidAt   *time.Time       `json:"paid_at"`
	Open     *decimal.Decimal `json:"open"` // of a draft: none; below 0: the customer's credit
}

func (a *app) listInvoices(ctx context.Context, pool *pgxpool.Pool, filter db.InvoiceFilter, asJSON bool) error {
	invoices, err := db.ListInvoices(ctx, pool, filter)
	if err != nil {
		return err
	}
	views := make([]invoiceView, len(invoices))
	rows := make([][]string, len(invoices))
	for i, v := range invoices {
		views[i] = invoiceView{v.ID, v.Number, v.Customer, v.Kind, v.ClosesOn, v.Status, v.Charges, v.Currency, v.OutsideScope, v.Subtotal, v.Tax, v.Total, v.IssuedAt, v.DueOn, v.PaidAt, db.DecimalOrNil(v.Open)}
		open := ""
		if v.Open.Valid {
			open = money(v.Open.Decimal, v.Currency)
		}
		rows[i] = []string{
			nameOf(v.Number, v.ID), v.Customer, kindOf(v.Kind, v.OutsideScope), v.ClosesOn.String(), v.Status, count(v.Charges),
			money(v.Total, v.Currency), open, v.Currency, v.DueOn.String(),
		}
	}
	if asJSON {
		return printJSON(a.stdout, views)
	}
	if err := table(a.stdout, []string{"NUMBER", "CUSTOMER", "KIND", "CLOSES ON", "STATUS", ">CHARGES", ">TOTAL", ">OPEN", "CURRENCY", "DUE ON"}, rows); err != nil {
		return err
	}
	if len(invoices) == int(filter.MaxRows) {
		fmt.Fprintf(a.stderr, "the first %d; --limit shows more\n", filter.MaxRows)
	}
	return nil
}

const outsideScope = "outside VAT's scope"

func kindOf(kind string, outside bool) string {
	if outside {
		return kind + ", " + outsideScope
	}
	return kind
}

func nameOf(number *string, id int64) string {
	if number != nil {
		return *number
	}
	return "draft " + strconv.FormatInt(id, 10)
}

// invoiceDetail is all there is to an invoice.
type invoiceDetail struct {
	ID           int64               `json:"id"`
	Number       *string             `json:"number"`
	Customer     string              `json:"customer"`
	BillToName   string              `json:"bill_to_name"`
	Kind         string              `json:"kind"`
	ClosesOn     billing.Date        `json:"closes_on"`
	Status       string              `json:"status"`
	OnHold       bool                `json:"on_hold"`
	ParkedReason *string             `json:"parked_reason"`
	Currency     string              `json:"currency"`
	Outside      bool                `json:"outside_scope"` // of VAT
	Subtotal     decimal.NullDecimal `json:"subtotal"`
	Tax          decimal.NullDecimal `json:"tax"`
	Total        decimal.NullDecimal `json:"total"`
	IssuedAt     *time.Time          `json:"issued_at"`
	DueOn        billing.Date        `json:"due_on"`
	PaidAt       *time.Time          `json:"paid_at"`
	Credits      *string             `json:"credits"`     // of a credit note: the invoice that it voids; or the other way round
	CreditedBy   string              `json:"credited_by"` // of a voided one: what voids it
	Reason       *string             `json:"reason"`      // of a credit note, and of what voids one
	Open         *decimal.Decimal    `json:"open"`        // of a draft: none; below 0: the customer's credit
	Payments     []paymentView       `json:"payments"`
	Charges      []chargeView        `json:"charges"`
	LateFlights  []db.LateFlight     `json:"late_flights"`
	Events       []eventView         `json:"events"`

	subtotal, tax decimal.Decimal // of a draft, too
}

type chargeView struct {
	FlightID    string          `json:"flight_id"`
	FlownOn     billing.Date    `json:"flown_on"`
	Code        string          `json:"code"`
	Description string          `json:"description"`
	Quantity    decimal.Decimal `json:"quantity"`
	UnitRate    decimal.Decimal `json:"unit_rate"`
	Amount      decimal.Decimal `json:"amount"`
	TaxRate     decimal.Decimal `json:"tax_rate"`
	TaxAmount   decimal.Decimal `json:"tax_amount"`
	Late        bool            `json:"late"`
	Origin      *string         `json:"origin"` // why the flight is charged again
	Detail      []billing.Step  `json:"detail"` // how the amount came about
}

type eventView struct {
	At   time.Time `json:"at"`
	From *string   `json:"from_status"`
	To   string    `json:"to_status"`
	Note *string   `json:"note"`
}

func readInvoice(ctx context.Context, pool *pgxpool.Pool, name string) (*invoiceDetail, error) {
	v, err := db.ReadInvoice(ctx, pool, name)
	if err != nil {
		return nil, err
	}
	detail := &invoiceDetail{
		v.ID, v.Number, v.Customer, v.BillToName, v.Kind, v.ClosesOn, v.Status, v.BillingHold && v.Status == "DRAFT", v.ParkedReason,
		v.Currency, v.OutsideScope, v.Subtotal, v.Tax, v.Total, v.IssuedAt, v.DueOn, v.PaidAt, v.Credits, v.CreditedBy, v.Reason,
		db.DecimalOrNil(v.Open), paymentViews(v.Payments), []chargeView{}, v.LateFlights, []eventView{}, v.SubtotalSoFar, v.TaxSoFar,
	}
	for _, c := range v.Charges {
		detail.Charges = append(detail.Charges, chargeView{c.FlightID, c.FlownOn, c.Code, c.Description, c.Quantity, c.UnitRate, c.Amount, c.TaxRate, c.TaxAmount, c.Late, c.Origin, c.Detail})
	}
	for _, e := range v.Events {
		detail.Events = append(detail.Events, eventView{e.At, e.FromStatus, e.ToStatus, e.Note})
	}
	return detail, nil
}

func (a *app) showInvoice(ctx context.Context, pool *pgxpool.Pool, name string, withDetail, asJSON bool) error {
	v, err := readInvoice(ctx, pool, name)
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(a.stdout, v)
	}
	switch {
	case v.Status == "DRAFT":
		a.sayf("Draft %d: not an invoice yet", v.ID)
	case v.Kind == "credit_note" && v.Credits != nil:
		a.sayf("Credit note %s for invoice %s", *v.Number, *v.Credits)
	case v.Kind == "credit_note":
		a.sayf("Credit note %s", *v.Number)
	case v.Credits != nil:
		a.sayf("Invoice %s for credit note %s", *v.Number, *v.Credits)
	default:
		a.sayf("Invoice %s", *v.Number)
	}
	if v.Reason != nil {
		a.sayf("Reason     %s", *v.Reason)
	}
	a.sayf("Bill to    %s (%s)", v.BillToName, v.Customer)
	a.sayf("Status     %s", v.Status)
	if v.CreditedBy != "" {
		a.sayf("           by %s", v.CreditedBy)
	}
	if v.OnHold {
		a.sayf("           kept open: the customer is on billing hold")
	}
	if v.ParkedReason != nil {
		a.sayf("           parked: %s", *v.ParkedReason)
	}
	if v.Outside {
		a.sayf("Tax        %s", outsideScope)
	}
	if !v.ClosesOn.IsZero() {
		a.sayf("Closes on  %s", v.ClosesOn)
	}
	if v.IssuedAt != nil {
		a.sayf("Issued     %s, due on %s", v.IssuedAt.UTC().Format(time.RFC3339), v.DueOn)
	}
	if v.PaidAt != nil {
		a.sayf("Paid       %s", v.PaidAt.UTC().Format(time.RFC3339))
	}
	a.sayf("")
	rows, below := make([][]string, len(v.Charges)), make([][]string, len(v.Charges))
	for i, c := range v.Charges {
		late := ""
		if c.Late {
			late = "late"
		}
		if c.Origin != nil {
			late += ", " + *c.Origin
		}
		rows[i] = []string{c.FlownOn.String(), c.FlightID, c.Code, c.Quantity.String(), c.UnitRate.String(), money(c.Amount, v.Currency), money(c.TaxAmount, v.Currency), late}
		if withDetail {
			below[i] = stepLines(c.Detail)
		}
	}
	if err := tableWithLines(a.stdout, []string{"FLOWN ON", "FLIGHT", "CODE", ">QUANTITY", ">RATE", ">AMOUNT", ">TAX", ""}, rows, below); err != nil {
		return err
	}
	a.sayf("\nSubtotal %s, tax %s, total %s %s", money(v.subtotal, v.Currency), money(v.tax, v.Currency), money(v.subtotal.Add(v.tax), v.Currency), v.Currency)
	if v.Open != nil {
		a.sayf("%s", openWords(*v.Open, v.Currency))
	}
	if len(v.Payments) > 0 {
		a.sayf("")
		if err := a.printPayments(v.Payments); err != nil {
			return err
		}
	}
	for i, late := range v.LateFlights {
		if i == 0 {
			a.sayf("")
		}
		a.sayf("%s", whyLate(late))
	}
	a.sayf("")
	for _, e := range v.Events {
		from := "opened as"
		if e.From != nil {
			from = *e.From + " to"
		}
		note := ""
		if e.Note != nil {
			note = ": " + *e.Note
		}
		a.sayf("%s  %s %s%s", e.At.UTC().Format(time.RFC3339), from, e.To, note)
	}
	return nil
}

// whyLate is the reason in words.
func whyLate(l db.LateFlight) string {
	why := "its own period had been run"
	switch {
	case l.ClosesOn.IsZero():
	case l.RunAt == nil:
		why = fmt.Sprintf("its own closing date %s is before the billing start", l.ClosesOn)
	default:
		why = fmt.Sprintf("its own closing date %s had been run, at %s", l.ClosesOn, l.RunAt.UTC().Format(time.RFC3339))
	}
	return fmt.Sprintf("late: %s, flown on %s, saved at %s: %s", l.FlightID, l.FlownOn, l.SavedAt.UTC().Format(time.RFC3339), why)
}
