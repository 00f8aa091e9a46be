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

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db/dbsqlc"
)

// batchSourceStub knows all flights but those that start with X, and answers
// after a while.
type batchSourceStub struct {
	answerAfter time.Duration
	stuck       bool // a batch does not end by itself
	batchErr    error

	mu      sync.Mutex
	singles []string
	batches [][]string
}

func (*batchSourceStub) Name() string { return "stub" }

func (s *batchSourceStub) Flight(_ context.Context, id string) (billing.Flight, error) {
	time.Sleep(s.answerAfter)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.singles = append(s.singles, id)
	return billing.Flight{ID: id, Callsign: "alone"}, nil
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

// testDue is when every job of these tests is due.
var testDue = time.Date(2026, 3, 4, 12, 0, 0, 123_456_000, time.UTC)

func newTestReadAhead(t *testing.T, source *batchSourceStub, next func(limit int32) ([]string, error)) *readAhead {
	t.Helper()
	r := newReadAhead(source, 5, func(_ context.Context, _ []int64, limit int32) (jobs []dbsqlc.QueueNextToReadRow, err error) {
		ids, err := next(limit)
		for _, id := range ids {
			jobs = append(jobs, dbsqlc.QueueNextToReadRow{FlightID: id, ScheduledAt: testDue})
		}
		return jobs, err
	}, slog.New(slog.DiscardHandler))
	t.Cleanup(r.Stop)
	return r
}

func callsign(t *testing.T, r *readAhead, id string) string {
	t.Helper()
	f, err := r.Flight(t.Context(), id, testDue)
	require.NoError(t, err)
	require.Equal(t, id, f.ID)
	return f.Callsign
}

func TestReadAheadReadsTheLineTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		source := &batchSourceStub{answerAfter: 5 * time.Millisecond}
		from := 1
		r := newTestReadAhead(t, source, func(limit int32) ([]string, error) { return line(from, from+int(limit)-1), nil })
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
		from = 51
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
	for workers, flights := range map[int]int32{1: 60, 5: 100, 50: 550, 10_000: mostAhead} {
		require.Equal(t, flights, newReadAhead(&batchSourceStub{}, workers, nil, nil).target, "%d workers", workers)
	}
}

func TestReadAheadKeepsFactsForSecondsOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		source := &batchSourceStub{}
		r := newTestReadAhead(t, source, func(int32) ([]string, error) { return line(1, 50), nil })
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
		r := newTestReadAhead(t, source, func(int32) ([]string, error) { return line(1, 50), nil })
		r.More()
		synctest.Wait()
		f, err := r.Flight(t.Context(), "F1", testDue.Add(time.Second))
		require.NoError(t, err)
		require.Equal(t, "alone", f.Callsign)
	})
}

// What other processes have taken does not count as read.
func TestReadAheadBesideOtherProcesses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		source := &batchSourceStub{}
		from := 1
		r := newTestReadAhead(t, source, func(limit int32) ([]string, error) { return line(from, from+int(limit)-1), nil })
		r.More()
		synctest.Wait()
		from = 201 // all of it
		time.Sleep(lookPause)
		require.Equal(t, "alone", callsign(t, r, "F200"))
		r.More()
		synctest.Wait()
		require.Equal(t, "batch", callsign(t, r, "F201"))
		r.More()
		synctest.Wait()
		require.Len(t, source.batches, 4, "enough has been read")

		from = 401
		require.Equal(t, "alone", callsign(t, r, "F400"))
		time.Sleep(factsAge)
		r.More()
		synctest.Wait()
		require.Len(t, r.read, 100, "what nobody came for is gone")
	})
}

// Those that are read, or on their way, are told of once each, in the order of the line.
func TestReadAheadTellsWhatIsReady(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		source := &batchSourceStub{answerAfter: 5 * time.Millisecond}
		var kept [][]int64
		next := []dbsqlc.QueueNextToReadRow{
			{ID: 1, FlightID: "F1", Priority: 2, ScheduledAt: testDue}, {ID: 2, FlightID: "F2", Priority: 2, ScheduledAt: testDue},
			{ID: 3, FlightID: "X3", Priority: 2, ScheduledAt: testDue},
		}
		r := newReadAhead(source, 5, func(_ context.Context, ids []int64, _ int32) ([]dbsqlc.QueueNextToReadRow, error) {
			kept = append(kept, ids)
			return slices.Clone(next), nil
		}, slog.New(slog.DiscardHandler))
		defer r.Stop()
		require.Empty(t, r.Ready(5))
		r.More()
		synctest.Wait()
		require.Equal(t, []int64{1}, r.Ready(1), "on its way")
		time.Sleep(10 * time.Millisecond)

		next = append(next, dbsqlc.QueueNextToReadRow{ID: 9, FlightID: "F9", Priority: 1, ScheduledAt: testDue})
		r.More()
		synctest.Wait()
		time.Sleep(10 * time.Millisecond)
		require.Equal(t, [][]int64{nil, {2}}, kept, "the source said nothing of X3")
		require.Equal(t, []int64{9, 2}, r.Ready(5), "F9 has come ahead of F2")
		require.Empty(t, r.Ready(5))

		require.Equal(t, "batch", callsign(t, r, "F2"))
		r.More()
		synctest.Wait()
		time.Sleep(10 * time.Millisecond)
		require.Equal(t, []int64{2}, r.Ready(5), "F1 and F9 are there still, F2 has been read anew")
		r.More()
		time.Sleep(factsAge)
		require.Empty(t, r.Ready(5), "too old")
		r.More()
		synctest.Wait()
		r.Forget()
		require.Empty(t, r.Ready(5), "forgotten")
	})
}

func TestReadAheadLeavesTheRestToFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		source := &batchSourceStub{}
		r := newTestReadAhead(t, source, func(int32) ([]string, error) { return []string{"F1", "X1"}, nil })
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
				r := newTestReadAhead(t, source, func(int32) ([]string, error) { looks++; return line(1, 50), lineErr })
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
		r := newTestReadAhead(t, source, func(int32) ([]string, error) { return line(1, 50), nil })
		r.More()
		synctest.Wait()
		began := time.Now()
		r.Stop()
		require.Zero(t, time.Since(began))
		r.More()
		synctest.Wait()
		require.False(t, r.looking)
	})
}
