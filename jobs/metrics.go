package jobs

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/dbsqlc"
)

// scrapeTimeout bounds the queries of a scrape.
const scrapeTimeout = 5 * time.Second

// Metrics is a Prometheus collector of the statistics and of the queue.
type Metrics struct {
	stats  *Stats
	pool   *pgxpool.Pool
	source SourceState

	unmatched  unmatchedCodes
	reconciled atomic.Pointer[lastReconciliation] // the last that was seen: River forgets it as the next begins
}

// SourceState is what is known of the flight source.
type SourceState interface {
	Outage() *Outage
	Pause() time.Duration
	Overdue() int64
}

const (
	// unmatchedInterval and unmatchedTimeout are how often the unmatched codes are counted,
	// which reads the whole ledger, and how long that may take.
	unmatchedInterval = time.Hour
	unmatchedTimeout  = 15 * time.Second
)

// unmatchedCodes are the counts of the view unmatched_codes, made beside the scrapes.
type unmatchedCodes struct {
	mu     sync.Mutex
	asked  time.Time
	counts map[[2]string]int64 // by where they are found, and kind; nil: not counted
}

// recent returns the last counts, and has them made anew where they are old.
func (u *unmatchedCodes) recent(pool *pgxpool.Pool) map[[2]string]int64 {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.asked.IsZero() || time.Since(u.asked) > unmatchedInterval {
		u.asked = time.Now()
		go u.count(pool)
	}
	return u.counts
}

func (u *unmatchedCodes) count(pool *pgxpool.Pool) {
	ctx, cancel := context.WithTimeout(context.Background(), unmatchedTimeout)
	defer cancel()
	rows, err := db.CountUnmatchedCodes(ctx, pool)
	u.mu.Lock()
	defer u.mu.Unlock()
	u.counts = nil
	if err != nil {
		return
	}
	u.counts = map[[2]string]int64{}
	for _, found := range []([2]string){
		{"flights", "airport"}, {"flights", "operator"}, {"flights", "registration"},
		{"tariffs", "airport"}, {"customers", "operator"}, {"customers", "registration"},
	} {
		u.counts[found] = 0
	}
	for _, row := range rows {
		u.counts[[2]string{row.FoundIn, row.Kind}] = row.Codes
	}
}

// NewMetrics returns a collector.
func NewMetrics(stats *Stats, pool *pgxpool.Pool, source SourceState) *Metrics {
	return &Metrics{stats: stats, pool: pool, source: source}
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("flightbill_"+name, help, labels, nil)
}

var (
	flightsBilled    = desc("flights_billed_total", "Flights billed by this process.")
	flightsFailed    = desc("flight_failures_total", "Attempts at flights that ended in an unexpected failure and are tried again.")
	flightsSnoozed   = desc("flights_snoozed_total", "Times a flight was put back to wait.", "reason")
	flightsCancelled = desc("flights_cancelled_total", "Flights given up until someone puts data right.", "reason")
	flightSeconds    = desc("flight_seconds", "Seconds a stage of billing a flight took.", "stage")
	runsDone         = desc("scheduled_runs_total", "Scheduled runs done by this process.", "job", "result")
	queueJobs        = desc("queue_flights", "Flights in the queue, with the reason why they wait or were cancelled.", "state", "reason")
	queueReadable    = desc("queue_readable", "1 where the queue could be read for this scrape.")
	sourceUp         = desc("flight_source_up", "0 while the flight source is away: flights wait, without spending attempts.")
	sourceAway       = desc("flight_source_outage_seconds", "Seconds since the flight source went away; 0 while it answers.")
	sourceOutage     = desc("flight_source_outage", "1 for the cause of the outage under way, else 0.", "cause")
	sourcePause      = desc("flight_source_quota_pause_seconds", "Seconds between two queries of this process, where the flight source's quota asks for it; 0 where none does.")
	flightsOverdue   = desc("flights_overdue_in_source", "Flights that are not in the flight source, have not landed there, or are still on the stand, though half the time that they are waited for is over.")
	runAge           = desc("last_run_age_seconds", "Seconds since the last consolidated run finished.")
	runOverdue       = desc("run_overdue_seconds", "Seconds since the earliest run was due that is not done; 0 where none is.")
	draftsPast       = desc("drafts_past_closing", "Drafts that a run should have issued and did not, and that are neither held nor parked.")
	draftsKept       = desc("drafts_kept", "Drafts that the runs leave open, with the reason: held or parked.", "reason")
	deliveriesTried  = desc("deliveries_total", "Tries of this process to deliver a message, by what came of them: delivered, failed (tried again) or given_up.", "kind", "outcome")
	deliveriesOpen   = desc("deliveries_pending", "Messages that are neither delivered nor given up.", "kind")
	reconcileFlights = desc("reconcile_flights", "Flights of the days that the last daily reconciliation compared with the flight source, by what they have come to.", "state", "reason")
	reconcileMissing = desc("reconcile_missing", "Of these, flights of the flight source that flightbill knows nothing of.")
	reconcileChanged = desc("reconcile_changed", "Of these, billed flights that the flight source no longer has, or has on another day or twice.")
	reconcileAge     = desc("reconcile_age_seconds", "Seconds since the last daily reconciliation was done.")
	codesUnmatched   = desc("unmatched_codes", "Codes that fit nothing, as flightbill unmatched lists them; counted once an hour.", "found_in", "kind")
)

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		flightsBilled, flightsFailed, flightsSnoozed, flightsCancelled, flightSeconds, runsDone, queueJobs, queueReadable,
		sourceUp, sourceAway, sourceOutage, sourcePause, flightsOverdue, runAge, runOverdue, draftsPast, draftsKept, deliveriesTried, deliveriesOpen, codesUnmatched,
		reconcileFlights, reconcileMissing, reconcileChanged, reconcileAge,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	counter := func(d *prometheus.Desc, value int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(value), labels...)
	}
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	s := m.stats.Snapshot()
	counter(flightsBilled, s.Flights.Done)
	counter(flightsFailed, s.Flights.Failed)
	for reason, n := range s.Flights.Snoozed {
		counter(flightsSnoozed, n, reason)
	}
	for reason, n := range s.Flights.Cancelled {
		counter(flightsCancelled, n, reason)
	}
	for st, q := range s.Flights.MillisecondsOf {
		ch <- prometheus.MustNewConstSummary(flightSeconds, uint64(max(0, q.Count)), q.sum.Seconds(),
			map[float64]float64{0.5: q.P50 / 1000, 0.9: q.P90 / 1000, 0.99: q.P99 / 1000}, st)
	}
	for kind, run := range s.Scheduled {
		counter(runsDone, run.Done, kind, "done")
		counter(runsDone, run.Failed, kind, "failed")
	}
	for kind, tries := range s.Deliveries {
		for outcome, n := range tries {
			counter(deliveriesTried, n, kind, outcome)
		}
	}

	up, away := 1.0, 0.0
	var cause billing.Cause
	if outage := m.source.Outage(); outage != nil {
		up, away, cause = 0, time.Since(outage.Since).Seconds(), outage.Cause
	}
	gauge(sourceUp, up)
	gauge(sourceAway, away)
	for _, c := range billing.Causes() {
		is := 0.0
		if c == cause {
			is = 1
		}
		gauge(sourceOutage, is, string(c))
	}
	gauge(sourcePause, m.source.Pause().Seconds())
	gauge(flightsOverdue, float64(m.source.Overdue()))

	for found, codes := range m.unmatched.recent(m.pool) {
		gauge(codesUnmatched, float64(codes), found[0], found[1])
	}

	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	q := dbsqlc.New(m.pool)
	counts, err := q.QueueCounts(ctx)
	if err != nil {
		gauge(queueReadable, 0)
		return
	}
	gauge(queueReadable, 1)
	for _, c := range counts {
		gauge(queueJobs, float64(c.Jobs), c.State, c.Reason)
	}
	if open, err := q.DeliveryCountOpen(ctx); err == nil {
		counts := map[string]int64{db.ByWebhook: 0, db.ByMail: 0}
		for _, row := range open {
			counts[row.Kind] = row.Deliveries
		}
		for kind, n := range counts {
			gauge(deliveriesOpen, float64(n), kind)
		}
	}
	if last, err := q.BillingRunLast(ctx); err == nil && last.FinishedAt != nil {
		gauge(runAge, time.Since(*last.FinishedAt).Seconds())
	}
	if due, err := q.BillingRunNextDueAt(ctx); err == nil && !due.IsZero() {
		gauge(runOverdue, max(0, time.Since(due).Seconds()))
	}
	if left, err := q.BillingRunState(ctx); err == nil {
		gauge(draftsPast, float64(left.PastClosing))
		gauge(draftsKept, float64(left.Held), "held")
		gauge(draftsKept, float64(left.Parked), "parked")
	}
	if last, err := readLastReconciliation(ctx, m.pool); err == nil && last != nil {
		m.reconciled.Store(last)
	}
	if last := m.reconciled.Load(); last != nil {
		for outcome, flights := range last.counts {
			gauge(reconcileFlights, float64(flights), string(outcome.State), string(outcome.Reason))
		}
		gauge(reconcileMissing, float64(last.Missing()))
		gauge(reconcileChanged, float64(last.Changed()))
		gauge(reconcileAge, time.Since(last.at).Seconds())
	}
}
