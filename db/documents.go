package db

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db/dbsqlc"
	"github.com/flightbill/flightbill/document"
)

// ReadDocument reads an issued invoice or credit note as its customer gets it.
func ReadDocument(ctx context.Context, db dbsqlc.DBTX, number string) (*document.Invoice, error) {
	q := dbsqlc.New(db)
	row, err := q.DocumentGet(ctx, number)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, noDocument(ctx, q, number)
	}
	if err != nil {
		return nil, fmt.Errorf("read invoice %s: %w", number, err)
	}
	d := &document.Invoice{
		Number: row.Number, CreditNote: row.Kind == "credit_note", Currency: row.Currency, IssuedOn: row.IssuedOn, IssuedAt: row.IssuedAt,
		OutsideScope: row.OutsideScope, Reason: row.Reason, Subtotal: row.Subtotal, Tax: row.Tax, Total: row.Total,
		TaxCurrency: row.TaxCurrency,
	}
	if !d.CreditNote {
		d.DueOn = row.DueOn
	}
	if row.Credits != "" {
		d.Credits = &document.Reference{Number: row.Credits, IssuedOn: row.CreditsIssuedOn}
	}
	if row.TaxCurrencyRate.Valid {
		d.TaxCurrencyRate = &row.TaxCurrencyRate.Decimal
	}
	if err := errors.Join(json.Unmarshal(row.Issuer, &d.Issuer), json.Unmarshal(row.BillTo, &d.BillTo)); err != nil {
		return nil, fmt.Errorf("read the parties of invoice %s: %w", number, err)
	}
	d.Issuer.Logo = row.Logo
	d.BillTo.Code = cmp.Or(d.BillTo.Code, row.Customer)
	d.BillTo.Name = cmp.Or(d.BillTo.Name, row.BillToName)
	d.BillTo.BuyerReference = cmp.Or(d.BillTo.BuyerReference, d.BillTo.Code)
	d.BillTo.Language = cmp.Or(d.BillTo.Language, d.Issuer.Language, "en")

	taxes, err := q.DocumentTaxes(ctx, row.ID)
	if err != nil {
		return nil, fmt.Errorf("read the taxes of invoice %s: %w", number, err)
	}
	for _, t := range taxes {
		d.Taxes = append(d.Taxes, document.Tax{Category: billing.TaxCategory(t.Category), Rate: t.Rate, Base: t.Base, Tax: t.Tax, Reason: t.Reason})
	}
	charges, err := q.DocumentCharges(ctx, row.ID)
	if err != nil {
		return nil, fmt.Errorf("read the charges of invoice %s: %w", number, err)
	}
	addCharges(d, charges)
	return d, nil
}

// noDocument says why an invoice cannot be read.
func noDocument(ctx context.Context, q *dbsqlc.Queries, number string) error {
	if id, err := strconv.ParseInt(number, 10, 64); err == nil {
		if _, err := q.InvoiceGet(ctx, dbsqlc.InvoiceGetParams{ID: &id}); err == nil {
			return fmt.Errorf("%s is a draft, or the id of an invoice: a draft is no invoice yet, and an invoice goes by its number; flightbill invoices list shows both", number)
		}
	}
	return fmt.Errorf("invoice %q is not known; flightbill invoices list shows the numbers", number)
}

// lineKey is what the charges of one line have in common.
type lineKey struct {
	tariffID                    int64
	code, description, unitCode string
	unitRate, taxRate           string
	category, reason            string
	correction, below           bool // below 0 apart: a sum may have no quantity and an amount
}

// addCharges adds the charges of an invoice, and the lines that they make.
func addCharges(d *document.Invoice, charges []dbsqlc.DocumentChargesRow) {
	usual := 1 // the sign of an amount that is no correction
	if d.CreditNote {
		usual = -1
	}
	d.Charges = make([]document.Charge, len(charges))
	lines := map[lineKey]*document.Line{}
	for i, c := range charges {
		correction := c.Correction || c.Amount.Sign() == -usual
		category := billing.TaxCategory(c.TaxCategory)
		d.Charges[i] = document.Charge{
			FlightID: c.FlightID, FlownOn: c.FlownOn, Registration: c.Registration, Callsign: c.Callsign, Origin: c.Origin, Destination: c.Destination,
			Code: c.Code, Description: c.Description, UnitCode: c.UnitCode, Quantity: c.Quantity, UnitRate: c.UnitRate, Amount: c.Amount,
			TaxCategory: category, TaxRate: c.TaxRate, Late: c.Late, Correction: correction,
		}
		if i == 0 {
			d.From = c.FlownOn
		}
		d.To = c.FlownOn // they come by day

		key := lineKey{
			c.TariffID, c.Code, c.Description, c.UnitCode, c.UnitRate.String(), c.TaxRate.String(), c.TaxCategory, c.TaxReason,
			correction, c.Amount.IsNegative(),
		}
		line := lines[key]
		if line == nil {
			line = &document.Line{
				Code: c.Code, Description: c.Description, UnitCode: c.UnitCode, UnitRate: c.UnitRate,
				TaxCategory: category, TaxRate: c.TaxRate, TaxReason: c.TaxReason, Correction: correction,
			}
			lines[key] = line
		}
		line.Quantity, line.Amount, line.Charges = line.Quantity.Add(c.Quantity), line.Amount.Add(c.Amount), line.Charges+1
	}
	for _, line := range lines {
		d.Lines = append(d.Lines, *line)
	}
	slices.SortFunc(d.Lines, compareLines)
}

// compareLines sorts by what is read first, and then by all that sets two lines apart.
func compareLines(a, b document.Line) int {
	return cmp.Or(
		compareBool(a.Correction, b.Correction), strings.Compare(a.Description, b.Description), strings.Compare(a.Code, b.Code),
		a.UnitRate.Cmp(b.UnitRate), strings.Compare(a.UnitCode, b.UnitCode),
		strings.Compare(string(a.TaxCategory), string(b.TaxCategory)), b.TaxRate.Cmp(a.TaxRate), strings.Compare(a.TaxReason, b.TaxReason),
		a.Amount.Cmp(b.Amount), a.Quantity.Cmp(b.Quantity), cmp.Compare(a.Charges, b.Charges),
	)
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}
