package imports

import (
	"context"

	"github.com/flightbill/flightbill/db/dbsqlc"
)

// holding is one of the two kinds of things that a customer has several of and
// that belong to one customer only: operators and aircraft.
type holding struct {
	column string
	of     func(customerRow) []string
	list   func(ctx context.Context, values []string, customerIDs []int64) ([]owner, error) // these values, and all of these customers
	remove func(ctx context.Context, values []string) error
	add    func(ctx context.Context, h holdings) error
}

type owner struct {
	value      string
	customerID int64
	customer   string // code
}

// holdings says value by value whom it belongs to.
type holdings struct {
	values      []string
	customerIDs []int64
}

func operatorHolding(q *dbsqlc.Queries) holding {
	return holding{
		column: "operators",
		of:     func(r customerRow) []string { return r.operators },
		list: func(ctx context.Context, values []string, customerIDs []int64) ([]owner, error) {
			rows, err := q.CustomerOperatorListForImport(ctx, dbsqlc.CustomerOperatorListForImportParams{Operators: values, CustomerIds: customerIDs})
			owners := make([]owner, len(rows))
			for i, r := range rows {
				owners[i] = owner{r.Operator, r.CustomerID, r.Customer}
			}
			return owners, err
		},
		remove: q.CustomerOperatorDeleteMany,
		add: func(ctx context.Context, h holdings) error {
			return q.CustomerOperatorInsertMany(ctx, dbsqlc.CustomerOperatorInsertManyParams{Operators: h.values, CustomerIds: h.customerIDs})
		},
	}
}

func aircraftHolding(q *dbsqlc.Queries) holding {
	return holding{
		column: "aircraft",
		of:     func(r customerRow) []string { return r.aircraft },
		list: func(ctx context.Context, values []string, customerIDs []int64) ([]owner, error) {
			rows, err := q.CustomerAircraftListForImport(ctx, dbsqlc.CustomerAircraftListForImportParams{Registrations: values, CustomerIds: customerIDs})
			owners := make([]owner, len(rows))
			for i, r := range rows {
				owners[i] = owner{r.Registration, r.CustomerID, r.Customer}
			}
			return owners, err
		},
		remove: q.CustomerAircraftDeleteMany,
		add: func(ctx context.Context, h holdings) error {
			return q.CustomerAircraftInsertMany(ctx, dbsqlc.CustomerAircraftInsertManyParams{Registrations: h.values, CustomerIds: h.customerIDs})
		},
	}
}
