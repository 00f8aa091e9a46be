package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/dbsqlc"
)

// batchSourceStub knows all flights but those that start with X, and answers
// after a while.
type batchSourceStub struct {
	answerAfter time.Duration
	stuck       bool // a batch does not end by itself
	batchErr    error
	err         error // of a flight that is asked for alone

	mu      sync.Mutex
	singles []string
	batches [][]string
}

func (*batchSourceStub) Name() string { return "stub" }

func (s *batchSourceStub) Flight(ctx context.Context, id string) (billing.Flight, error) {
	select {
	case <-time.After(s.answerAfter):
	case <-ctx.Done():
		return billing.Flight{}, ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.singles = append(s.singles, id)
	return billing.Flight{ID: id, Callsign: "alone"}, s.err
}

func (s *batchSourceStub) Flights(ctx context.Context, ids []string) (map[string]billing.Flight, error) {
	if s.stuck {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	time.Sleep(s.answerAfter)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.batches = append(s.batches, ids)
	if s.batchErr != nil {
		return nil, s.batchErr
	}
	found := map[string]billing.Flight{}
	for _, id := range ids {
		if id[0] != 'X' {
			found[id] = billing.Flight{ID: id, Callsign: "batch"}
		}
	}
	return found, nil
}

// line is a queue of flights F1, F2 and so on.
func line(from, to int) (ids []string) {
	for i := from; i <= to; i++ {
		ids = append(ids, fmt.Sprintf("F%d", i))
	}
	return ids
}

// testSince is when every job of these tests was made, and due.
var testSince = time.Date(2026, 3, 4, 12, 0, 0, 123_456_000, time.UTC)

// newTestReadAhead has a line whose first flight is that of job 1, and so on, but for
// those that have been taken.
func newTestReadAhead(t *testing.T, source *batchSourceStub, next func() (line []string, taken int, err error)) *readAhead {
	t.Helper()
	r := newReadAhead(source, 5, func(_ context.Context, _ []int64, limit int, behind db.Place) (jobs []dbsqlc.QueueNextToReadRow, err error) {
		line, taken, err := next()
		for i, flight := range line {
			if id := int64(i + 1); id > int64(taken) && id > behind.ID && len(jobs) < limit {
				jobs = append(jobs, dbsqlc.QueueNextToReadRow{ID: id, FlightID: flight, ScheduledAt: testSince, Since: testSince})
			}
		}
		return jobs, err
	}, slog.New(slog.DiscardHandler))
	t.Cleanup(r.Stop)
	return r
}

func callsign(t *testing.T, r *readAhead, id string) string {
	t.Helper()
	f, err := r.Flight(t.Context(), id, testSince)
	require.NoError(t, err)
	require.Equal(t, id, f.ID)
	return f.Callsign
}

func TestReadAheadReadsTheLineTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		source := &batchSourceStub{answerAfter: 5 * time.Millisecond}
		taken := 0
		r := newTestReadAhead(t, source, func() ([]string, int, error) { return line(1, 1000), taken, nil })
		var known []string
		r.known = func(_ context.Context, flights []billing.Flight) {
			source.mu.Lock()
			defer source.mu.Unlock()
			for _, f := range flights {
				known = append(known, f.ID)
			}
		}
		require.Equal(t, "alone", callsign(t, r, "F0"), "nothing was read yet")

		r.More()
		r.More() // once is enough
		synctest.Wait()
		began := time.Now()
		require.Equal(t, "batch", callsign(t, r, "F1"), "waits for the batch that it is in")
		require.LessOrEqual(t, time.Since(began), 5*time.Millisecond)
		for _, id := range line(2, 20) {
			require.Equal(t, "batch", callsign(t, r, id))
		}
		synctest.Wait()
		require.ElementsMatch(t, [][]string{line(1, 50), line(51, 100)}, source.batches)
		require.ElementsMatch(t, line(1, 100), known)
		require.Equal(t, "alone", callsign(t, r, "F1"), "facts serve once")

		for _, id := range line(21, 49) {
			require.Equal(t, "batch", callsign(t, r, id))
		}
		r.More() // 51 are left: enough
		synctest.Wait()
		require.Len(t, source.batches, 2)
		require.Equal(t, "batch", callsign(t, r, "F50"))
		taken = 50
		require.Empty(t, r.Ready(50), "there is no other process")
		r.More()
		synctest.Wait()
		time.Sleep(10 * time.Millisecond)
		synctest.Wait()
		require.Equal(t, [][]string{line(101, 150)}, source.batches[2:], "what has been read is not read again")
		require.Equal(t, []string{"F0", "F1"}, source.singles)
	})
}

func TestReadAheadGoesSoFar(t *testing.T) {
	t.Parallel()
	for workers, flights := range map[int]int{1: 60, 5: 100, 50: 550, 10_000: mostAhead} {
		require.Equal(t, flights, newReadAhead(&batchSourceStub{}, workers, nil, nil).target, "%d workers", workers)
	}
}

func TestReadAheadKeepsFactsForSecondsOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		source := &batchSourceStub{}
		r := newTestReadAhead(t, source, func() ([]string, int, error) { return line(1, 50), 0, nil })
		r.More()
		synctest.Wait()
		time.Sleep(factsAge - time.Millisecond)
		require.Equal(t, "batch", callsign(t, r, "F1"))
		time.Sleep(time.Millisecond)
		require.Equal(t, "alone", callsign(t, r, "F2"))
	})
}

// Another process took the flight and gave it up; its facts were put right, and it
// was enqueued again.
func TestReadAheadForgetsFactsFromBeforeARetry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		source := &batchSourceStub{}
		r := newTestReadAhead(t, source, func() ([]string, int, error) { return line(1, 50), 0, nil })
		r.More()
		synctest.Wait()
		f, err := r.Flight(t.Context(), "F1", testSince.Add(time.Second))
		require.NoError(t, err)
		require.Equal(t, "alone", f.Callsign)
	})
}

// What other processes have taken does not count as read.
func TestReadAheadBesideOtherProcesses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		source := &batchSourceStub{}
		taken := 0
		r := newTestReadAhead(t, source, func() ([]string, int, error) { return line(1, 1000), taken, nil })
		r.More()
		synctest.Wait()
		taken = 200 // all of it
		time.Sleep(lookPause)
		require.Equal(t, "alone", callsign(t, r, "F200"))
		r.More()
		synctest.Wait()
		require.Equal(t, "batch", callsign(t, r, "F201"))
		r.More()
		synctest.Wait()
		require.Len(t, source.batches, 3, "enough has been read")

		taken = 400
		require.Equal(t, "alone", callsign(t, r, "F400"))
		time.Sleep(factsAge)
		r.More()
		synctest.Wait()
		require.Len(t, r.read, 100, "what nobody came for is gone")
	})
}

// Those next in line are told of once each, in their order. What comes to stand ahead
// of them is found within a second, and so is what stands behind that.
func TestReadAheadTellsWhatIsNext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		source := &batchSourceStub{answerAfter: 5 * time.Millisecond}
		var kept [][]int64
		var urgent, plain []dbsqlc.QueueNextToReadRow
		for i := range 200 {
			plain = append(plain, dbsqlc.QueueNextToReadRow{ID: int64(i + 1), FlightID: fmt.Sprintf("F%d", i+1), Priority: 2, ScheduledAt: testSince, Since: testSince, Shared: true})
		}
		r := newReadAhead(source, 5, func(_ context.Context, ids []int64, limit int, behind db.Place) (found []dbsqlc.QueueNextToReadRow, _ error) {
			kept = append(kept, ids)
			for _, job := range slices.Concat(urgent, plain) {
				if placeOf(job).Compare(behind) > 0 && len(found) < limit {
					found = append(found, job)
				}
			}
			return found, nil
		}, slog.New(slog.DiscardHandler))
		defer r.Stop()
		look := func() {
			r.More()
			synctest.Wait()
			time.Sleep(10 * time.Millisecond)
		}
		ids := func(from, to int64) (ids []int64) {
			for id := from; id <= to; id++ {
				ids = append(ids, id)
			}
			return ids
		}
		require.Empty(t, r.Ready(5))
		look()
		require.Equal(t, ids(1, 60), r.Ready(60))
		look() // 100 have been read
		require.Len(t, kept, 1)

		for i := range 150 {
			urgent = append(urgent, dbsqlc.QueueNextToReadRow{ID: int64(i + 1001), FlightID: fmt.Sprintf("U%d", i+1), Priority: 1, ScheduledAt: testSince, Since: testSince, Shared: true})
		}
		time.Sleep(db.RoundTime)
		look()
		require.Equal(t, ids(61, 100), kept[1])
		require.Equal(t, ids(1001, 1090), r.Ready(90))
		for i := range 90 {
			require.Equal(t, "batch", callsign(t, r, fmt.Sprintf("U%d", i+1)))
		}
		for i := range 60 {
			require.Equal(t, "batch", callsign(t, r, fmt.Sprintf("F%d", i+1)))
		}
		look() // 50 are left: not enough
		require.Equal(t, append(ids(1091, 1100), ids(61, 100)...), kept[2])
		require.Equal(t, "batch", callsign(t, r, "F61"), "taken from the front")
		require.Equal(t, append(ids(1091, 1150), ids(62, 71)...), r.Ready(70))

		r.Forget()
		require.Empty(t, r.Ready(5))
	})
}

// A process that is slower than it thought holds no more of the line than it would have
// read, and reads it again once that is too old.
func TestReadAheadThatIsSlow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		source := &batchSourceStub{}
		looks := 0
		r := newReadAhead(source, 5, func(_ context.Context, _ []int64, limit int, behind db.Place) (found []dbsqlc.QueueNextToReadRow, _ error) {
			looks++
			for id := behind.ID + 1; len(found) < limit; id++ {
				found = append(found, dbsqlc.QueueNextToReadRow{ID: id, FlightID: fmt.Sprintf("F%d", id), ScheduledAt: testSince, Since: testSince, Shared: true})
			}
			return found, nil
		}, slog.New(slog.DiscardHandler))
		defer r.Stop()
		r.More()
		synctest.Wait()
		require.Equal(t, "alone", callsign(t, r, "F0"))
		time.Sleep(lookPause)
		r.More()
		synctest.Wait()
		require.Equal(t, 1, looks)
		time.Sleep(factsAge)
		r.More()
		synctest.Wait()
		require.Equal(t, 2, looks)
		require.Len(t, r.Ready(1000), 100)
		require.Equal(t, "batch", callsign(t, r, "F1"))
		require.Equal(t, "batch", callsign(t, r, "F100"))
	})
}

// A flight that a notice names is read while its job is being taken.
func TestReadAheadReadsWhatIsNamed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		source := &batchSourceStub{answerAfter: 5 * time.Millisecond}
		r := newTestReadAhead(t, source, func() ([]string, int, error) { return line(1, 50), 0, nil })
		askedFor := func(id string) (times int) {
			synctest.Wait()
			for _, single := range source.singles {
				if single == id {
					times++
				}
			}
			return times
		}
		named := func(id string) {
			r.Heard(id, testSince)
			r.Taking()
			synctest.Wait()
		}
		named("N1")
		time.Sleep(4 * time.Millisecond) // it is taken
		began := time.Now()
		callsign(t, r, "N1")
		require.Equal(t, time.Millisecond, time.Since(began), "what is left of the question that was sent")
		require.Equal(t, 1, askedFor("N1"))

		named("N2")
		named("N3")
		began = time.Now()
		callsign(t, r, "N2")
		callsign(t, r, "N3")
		require.Equal(t, 10*time.Millisecond, time.Since(began), "one at a time")
		require.Equal(t, []string{"N1", "N2", "N3"}, source.singles)

		named("N3")
		require.Nil(t, r.named, "a poll had its worker ask before the notice came")

		r.More()
		named("N4") // while it looks
		named("N5") // while it reads
		require.Nil(t, r.named, "there is a line")
		require.Equal(t, "batch", callsign(t, r, "F50"))
		named("N6")
		require.NotNil(t, r.named, "whatever else has been read")
		callsign(t, r, "N6")
		callsign(t, r, "N7")
		r.Taking()
		require.Nil(t, r.named, "once")

		r.Heard("OLD", testSince)
		time.Sleep(namedTime + 1)
		r.Taking()
		require.Nil(t, r.named, "no slot has been free for so long")

		named("N8")
		r.Forget()
		callsign(t, r, "N8")
		require.Equal(t, 2, askedFor("N8"))
	})
}

// What has been read serves for seconds only, and not a flight that was enqueued again
// since then. That counts as read in vain.
func TestReadAheadForgetsTheNamed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		after time.Duration
		since time.Time
	}{"old": {factsAge, testSince}, "enqueued again": {0, testSince.Add(time.Second)}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				source := &batchSourceStub{}
				r := newTestReadAhead(t, source, func() ([]string, int, error) { return nil, 0, nil })
				r.Heard("N1", testSince)
				r.Taking()
				synctest.Wait()
				time.Sleep(c.after)
				_, err := r.Flight(t.Context(), "N1", c.since)
				require.NoError(t, err)
				require.Equal(t, []string{"N1", "N1"}, source.singles)

				r.Heard("N2", testSince)
				r.Taking()
				require.Nil(t, r.named)
				time.Sleep(namedPause)
				r.Heard("N2", testSince)
				r.Taking()
				require.NotNil(t, r.named)
			})
		})
	}
}

// What is said of a flight that a notice names is what its worker hears, without
// asking once more.
func TestReadAheadSaysWhatIsSaidOfTheNamed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		source := &batchSourceStub{answerAfter: 5 * time.Millisecond, err: errors.New("not known")}
		r := newTestReadAhead(t, source, func() ([]string, int, error) { return nil, 0, nil })
		r.Heard("N1", testSince)
		r.Taking()
		_, err := r.Flight(t.Context(), "N1", testSince)
		require.ErrorIs(t, err, source.err)
		require.Equal(t, []string{"N1"}, source.singles)
	})
}

// A source that does not answer is asked for as long as it would be by the worker
// alone, whenever that comes, and that is an outage.
func TestReadAheadOfTheNamedIsCutOff(t *testing.T) {
	t.Parallel()
	for _, after := range []time.Duration{0, 2 * time.Second, factsAge - 1} {
		t.Run(after.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newTestReadAhead(t, &batchSourceStub{answerAfter: time.Hour}, func() ([]string, int, error) { return nil, 0, nil })
				w := &IngestFlight{Ahead: r, Source: r.source, Gate: &sourceGate{}, Stats: NewStats()}
				r.Heard("N1", testSince)
				r.Taking()
				time.Sleep(after)
				began := time.Now()
				_, err := w.fetch(t.Context(), &river.Job[IngestFlightArgs]{
					JobRow: &rivertype.JobRow{CreatedAt: testSince, ScheduledAt: testSince}, Args: IngestFlightArgs{FlightID: "N1"},
				})
				require.Equal(t, fetchTimeout, time.Since(began))
				var said *billing.Error
				require.ErrorAs(t, err, &said)
				require.Equal(t, billing.Outage, said.Kind)
			})
		})
	}
}

// Of a process that ends, its worker asks for itself, as long as its own context lasts.
func TestReadAheadOfTheNamedStops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		source := &batchSourceStub{answerAfter: 5 * time.Millisecond}
		r := newTestReadAhead(t, source, func() ([]string, int, error) { return nil, 0, nil })
		r.Heard("N1", testSince)
		r.Taking()
		synctest.Wait()
		time.AfterFunc(time.Millisecond, r.Stop)
		require.Equal(t, "alone", callsign(t, r, "N1"))
	})
}

// The worker of a flight that was retried does not get what was read before.
func TestFetchOfARetriedFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		source := &batchSourceStub{}
		r := newTestReadAhead(t, source, func() ([]string, int, error) { return nil, 0, nil })
		w := &IngestFlight{Ahead: r, Source: source, Gate: &sourceGate{}, Stats: NewStats()}
		for id, retried := range map[string]time.Duration{"N1": time.Second, "N2": 0} {
			r.Heard(id, testSince)
			r.Taking()
			synctest.Wait()
			source.singles, r.namedPausedTo = nil, time.Time{}
			_, err := w.fetch(t.Context(), &river.Job[IngestFlightArgs]{
				JobRow: &rivertype.JobRow{CreatedAt: testSince, ScheduledAt: testSince.Add(retried)}, Args: IngestFlightArgs{FlightID: id},
			})
			require.NoError(t, err)
			require.Equal(t, retried > 0, len(source.singles) == 1, id)
			r.namedPausedTo = time.Time{}
		}
	})
}

// Every process hears a notice, and one takes the flight.
func TestReadAheadReadsLittleInVain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		source := &batchSourceStub{}
		r := newTestReadAhead(t, source, func() ([]string, int, error) { return nil, 0, nil })
		named := func(id string) {
			r.Heard(id, testSince)
			r.Taking()
			synctest.Wait()
		}
		began := time.Now()
		for n := range 600 { // for a minute, ten a second
			named(fmt.Sprintf("N%d", n))
			time.Sleep(100 * time.Millisecond)
		}
		require.Equal(t, time.Minute, time.Since(began))
		require.Len(t, source.singles, 6, "others take them all")

		time.Sleep(namedPause)
		named("OURS")
		require.Len(t, source.singles, 7)
		callsign(t, r, "OURS")
		require.Len(t, source.singles, 7)
	})
}

func TestReadAheadLeavesTheRestToFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		source := &batchSourceStub{}
		r := newTestReadAhead(t, source, func() ([]string, int, error) { return []string{"F1", "X1"}, 0, nil })
		r.More()
		synctest.Wait()
		require.Equal(t, "batch", callsign(t, r, "F1"))
		require.Equal(t, "alone", callsign(t, r, "X1"), "whatever is to be said of it, Flight says")
	})
}

func TestReadAheadFails(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(*batchSourceStub) error{
		"batch": func(s *batchSourceStub) error { s.batchErr = errors.New("Pinot is away"); return nil },
		"line":  func(*batchSourceStub) error { return errors.New("the database is away") },
		"slow":  func(s *batchSourceStub) error { s.stuck = true; return nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				source := &batchSourceStub{answerAfter: time.Millisecond}
				lineErr := fail(source)
				looks := 0
				r := newTestReadAhead(t, source, func() ([]string, int, error) { looks++; return line(1, 50), 0, lineErr })
				r.More()
				synctest.Wait()
				began := time.Now()
				callsign(t, r, "F1")
				require.LessOrEqual(t, time.Since(began), batchTimeout+source.answerAfter, "a flight asks for itself after that")
				r.More()
				synctest.Wait()
				require.Equal(t, 1, looks, "there is a pause")
				time.Sleep(batchPause)
				r.More()
				synctest.Wait()
				require.Equal(t, 2, looks)
			})
		})
	}
}

func TestReadAheadStops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		source := &batchSourceStub{stuck: true}
		r := newTestReadAhead(t, source, func() ([]string, int, error) { return line(1, 50), 0, nil })
		r.More()
		synctest.Wait()
		began := time.Now()
		r.Stop()
		require.Zero(t, time.Since(began))
		r.More()
		r.Heard("N1", testSince)
		r.Taking()
		synctest.Wait()
		require.False(t, r.looking)
		require.Nil(t, r.named)
	})
}
