package riverui

import (
	"fmt"
	"log/slog"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
)

// NewClient returns a River client for Config: one that works nothing.
func NewClient(pool *pgxpool.Pool, schema string, logger *slog.Logger) (*river.Client[pgx.Tx], error) {
	client, err := river.NewClient(listDriver{riverpgxv5.New(pool)}, &river.Config{Schema: schema, Logger: logger})
	if err != nil {
		return nil, fmt.Errorf("prepare River UI's client: %w", err)
	}
	return client, nil
}

// listDriver has a list of the jobs of one state, which is what River UI asks for, read
// an index in its order. With state = any('{completed}') Postgres sorts them all.
type listDriver struct{ *riverpgxv5.Driver }

// SQLFragmentColumnIn is a condition of a list of jobs.
func (d listDriver) SQLFragmentColumnIn(column string, values any) (string, any, error) {
	if one, ok := values.([]string); ok && len(one) == 1 {
		return fmt.Sprintf("%s = @%s", column, column), one[0], nil
	}
	return d.Driver.SQLFragmentColumnIn(column, values) //nolint:wrapcheck // River's own
}
