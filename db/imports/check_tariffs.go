package imports

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flightbill/flightbill/billing"
)

// TariffChange is a tariff that an import adds or changes.
type TariffChange struct {
	Line      int            `json:"line"`
	Code      string         `json:"code"`
	Airport   string         `json:"airport"`
	AppliesTo string         `json:"applies_to"`
	Customer  string         `json:"customer"`
	ValidFrom billing.Date   `json:"valid_from"`
	Added     bool           `json:"added"`
	Columns   []ColumnChange `json:"columns,omitempty"` // of one that is changed
}

// ColumnChange is what a tariff has in a column before and after; "" is nothing.
type ColumnChange struct {
	Column string `json:"column"`
	Before string `json:"before"`
	After  string `json:"after"`
}

// tariffChange says what a row does; old is nil where it adds a tariff.
func tariffChange(row tariffRow, old *billing.Tariff) TariffChange {
	t := row.tariff
	change := TariffChange{
		Line: row.line, Code: t.Code, Airport: t.Airport, AppliesTo: string(t.AppliesTo), Customer: row.customer, ValidFrom: t.ValidFrom, Added: old == nil,
	}
	if old == nil {
		return change
	}
	before, after := billing.WriteTariff(old, row.customer), billing.WriteTariff(&t, row.customer)
	for i, column := range billing.TariffColumns {
		if before[i] != after[i] {
			change.Columns = append(change.Columns, ColumnChange{column.Name, before[i], after[i]})
		}
	}
	return change
}

// errOnlyChecked ends a transaction that is to leave nothing.
var errOnlyChecked = errors.New("only checked")

// CheckTariffs reads a file of tariffs as Load does, and says what Load would, but saves
// nothing. Until it ends, it holds the locks of an import.
func CheckTariffs(ctx context.Context, pool *pgxpool.Pool, name string, r io.Reader, progress func(rows int64), sourceFacts ...string) (Result, []TariffChange, error) {
	return checkTariffs(ctx, pool, name, r, progress, sourceFacts, func(*billing.TariffSet) {})
}

// TryTariffs reads a file of tariffs as Load does, and returns the tariffs as they would be
// then. It saves nothing.
func TryTariffs(ctx context.Context, pool *pgxpool.Pool, name string, r io.Reader, sourceFacts ...string) (result Result, tried *billing.TariffSet, err error) {
	result, _, err = checkTariffs(ctx, pool, name, r, nil, sourceFacts, func(tariffs *billing.TariffSet) { tried = tariffs })
	return result, tried, err
}

// checkTariffs looks at the tariffs as they would be before it takes them back.
func checkTariffs(
	ctx context.Context, pool *pgxpool.Pool, name string, r io.Reader, progress func(rows int64), sourceFacts []string, look func(*billing.TariffSet),
) (Result, []TariffChange, error) {
	var changes []TariffChange
	l := loaders[Tariffs]
	l.load = func(ctx context.Context, pool *pgxpool.Pool, file *csvFile) (Result, error) {
		result, err := loadTariffsThen(ctx, pool, file, func(tx pgx.Tx, tariffs *billing.TariffSet) error {
			if _, err := tx.Exec(ctx, `SET CONSTRAINTS ALL IMMEDIATE`); err != nil { // what a commit would refuse
				return fmt.Errorf("check the tariffs: %w", err)
			}
			look(tariffs)
			return errOnlyChecked
		})
		if errors.Is(err, errOnlyChecked) {
			err = nil
		}
		changes = file.tariffChanges
		return result, err
	}
	result, err := l.run(ctx, pool, name, r, progress, sourceFacts...)
	if err != nil {
		return Result{}, nil, err
	}
	return result, changes, nil
}

// Problems returns what an error says to be wrong with a file, one by one; nil where the
// error is about something else.
func Problems(err error) []string {
	wrong, ok := errors.AsType[*fileError](err)
	if !ok {
		return nil
	}
	problems := make([]string, len(wrong.problems))
	for i, problem := range wrong.problems {
		problems[i] = problem.Error()
	}
	return problems
}
