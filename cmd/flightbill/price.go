package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/shopspring/decimal"
	"github.com/spf13/cobra"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/jobs"
)

func (a *app) newPriceCommand() *cobra.Command {
	var asJSON, all bool
	var customer string
	cmd := &cobra.Command{
		Use: "price FLIGHT_ID [--customer CODE] [--all]", Short: "Show what a flight would be billed now, step by step, and what it was billed; changes nothing",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !db.ValidFlightID(args[0]) {
				return usageError{fmt.Errorf("%q is not a flight id", args[0])}
			}
			return a.withDatabase(cmd.Context(), func(pool *pgxpool.Pool) error {
				return a.explainPrice(cmd.Context(), pool, args[0], customer, all, asJSON)
			})
		},
	}
	cmd.Flags().StringVar(&customer, "customer", "", "who is to pay, by code (default: the customer that has the flight's aircraft or operator)")
	cmd.Flags().BoolVar(&all, "all", false, "also tariffs of other customers and other airports")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (a *app) explainPrice(ctx context.Context, pool *pgxpool.Pool, id, customer string, all, asJSON bool) error {
	source, closeSource, err := a.openSource(ctx, pool)
	if err != nil {
		return err
	}
	defer closeSource()
	var payer *billing.Customer
	if customer != "" {
		found, err := db.ReadCustomer(ctx, pool, customer)
		if err != nil {
			return fmt.Errorf("--customer: %w", err)
		}
		payer = &found
	}
	books := db.NewPriceBooks(pool)
	books.RegisterFirst = a.config.RegisterFirst
	explainer := jobs.Explainer{Pool: pool, Books: books, Source: source, Bounds: a.config.Bounds, Now: a.now}
	found, err := explainer.Explain(ctx, id, payer)
	if err != nil {
		return err
	}
	view := newPriceView(id, found, all)
	if asJSON {
		return printJSON(a.stdout, view)
	}
	return a.printPrice(view)
}

// priceView is what a flight would be billed, and what it was.
type priceView struct {
	FlightID  string          `json:"flight_id"`
	Flight    *billing.Flight `json:"flight"` // as the flight source has it; null: it was not read, or has not moved
	MovedOn   billing.Date    `json:"moved_on"`
	Customer  string          `json:"customer"`
	StoppedBy billing.Reason  `json:"stopped_by"` // empty: it would be billed
	Waits     bool            `json:"waits"`      // for what stops it, and is looked at again
	Message   string          `json:"message"`
	Tariffs   []tariffView    `json:"tariffs"`
	Totals    []totalView     `json:"totals"` // of what it would be billed
	Ledger    *ledgerView     `json:"ledger"` // null: it was never billed
}

// tariffView is what a tariff comes to.
type tariffView struct {
	TariffID    int64            `json:"tariff_id"`
	Code        string           `json:"code"`
	Description string           `json:"description"`
	Currency    string           `json:"currency"`
	Why         string           `json:"why"` // it makes no charge
	Quantity    *decimal.Decimal `json:"quantity,omitempty"`
	UnitRate    *decimal.Decimal `json:"unit_rate,omitempty"`
	Amount      *decimal.Decimal `json:"amount,omitempty"`
	TaxRate     *decimal.Decimal `json:"tax_rate,omitempty"`
	TaxAmount   *decimal.Decimal `json:"tax_amount,omitempty"`
	Detail      []billing.Step   `json:"detail,omitempty"`
}

type totalView struct {
	Currency string          `json:"currency"`
	Subtotal decimal.Decimal `json:"subtotal"`
	Tax      decimal.Decimal `json:"tax"`
	Total    decimal.Decimal `json:"total"`
}

// ledgerView is what a flight was billed.
type ledgerView struct {
	Customer string           `json:"customer"`
	MovedOn  billing.Date     `json:"moved_on"`
	Flight   billing.Flight   `json:"flight"` // as it was billed
	Charges  []ledgerLineView `json:"charges"`
	Totals   []totalView      `json:"totals"`
	Voided   []string         `json:"voided"`  // invoices for which it was not billed again
	Differs  bool             `json:"differs"` // from what it would be billed now
}

type ledgerLineView struct {
	chargeView

	InvoiceID int64   `json:"invoice_id"`
	Number    *string `json:"number"`
	Status    string  `json:"status"`
	Customer  string  `json:"customer"`
	Currency  string  `json:"currency"`
}

func newPriceView(id string, found *jobs.Explanation, all bool) *priceView {
	v := &priceView{FlightID: id, Tariffs: []tariffView{}}
	if said := found.Refusal; said != nil {
		v.StoppedBy, v.Waits, v.Message = said.Reason, said.Kind == billing.NotYet, said.Error()
	}
	if c := found.Case; c != nil {
		v.Flight, v.MovedOn, v.Customer = &c.Flight, c.MovedOn, c.Customer.Code
	}
	for _, t := range found.Tariffs {
		if all || !t.Other || t.Charge != nil {
			v.Tariffs = append(v.Tariffs, newTariffView(t))
		}
	}
	v.Totals = []totalView{}
	for _, c := range found.Charges {
		v.Totals = addTo(v.Totals, c.Currency, c.Amount, c.TaxAmount)
	}
	v.Ledger = newLedgerView(found)
	return v
}

func newTariffView(t billing.Explanation) tariffView {
	v := tariffView{
		TariffID: t.Tariff.ID, Code: t.Tariff.Code, Description: t.Tariff.Description, Currency: t.Tariff.Currency, Why: t.Why, Detail: t.Detail,
	}
	if c := t.Charge; c != nil {
		v.Quantity, v.UnitRate, v.Amount, v.TaxRate, v.TaxAmount, v.Detail = &c.Quantity, &c.UnitRate, &c.Amount, &c.TaxRate, &c.TaxAmount, c.Detail
	}
	return v
}

func newLedgerView(found *jobs.Explanation) *ledgerView {
	billed := found.Billed
	if billed == nil {
		return nil
	}
	v := &ledgerView{
		Customer: billed.Customer.Code, MovedOn: billed.LandedOn, Flight: billed.Flight, Charges: []ledgerLineView{}, Totals: []totalView{}, Voided: []string{}, Differs: found.Differs,
	}
	for _, c := range found.Lines {
		charge := chargeView{c.FlightID, c.FlownOn, c.Code, c.Description, c.Quantity, c.UnitRate, c.Amount, c.TaxRate, c.TaxAmount, c.Late, c.Origin, c.Detail}
		v.Charges = append(v.Charges, ledgerLineView{charge, c.InvoiceID, c.Number, c.Status, c.Customer, c.Currency})
		v.Totals = addTo(v.Totals, c.Currency, c.Amount, c.TaxAmount)
	}
	for _, void := range billed.Voids {
		v.Voided = append(v.Voided, void.Number)
	}
	return v
}

// addTo adds an amount to the sums by currency.
func addTo(sums []totalView, currency string, amount, tax decimal.Decimal) []totalView {
	for i := range sums {
		if of := &sums[i]; of.Currency == currency {
			of.Subtotal, of.Tax, of.Total = of.Subtotal.Add(amount), of.Tax.Add(tax), of.Total.Add(amount).Add(tax)
			return sums
		}
	}
	return append(sums, totalView{currency, amount, tax, amount.Add(tax)})
}

func (a *app) printPrice(v *priceView) error {
	if v.Flight != nil {
		a.sayf("Flight    %s", describe(v.Flight))
		a.sayf("Customer  %s", orNone(v.Customer))
		a.sayf("Date      %s", v.MovedOn)
		a.sayf("")
		if err := a.printTariffs(v.Tariffs); err != nil {
			return err
		}
	}
	switch {
	case v.Waits:
		a.sayf("It waits: %s: %s", v.StoppedBy, v.Message)
	case v.StoppedBy != "":
		a.sayf("It is not billed: %s: %s", v.StoppedBy, v.Message)
	case len(v.Totals) == 0:
		a.sayf("It comes to no charge at all.")
	}
	a.printTotals(v.Totals)
	a.sayf("")
	return a.printLedger(v)
}

// printTariffs shows those that make a charge, and then those that make none.
func (a *app) printTariffs(tariffs []tariffView) error {
	var charges, below, none, belowNone [][]string
	for _, t := range tariffs {
		id := strconv.FormatInt(t.TariffID, 10)
		if t.Amount == nil {
			none = append(none, []string{t.Code, id, t.Why})
			belowNone = append(belowNone, stepLines(t.Detail))
			continue
		}
		charges = append(charges, []string{
			t.Code, id, t.Quantity.String(), t.UnitRate.String(), money(*t.Amount, t.Currency), t.TaxRate.String(), money(*t.TaxAmount, t.Currency), t.Currency, t.Description,
		})
		below = append(below, stepLines(t.Detail))
	}
	if charges != nil {
		if err := tableWithLines(a.stdout, []string{"CODE", ">TARIFF", ">QUANTITY", ">RATE", ">AMOUNT", ">TAX RATE", ">TAX", "CURRENCY", ""}, charges, below); err != nil {
			return err
		}
		a.sayf("")
	}
	if none == nil {
		return nil
	}
	if err := tableWithLines(a.stdout, []string{"CODE", ">TARIFF", "NO CHARGE, SINCE"}, none, belowNone); err != nil {
		return err
	}
	a.sayf("")
	return nil
}

func (a *app) printTotals(sums []totalView) {
	for _, t := range sums {
		a.sayf("Subtotal %s, tax %s, total %s %s", money(t.Subtotal, t.Currency), money(t.Tax, t.Currency), money(t.Total, t.Currency), t.Currency)
	}
}

// printLedger shows what the flight was billed. Of a charge that came about as the one that
// it would have now, the steps stand there.
func (a *app) printLedger(v *priceView) error {
	l := v.Ledger
	if l == nil {
		a.sayf("In the ledger: it has not been billed.")
		return nil
	}
	a.sayf("In the ledger: it was billed to %s, as of %s.", l.Customer, l.MovedOn)
	rows, below := make([][]string, len(l.Charges)), make([][]string, len(l.Charges))
	for i, c := range l.Charges {
		var origin string
		if c.Origin != nil {
			origin = *c.Origin
		}
		rows[i] = []string{
			c.Code, c.Quantity.String(), c.UnitRate.String(), money(c.Amount, c.Currency), money(c.TaxAmount, c.Currency), c.Currency, nameOf(c.Number, c.InvoiceID), c.Status, origin,
		}
		if !slices.ContainsFunc(v.Tariffs, func(t tariffView) bool { return t.Code == c.Code && slices.Equal(t.Detail, c.Detail) }) {
			below[i] = stepLines(c.Detail)
		}
	}
	if len(rows) > 0 {
		if err := tableWithLines(a.stdout, []string{"CODE", ">QUANTITY", ">RATE", ">AMOUNT", ">TAX", "CURRENCY", "INVOICE", "STATUS", ""}, rows, below); err != nil {
			return err
		}
	}
	a.printTotals(l.Totals)
	for _, number := range l.Voided {
		a.sayf("Invoice %s was voided, and it was not billed again; flightbill.rebill_invoice has that done.", number)
	}
	switch {
	case l.Differs && len(l.Voided) > 0:
		a.sayf("That is not what it would be billed now.")
	case l.Differs:
		a.sayf("That is not what it would be billed now; flightbill correct bills the difference.")
	}
	return nil
}

// describe names a flight by what it is.
func describe(f *billing.Flight) string {
	parts := []string{f.ID}
	if f.Movement != billing.Leg {
		parts = append(parts, string(f.Movement))
	}
	parts = append(parts, "from "+orNone(f.Origin)+" to "+orNone(f.Destination))
	for _, part := range [][2]string{{"aircraft", f.Registration}, {"type", f.AircraftType}, {"operator", f.Operator}} {
		if part[1] != "" {
			parts = append(parts, part[0]+" "+part[1])
		}
	}
	if at := f.MovedAt(); at != nil {
		parts = append(parts, "at "+at.UTC().Format(time.RFC3339))
	}
	return strings.Join(parts, ", ")
}

func orNone(text string) string {
	if text == "" {
		return "(unknown)"
	}
	return text
}
