package imports

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db/dbsqlc"
)

// held is an operator or an aircraft of a customer, and the days on which it is.
type held struct {
	code     string // as it is written
	validity billing.Validity
}

const expectedHeld = "write G-OWN, or with the days on which it is this customer's G-OWN@2025-01-01..2026-04-01: " +
	"the first day, and the first on which it no longer is; either may be left out"

// parseHeld reads a word of a list: CODE, or CODE@FROM..TO.
func parseHeld(word string) (held, error) {
	code, days, dated := strings.Cut(word, "@")
	h := held{code: billing.CleanText(code)}
	if h.code == "" {
		return h, fmt.Errorf("it names none: %s", expectedHeld)
	}
	if !dated {
		return h, nil
	}
	from, to, ok := strings.Cut(days, "..")
	if !ok || days == ".." {
		return h, fmt.Errorf("its days are missing: %s", expectedHeld)
	}
	for _, end := range []struct {
		text string
		day  *billing.Date
	}{{from, &h.validity.From}, {to, &h.validity.To}} {
		if end.text == "" {
			continue
		}
		day, err := billing.ParseDate(end.text)
		if err != nil {
			return h, err
		}
		*end.day = day
	}
	if !h.validity.To.IsZero() && !h.validity.From.Before(h.validity.To) {
		return h, fmt.Errorf("it ends before it begins: %s", expectedHeld)
	}
	return h, nil
}

// String writes a word that parseHeld reads.
func (h held) String() string {
	if h.validity == (billing.Validity{}) {
		return h.code
	}
	return h.code + "@" + dayOrNothing(h.validity.From) + ".." + dayOrNothing(h.validity.To)
}

func dayOrNothing(d billing.Date) string {
	if d.IsZero() {
		return ""
	}
	return d.String()
}

// overlaps reports whether both are the same operator or aircraft on some day.
func (h held) overlaps(other held) bool {
	return billing.SameCode(h.code, other.code) && h.validity.Overlaps(other.validity)
}

// list returns the operators or aircraft in a cell, sorted; nil where the file does not
// have the column.
func (f *csvFile) list(column string) []held {
	if !f.has(column) {
		return nil
	}
	list := []held{}
	cell := f.cell(column)
	for word := range strings.FieldsSeq(cell) {
		if code, _, _ := strings.Cut(word, "@"); strings.ContainsAny(code, separators) {
			f.wrong(column, "write spaces between several: "+strings.Join(strings.FieldsFunc(cell, func(r rune) bool {
				return unicode.IsSpace(r) || strings.ContainsRune(separators, r)
			}), " "))
			return nil
		}
		h, err := parseHeld(word)
		if err != nil {
			f.problemf(f.line, "column %s: %s is not usable: %w", column, shown(word), err)
			continue
		}
		if !slices.Contains(list, h) {
			list = append(list, h)
		}
	}
	slices.SortFunc(list, func(a, b held) int {
		return cmp.Or(cmp.Compare(a.code, b.code), a.validity.From.Compare(b.validity.From))
	})
	return list
}

// holding is one of the two kinds of things that a customer has several of and
// that belong to one customer only: operators and aircraft.
type holding struct {
	column string
	of     func(customerRow) []held
	list   func(ctx context.Context, forms []string, customerIDs []int64) ([]owned, error) // these, and all of these customers
	remove func(ctx context.Context, ids []int64) error
	add    func(ctx context.Context, h holdings) error
}

// owned is one that the database has.
type owned struct {
	id int64
	held
	customerID int64
	customer   string // code
}

// holdings says one by one whom they belong to, and when.
type holdings struct {
	codes       []string
	customerIDs []int64
	from, to    []string
}

func (h *holdings) append(one held, customerID int64) {
	h.codes = append(h.codes, one.code)
	h.customerIDs = append(h.customerIDs, customerID)
	h.from = append(h.from, dayOrNothing(one.validity.From))
	h.to = append(h.to, dayOrNothing(one.validity.To))
}

func operatorHolding(q *dbsqlc.Queries) holding {
	return holding{
		column: "operators",
		of:     func(r customerRow) []held { return r.operators },
		list: func(ctx context.Context, forms []string, customerIDs []int64) ([]owned, error) {
			rows, err := q.CustomerOperatorListForImport(ctx, dbsqlc.CustomerOperatorListForImportParams{Forms: forms, CustomerIds: customerIDs})
			list := make([]owned, len(rows))
			for i, r := range rows {
				list[i] = owned{r.ID, held{r.Operator, billing.Validity{From: r.ValidFrom, To: r.ValidTo}}, r.CustomerID, r.Customer}
			}
			return list, err
		},
		remove: q.CustomerOperatorDeleteMany,
		add: func(ctx context.Context, h holdings) error {
			return q.CustomerOperatorInsertMany(ctx, dbsqlc.CustomerOperatorInsertManyParams{
				Operators: h.codes, CustomerIds: h.customerIDs, ValidFroms: h.from, ValidTos: h.to,
			})
		},
	}
}

func aircraftHolding(q *dbsqlc.Queries) holding {
	return holding{
		column: "aircraft",
		of:     func(r customerRow) []held { return r.aircraft },
		list: func(ctx context.Context, forms []string, customerIDs []int64) ([]owned, error) {
			rows, err := q.CustomerAircraftListForImport(ctx, dbsqlc.CustomerAircraftListForImportParams{Forms: forms, CustomerIds: customerIDs})
			list := make([]owned, len(rows))
			for i, r := range rows {
				list[i] = owned{r.ID, held{r.Registration, billing.Validity{From: r.ValidFrom, To: r.ValidTo}}, r.CustomerID, r.Customer}
			}
			return list, err
		},
		remove: q.CustomerAircraftDeleteMany,
		add: func(ctx context.Context, h holdings) error {
			return q.CustomerAircraftInsertMany(ctx, dbsqlc.CustomerAircraftInsertManyParams{
				Registrations: h.codes, CustomerIds: h.customerIDs, ValidFroms: h.from, ValidTos: h.to,
			})
		},
	}
}
