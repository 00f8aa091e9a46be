package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

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
)

// Config is what a Service is made of.
type Config struct {
	Pool       *pgxpool.Pool
	Source     FlightSource
	Workers    int           // River's MaxWorkers of the queue of flights
	Batch      int           // how many flights a worker takes together while others wait; 50 where it is 0
	FlightWait time.Duration // how long an unknown or unlanded flight is waited for
	Schedules  Schedules
	// LookEvery is how often the leader looks for runs that are due and not done;
	// a minute where it is 0.
	LookEvery time.Duration
	Lease     time.Duration // how long a claim of flights is good for; 20 s where it is 0
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

// DefaultBatch is Config.Batch where none is given. Pinot answers for 50 flights about as
// fast as for one.
const DefaultBatch = 50

// Service is this process's part in the queue: River's client, its workers and
// schedules.
type Service struct {
	client      *river.Client[pgx.Tx]
	books       *db.PriceBooks
	breaker     *breaker
	database    *database
	slots       *slots
	housekeeper *housekeeper
	stopTime    time.Duration
}

// New makes a service; Start starts it.
func New(cfg Config) (*Service, error) {
	ingestion := cfg.Logger.With("component", "INGESTION")
	scheduled := cfg.Logger.With("component", "SCHEDULED")

	books := db.NewPriceBooks(cfg.Pool)
	queue := db.NewFlightQueue(cfg.Pool)
	q := dbsqlc.New(cfg.Pool)
	breaker := newBreaker(cfg.Source, q.QueueNextInLine, q.QueueCountReady, ingestion)
	slots := newSlots()
	database := newDatabase(cfg.Pool, cfg.Logger.With("component", "DATABASE"))

	workers := river.NewWorkers()
	river.AddWorker(workers, &IngestFlight{
		pool: cfg.Pool, books: books, queue: queue, source: cfg.Source, breaker: breaker, database: database, slots: slots, locked: &lockedCustomers{},
		batch: cmp.Or(cfg.Batch, DefaultBatch), lease: cmp.Or(cfg.Lease, leaseTime), wait: cfg.FlightWait, now: cfg.Now, stats: cfg.Stats, logger: ingestion,
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
	client, err := river.NewClient(riverpgxv5.New(cfg.Pool), &river.Config{
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
		Logger:                      riverLogger(cfg.Logger, database.LooksAway),
	})
	if err != nil {
		return nil, fmt.Errorf("prepare the queue: %w", err)
	}
	housekeeper := &housekeeper{client: client.ID(), pool: cfg.Pool, books: books, queue: queue, database: database, slots: slots, logger: ingestion}
	database.back = housekeeper.takeUp
	return &Service{
		client: client, books: books, breaker: breaker, database: database, slots: slots, stopTime: cmp.Or(cfg.StopTime, stopTime), housekeeper: housekeeper,
	}, nil
}

// indexNames are River's, but for the two that the migrations drop, and
// flightbill's own on River's table.
func indexNames() []string {
	names := slices.DeleteFunc(river.ReindexerIndexNamesDefault(), func(name string) bool {
		return name == "river_job_args_index" || name == "river_job_metadata_index"
	})
	return append(names, "river_job_flight_idx")
}

// Client is this process's River client.
func (s *Service) Client() *river.Client[pgx.Tx] { return s.client }

// Outage returns since when the flight source has been away, nil while it
// answers.
func (s *Service) Outage() *Outage { return s.breaker.Outage() }

// DatabaseOutage returns since when the database cannot be worked with, nil while it
// can.
func (s *Service) DatabaseOutage() *Outage { return s.database.Outage() }

// Start begins to work, until Stop.
func (s *Service) Start(ctx context.Context) error {
	if _, err := s.books.Current(ctx); err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	s.breaker.Start()
	s.housekeeper.Start(ctx)
	if err := s.client.Start(ctx); err != nil {
		s.endBackground(ctx)
		return fmt.Errorf("start the queue: %w", err)
	}
	return nil
}

// stopClaiming has the workers end with the flights that they hold, GracePeriod at most.
func (s *Service) stopClaiming() {
	s.slots.stopClaiming()
	time.AfterFunc(GracePeriod, s.slots.stopWorking)
}

// Stop takes no more jobs and waits for the running ones, GracePeriod at most;
// then their contexts are cancelled and they go back as they were. Where the
// database is away it ends all the same, with an error, and leaves jobs to be
// rescued by whoever works then.
func (s *Service) Stop(ctx context.Context) error {
	s.stopClaiming()
	return s.stop(ctx, s.client.Stop)
}

// StopNow cancels the running jobs at once.
func (s *Service) StopNow(ctx context.Context) error {
	s.slots.stopWorking()
	return s.stop(ctx, s.client.StopAndCancel)
}

func (s *Service) stop(ctx context.Context, stop func(context.Context) error) error {
	defer s.endBackground(ctx)
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

func (s *Service) endBackground(ctx context.Context) {
	s.breaker.Stop()
	s.database.Stop()
	s.housekeeper.Stop(ctx)
}
