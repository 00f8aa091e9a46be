package main

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/embedded"
	"github.com/flightbill/flightbill/db/imports"
	"github.com/flightbill/flightbill/jobs"
)

//go:embed demodata/*.csv demodata/*.csv.gz
var demoData embed.FS

// The demo plays January 2013. Its flights are ingested as if that month were
// just over; then each day's run is done as of its own 01:00; and payment is
// judged some weeks later.
var (
	demoStart   = billing.NewDate(2013, time.January, 1)
	demoEnd     = billing.NewDate(2013, time.January, 31)
	demoOverdue = billing.NewDate(2013, time.February, 20)
)

func (a *app) newDemoCommand() *cobra.Command {
	var onPinot bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Bill a month of real flights on an embedded Postgres in a fresh folder, to issued invoices and River UI",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			// The demo is the same everywhere: only where its UI listens is the
			// environment's to say.
			a.config.DatabaseURL, a.config.DatabaseFile, a.config.FlightSource, a.config.Results = "", "", sourcePostgres, ""
			a.config.Billing = db.Settings{Timezone: "UTC", Close: billing.PeriodEnd, BillingStart: demoStart}
			a.logger = quieter(a.logger)
			return a.demo(cmd.Context(), onPinot)
		},
	}
	cmd.Flags().BoolVar(&onPinot, "pinot", false, "read the flights from an Apache Pinot, started for the demo (needs Java and Maven)")
	return cmd
}

// quieter leaves the screen to the demo's own words.
func quieter(logger *slog.Logger) *slog.Logger {
	return slog.New(levelHandler{logger.Handler(), slog.LevelError})
}

type levelHandler struct {
	slog.Handler
	level slog.Level
}

func (h levelHandler) Enabled(_ context.Context, level slog.Level) bool { return level >= h.level }
func (h levelHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return levelHandler{h.Handler.WithAttrs(attrs), h.level}
}

func (a *app) demo(ctx context.Context, onPinot bool) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := a.httpConfig().Validate(); err != nil {
		return usageError{err}
	}

	var onlyInPinot *demoPinot
	if onPinot { // first: it is what may be missing here
		var err error
		if onlyInPinot, err = a.startDemoPinot(ctx); err != nil {
			return fmt.Errorf("demo --pinot: %w", err)
		}
		defer onlyInPinot.stop()
		a.sayf("Loaded %s flights of January 2013 into Pinot.", count(int64(len(onlyInPinot.ids))))
	}

	a.sayf("Starting Postgres 18 in a fresh folder (the first time, it is downloaded: 15 MB) …")
	server, err := embedded.Start(ctx, embedded.Config{Ephemeral: true, Logger: a.logger})
	if err != nil {
		return fmt.Errorf("start the embedded Postgres: %w", err)
	}
	defer server.Stop()                                                                                       //nolint:errcheck // its folder goes with it
	pool, err := db.Open(ctx, server.URL(), db.Options{MaxConns: int32(a.config.Workers + spareConnections)}) //nolint:gosec // at most 10,000 workers
	if err != nil {
		return err
	}
	defer pool.Close()
	if _, err := db.MigrateUp(ctx, pool); err != nil {
		return err
	}
	if _, err := db.EnsureSettings(ctx, pool, a.config.Billing, a.now()); err != nil {
		return err
	}

	source, flights, err := a.demoQueue(ctx, pool, onlyInPinot)
	if err != nil {
		return err
	}

	stats := jobs.NewStats()
	service, err := jobs.New(jobs.Config{
		Pool: pool, Source: source, Workers: a.config.Workers, Batch: a.config.Batch, FlightWait: a.config.FlightWait, Bounds: a.config.Bounds, RegisterFirst: a.config.RegisterFirst,
		Schedules: jobs.NoSchedules, Now: at(demoEnd.AddDays(2).Start(time.UTC)), Stats: stats, Logger: a.logger,
	})
	if err != nil {
		return err
	}
	if err := service.Start(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	stopped := false
	stopService := func() error { stopped = true; return service.Stop(context.WithoutCancel(ctx)) }
	defer func() {
		if !stopped {
			_ = stopService()
		}
	}()
	if err := a.waitForFlights(ctx, pool, flights); err != nil {
		return err
	}
	runs, issued, overdue, err := a.demoRuns(ctx, pool)
	if err != nil {
		return err
	}
	a.sayf("Ran the closing dates of January: %d daily runs issued %s consolidated invoices.", runs, count(issued))
	a.sayf("Marked what was unpaid on %s overdue: %s invoices.\n", demoOverdue, count(overdue))
	if err := a.demoSummary(ctx, pool, stats); err != nil {
		return err
	}
	if onlyInPinot == nil && a.demoData == nil {
		a.sayf("\nHow the charges of one flight came about, as 'flightbill price %s' shows it:\n", demoFlight)
		if err := a.explainPrice(ctx, pool, demoFlight, "", false, false); err != nil {
			return err
		}
		if err := a.demoReconcile(ctx, pool, source); err != nil {
			return err
		}
	}
	return a.demoUI(ctx, pool, service, stats)
}

// demoQueue imports the demo's data, but for flights that are in Pinot, and
// enqueues the flights.
func (a *app) demoQueue(ctx context.Context, pool *pgxpool.Pool, onlyInPinot *demoPinot) (source jobs.FlightSource, flights int64, err error) {
	files := []demoFile{{imports.Issuer, "issuer.csv"}, {imports.Customers, "customers.csv"}, {imports.AircraftTypes, "aircraft_types.csv"}, {imports.Tariffs, "tariffs.csv"}}
	if onlyInPinot == nil {
		files = append(files, demoFile{imports.Flights, demoFlights})
	}
	imported, err := importDemoData(ctx, pool, a.demoFiles(), files)
	if err != nil {
		return nil, 0, err
	}
	what := []string{
		count(imported[imports.Customers]) + " customers", count(imported[imports.AircraftTypes]) + " types of aircraft", count(imported[imports.Tariffs]) + " tariffs",
	}
	enqueue, args := "SELECT flight_id FROM flightbill.flights", []any(nil)
	source = db.NewFlights(pool)
	if onlyInPinot == nil {
		what = slices.Insert(what, 0, count(imported[imports.Flights])+" flights of January 2013")
	} else {
		enqueue, args = "SELECT unnest($1::text[])", []any{onlyInPinot.ids}
		source = onlyInPinot.source
	}
	a.sayf("Imported %s.", strings.Join(what, ", "))

	enqueue = "INSERT INTO flightbill.flight_processing_queue (flight_id) " + enqueue
	tag, err := pool.Exec(ctx, enqueue, args...)
	if err != nil {
		return nil, 0, fmt.Errorf("enqueue the flights: %w", err)
	}
	a.sayf("Enqueued the flights: %s.", enqueue)
	return source, tag.RowsAffected(), nil
}

// demoFlight is the one whose price is explained.
const demoFlight = "UAL1696-20130101-EWR"

type demoFile struct {
	kind imports.Kind
	name string
}

// demoFiles has the demo's data.
func (a *app) demoFiles() fs.FS {
	if a.demoData != nil {
		return a.demoData
	}
	files, err := fs.Sub(demoData, "demodata")
	if err != nil {
		panic(err) // it is embedded
	}
	return files
}

func importDemoData(ctx context.Context, pool *pgxpool.Pool, data fs.FS, files []demoFile) (rows map[imports.Kind]int64, err error) {
	rows = map[imports.Kind]int64{}
	for _, file := range files {
		content, err := fs.ReadFile(data, file.name)
		if err != nil {
			return nil, fmt.Errorf("read the demo's data: %w", err)
		}
		result, err := imports.Load(ctx, pool, file.kind, file.name, bytes.NewReader(content), func(int64) {})
		if err != nil {
			return nil, err
		}
		rows[file.kind] = result.Rows
	}
	return rows, nil
}

func at(t time.Time) func() time.Time { return func() time.Time { return t } }

// waitForFlights returns when every flight has had its first try.
func (a *app) waitForFlights(ctx context.Context, pool *pgxpool.Pool, flights int64) error {
	bar := newProgress(a.stderr, "billing flights", flights)
	defer bar.finish()
	for {
		untried, err := db.CountUntried(ctx, pool)
		if err != nil {
			return err
		}
		bar.set(flights - untried)
		if untried == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.New("stopped before all flights were billed")
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// demoRuns does each day's run as of its own time, then the overdue run.
func (a *app) demoRuns(ctx context.Context, pool *pgxpool.Pool) (runs int, issued, overdue int64, err error) {
	calendar := billing.Calendar{Location: time.UTC, Close: billing.PeriodEnd, Start: demoStart}
	for date := demoStart; !date.After(demoEnd); date = date.AddDays(1) {
		consolidator := &jobs.Consolidator{Pool: pool, Books: db.NewPriceBooks(pool), Now: at(calendar.RunTime(date)), Logger: a.logger}
		results, err := consolidator.Run(ctx, date, db.BySchedule, nil)
		if err != nil {
			return runs, issued, 0, err
		}
		for _, r := range results {
			runs++
			issued += r.Invoices
		}
	}
	overdue, err = jobs.Overdue(ctx, pool, demoOverdue)
	return runs, issued, overdue, err
}

// demoReconcile shows what is found of a flight that the source has lost.
func (a *app) demoReconcile(ctx context.Context, pool *pgxpool.Pool, source jobs.FlightSource) error {
	a.sayf("\nHow all this compares with the flight source, as 'flightbill reconcile' shows it, once flight %s is deleted there:\n", demoFlight)
	if _, err := pool.Exec(ctx, `DELETE FROM flightbill.flights WHERE flight_id = $1`, demoFlight); err != nil {
		return fmt.Errorf("delete flight %s: %w", demoFlight, err)
	}
	calendar := billing.Calendar{Location: time.UTC, Close: billing.PeriodEnd, Start: demoStart}
	err := a.reconcile(ctx, &jobs.Reconciler{Pool: pool, Source: source, Now: a.now}, calendar, reconcileOptions{from: demoStart, to: demoEnd, shown: 1})
	if _, found := errors.AsType[differenceError](err); !found {
		return err
	}
	return nil
}

// demoUI names River UI's address; on a terminal it serves until Ctrl-C.
func (a *app) demoUI(ctx context.Context, pool *pgxpool.Pool, service *jobs.Service, stats *jobs.Stats) error {
	if a.config.HTTPAddr == defaultHTTPAddr && !free(defaultHTTPAddr) {
		a.config.HTTPAddr = "127.0.0.1:0" // beside a serve: any free port does
	}
	web, err := a.startHTTP(ctx, pool, service, stats)
	if err != nil {
		return err
	}
	if !isTerminal(a.stdout) {
		a.sayf("River UI was at %s (on a terminal, the demo keeps it until Ctrl-C).", web.URL())
		return shutdownHTTP(web)
	}
	a.sayf("River UI is at %s\nCtrl-C ends the demo and removes its data.", web.URL())
	<-ctx.Done()
	return shutdownHTTP(web)
}

func free(address string) bool {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return false
	}
	_ = listener.Close()
	return true
}
