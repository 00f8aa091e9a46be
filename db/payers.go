package db

import (
	"context"
	"slices"
	"sync"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db/dbsqlc"
)

const (
	// maxReadPayers is up to how many aircraft and operators, in all, a PriceBook is
	// read with: few enough that customers may change often.
	maxReadPayers = 2_000
	// maxKnownPayers bounds how many of each it remembers the payers of where there
	// are more.
	maxKnownPayers = 20_000
)

// payers are who pays, as far as that is known. Books of one version share them.
type payers struct {
	mu         sync.Mutex
	byAircraft map[string][]payer // by billing.CodeForm; known and empty: nobody's
	byOperator map[string][]payer
	all        bool // what is not there is nobody's
}

// payer is who pays for an aircraft or an operator, and when.
type payer struct {
	customer *billing.Customer
	validity billing.Validity
}

// readPayers reads who pays for what, or leaves it to be asked for where that is much.
func readPayers(ctx context.Context, q *dbsqlc.Queries) (*payers, error) {
	p := &payers{byAircraft: map[string][]payer{}, byOperator: map[string][]payer{}}
	rows, err := q.PayerList(ctx, maxReadPayers+1)
	if err != nil || len(rows) > maxReadPayers {
		return p, err
	}
	for _, row := range rows {
		known := p.known(row.IsAircraft)
		known[row.Form] = append(known[row.Form], payer{
			customerOf(row.ID, row.Code, row.Name, row.BillingFrequency, row.WeekEndsOn), billing.Validity{From: row.ValidFrom, To: row.ValidTo},
		})
	}
	p.all = true
	return p, nil
}

func customerOf(id int64, code, name, frequency string, weekEndsOn int32) *billing.Customer {
	return &billing.Customer{ID: id, Code: code, Name: name, Frequency: billing.Frequency(frequency), WeekEndsOn: int(weekEndsOn)}
}

func (p *payers) known(aircraft bool) map[string][]payer {
	if aircraft {
		return p.byAircraft
	}
	return p.byOperator
}

// of returns who pays for a flight that landed on a day, nil for nobody: by its aircraft
// first, else by its operator. It is known unless the database must be asked.
func (p *payers) of(f billing.Flight, landedOn billing.Date) (customer *billing.Customer, known bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	customer, known = p.payerOf(f.Registration, true, landedOn)
	if customer != nil || !known {
		return customer, known
	}
	return p.payerOf(f.Operator, false, landedOn)
}

func (p *payers) payerOf(code string, aircraft bool, day billing.Date) (customer *billing.Customer, known bool) {
	form := billing.CodeForm(code)
	payers, known := p.known(aircraft)[form]
	for _, payer := range payers {
		if payer.validity.Holds(day) {
			return payer.customer, true
		}
	}
	return nil, known || p.all || form == ""
}

// ask asks for the payers of aircraft and operators, given by their forms, and remembers
// them.
func (p *payers) ask(ctx context.Context, q *dbsqlc.Queries, version int64, registrations, operators []string) error {
	rows, err := q.PayerListOf(ctx, dbsqlc.PayerListOfParams{Registrations: registrations, Operators: operators})
	if err != nil {
		return err
	}
	if slices.ContainsFunc(rows, func(row dbsqlc.PayerListOfRow) bool { return row.Version != version }) {
		return errBookChanged
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, known := range []map[string][]payer{p.byAircraft, p.byOperator} {
		if len(known) >= maxKnownPayers {
			clear(known)
		}
	}
	for _, form := range registrations {
		p.byAircraft[form] = nil
	}
	for _, form := range operators {
		p.byOperator[form] = nil
	}
	for _, row := range rows {
		if row.ID != 0 {
			known := p.known(row.IsAircraft)
			known[row.Form] = append(known[row.Form], payer{
				customerOf(row.ID, row.Code, row.Name, row.BillingFrequency, row.WeekEndsOn), billing.Validity{From: row.ValidFrom, To: row.ValidTo},
			})
		}
	}
	return nil
}
