package db

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db/dbsqlc"
)

// BilledFlight is what the ledger has of a flight: the facts that it was priced
// from, the lines that it has, and the voided invoices for which it has not been
// billed again.
type BilledFlight struct {
	Flight   billing.Flight
	Declared map[string]billing.Declared
	LandedOn billing.Date     // its movement date
	Customer billing.Customer // who was billed last
	Voids    []Void

	revision int32
	lines    []billedLine
}

// billedLine is a line that a flight has.
type billedLine struct {
	customer billing.Customer
	charge   billing.Charge
}

// Payer says who pays for a flight that was billed before.
type Payer string

const (
	// PayerBilled is who was billed last.
	PayerBilled Payer = "billed"
	// PayerRegister is whom customer_aircraft and customer_operators have for its date.
	PayerRegister Payer = "register"
)

// ParsePayer reads a payer by its name.
func ParsePayer(s string) (Payer, error) {
	switch p := Payer(s); p {
	case PayerBilled, PayerRegister:
		return p, nil
	}
	return "", fmt.Errorf("payer %q is not known: write billed, for who was billed before, or register, for the customer that aircraft and operator have on the flight's date", s)
}

// Void is a voided invoice of a flight.
type Void struct {
	Currency   string
	Rebill     bool // asked for
	Payer      Payer
	Number     string
	CreditNote string
}

// ReadBilledFlight reads what the ledger has of a flight; nil where it was never
// billed. The revision is read first: what is read after it may be newer, and
// AdjustFlight then says so.
func ReadBilledFlight(ctx context.Context, db dbsqlc.DBTX, id string) (*BilledFlight, error) {
	q := dbsqlc.New(db)
	row, err := q.BilledFlightGet(ctx, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil //nolint:nilnil // not an error
	}
	if err != nil {
		return nil, fmt.Errorf("read flight %s in the ledger: %w", id, err)
	}
	billed := &BilledFlight{LandedOn: row.LandedOn, revision: row.Revision,
		Customer: *customerOf(row.CustomerID, row.Customer, row.Name, row.BillingFrequency, row.WeekEndsOn)}
	if err := errors.Join(json.Unmarshal(row.Facts, &billed.Flight), json.Unmarshal(row.Declared, &billed.Declared)); err != nil {
		return nil, fmt.Errorf("read the facts of flight %s in the ledger: %w", id, err)
	}
	billed.Flight.ID = id
	voids, err := q.VoidedFlightList(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("look for voided invoices of flight %s: %w", id, err)
	}
	for _, v := range voids {
		billed.Voids = append(billed.Voids, Void{v.Currency, v.Rebill, Payer(v.Payer), text(v.Number), text(v.CreditNote)})
	}
	lines, err := q.BilledFlightCharges(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("read the charges of flight %s: %w", id, err)
	}
	for _, l := range lines {
		line := billedLine{*customerOf(l.CustomerID, l.Customer, l.Name, l.BillingFrequency, l.WeekEndsOn), billing.Charge{
			TariffID: l.TariffID, Code: l.Code, Description: l.Description, Quantity: l.Quantity, UnitRate: l.UnitRate,
			Amount: l.Amount, TaxRate: l.TaxRate, TaxAmount: l.TaxAmount, TaxCategory: billing.TaxCategory(l.TaxCategory), Currency: l.Currency,
		}}
		if l.Detail != nil {
			if err := json.Unmarshal(l.Detail, &line.charge.Detail); err != nil {
				return nil, fmt.Errorf("read the detail of %s of flight %s: %w", l.Code, id, err)
			}
		}
		billed.lines = append(billed.lines, line)
	}
	return billed, nil
}

// BilledFlights returns the next flights in the ledger after an id, as they were billed:
// those that landed from one day to another, of which no date is no bound. One whose
// invoice was voided and that was not billed again is left out.
func BilledFlights(ctx context.Context, db dbsqlc.DBTX, after string, from, to billing.Date, most int) ([]billing.Flight, error) {
	rows, err := dbsqlc.New(db).BilledFlightPage(ctx, dbsqlc.BilledFlightPageParams{
		After: after, FromDate: from, ToDate: to, Page: int32(most), //nolint:gosec // a page is small
	})
	if err != nil {
		return nil, fmt.Errorf("read the ledger after flight %q: %w", after, err)
	}
	flights := make([]billing.Flight, len(rows))
	for i, row := range rows {
		if err := json.Unmarshal(row.Facts, &flights[i]); err != nil {
			return nil, fmt.Errorf("read the facts of flight %s in the ledger: %w", row.FlightID, err)
		}
		flights[i].ID = row.FlightID
	}
	return flights, nil
}

// RebillAsked reports whether an invoice of the flight was voided with
// re-billing that has not been done yet.
func (f *BilledFlight) RebillAsked() bool {
	return slices.ContainsFunc(f.Voids, func(v Void) bool { return v.Rebill })
}

// RebillPayer is who is to pay when it is billed again: of several invoices that were
// voided with re-billing, the one voided last counts.
func (f *BilledFlight) RebillPayer() Payer {
	for _, v := range slices.Backward(f.Voids) {
		if v.Rebill {
			return v.Payer
		}
	}
	return PayerBilled
}

// SamePayer reports whether other facts name the payer that these do: they are of the
// same aircraft, operator and day.
func (f *BilledFlight) SamePayer(other billing.Flight, landedOn billing.Date) bool {
	return f.LandedOn == landedOn && billing.SameCode(f.Flight.Registration, other.Registration) && billing.SameCode(f.Flight.Operator, other.Operator)
}

// Rebilled returns what to add to bring a voided flight to a new price. Only
// what was voided with re-billing is billed again, in its currency; a currency
// in which the flight never had a charge is one into which the price has moved.
func (f *BilledFlight) Rebilled(bill Bill) Adjustment {
	return f.adjustment(bill, "rebilled", func(currency string) bool {
		asked := slices.ContainsFunc(f.Voids, func(v Void) bool { return v.Rebill && v.Currency == currency })
		charged := slices.ContainsFunc(f.lines, func(l billedLine) bool { return l.charge.Currency == currency })
		return asked || !charged
	})
}

// Corrected returns what to add to bring a flight to the price of other facts.
func (f *BilledFlight) Corrected(bill Bill) Adjustment {
	return f.adjustment(bill, "correction", func(string) bool { return true })
}

// Adjustment is what changes about a flight that was billed before.
type Adjustment struct {
	Lines []AdjustmentLine

	origin string
	bill   Bill
	billed *BilledFlight
}

// AdjustmentLine is a charge, and where it goes.
type AdjustmentLine struct {
	Charge   billing.Charge
	Customer billing.Customer
	ClosesOn billing.Date // no date: billed per flight
	FlownOn  billing.Date

	reversed bool // it takes back what stands
}

// FactsDiffer reports whether the ledger has other facts, of source or registers, or another payer, than
// the adjustment was made from.
func (a *Adjustment) FactsDiffer() (bool, error) {
	same, err := SameFacts(a.billed.Flight, a.bill.Flight)
	same = same && maps.EqualFunc(a.billed.Declared, a.bill.Declared, func(was, is billing.Declared) bool {
		return was.From == is.From && was.Value.Equal(is.Value)
	})
	return !same || a.bill.Customer.ID != a.billed.Customer.ID || a.bill.LandedOn != a.billed.LandedOn, err
}

// SameFacts reports whether two flights have the same facts, numbers by their value.
func SameFacts(a, b billing.Flight) (bool, error) {
	one, err := json.Marshal(a)
	if err != nil {
		return false, err
	}
	other, err := json.Marshal(b)
	return bytes.Equal(one, other), err
}

// adjustment compares payer by payer: what one has been charged for a flight
// that another pays for now is taken back from the first.
func (f *BilledFlight) adjustment(bill Bill, origin string, concerns func(currency string) bool) Adjustment {
	payers := []billing.Customer{bill.Customer}
	standing := map[int64][]billing.Charge{}
	for _, l := range f.lines {
		if !concerns(l.charge.Currency) {
			continue
		}
		if !slices.ContainsFunc(payers, func(c billing.Customer) bool { return c.ID == l.customer.ID }) {
			payers = append(payers, l.customer)
		}
		standing[l.customer.ID] = append(standing[l.customer.ID], l.charge)
	}
	slices.SortFunc(payers, func(x, y billing.Customer) int { return cmp.Compare(x.ID, y.ID) })

	a := Adjustment{origin: origin, bill: bill, billed: f}
	for _, payer := range payers {
		var now []billing.Charge
		landedOn := f.LandedOn
		if payer.ID == bill.Customer.ID {
			now = slices.DeleteFunc(slices.Clone(bill.Charges), func(c billing.Charge) bool { return !concerns(c.Currency) })
			landedOn = bill.LandedOn
		}
		closesOn, _ := bill.Book.Calendar.Period(payer, landedOn, bill.Book.Cutoff)
		reversed, added := billing.Difference(standing[payer.ID], now)
		for _, c := range reversed {
			a.Lines = append(a.Lines, AdjustmentLine{c, payer, closesOn, f.LandedOn, true})
		}
		for _, c := range added {
			a.Lines = append(a.Lines, AdjustmentLine{c, payer, closesOn, bill.LandedOn, false})
		}
	}
	return a
}

// AdjustFlight saves an adjustment, in one transaction and one round trip, and
// completes its job where there is one. Stale and Changed mean that nothing was
// changed: read the flight and price it again.
func AdjustFlight(ctx context.Context, db dbsqlc.DBTX, job *Job, a Adjustment, now time.Time) (Outcome, error) {
	id := a.bill.Flight.ID
	facts, declared, err := a.bill.encode()
	if err != nil {
		return "", err
	}
	lines, err := json.Marshal(flightLines(a.Lines))
	if err != nil {
		return "", fmt.Errorf("encode the lines of flight %s: %w", id, err)
	}
	book := a.bill.Book
	params := dbsqlc.FlightAdjustParams{
		PriceBookVersion: book.Version, Cutoff: book.Cutoff,
		FlightID: id, Revision: a.billed.revision, CustomerID: a.bill.Customer.ID, LandedOn: a.bill.LandedOn, Facts: facts, Declared: declared,
		Origin: a.origin, At: now, Today: billing.DateOf(now, book.Calendar.Location), Lines: lines,
	}
	if job != nil {
		attempt := int16(job.Attempt) //nolint:gosec // River's column is a smallint
		params.JobID, params.JobAttempt, params.JobAttemptedAt, params.JobClient = &job.ID, &attempt, &job.AttemptedAt, &job.Client
	}
	outcome, err := dbsqlc.New(db).FlightAdjust(ctx, params)
	if err != nil {
		return "", saveError([]Save{{Bill: a.bill}}, err)
	}
	return Outcome(outcome), nil
}

// flightLine is a line as the SQL type flight_line has it. Decimals go as text, so
// that they arrive as they are; money with all decimals of its currency.
type flightLine struct {
	CustomerID  int64           `json:"customer_id"`
	ClosesOn    billing.Date    `json:"closes_on,omitzero"`
	TariffID    int64           `json:"tariff_id"`
	Code        string          `json:"code"`
	Description string          `json:"description"`
	Quantity    decimal.Decimal `json:"quantity"`
	UnitRate    decimal.Decimal `json:"unit_rate"`
	Amount      string          `json:"amount"`
	TaxRate     decimal.Decimal `json:"tax_rate"`
	TaxAmount   string          `json:"tax_amount"`
	Currency    string          `json:"currency"`
	FlownOn     billing.Date    `json:"flown_on"`
	Detail      []billing.Step  `json:"detail,omitempty"`

	TaxCategory billing.TaxCategory `json:"tax_category"`
	Reversed    bool                `json:"reversed"`
}

func flightLines(adjusted []AdjustmentLine) []flightLine {
	lines := make([]flightLine, len(adjusted))
	for i, l := range adjusted {
		c := l.Charge
		places, _ := billing.MinorUnits(c.Currency) // charged before, or billing.Price knows it
		lines[i] = flightLine{
			l.Customer.ID, l.ClosesOn, c.TariffID, c.Code, c.Description, c.Quantity, c.UnitRate,
			c.Amount.StringFixed(places), c.TaxRate, c.TaxAmount.StringFixed(places), c.Currency, l.FlownOn, c.Detail,
			c.TaxCategory, l.reversed,
		}
	}
	return lines
}
