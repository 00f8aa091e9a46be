package pinot

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
)

// The pause finds the quota: few queries are refused, and most of what is allowed is used.
func TestPaceFindsTheQuota(t *testing.T) {
	t.Parallel()
	for _, allowed := range []time.Duration{20 * time.Millisecond, 200 * time.Millisecond, 2 * time.Second} {
		t.Run(allowed.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var log strings.Builder
				p := &pace{logger: slog.New(slog.NewTextHandler(&log, nil))}
				var mu sync.Mutex
				var free time.Time // when the next query is
				var answered, refused int
				length := 200 * allowed
				end := time.Now().Add(length)
				var workers sync.WaitGroup
				for range 5 {
					workers.Go(func() {
						for time.Now().Before(end) {
							given, err := p.wait(t.Context(), end)
							if err != nil {
								return
							}
							sent := time.Now()
							mu.Lock()
							ok := !sent.Before(free)
							if ok {
								free = sent.Add(allowed)
								answered++
							} else {
								refused++
							}
							mu.Unlock()
							time.Sleep(time.Millisecond)
							if ok {
								p.answered()
							} else {
								p.exceeded(t.Context(), given, errors.New("exception 429"))
							}
						}
					})
				}
				workers.Wait()
				require.GreaterOrEqual(t, answered, 100, "of 200 that are allowed; %d were refused", refused)
				require.Less(t, refused, answered/2)
				require.LessOrEqual(t, strings.Count(log.String(), "WARN"), 1+int(length/tellQuotaAgain), log.String())
			})
		})
	}
}

func TestPaceEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &pace{logger: slog.New(slog.DiscardHandler)}
		never := time.Now().Add(24 * time.Hour)
		for range 40 {
			given, err := p.wait(t.Context(), never)
			require.NoError(t, err)
			p.exceeded(t.Context(), given, errors.New("exception 429"))
		}
		require.Equal(t, mostGap, p.gap)

		// Whoever may not wait as long is told at once, and those that may are not held up by it.
		for range 3 {
			began := time.Now()
			_, err := p.wait(t.Context(), began.Add(time.Second))
			require.Equal(t, billing.CauseQuota, billing.CauseOf(err))
			require.ErrorContains(t, err, "one query each 30s")
			require.Equal(t, began, time.Now())
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := p.wait(ctx, never)
		require.Equal(t, billing.CauseQuota, billing.CauseOf(err))
		began := time.Now()
		for range 100 {
			_, err := p.wait(t.Context(), never)
			require.NoError(t, err)
			p.answered()
		}
		require.Less(t, time.Since(began), 10*time.Minute)
		for range 300 {
			_, err := p.wait(t.Context(), never)
			require.NoError(t, err)
			p.answered()
		}
		require.Zero(t, p.gap, "as if there had never been a quota")
	})
}

// A quota is waited for within the question: nothing else is asked, and it is told once.
func TestFlightsUnderAQuota(t *testing.T) {
	t.Parallel()
	ids := manyIDs(50)
	answer := table(rowsOf(ids)...)
	for name, refusal := range map[string]answerFunc{
		"exception 429": always(http.StatusOK, `{"exceptions":[{"errorCode":429,"message":"QuotaExceededError: Request 7 exceeds query quota for table: flights"}],"numServersQueried":0,"numServersResponded":0}`),
		"HTTP 429":      always(http.StatusTooManyRequests, ""),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const each = 100 * time.Millisecond
			var mu sync.Mutex
			var free time.Time
			limited := func(r *http.Request, sql string) (int, string) {
				mu.Lock()
				defer mu.Unlock()
				if time.Now().Before(free) {
					return refusal(r, sql)
				}
				free = time.Now().Add(each)
				return answer(r, sql)
			}
			b := newBroker(t, limited)
			log := &lockedLog{}
			s := newSource(t, Config{Brokers: []string{b.URL, b.URL + "/"}, Logger: slog.New(slog.NewTextHandler(log, nil))})
			require.Zero(t, s.Pause())
			var workers sync.WaitGroup
			for range 5 {
				workers.Go(func() {
					for range 4 {
						answers, err := s.Flights(t.Context(), ids)
						if err != nil || len(answers) != len(ids) {
							t.Errorf("%d answers, %v", len(answers), err)
						}
					}
				})
			}
			workers.Wait()
			require.NotZero(t, s.Pause())
			for _, sql := range b.asked() {
				asked, _ := askedFor(sql)
				require.True(t, slices.Equal(ids, asked), "all flights at once, and no probe: %s", sql)
			}
			require.Less(t, len(b.asked()), 60, "for 20 answers")
			require.Equal(t, 1, strings.Count(log.String(), "level=WARN"), log.String())
			require.Contains(t, log.String(), "query quota is used up")
		})
	}
}

// Where no turn comes in time, it is an outage that says so.
func TestQuotaThatNeverEnds(t *testing.T) {
	t.Parallel()
	b := newBroker(t, always(http.StatusTooManyRequests, ""))
	s := newSource(t, Config{Brokers: []string{b.URL}, Timeout: 2 * time.Second})
	_, err := s.Flight(t.Context(), "F1")
	failure, ok := errors.AsType[*billing.Error](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, billing.Outage, failure.Kind)
	require.Equal(t, billing.CauseQuota, failure.Cause)
	require.ErrorContains(t, err, "query quota")
	require.LessOrEqual(t, len(b.asked()), 10)
	before := len(b.asked())
	_, err = s.Flight(t.Context(), "F1")
	require.ErrorContains(t, err, "query quota")
	require.LessOrEqual(t, len(b.asked())-before, 1)
	failure, ok = errors.AsType[*billing.Error](s.Check(t.Context()))
	require.True(t, ok, "no reason not to start")
	require.Equal(t, billing.CauseQuota, failure.Cause)
}

// lockedLog may be written to and read at once.
type lockedLog struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
