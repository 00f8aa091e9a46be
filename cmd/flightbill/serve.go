package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/spf13/cobra"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/jobs"
	"github.com/flightbill/flightbill/pinot"
	"github.com/flightbill/flightbill/riverui"
)

func (a *app) newServeCommand() *cobra.Command {
	var noSchedules bool
	cmd := &cobra.Command{
		Use: "serve", Short: "Work the queue and the schedules, and serve River UI and /metrics", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			// Before anything that takes time: a wrong address should not cost a start.
			if err := a.httpConfig().Validate(); err != nil {
				return usageError{err}
			}
			a.queryTimeout = serveQueryTimeout
			return a.withPatience(cmd.Context(), func(pool *pgxpool.Pool, calendar billing.Calendar, works func()) error {
				return a.serve(cmd.Context(), pool, calendar, noSchedules, works)
			})
		},
	}
	cmd.Flags().BoolVar(&noSchedules, "no-schedules", false, "leave the scheduled runs to other processes (still takes part in leader election)")
	return cmd
}

// errDatabaseGone: so that a supervisor starts the process again.
var errDatabaseGone = errors.New("the embedded Postgres, which another flightbill had started, has ended")

// serve calls works once it does.
func (a *app) serve(ctx context.Context, pool *pgxpool.Pool, calendar billing.Calendar, noSchedules bool, works func()) error {
	rights, err := a.checkRights(ctx, pool)
	if err != nil {
		return err
	}
	source, closeSource, err := a.openSource(ctx, pool)
	if err != nil {
		return err
	}
	defer closeSource()

	// From here on there is something to finish at a signal; before, it just ends.
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	defer signal.Stop(signals)

	schedules := jobs.WorkSchedules
	if noSchedules {
		schedules = jobs.InsertSchedules
	}
	stats := jobs.NewStats()
	service, err := jobs.New(jobs.Config{
		Pool: pool, Source: source, Workers: a.config.Workers, Batch: a.config.Batch, FlightWait: a.config.FlightWait, Bounds: a.config.Bounds, RegisterFirst: a.config.RegisterFirst,
		DeliveryWorkers: a.config.DeliveryWorkers, PrivateWebhooks: a.config.PrivateWebhooks, Mail: a.mailSender(pool),
		Schedules: schedules, ReconcileDays: a.config.ReconcileDays, NoReindex: !rights.Reindex, LookEvery: a.lookEvery, Clock: a.clock, Now: a.now, Stats: stats, Logger: a.logger,
		PollOnly: a.pooler() == db.TransactionPooler,
	})
	if err != nil {
		return err
	}
	web, err := a.startHTTP(ctx, pool, service, stats)
	if err != nil {
		return err
	}
	stopResults, err := a.keepResults(ctx, pool, stats)
	if err != nil {
		return errors.Join(err, shutdownHTTP(web))
	}

	a.warnOfHistory(ctx, pool, calendar, schedules)

	// Stopping is the service's own affair: cancelling its context would end
	// running flights at once.
	if err := service.Start(context.WithoutCancel(ctx)); err != nil {
		stopResults()
		return errors.Join(err, shutdownHTTP(web))
	}
	works()
	if service.Unfit() == nil {
		a.logger.Info("flightbill is working", componentKey, "INGESTION", "database", a.databaseName(pool), "source", source.Name(), "workers", a.config.Workers, "batch", a.config.Batch,
			"timezone", calendar.Location.String(), "close", calendar.Close, "schedules", !noSchedules, "client", service.Client().ID())
	}

	select {
	case s := <-signals:
		a.logger.Info("stopping: running flights finish first; a second signal stops at once",
			componentKey, "INGESTION", "signal", s.String(), "at_most", jobs.GracePeriod)
	case <-ctx.Done():
	case <-a.databaseGone:
		a.logger.Error("the embedded Postgres belonged to another flightbill, and has ended with it: this one ends, too; start it again, and it has its own",
			componentKey, "DATABASE")
		err = errDatabaseGone
	}
	err = errors.Join(err, a.stop(service, signals))
	stopResults()
	return errors.Join(err, shutdownHTTP(web))
}

// checkRights refuses a login that may not work the queue, and tells what another may not,
// or ought not.
func (a *app) checkRights(ctx context.Context, pool *pgxpool.Pool) (db.Rights, error) {
	rights, err := db.ReadRights(ctx, pool)
	switch {
	case err != nil:
		return rights, err
	case !rights.Serve:
		return rights, fmt.Errorf("%w: role %s may not work the queue", db.ErrNoRight, rights.User)
	case rights.Owner && a.config.DatabaseURL != "":
		a.logger.Warn("this login owns the tables, or is a superuser, and could undo what was issued: serve works with less, see flightbill migrate grant server",
			componentKey, "DATABASE", "login", rights.User)
	case !rights.Reindex:
		a.logger.Info("this login may not rebuild the queue's indexes: have their owner run flightbill maintain, once a week; from Postgres 17 on, GRANT MAINTAIN ON flightbill.river_job TO flightbill_server does, too",
			componentKey, "DATABASE", "login", rights.User)
	}
	return rights, nil
}

// warnOfHistory tells who bills history that the clock is about to run away from
// them: the runs of the past are made up at once, and what is enqueued after
// them is late.
func (a *app) warnOfHistory(ctx context.Context, pool *pgxpool.Pool, calendar billing.Calendar, schedules jobs.Schedules) {
	ran, err := db.RunSinceStart(ctx, pool)
	due := calendar.LastDueRun(a.now())
	if err != nil || ran || schedules != jobs.WorkSchedules || !due.After(calendar.Start) {
		return
	}
	a.logger.Warn("all runs since the billing start are made up now, and flights of those days enqueued later are late; "+
		"to bill history first, use serve --no-schedules and consolidate --run-date",
		componentKey, "SCHEDULED", "billing_start", calendar.Start.String(), "last_due", due.String())
}

// stop lets running flights finish. A second signal cancels them, and ends the
// process if even that does not help.
func (a *app) stop(service *jobs.Service, signals <-chan os.Signal) error {
	stopped := make(chan struct{})
	defer close(stopped)
	ctx := context.Background()
	go func() {
		select {
		case <-stopped:
			return
		case <-signals:
		}
		a.logger.Warn("stopping at once", componentKey, "INGESTION")
		time.AfterFunc(2*time.Second, func() { os.Exit(exitFailed) })
		_ = service.StopNow(ctx) // the waiting Stop below reports what there is to report
	}()
	return service.Stop(ctx)
}

// openSource returns the flight source that was asked for. Settings that do not fit Pinot
// end the start; a Pinot that is away does not, and is checked once it is back.
func (a *app) openSource(ctx context.Context, pool *pgxpool.Pool) (jobs.FlightSource, func(), error) {
	if a.config.FlightSource == sourcePostgres {
		return db.NewFlights(pool), func() {}, nil
	}
	logger := a.logger.With(componentKey, "INGESTION")
	source, err := a.newPinotSource(logger)
	if err != nil {
		return nil, nil, err
	}
	if err := source.Check(ctx); err != nil {
		if _, ok := errors.AsType[*pinot.ConfigError](err); ok {
			source.Close()
			return nil, nil, err
		}
	}
	return source, source.Close, nil
}

func (a *app) httpConfig() riverui.Config {
	c := a.config
	return riverui.Config{
		Addr: c.HTTPAddr, User: c.HTTPUser, Password: c.HTTPPassword, TLSCert: c.HTTPTLSCert, TLSKey: c.HTTPTLSKey,
		Prefix: c.HTTPPrefix, MetricsOpen: c.MetricsOpen, Logger: a.logger,
	}
}

func (a *app) startHTTP(ctx context.Context, pool *pgxpool.Pool, service *jobs.Service, stats *jobs.Stats) (*riverui.Server, error) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(jobs.NewMetrics(stats, pool, service), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))

	config := a.httpConfig()
	var err error
	if config.Client, err = riverui.NewClient(pool, db.Schema, a.logger.With(componentKey, "HTTP")); err != nil {
		return nil, err
	}
	config.Metrics = promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		MaxRequestsInFlight: 4, // whoever asks, however often, keeps few connections busy
		ErrorHandling:       promhttp.ContinueOnError,
		ErrorLog:            slog.NewLogLogger(a.logger.With(componentKey, "HTTP").Handler(), slog.LevelWarn),
	})
	config.Ready = ready(readyChecks(pool, service))
	config.Degraded = func() (note, details string) { return degraded(service) }
	web, err := riverui.New(config)
	if err != nil {
		return nil, err
	}
	registry.MustRegister(web.Collectors()...)
	return web, web.Start(context.WithoutCancel(ctx))
}

// degraded says what the flight source keeps waiting. The cause is a word of flightbill's.
func degraded(source jobs.SourceState) (note, details string) {
	if outage := source.Outage(); outage != nil {
		return fmt.Sprintf("the flight source is away since %s (%s); flights wait", outage.Since.UTC().Format(time.RFC3339), outage.Cause), outage.Err.Error()
	}
	if pause := source.Pause(); pause > 0 {
		return fmt.Sprintf("the flight source's quota is used up: one query each %s", pause.Round(time.Millisecond)), ""
	}
	return "", ""
}

func shutdownHTTP(web *riverui.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return web.Shutdown(ctx)
}

// keepResults writes the performance statistics until stop is called.
func (a *app) keepResults(ctx context.Context, pool *pgxpool.Pool, stats *jobs.Stats) (stop func(), err error) {
	if a.config.Results == "" {
		return func() {}, nil
	}
	var postgres string
	if err := pool.QueryRow(ctx, "SHOW server_version").Scan(&postgres); err != nil {
		return nil, fmt.Errorf("ask the database's version: %w", err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var writing sync.WaitGroup
	writing.Go(func() {
		jobs.WriteResults(ctx, a.config.Results, stats, jobs.ThisMachine(postgres, a.config.Workers), a.logger)
	})
	return func() { cancel(); writing.Wait() }, nil
}
