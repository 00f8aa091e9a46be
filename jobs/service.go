package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/dbsqlc"
)

const (
	// jobTimeout and rescueAfter: a killed process's job is back at work within
	// 30 to 66 seconds.
	jobTimeout  = 20 * time.Second
	rescueAfter = 30 * time.Second
	// GracePeriod is how long running flights may take to finish at a stop.
	GracePeriod = 30 * time.Second
	// stopTime bounds a stop: what the jobs came to is written in far less after
	// the grace period. With 100 of them still to be written and no database River
	// would try for ever.
	stopTime = GracePeriod + 10*time.Second
	// fetchCooldown is how long a client waits between two fetches. River's
	// default of 100 ms lets 5 workers do 50 jobs a second.
	fetchCooldown = time.Millisecond
	// housekeepingInterval bounds how long a stray job waits, and how long an
	// idle process goes by an old price book.
	housekeepingInterval = 15 * time.Second
)

// Config is what a Service is made of.
type Config struct {
	Pool       *pgxpool.Pool
	Source     FlightSource
	Workers    int           // flights at once in this process
	FlightWait time.Duration // how long an unknown or unlanded flight is waited for
	Schedules  Schedules
	// LookEvery is how often the leader looks for runs that are due and not done;
	// a minute where it is 0.
	LookEvery time.Duration
	StopTime  time.Duration // a stop ends by then, whatever it leaves; 40 s where it is 0
	Now       func() time.Time
	Stats     *Stats
	Logger    *slog.Logger
}

// Schedules says what a process does about scheduled runs.
type Schedules int

const (
	// WorkSchedules inserts what is due, while leading, and works it.
	WorkSchedules Schedules = iota
	// InsertSchedules inserts what is due and leaves it to other processes.
	InsertSchedules
	// NoSchedules does neither: the runs are done by hand.
	NoSchedules
)

// Service is this process's part in the queue: River's client, its workers and
// schedules.
type Service struct {
	client    *river.Client[pgx.Tx]
	pool      *pgxpool.Pool
	books     *db.PriceBooks
	ingestion *slog.Logger
	gate      *sourceGate
	ahead     *readAhead // nil where the source reads one flight at a time
	hand      *hand
	stopTime  time.Duration

	stopHousekeeping context.CancelFunc
	housekeeping     sync.WaitGroup
}

// New makes a service; Start starts it.
func New(cfg Config) (*Service, error) {
	books := db.NewPriceBooks(cfg.Pool)
	ingestion := cfg.Logger.With("component", "INGESTION")
	scheduled := cfg.Logger.With("component", "SCHEDULED")

	q := dbsqlc.New(cfg.Pool)
	gate := newSourceGate(cfg.Source, q.QueueCountReady, ingestion)
	driver := newRiverDriver(cfg.Pool, gate, ingestion)
	gate.opened = driver.Fetch
	var client *river.Client[pgx.Tx]
	var ahead *readAhead
	if source, ok := cfg.Source.(BatchSource); ok {
		ahead = newReadAhead(source, cfg.Workers, func(ctx context.Context, kept []int64, most int, behind db.Place) ([]dbsqlc.QueueNextToReadRow, error) {
			return q.QueueNextToRead(ctx, dbsqlc.QueueNextToReadParams{
				Client: client.ID(), Kept: kept, Most: int32(most), //nolint:gosec // mostAhead at most
				Priority: behind.Priority, Due: behind.Due, ID: behind.ID,
			})
		}, ingestion)
		driver.line.Read = ahead.Ready
		ahead.known = func(ctx context.Context, flights []billing.Flight) {
			if book := books.Kept(); book != nil {
				_ = books.LearnCustomers(ctx, book, flights) // so that who pays is known by their turn
			}
		}
		driver.full, driver.heard, driver.taking, gate.left = ahead.More, ahead.Heard, ahead.Taking, ahead.Forget
	}

	workers := river.NewWorkers()
	river.AddWorker(workers, &IngestFlight{
		Pool: cfg.Pool, Books: books, Saver: db.NewSaver(cfg.Pool, cfg.Workers, driver), Saved: driver.Saved, Lost: driver.Lost, Freed: driver.Fetch, Hand: driver.hand, Source: cfg.Source, Ahead: ahead, Gate: gate, Wait: cfg.FlightWait, Now: cfg.Now, Stats: cfg.Stats, Logger: ingestion,
	})
	consolidator := &Consolidator{Pool: cfg.Pool, Books: books, Now: cfg.Now, Logger: scheduled}
	river.AddWorker(workers, &ConsolidateInvoices{Consolidator: consolidator, Stats: cfg.Stats})
	river.AddWorker(workers, &IssueInvoices{Consolidator: consolidator, Stats: cfg.Stats})
	river.AddWorker(workers, &MarkOverdue{Pool: cfg.Pool, Books: books, Now: cfg.Now, Stats: cfg.Stats, Logger: scheduled})

	queues := map[string]river.QueueConfig{
		FlightsQueue: {MaxWorkers: cfg.Workers},
	}
	if cfg.Schedules == WorkSchedules {
		queues[SchedulesQueue] = river.QueueConfig{MaxWorkers: 2} // the daily run must not hold up the hourly one
		queues[IssuingQueue] = river.QueueConfig{MaxWorkers: 2}   // a run's chunks neither
	}
	var periodic []*river.PeriodicJob
	if cfg.Schedules != NoSchedules {
		periodic = periodicJobs(books.Kept, cfg.Now, cmp.Or(cfg.LookEvery, time.Minute))
	}
	var err error
	client, err = river.NewClient(driver, &river.Config{
		Schema:               db.Schema,
		Queues:               queues,
		Workers:              workers,
		PeriodicJobs:         periodic,
		FetchCooldown:        fetchCooldown,
		JobTimeout:           jobTimeout,
		RescueStuckJobsAfter: rescueAfter,
		SoftStopTimeout:      GracePeriod,
		// A cancelled flight is an unbilled one: River must not forget it.
		CancelledJobRetentionPeriod: -1,
		DiscardedJobRetentionPeriod: -1,
		ReindexerIndexNames:         indexNames(),
		Logger:                      riverLogger(cfg.Logger),
	})
	if err != nil {
		return nil, fmt.Errorf("prepare the queue: %w", err)
	}
	return &Service{client: client, pool: cfg.Pool, books: books, ingestion: ingestion, gate: gate, ahead: ahead, hand: driver.hand, stopTime: cmp.Or(cfg.StopTime, stopTime)}, nil
}

// indexNames are River's, but for the two that the migrations drop, and
// flightbill's own on River's table.
func indexNames() []string {
	names := slices.DeleteFunc(river.ReindexerIndexNamesDefault(), func(name string) bool {
		return name == "river_job_args_index" || name == "river_job_metadata_index"
	})
	return append(names, "river_job_flight_idx")
}

// Client is the River client, for River UI.
func (s *Service) Client() *river.Client[pgx.Tx] { return s.client }

// Outage returns since when the flight source has been away, nil while it
// answers.
func (s *Service) Outage() *Outage { return s.gate.Outage() }

// Start begins to work. Cancelling ctx stops as Stop does.
func (s *Service) Start(ctx context.Context) error {
	if _, err := s.books.Current(ctx); err != nil {
		return err
	}
	s.gate.Start()
	if err := s.client.Start(ctx); err != nil {
		s.endBackground()
		return fmt.Errorf("start the queue: %w", err)
	}
	ctx, s.stopHousekeeping = context.WithCancel(context.WithoutCancel(ctx))
	s.housekeeping.Go(func() { s.keepHouse(ctx) })
	return nil
}

// Stop takes no more jobs and waits for the running ones, GracePeriod at most;
// then their contexts are cancelled and they go back as they were. Where the
// database is away it ends all the same, with an error, and leaves jobs to be
// rescued by whoever works then.
func (s *Service) Stop(ctx context.Context) error { return s.stop(ctx, s.client.Stop) }

// StopNow cancels the running jobs at once.
func (s *Service) StopNow(ctx context.Context) error { return s.stop(ctx, s.client.StopAndCancel) }

func (s *Service) stop(ctx context.Context, stop func(context.Context) error) error {
	defer s.endBackground()
	s.hand.stopTaking()
	bounded, cancel := context.WithTimeout(ctx, s.stopTime)
	defer cancel()
	err := stop(bounded)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return fmt.Errorf("stop the queue: not done within %s; jobs that the database still shows as running are rescued within 2 minutes, "+
			"by any process that works then: %w", s.stopTime, err)
	}
	if err != nil {
		return fmt.Errorf("stop the queue: %w", err)
	}
	return nil
}

func (s *Service) endBackground() {
	s.hand.close()
	s.gate.Stop()
	if s.ahead != nil {
		s.ahead.Stop()
	}
	if s.stopHousekeeping != nil {
		s.stopHousekeeping()
	}
	s.housekeeping.Wait()
}

// keepHouse is what every process does now and then, by itself: a job would
// leave a row a time.
func (s *Service) keepHouse(ctx context.Context) {
	ticker := time.NewTicker(housekeepingInterval)
	defer ticker.Stop()
	for {
		if _, err := s.books.Refresh(ctx); err != nil && !errors.Is(err, context.Canceled) {
			s.ingestion.WarnContext(ctx, "customers and tariffs could not be read", "error", err)
		}
		strays, err := dbsqlc.New(s.pool).QueueAdoptStrays(ctx)
		switch {
		case err != nil && !errors.Is(err, context.Canceled):
			s.ingestion.WarnContext(ctx, "flights in other queues could not be looked for", "error", err)
		case strays.Moved > 0:
			s.ingestion.InfoContext(ctx, "flights moved to their queue", "queue", FlightsQueue, "flights", strays.Moved)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
