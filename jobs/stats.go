package jobs

import (
	"maps"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

type stage string

const (
	stageFetch stage = "fetch"
	stagePrice stage = "price"
	stageSave  stage = "save"
	stageTotal stage = "enqueue_to_saved"
)

// Histograms hold microseconds up to a day, to three digits.
const (
	longestMeasured = int64(24 * time.Hour / time.Microsecond)
	measuredDigits  = 3
)

// idleGap is how long no flight may be in work before the time counts as idle:
// shorter gaps belong to a queue that is being drained.
const idleGap = time.Second

// Stats are this process's own performance statistics, since its start.
type Stats struct {
	mu        sync.Mutex
	startedAt time.Time
	flights   Flights // their counts
	stages    map[stage]*hdrhistogram.Histogram
	runs      map[string]*runStats
	delivered map[string]map[string]int64 // tries, by kind and what came of them

	inWork    int
	busySince time.Time
	idleSince time.Time
	busy      time.Duration
}

type runStats struct {
	done, failed int64
	took         *hdrhistogram.Histogram
}

// NewStats begins to count.
func NewStats() *Stats {
	s := &Stats{
		startedAt: time.Now(), flights: Flights{Snoozed: map[string]int64{}, Cancelled: map[string]int64{}},
		stages: map[stage]*hdrhistogram.Histogram{}, runs: map[string]*runStats{},
		delivered: map[string]map[string]int64{},
	}
	for _, st := range []stage{stageFetch, stagePrice, stageSave, stageTotal} {
		s.stages[st] = newHistogram()
	}
	return s
}

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, longestMeasured, measuredDigits)
}

func (s *Stats) flightsStarted(n int) (done func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if s.inWork == 0 && now.Sub(s.idleSince) > idleGap {
		s.busy += s.idleSince.Sub(s.busySince)
		s.busySince = now
	}
	s.inWork += n
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.inWork -= n
		s.idleSince = time.Now()
	}
}

func (s *Stats) flightBilled(dueAt time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flights.Done++
	record(s.stages[stageTotal], time.Since(dueAt), 1)
}

func (s *Stats) flightFailed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flights.Failed++
}

func (s *Stats) flightSnoozed(reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flights.Snoozed[reason]++
}

func (s *Stats) flightCancelled(reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flights.Cancelled[reason]++
}

// observe notes what a stage took for so many flights, each of which it took that long.
func (s *Stats) observe(st stage, took time.Duration, flights int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	record(s.stages[st], took, flights)
}

func (s *Stats) scheduledRun(kind string, took time.Duration, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	run := s.runs[kind]
	if run == nil {
		run = &runStats{took: newHistogram()}
		s.runs[kind] = run
	}
	if err != nil {
		run.failed++
		return
	}
	run.done++
	record(run.took, took, 1)
}

// delivery counts a try.
func (s *Stats) delivery(kind, outcome string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.delivered[kind] == nil {
		s.delivered[kind] = map[string]int64{}
	}
	s.delivered[kind][outcome]++
}

func record(h *hdrhistogram.Histogram, took time.Duration, times int) {
	// A clock set back or a month's wait stays inside the histogram.
	_ = h.RecordValues(min(max(took.Microseconds(), 1), longestMeasured), int64(times))
}

// Quantiles are of durations, in milliseconds.
type Quantiles struct {
	Count int64   `json:"count"`
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P99   float64 `json:"p99"`
	Max   float64 `json:"max"`

	sum time.Duration
}

// Flights are the counts of flights.
type Flights struct {
	Done           int64                `json:"done"`            // billed
	Failed         int64                `json:"failed"`          // attempts that ended in an unexpected failure
	Snoozed        map[string]int64     `json:"snoozed"`         // put back, by reason
	Cancelled      map[string]int64     `json:"cancelled"`       // given up until put right, by reason
	PerSecond      float64              `json:"per_second"`      // billed, per second in which flights were in work
	BusySeconds    float64              `json:"busy_seconds"`    // those seconds
	MillisecondsOf map[string]Quantiles `json:"milliseconds_of"` // fetch, price, save, enqueue_to_saved
}

// ScheduledRuns are the counts of one kind of scheduled run.
type ScheduledRuns struct {
	Done         int64     `json:"done"`
	Failed       int64     `json:"failed"`
	Milliseconds Quantiles `json:"milliseconds"`
}

// Snapshot is all of it at one moment.
type Snapshot struct {
	StartedAt time.Time                `json:"started_at"`
	Flights   Flights                  `json:"flights"`
	Scheduled map[string]ScheduledRuns `json:"scheduled"`
	// Deliveries are the tries, by kind and what came of them: delivered, failed, given_up.
	Deliveries map[string]map[string]int64 `json:"deliveries"`
}

// Snapshot returns the statistics so far.
func (s *Stats) Snapshot() Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	busy := s.busy
	if !s.busySince.IsZero() {
		until := s.idleSince
		if s.inWork > 0 {
			until = time.Now()
		}
		busy += max(0, until.Sub(s.busySince))
	}
	snapshot := Snapshot{StartedAt: s.startedAt, Flights: s.flights, Scheduled: map[string]ScheduledRuns{}, Deliveries: map[string]map[string]int64{}}
	flights := &snapshot.Flights
	flights.Snoozed, flights.Cancelled = maps.Clone(flights.Snoozed), maps.Clone(flights.Cancelled)
	if flights.BusySeconds = busy.Seconds(); busy > 0 {
		flights.PerSecond = float64(flights.Done) / flights.BusySeconds
	}
	flights.MillisecondsOf = map[string]Quantiles{}
	for st, h := range s.stages {
		flights.MillisecondsOf[string(st)] = quantiles(h)
	}
	for kind, tries := range s.delivered {
		snapshot.Deliveries[kind] = maps.Clone(tries)
	}
	for kind, run := range s.runs {
		snapshot.Scheduled[kind] = ScheduledRuns{Done: run.done, Failed: run.failed, Milliseconds: quantiles(run.took)}
	}
	return snapshot
}

func quantiles(h *hdrhistogram.Histogram) Quantiles {
	ms := func(microseconds int64) float64 { return float64(microseconds) / 1000 }
	return Quantiles{
		Count: h.TotalCount(), P50: ms(h.ValueAtQuantile(50)), P90: ms(h.ValueAtQuantile(90)),
		P99: ms(h.ValueAtQuantile(99)), Max: ms(h.Max()),
		sum: time.Duration(h.Mean()*float64(h.TotalCount())) * time.Microsecond,
	}
}
