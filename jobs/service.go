package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"

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
)

// Config is what a Service is made of.
type Config struct {
	Pool       *pgxpool.Pool
	Source     FlightSource
	Workers    int            // River's MaxWorkers of the queue of flights
	Batch      int            // how many flights a worker takes together while others wait; 50 where it is 0
	FlightWait time.Duration  // how long an unknown or unlanded flight is waited for
	Bounds     billing.Bounds // of facts; fields that are 0: the defaults
	// RegisterFirst names facts of which the register of aircraft goes before the source;
	// nil: the default.
	RegisterFirst billing.RegisterFirst
	Schedules     Schedules
	// DeliveryWorkers is River's MaxWorkers of the queue of deliveries; 5 where it is 0.
	DeliveryWorkers int
	// PrivateWebhooks lets webhooks have private addresses, and http beside https.
	PrivateWebhooks bool
	Mail            *MailSender // nil: no mail server is set, and mail waits
	// ReconcileDays is how many days are compared with the flight source, once a day; none where it is 0.
	ReconcileDays int
	// NoReindex leaves the indexes of River's jobs as they are: its login may not rebuild
	// them.
	NoReindex bool
	// LookEvery is how often the leader looks for runs that are due and not done;
	// a minute where it is 0.
	LookEvery time.Duration
	Lease     time.Duration // how long a claim of flights is good for; 20 s where it is 0
	StopTime  time.Duration // a stop ends by then, whatever it leaves; 40 s where it is 0
	// Clock is compared with the database's, and the schema's version with this binary's,
	// every FitnessEvery, 15 s where that is 0; the machine's where it is nil.
	Clock        *db.Clock
	FitnessEvery time.Duration
	Now          func() time.Time // what the rules go by: Clock's, but in tests
	Stats        *Stats
	Logger       *slog.Logger
	PollOnly     bool // a connection that listens is not to be had: the queue is looked at each second
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
	log         *riverLog
	books       *db.PriceBooks
	breaker     *breaker
	database    *database
	slots       *slots
	beats       *heartbeats
	housekeeper *housekeeper
	fitness     *fitnessWatch
	resumer     *resumer
	webhooks    *WebhookSender
	mails       bool // this process can send mail
	resuming    sync.WaitGroup
	working     atomic.Bool // River's client has been started, and not stopped to its end
	stopTime    time.Duration
}

// New makes a service; Start starts it.
func New(cfg Config) (*Service, error) {
	ingestion := cfg.Logger.With("component", "INGESTION")
	scheduled := cfg.Logger.With("component", "SCHEDULED")

	books := db.NewPriceBooks(cfg.Pool)
	if cfg.RegisterFirst != nil {
		books.RegisterFirst = cfg.RegisterFirst
	}
	queue := db.NewFlightQueue(cfg.Pool)
	q := dbsqlc.New(cfg.Pool)
	beats := newHeartbeats()
	breaker := newBreaker(cfg.Source, q.QueueNextInLine, q.QueueCountReady, beats, ingestion)
	slots := newSlots(beats)
	database := newDatabase(cfg.Pool, beats, cfg.Logger.With("component", "DATABASE"))
	log := newRiverLog(database.LooksAway)
	fitness := newFitnessWatch(cfg, books, beats, ingestion)

	workers := river.NewWorkers()
	river.AddWorker(workers, &IngestFlight{
		pool: cfg.Pool, books: books, queue: queue, source: cfg.Source, breaker: breaker, database: database, slots: slots, locked: &lockedCustomers{},
		batch: cmp.Or(cfg.Batch, DefaultBatch), lease: cmp.Or(cfg.Lease, leaseTime), wait: cfg.FlightWait, bounds: cfg.Bounds,
		now: cfg.Now, riverNow: fitness.now, lookNow: fitness.lookNow, stats: cfg.Stats, logger: ingestion,
	})
	consolidator := &Consolidator{Pool: cfg.Pool, Books: books, Now: cfg.Now, Logger: scheduled}
	river.AddWorker(workers, &ConsolidateInvoices{Consolidator: consolidator, Stats: cfg.Stats, fitness: fitness})
	river.AddWorker(workers, &IssueInvoices{Consolidator: consolidator, Stats: cfg.Stats, fitness: fitness})
	river.AddWorker(workers, &MarkOverdue{Pool: cfg.Pool, Books: books, Now: cfg.Now, Stats: cfg.Stats, Logger: scheduled, fitness: fitness})
	river.AddWorker(workers, &ReconcileFlights{
		Reconciler: &Reconciler{Pool: cfg.Pool, Source: cfg.Source, Now: cfg.Now}, Books: books, Days: cfg.ReconcileDays, Stats: cfg.Stats, Logger: scheduled, fitness: fitness,
	})

	webhooks := NewWebhookSender(cfg.PrivateWebhooks, cfg.Now)
	river.AddWorker(workers, &Deliver{
		Pool: cfg.Pool, Webhooks: webhooks, Mail: cfg.Mail, Now: cfg.Now, Stats: cfg.Stats,
		Logger: cfg.Logger.With("component", "DELIVERIES"), database: database,
	})

	queues := map[string]river.QueueConfig{
		FlightsQueue:    {MaxWorkers: cfg.Workers},
		DeliveriesQueue: {MaxWorkers: cmp.Or(cfg.DeliveryWorkers, DefaultDeliveryWorkers)},
	}
	if cfg.Schedules == WorkSchedules {
		queues[SchedulesQueue] = river.QueueConfig{MaxWorkers: 3} // the daily run must not hold up the hourly one, nor the reconciliation either
		queues[IssuingQueue] = river.QueueConfig{MaxWorkers: 2}   // a run's chunks neither
	}
	var periodic []*river.PeriodicJob
	if cfg.Schedules != NoSchedules {
		periodic = periodicJobs(books.Kept, cfg.Now, cmp.Or(cfg.LookEvery, time.Minute), cfg.ReconcileDays > 0, beats)
	}
	client, err := river.NewClient(riverpgxv5.New(cfg.Pool), &river.Config{
		Schema:               db.Schema,
		Queues:               queues,
		Workers:              workers,
		PeriodicJobs:         periodic,
		FetchCooldown:        fetchCooldown,
		PollOnly:             cfg.PollOnly,
		JobTimeout:           jobTimeout,
		RescueStuckJobsAfter: rescueAfter,
		SoftStopTimeout:      GracePeriod,
		// A cancelled flight is an unbilled one: River must not forget it.
		CancelledJobRetentionPeriod: -1,
		DiscardedJobRetentionPeriod: -1,
		ReindexerIndexNames:         cfg.reindexed(),
		RetryPolicy:                 retryPolicy{fitness.now},
		// It is how River is given a clock. Else what it writes of a job that ends while the
		// machine's jumps ahead, a snooze for example, is as far in the future.
		Test:    river.TestConfig{Time: fitness.clock},
		Plugins: []rivertype.Plugin{&cancelGuard{pool: cfg.Pool, slots: slots, beats: beats}, beats},
		Logger:  log.logger(cfg.Logger),
	})
	if err != nil {
		return nil, fmt.Errorf("prepare the queue: %w", err)
	}
	return &Service{
		client: client, log: log, books: books, breaker: breaker, database: database, slots: slots, beats: beats, fitness: fitness,
		housekeeper: &housekeeper{
			client: client.ID(), pool: cfg.Pool, books: books, queue: queue, database: database, slots: slots, beats: beats,
			wait: cfg.FlightWait, outage: breaker.Outage, source: cfg.Source.Name(), now: fitness.now, logger: ingestion,
		},
		resumer:  &resumer{client: client, pool: cfg.Pool, beats: beats, logger: ingestion},
		webhooks: webhooks, mails: cfg.Mail != nil,
		stopTime: cmp.Or(cfg.StopTime, stopTime),
	}, nil
}

func (c Config) reindexed() []string {
	if c.NoReindex {
		return []string{} // nil: River's own
	}
	return IndexNames()
}

// IndexNames are the indexes of River's jobs that are rebuilt: River's, but for the two that the migrations drop, and
// flightbill's own on River's table.
func IndexNames() []string {
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

// Unfit says why this process does no work: its clock is not the database's, it has
// other rules for the billing zone, or others have migrated the database. Nil while it works.
func (s *Service) Unfit() error { return s.fitness.Wrong() }

// Pause returns the time between two queries that the flight source's quota leaves this
// process; 0 where there is none.
func (s *Service) Pause() time.Duration {
	if slow, ok := s.breaker.source.(interface{ Pause() time.Duration }); ok {
		return slow.Pause()
	}
	return 0
}

// Overdue returns how many flights are not in the flight source, or have not landed there, though half the time that
// they are waited for is over.
func (s *Service) Overdue() int64 { return s.housekeeper.overdue.Load() }

// Stuck says what of this process has given no sign of life for too long, nil where all
// works.
func (s *Service) Stuck(ctx context.Context) error {
	stuck := s.beats.overdue()
	if stuck != nil && stuck.key == scheduleBeat {
		leads, err := dbsqlc.New(s.housekeeper.pool).QueueLeads(ctx, dbsqlc.QueueLeadsParams{Client: s.client.ID(), ForSeconds: stuck.Silent.Seconds()})
		if err != nil || leads {
			return cmp.Or[error](err, stuck)
		}
		s.beats.end(scheduleBeat) // it is another's affair
		stuck = s.beats.overdue()
	}
	if stuck != nil {
		return stuck
	}
	return nil
}

// Start begins to work, until Stop; where the clock is wrong, once it is right.
func (s *Service) Start(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	s.breaker.Start()
	if err := s.fitness.Start(ctx, s.begin, s.stopNow); err != nil {
		s.endWatching()
		return err
	}
	return nil
}

// begin works until stop. It may come after a stop, whose rest it waits for.
func (s *Service) begin(ctx context.Context) error {
	if err := s.stopNow(ctx); err != nil {
		return err
	}
	if s.mails {
		if err := dbsqlc.New(s.housekeeper.pool).DeliveryWakeMail(ctx); err != nil {
			return fmt.Errorf("have the mail go out that has waited for a mail server: %w", err)
		}
	}
	s.slots.open()
	s.housekeeper.Start(ctx)
	paused, unsubscribe := s.client.Subscribe(river.EventKindQueuePaused)
	s.resuming.Go(func() { s.resumer.run(paused) })
	if err := s.client.Start(ctx); err != nil {
		unsubscribe()
		s.resuming.Wait()
		s.housekeeper.Stop(ctx)
		return fmt.Errorf("start the queue: %w", err)
	}
	s.working.Store(true)
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
	defer s.endWatching()
	s.fitness.Stop()
	s.stopClaiming()
	return s.stop(ctx, s.client.Stop)
}

// StopNow cancels the running jobs at once.
func (s *Service) StopNow(ctx context.Context) error {
	defer s.endWatching()
	s.fitness.Stop()
	return s.stopNow(ctx)
}

func (s *Service) stopNow(ctx context.Context) error {
	s.slots.stopWorking()
	return s.stop(ctx, s.client.StopAndCancel)
}

func (s *Service) stop(ctx context.Context, stop func(context.Context) error) error {
	if !s.working.Load() { // River's client has nothing to stop, and cannot bear it
		return nil
	}
	defer s.beats.end(fetchBeat)
	defer s.housekeeper.Stop(ctx)
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
	s.resuming.Wait()
	s.working.Store(false)
	return nil
}

func (s *Service) endWatching() {
	s.log.Stop()
	s.breaker.Stop()
	s.database.Stop()
	s.webhooks.Close()
}
