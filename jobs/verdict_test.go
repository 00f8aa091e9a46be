package jobs_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
)

// waitingState is what a waiting flight's job says.
type waitingState struct {
	since, until time.Time
}

// waiting waits until the flight waits for a look-up later than the one before.
func (b *testBundle) waiting(t *testing.T, before waitingState) waitingState {
	t.Helper()
	var now waitingState
	eventually(t, "the flight waits", func() bool {
		if get[int](t, b, `SELECT count(*) FROM river_job WHERE state = 'scheduled' AND metadata #> '{waiting,until}' IS NOT NULL`) == 0 {
			return false
		}
		require.NoError(t, b.pool.QueryRow(t.Context(), `SELECT (metadata #>> '{waiting,since}')::timestamptz, (metadata #>> '{waiting,until}')::timestamptz
			FROM river_job`).Scan(&now.since, &now.until))
		return !now.until.Equal(before.until)
	})
	return now
}

// pass makes all that a waiting job says older, and makes it due: as if so much
// time had passed.
func (b *testBundle) pass(t *testing.T, s waitingState, passed time.Duration) waitingState {
	t.Helper()
	aged := waitingState{s.since.Add(-passed), s.until.Add(-passed)}
	b.say(t, aged, true)
	b.wake(t)
	return aged
}

// say makes a waiting job say something else.
func (b *testBundle) say(t *testing.T, s waitingState, due bool) {
	t.Helper()
	b.exec(t, `UPDATE river_job SET scheduled_at = $2, state = CASE WHEN $3 THEN 'available' ELSE state END,
		metadata = jsonb_set(jsonb_set(metadata, '{waiting,since}', to_jsonb($1::timestamptz)), '{waiting,until}', to_jsonb($2::timestamptz))`, s.since, s.until, due)
}

func (b *testBundle) wake(t *testing.T) {
	t.Helper()
	b.exec(t, `SELECT pg_notify('flightbill.river_insert', '{"queue": "flights"}')`)
}

func (b *testBundle) cancelled(t *testing.T, s waitingState) {
	t.Helper()
	b.pass(t, s, 24*time.Hour)
	b.waitFor(t, "the flight is given up", 1, `SELECT count(*) FROM flight_processing_queue WHERE state = 'cancelled' AND reason = 'flight_unknown'
			AND last_error LIKE 'flight F1 is not in the flight source%waited 24h0m0s for it%'`)
}

func TestWaitGrowsAndEnds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.start(t)
	b.enqueue(t, "F1")
	w := b.waiting(t, waitingState{})
	require.Equal(t, 15*time.Second, w.until.Sub(w.since), "the first interval")

	since := w.since
	for _, c := range []struct{ passed, atLeast, atMost time.Duration }{
		{10 * time.Minute, 5 * time.Minute, 8 * time.Minute}, // half of what was waited
		{6 * time.Hour, 30 * time.Minute, 30 * time.Minute},
		{17*time.Hour + 35*time.Minute, 0, 20 * time.Minute}, // no longer than the limit
	} {
		aged := b.pass(t, w, c.passed)
		since = since.Add(-c.passed)
		w = b.waiting(t, aged)
		require.WithinDuration(t, since, w.since, time.Millisecond, "counted from the first not yet")
		tried := get[time.Time](t, b, `SELECT attempted_at FROM river_job`)
		require.GreaterOrEqual(t, w.until.Sub(tried).Round(time.Second), c.atLeast)
		require.LessOrEqual(t, w.until.Sub(tried).Truncate(time.Minute), c.atMost)
		require.Zero(t, get[int](t, b, `SELECT attempt FROM river_job`), "waiting spends no attempt")
	}
	require.Equal(t, 24*time.Hour, w.until.Sub(w.since).Round(time.Second))
	b.cancelled(t, w)
}

// Whoever retries a flight, or enqueues it again, begins a wait anew.
func TestWaitBeginsAnew(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		givenUp, cancelled bool          // before
		since, until       time.Duration // what its job is made to say then, from now
		enqueued           bool          // not retried in River UI
	}{
		"retried in River UI while it waits":                   {since: -20 * time.Hour, until: 10 * time.Minute},
		"given up, retried in River UI":                        {givenUp: true},
		"given up, enqueued again":                             {givenUp: true, enqueued: true},
		"cancelled in River UI, retried there after the limit": {cancelled: true, since: -30 * time.Hour, until: -30*time.Hour + 15*time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			service := b.start(t)
			retry := func() {
				_, err := service.Client().JobRetry(t.Context(), get[int64](t, b, `SELECT id FROM river_job`))
				require.NoError(t, err)
				b.wake(t)
			}
			b.enqueue(t, "F1")
			w := b.waiting(t, waitingState{})
			if c.givenUp {
				b.cancelled(t, w)
			}
			if c.cancelled {
				_, err := service.Client().JobCancel(t.Context(), get[int64](t, b, `SELECT id FROM river_job`))
				require.NoError(t, err)
			}
			if c.since != 0 {
				b.say(t, waitingState{time.Now().Add(c.since), time.Now().Add(c.until)}, false)
			}
			if c.enqueued {
				b.enqueue(t, "F1")
			} else {
				retry()
			}
			b.waitFor(t, "it waits from now on", 1, `SELECT count(*) FROM river_job WHERE state = 'scheduled' AND (metadata #>> '{waiting,since}')::timestamptz > $1`, w.since)
			b.flight(t, "F1", "WEEK", landed(4, 9))
			retry()
			b.waitForBilled(t, 1)
		})
	}
}

// What happens between two look-ups by itself does not begin the wait anew.
func TestWaitGoesOn(t *testing.T) {
	t.Parallel()
	for name, between := range map[string]error{
		"after an unexpected failure": errors.New("connection reset"),
		"after an outage":             billing.SourceDown("test", "does not answer", errors.New("connection refused")),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			fail := make(chan error, 1)
			source := &recordingSource{before: func(context.Context, []string) error {
				select {
				case err := <-fail:
					return err
				default:
					return nil
				}
			}}
			b.start(t, source.record)
			b.enqueue(t, "F1")
			w := b.waiting(t, waitingState{})
			fail <- between
			w = b.pass(t, w, 10*time.Hour)
			if name == "after an outage" {
				b.waitFor(t, "it waits for the source", 1, `SELECT count(*) FROM flight_processing_queue WHERE state = 'scheduled' AND reason = 'source_down'`)
				outage := b.waiting(t, w)
				require.WithinDuration(t, w.since, outage.since, time.Millisecond)
				w = b.pass(t, outage, time.Hour)
			}
			again := b.waiting(t, w)
			require.WithinDuration(t, w.since, again.since, time.Millisecond)
			require.Equal(t, "flight_unknown", get[string](t, b, `SELECT reason FROM flight_processing_queue`))
			b.cancelled(t, again)
		})
	}
}

// A table that is about to replace a row has two for a while. That wait is its own, and
// over after minutes.
func TestDifferingRowsAreLookedAtAgain(t *testing.T) {
	t.Parallel()
	const since = `SELECT (metadata #>> '{waiting,differ_since}')::timestamptz FROM river_job`
	for name, replaced := range map[string]bool{"one is replaced": true, "both stay": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			var differ atomic.Bool
			source := &recordingSource{after: func(answers map[string]billing.Answer) {
				if differ.Load() {
					answers["F1"] = billing.Answer{Err: billing.AmbiguousFlight("F1", 2)}
				}
			}}
			b.start(t, source.record)
			b.enqueue(t, "F1")
			w := b.waiting(t, waitingState{})
			differ.Store(true)
			w = b.pass(t, w, 20*time.Hour)
			w = b.waiting(t, w)
			require.Equal(t, "flight_ambiguous", get[string](t, b, `SELECT reason FROM flight_processing_queue`))
			require.WithinDuration(t, time.Now(), get[time.Time](t, b, since), time.Minute, "not since it was unknown")
			require.Zero(t, get[int](t, b, `SELECT attempt FROM river_job`))
			if replaced {
				b.flight(t, "F1", "WEEK", landed(4, 9))
				differ.Store(false)
				b.pass(t, w, time.Minute)
				eventually(t, "it is billed", func() bool { return get[int](t, b, `SELECT count(*) FROM billed_flights`) == 1 })
				return
			}
			b.exec(t, `UPDATE river_job SET metadata = jsonb_set(metadata, '{waiting,differ_since}', to_jsonb($1::timestamptz))`, time.Now().Add(-10*time.Minute))
			b.pass(t, w, time.Minute)
			b.waitFor(t, "it is given up", 1, `SELECT count(*) FROM flight_processing_queue WHERE state = 'cancelled' AND reason = 'flight_ambiguous'
				AND last_error LIKE 'flight F1 has 2 differing rows%(waited 10m0s for it)'`)
		})
	}
}
