package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/riverui"
)

const (
	databaseWait  = 5 * time.Minute
	databaseEvery = time.Second
)

// withPatience is for serve: a database of DATABASE_URL that is away, a
// standby, read-only or full is waited for, until do calls works. Meanwhile /readyz
// says why.
func (a *app) withPatience(ctx context.Context, do func(pool *pgxpool.Pool, calendar billing.Calendar, works func()) error) error {
	w := &waitForDatabase{app: a}
	defer w.end()
	var began bool
	start := func() error {
		return a.withDatabase(ctx, func(pool *pgxpool.Pool) error {
			if err := db.CheckWritable(ctx, pool); err != nil {
				return err
			}
			calendar, err := db.EnsureSettings(ctx, pool, a.config.Billing, a.now())
			if err != nil {
				return err
			}
			w.end() // the address is wanted
			return do(pool, calendar, func() { began = true })
		})
	}
	for {
		err := start()
		if err == nil || began || a.config.DatabaseURL == "" || !db.Away(err) || db.Refused(err) || errors.Is(err, riverui.ErrListen) || ctx.Err() != nil {
			return err
		}
		if err := w.goOn(ctx, err); err != nil {
			return err
		}
	}
}

// waitForDatabase is the time that serve waits for a database as it starts.
type waitForDatabase struct {
	app   *app
	since time.Time // zero: it has not begun
	last  atomic.Pointer[notReadyError]
	web   *riverui.Server
}

// goOn says once that there is a wait, and pauses. An error: it has been long enough.
func (w *waitForDatabase) goOn(ctx context.Context, err error) error {
	most := cmp.Or(w.app.databaseWait, databaseWait)
	w.last.Store(&notReadyError{"database", err})
	if w.web == nil {
		if w.since.IsZero() {
			w.since = time.Now() // not the billing clock: a wait of this process
		}
		w.app.logger.Warn("waiting for the database", componentKey, "DATABASE", "at_most", most.String(), "reason", db.AwayReason(err), "error", err)
		config := w.app.httpConfig()
		config.Ready = func(context.Context) error { return w.last.Load() }
		var failed error
		if w.web, failed = riverui.NewWaiting(config); failed == nil {
			failed = w.web.Start(context.WithoutCancel(ctx))
		}
		if failed != nil {
			return failed
		}
	}
	if time.Since(w.since) >= most {
		return fmt.Errorf("the database %s, and was waited for for %s: %w", db.AwayReason(err), most, err)
	}
	select {
	case <-ctx.Done():
		return errors.Join(ctx.Err(), err)
	case <-time.After(databaseEvery):
		return nil
	}
}

// end says that the wait is over, where there was one.
func (w *waitForDatabase) end() {
	if w.web == nil {
		return
	}
	_ = shutdownHTTP(w.web)
	w.web = nil
	w.app.logger.Info("no longer waiting for the database", componentKey, "DATABASE", "waited", time.Since(w.since).Round(time.Second).String())
}
