package db

import (
	"context"
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
	byAircraft map[string]*billing.Customer // by registration; nil: the operator pays
	byOperator map[string]*billing.Customer
	all        bool // an aircraft that is not there has no payer of its own
}

// readPayers reads who pays for what, or leaves it to be asked for where that is much.
func readPayers(ctx context.Context, q *dbsqlc.Queries) (*payers, error) {
	p := &payers{byAircraft: map[string]*billing.Customer{}, byOperator: map[string]*billing.Customer{}}
	rows, err := q.PayerList(ctx, maxReadPayers+1)
	if err != nil || len(rows) > maxReadPayers {
		return p, err
	}
	for _, row := range rows {
		payer := customerOf(row.ID, row.Code, row.Name, row.BillingFrequency, row.WeekEndsOn)
		if row.IsAircraft {
			p.byAircraft[row.PaysFor] = payer
		} else {
			p.byOperator[row.PaysFor] = payer
		}
	}
	p.all = true
	return p, nil
}

func customerOf(id int64, code, name, frequency string, weekEndsOn int32) *billing.Customer {
	return &billing.Customer{ID: id, Code: code, Name: name, Frequency: billing.Frequency(frequency), WeekEndsOn: int(weekEndsOn)}
}

// of returns who is known to pay for a flight, nil where the database must be asked.
func (p *payers) of(f billing.Flight) *billing.Customer {
	p.mu.Lock()
	defer p.mu.Unlock()
	payer, known := p.byAircraft[f.Registration]
	if payer == nil && (known || p.all) {
		return p.byOperator[f.Operator]
	}
	return payer
}

func (p *payers) remember(f billing.Flight, payer *billing.Customer, byAircraft bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, known := range []map[string]*billing.Customer{p.byAircraft, p.byOperator} {
		if len(known) >= maxKnownPayers {
			clear(known)
		}
	}
	if byAircraft {
		p.byAircraft[f.Registration] = payer
		return
	}
	p.byAircraft[f.Registration] = nil
	p.byOperator[f.Operator] = payer
}
