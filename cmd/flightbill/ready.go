package main

import (
	"cmp"
	"context"
	"errors"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/jobs"
)

// readyCheck is one of the things that /readyz looks at.
type readyCheck struct {
	name  string
	check func(context.Context) error
}

func readyChecks(pool *pgxpool.Pool, service *jobs.Service) []readyCheck {
	return []readyCheck{
		{"database", func(context.Context) error {
			if outage := service.DatabaseOutage(); outage != nil {
				return outage.Err
			}
			return nil
		}},
		{"database", func(ctx context.Context) error { return db.CheckWritable(ctx, pool) }},
		{"database", func(ctx context.Context) error { return db.CheckSchema(ctx, pool) }},
		{"flight source", func(context.Context) error {
			if outage := service.Outage(); outage != nil && outage.Misfit() {
				return outage.Err
			}
			return nil
		}},
		{"work", service.Stuck},
		{"fitness", func(context.Context) error { return service.Unfit() }},
	}
}

// ready makes one question of checks: the first that fails is the answer.
func ready(checks []readyCheck) func(context.Context) error {
	return func(ctx context.Context) error {
		for _, c := range checks {
			if err := c.check(ctx); err != nil {
				return &notReadyError{cmp.Or(db.UnfitBy(err), c.name), err}
			}
		}
		return nil
	}
}

// notReadyError says which check has failed.
type notReadyError struct {
	name string
	err  error
}

func (e *notReadyError) Error() string { return e.name + ": " + e.err.Error() }
func (e *notReadyError) Unwrap() error { return e.err }

// Public is for callers without credentials: an error may name hosts and users.
func (e *notReadyError) Public() string {
	if stuck, ok := errors.AsType[*jobs.StuckError](e.err); ok {
		return stuck.What + " has given no sign of life"
	}
	if db.Away(e.err) {
		return "the " + e.name + " " + db.AwayReason(e.err)
	}
	return e.name
}
