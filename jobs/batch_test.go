package jobs_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/jobs"
)

// recordingSource is a flight source that remembers what it was asked for, and does what
// the test says before it answers.
type recordingSource struct {
	jobs.FlightSource

	before func(ctx context.Context, ids []string) error
	after  func(answers map[string]billing.Answer) // changes them

	mu    sync.Mutex
	asked [][]string
}

func (s *recordingSource) Flights(ctx context.Context, ids []string) (map[string]billing.Answer, error) {
	s.mu.Lock()
	s.asked = append(s.asked, slices.Clone(ids))
	s.mu.Unlock()
	if s.before != nil {
		if err := s.before(ctx, ids); err != nil {
			return nil, err
		}
	}
	answers, err := s.FlightSource.Flights(ctx, ids)
	if s.after != nil && err == nil {
		s.after(answers)
	}
	return answers, err
}

// times returns how often each flight was asked for.
func (s *recordingSource) times() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	times := map[string]int{}
	for _, ids := range s.asked {
		for _, id := range ids {
			times[id]++
		}
	}
	return times
}

func (s *recordingSource) total() (flights int) {
	for _, size := range s.sizes() {
		flights += size
	}
	return flights
}

func (s *recordingSource) sizes() (sizes []int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, ids := range s.asked {
		sizes = append(sizes, len(ids))
	}
	return sizes
}

// record has a service read through a recordingSource.
func (s *recordingSource) record(c *jobs.Config) { s.FlightSource, c.Source = c.Source, s }

func workers(n int) func(*jobs.Config) { return func(c *jobs.Config) { c.Workers = n } }

// landed adds flights F1, F2 and so on to the table.
func (b *testBundle) landed(t *testing.T, from, to int) {
	t.Helper()
	b.exec(t, `INSERT INTO flights (flight_id, operator, mtow_kg, origin, destination, departed_at, landed_at, distance_km)
		SELECT 'F' || n, 'WEEK', 70500, 'EIDW', 'EGLL', $1::timestamptz - interval '1 hour', $1, 449 FROM generate_series($2::int, $3) AS n`,
		b.clock.Now().Add(-time.Hour), from, to)
}

// enqueueMany puts flights F1, F2 and so on in the queue, in one transaction.
func (b *testBundle) enqueueMany(t *testing.T, from, to, priority int) {
	t.Helper()
	b.exec(t, `SELECT enqueue_flights(array_agg('F' || n), priority => $3::smallint) FROM generate_series($1::int, $2) AS n`, from, to, priority)
}

// lineUp puts flights F1, F2 and so on in the table and in the queue.
func (b *testBundle) lineUp(t *testing.T, flights int) {
	t.Helper()
	b.landed(t, 1, flights)
	b.enqueueMany(t, 1, flights, 1)
}

func (b *testBundle) billedCount(t *testing.T) int {
	t.Helper()
	return get[int](t, b, `SELECT count(*) FROM billed_flights`)
}

func (b *testBundle) waitForBilled(t *testing.T, flights int) {
	t.Helper()
	b.waitFor(t, "the flights are billed", flights, `SELECT count(*) FROM billed_flights`)
}

// River hands out one flight; the worker goes on with those that wait, together. Each is
// asked for once, and is a job of its own.
func TestWorkerGoesOnInBatches(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.lineUp(t, 120)
	source := &recordingSource{}
	b.start(t, source.record, workers(1))
	b.waitForBilled(t, 120)
	require.Equal(t, []int{1, 50, 50, 19}, source.sizes())
	require.Equal(t, 120, get[int](t, b, `SELECT count(*) FROM river_job WHERE state = 'completed' AND attempt = 1`))
	eventually(t, "figures are of flights, not of slots", func() bool { return b.stats.Snapshot().Flights.Done == 120 })
	require.EqualValues(t, 120, b.stats.Snapshot().Flights.MillisecondsOf["fetch"].Count)
}

// Where flights are known to wait, a slot begins with a batch: at a source that takes its
// time, River's flight alone would cost as much as fifty.
func TestSlotBeginsWithABatch(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const flights = 700
	b.lineUp(t, flights)
	source := &recordingSource{before: func(ctx context.Context, ids []string) error {
		select {
		case <-time.After(time.Second):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}}
	b.start(t, source.record, workers(2))
	b.waitForBilled(t, flights)
	sizes := source.sizes()
	require.Equal(t, []int{1, 1}, sizes[:2])
	require.Equal(t, 2, slices.Index(slices.Clone(sizes), jobs.DefaultBatch))
	require.NotContains(t, sizes[2:], 1, "some slots ended meanwhile")
}

func TestBatchOfOne(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.lineUp(t, 7)
	source := &recordingSource{}
	b.start(t, source.record, workers(1), func(c *jobs.Config) { c.Batch = 1 })
	b.waitForBilled(t, 7)
	require.Equal(t, []int{1, 1, 1, 1, 1, 1, 1}, source.sizes())
}

// Flights that the source does not know are asked for once, however many, and hold up no
// others.
func TestUnknownFlightsHoldUpNoOthers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.landed(t, 1001, 1020)
	b.enqueueMany(t, 1, 1020, 1)
	source := &recordingSource{}
	b.start(t, source.record)
	b.waitForBilled(t, 20)
	b.waitFor(t, "the others wait", 1000, `SELECT count(*) FROM flight_processing_queue WHERE state = 'scheduled' AND reason = 'flight_unknown' AND attempts = 0`)
	times := source.times()
	require.Len(t, times, 1020)
	for id, n := range times {
		require.Equal(t, 1, n, id)
	}
}

// One flight that cannot be saved, or that a bug in its reading meets, takes none with it.
func TestOneBadFlightTakesNoneWithIt(t *testing.T) {
	t.Parallel()
	const refuse = `RAISE EXCEPTION 'not this one'`
	for name, c := range map[string]struct{ trigger, does, said string }{
		"save":   {`CREATE TRIGGER refuse BEFORE INSERT ON billed_flights`, refuse, `not this one`},
		"commit": {`CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON billed_flights INITIALLY DEFERRED`, refuse, `not this one`},
		"panic":  {said: `not this one`},
		// What a site's own trigger asks for and is not there says nothing of flightbill's tables.
		"a site's trigger": {`CREATE TRIGGER refuse BEFORE INSERT ON charges`, `INSERT INTO audit VALUES (NEW.flight_id)`, `relation "audit" does not exist`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.lineUp(t, 60)
			source := &recordingSource{before: func(_ context.Context, ids []string) error {
				if c.trigger == "" && slices.Contains(ids, "F33") {
					panic("not this one")
				}
				return nil
			}}
			if c.trigger != "" {
				b.exec(t, `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN `+c.does+`; RETURN NEW; END $$`)
				b.exec(t, c.trigger+` FOR EACH ROW WHEN (NEW.flight_id = 'F33') EXECUTE FUNCTION refuse()`)
			}
			said := &jobs.LogBuffer{}
			b.start(t, source.record, workers(1), said.Record)
			b.waitForBilled(t, 59)
			b.waitFor(t, "the bad one is tried again at River's intervals", 1, `SELECT count(*) FROM flight_processing_queue WHERE flight_id = 'F33' AND attempts >= 1 AND details LIKE '%' || $1 || '%' AND last_error LIKE 'something failed%'`, c.said)
			require.Equal(t, 59, get[int](t, b, `SELECT count(*) FROM river_job WHERE state = 'completed' AND attempt = 1`), "no other has spent an attempt")
			for id, n := range source.times() {
				require.True(t, n <= 2 || id == "F33", "%s was asked for %d times: together, and once apart", id, n)
			}
			require.Regexp(t, `flight failed and will be tried again.*flight_id=F33.*`+strings.ReplaceAll(c.said, `"`, `\\"`), said.String())
		})
	}
}

// One customer's row is locked by somebody's open transaction: only that customer's
// flights wait, with the reason, and without an attempt.
func TestLockedCustomerHoldsUpItsOwnFlights(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for i := range 200 {
		b.flight(t, fmt.Sprintf("F%d", i), []string{"WEEK", "MON", "EACH", "HELD"}[i%4], landed(4, 9))
	}
	holder := b.begin(t, `SELECT FROM customers WHERE code = 'EACH' FOR UPDATE`)
	b.exec(t, `SELECT enqueue_flights(array_agg(flight_id)) FROM flights`)
	b.start(t, workers(1))
	began := time.Now()
	b.waitForBilled(t, 150)
	require.Less(t, time.Since(began), 6*time.Second, "the lock is waited for once, together and apart, and not by each batch")
	const theirs = `SELECT count(*) FROM flight_processing_queue WHERE state = 'scheduled' AND reason = 'locked' AND attempts = 0
		AND details LIKE 'customer EACH is locked by another transaction%' AND last_error LIKE 'the flight''s customer is locked by another transaction%'`
	eventually(t, "the locked customer's flights wait", func() bool { return get[int](t, b, theirs) == 50 })
	require.NoError(t, holder.Rollback(t.Context()))
	b.waitForBilled(t, 200)
	require.Equal(t, 1, get[int](t, b, `SELECT max(attempt) FROM river_job`))
}

// A flight of River's that is not saved does not keep its worker from going on; River
// gets its verdict when the slot ends.
func TestWorkerGoesOnBehindAFlightThatIsNotSaved(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.landed(t, 2, 60)
	b.enqueueMany(t, 1, 60, 1)
	source := &recordingSource{}
	var first string
	source.before = func(ctx context.Context, ids []string) error {
		if slices.Contains(ids, "F60") {
			return b.pool.QueryRow(ctx, `SELECT state FROM flight_processing_queue WHERE flight_id = 'F1'`).Scan(&first)
		}
		return nil
	}
	b.start(t, source.record, workers(1))
	b.waitForBilled(t, 59)
	require.Equal(t, []int{1, 50, 9}, source.sizes())
	require.Equal(t, "running", first)
	b.waitFor(t, "the first waits", 1, `SELECT count(*) FROM flight_processing_queue WHERE flight_id = 'F1' AND state = 'scheduled' AND reason = 'flight_unknown' AND attempts = 0`)
}

// Urgent flights wait for the batches in work, and for no more.
func TestUrgentFlightsWaitOneBatchAtMost(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const flights, urgent = 5000, 300
	b.landed(t, 1, flights+urgent)
	b.enqueueMany(t, 1, flights, 4)
	for range 2 {
		b.start(t)
	}
	eventually(t, "they are at work", func() bool { return b.billedCount(t) > 1000 })
	b.enqueueMany(t, flights+1, flights+urgent, 1)
	b.waitFor(t, "the urgent ones are billed", urgent, `SELECT count(*) FROM river_job WHERE state = 'completed' AND priority = 1`)
	// A batch that was claimed when the urgent ones could be seen had been claimed before
	// by each of ten workers.
	claimed := get[int](t, b, `SELECT count(*) FROM river_job j WHERE j.priority = 4
		AND j.attempted_at > (SELECT min(attempted_at) FROM river_job WHERE priority = 1) AND j.attempted_at < (SELECT max(attempted_at) FROM river_job WHERE priority = 1)`)
	t.Logf("%d others were claimed from the first to the last urgent one", claimed)
	require.LessOrEqual(t, claimed, 10*jobs.DefaultBatch)
}

// An operator pauses the queue: a worker finishes its batch and claims no more.
func TestPauseEndsAfterTheBatch(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.landed(t, 1, 200)
	var service *jobs.Service
	source := &recordingSource{}
	paused := make(chan struct{})
	source.before = func(ctx context.Context, ids []string) error {
		if len(ids) == jobs.DefaultBatch {
			select {
			case <-paused:
			default:
				close(paused)
				return service.Client().QueuePause(ctx, jobs.FlightsQueue, nil)
			}
		}
		return nil
	}
	service = b.start(t, source.record, workers(1))
	b.enqueueMany(t, 1, 200, 1)
	<-paused
	b.waitForBilled(t, 51)
	time.Sleep(1500 * time.Millisecond) // River polls each second
	require.Equal(t, 51, b.billedCount(t))
	require.NoError(t, service.Client().QueueResume(t.Context(), jobs.FlightsQueue, nil))
	b.waitForBilled(t, 200)
}

// Somebody cancels, in River UI, a flight that a worker has claimed itself: where it is
// not saved, it is cancelled.
func TestCancelOfAClaimedFlight(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.landed(t, 1, 9)
	b.enqueueMany(t, 1, 10, 1)
	f10 := get[int64](t, b, `SELECT job_id FROM flight_processing_queue WHERE flight_id = 'F10'`)
	var service *jobs.Service
	source := &recordingSource{}
	source.before = func(ctx context.Context, ids []string) error {
		if len(ids) > 1 {
			_, err := service.Client().JobCancel(ctx, f10)
			return err
		}
		return nil
	}
	b.exec(t, `INSERT INTO river_queue (name, paused_at, updated_at) VALUES ('flights', now(), now())`)
	service = b.start(t, source.record, workers(1))
	require.NoError(t, service.Client().QueueResume(t.Context(), jobs.FlightsQueue, nil))
	b.waitForBilled(t, 9)
	b.waitFor(t, "it is cancelled", 1, `SELECT count(*) FROM flight_processing_queue WHERE flight_id = 'F10' AND state = 'cancelled' AND details = 'job cancelled remotely' AND last_error = 'the flight was cancelled by hand'`)
}

// StopNow gives a batch in work back as it was.
func TestStopNowGivesABatchBack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.lineUp(t, 20)
	source := &recordingSource{}
	batch := make(chan struct{}, 1)
	source.before = func(ctx context.Context, ids []string) error {
		if len(ids) == 1 {
			return nil
		}
		batch <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	}
	service := b.start(t, source.record, workers(1))
	<-batch
	require.NoError(t, service.StopNow(t.Context()))
	require.Equal(t, "available 0 19, completed 1 1", get[string](t, b, `SELECT string_agg(concat_ws(' ', state, attempt, n), ', ' ORDER BY state)
		FROM (SELECT state, attempt, count(*) AS n FROM river_job GROUP BY 1, 2) AS s`))
	require.Zero(t, get[int](t, b, `SELECT count(*) FROM river_job WHERE errors <> '{}'`))
	require.Zero(t, b.stats.Snapshot().Flights.Failed)
}

// What a worker cannot save within its lease goes back as it was, before River's rescuer
// takes it for lost.
func TestLeaseIsOver(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.lineUp(t, 20)
	source := &recordingSource{}
	first := true
	source.before = func(ctx context.Context, ids []string) error {
		if len(ids) == 1 || !first {
			return nil
		}
		first = false
		<-ctx.Done()
		return ctx.Err()
	}
	b.start(t, source.record, workers(1), func(c *jobs.Config) { c.Lease = time.Second })
	began := time.Now()
	b.waitForBilled(t, 20)
	require.Less(t, time.Since(began), 10*time.Second, "housekeeping would be later")
	require.Equal(t, 20, get[int](t, b, `SELECT count(*) FROM river_job WHERE state = 'completed' AND attempt = 1 AND coalesce(errors, '{}') = '{}'`))
}

// A worker whose job another attempt has by now returns only when that one is done:
// River would write what it returns, nothing or an error, on the attempt that is running.
func TestLostAttemptLeavesTheRunningOneAlone(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(*testing.T, *testBundle){
		"a save that is refused": func(t *testing.T, b *testBundle) { t.Helper(); b.flight(t, "F1", "WEEK", landed(4, 9)) },
		"an error":               func(t *testing.T, b *testBundle) { t.Helper(); b.flight(t, "F1", "NOBODY", landed(4, 9)) },
		"nil, since it is billed": func(t *testing.T, b *testBundle) {
			t.Helper()
			b.billed(t, "F1", "WEEK", landed(4, 9))
			b.exec(t, `UPDATE flights SET operator = 'NOBODY'`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			prepare(t, b)
			b.exec(t, `INSERT INTO river_job (kind, args, queue, max_attempts) VALUES ('ingest_flight', '{"flight_id": "F1"}', 'flights', 25)`)
			source := b.blockingSource()
			service := b.start(t, source.use, workers(1))
			<-source.entered
			b.exec(t, `UPDATE river_job SET attempt = 2, attempted_by = attempted_by || '{other}', attempted_at = now()`) // rescued and claimed
			before := get[string](t, b, `SELECT to_jsonb(j)::text FROM river_job j`)
			source.let <- struct{}{}
			stopped := make(chan error, 1)
			go func() { stopped <- service.Stop(context.Background()) }()
			select {
			case err := <-stopped:
				require.NoError(t, err)
				require.Fail(t, "the worker has returned while another attempt was running")
			case <-time.After(3 * time.Second):
			}
			require.Equal(t, before, get[string](t, b, `SELECT to_jsonb(j)::text FROM river_job j`))

			before = get[string](t, b, `UPDATE river_job j SET state = 'scheduled', scheduled_at = now() + interval '1 hour' RETURNING to_jsonb(j)::text`)
			require.NoError(t, <-stopped) // River has written what it had to
			require.Equal(t, before, get[string](t, b, `SELECT to_jsonb(j)::text FROM river_job j`))
			require.EqualValues(t, 1, b.stats.Snapshot().Flights.Snoozed["job_lost"])
		})
	}
}

// What this client has claimed and no worker holds, since the answer to the claim was
// lost, goes back as it was.
func TestOrphansGoBack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.landed(t, 1, 3)
	service := b.start(t)
	orphan := func(id, client, age string) {
		b.exec(t, `INSERT INTO river_job (kind, args, queue, max_attempts, state, attempt, attempted_by, attempted_at)
			VALUES ('ingest_flight', jsonb_build_object('flight_id', $1::text), 'flights', 25, 'running', 3, ARRAY['a', $2], now() - $3::interval)`, id, client, age)
	}
	orphan("F1", service.Client().ID(), "10 seconds")
	orphan("F2", "another", "10 seconds")
	b.waitForBilled(t, 1)
	orphan("F3", service.Client().ID(), "0 seconds")
	const states = `SELECT string_agg(concat_ws(' ', args ->> 'flight_id', state, attempt), ', ' ORDER BY args ->> 'flight_id') FROM river_job`
	require.Equal(t, "F1 completed 3, F2 running 3, F3 running 3", get[string](t, b, states))
	require.NoError(t, service.Stop(t.Context()))
	require.Equal(t, "F1 completed 3, F2 running 3, F3 available 2", get[string](t, b, states), "a stop leaves nothing in work")
}

// A flight that is due is worked though somebody has locked another's row: River's
// scheduler waits for that.
func TestDueFlightsAreSweptPastALock(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.landed(t, 1, 2)
	b.exec(t, `INSERT INTO flight_processing_queue (flight_id, process_after) VALUES ('F1', now() + interval '1 second'), ('F2', now() + interval '1 second')`)
	holder := b.begin(t, `SELECT FROM river_job WHERE args ->> 'flight_id' = 'F1' FOR UPDATE`)
	b.start(t)
	b.waitForBilled(t, 1)
	require.Equal(t, "F2", get[string](t, b, `SELECT flight_id FROM billed_flights`))
	require.NoError(t, holder.Rollback(t.Context()))
	b.waitForBilled(t, 2)
}

// Two processes never have one flight, and share what there is.
func TestTwoProcessesShareTheQueue(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const flights = 1500
	b.lineUp(t, flights)
	first, second := &recordingSource{}, &recordingSource{}
	b.start(t, first.record)
	b.start(t, second.record)
	b.waitForBilled(t, flights)
	require.Equal(t, flights, get[int](t, b, `SELECT count(*) FROM charges`))
	asked := first.times()
	for id, n := range second.times() {
		asked[id] += n
	}
	require.Len(t, asked, flights)
	for id, n := range asked {
		require.Equal(t, 1, n, id)
	}
	clients := get[string](t, b, `SELECT string_agg(n::text, ' ') FROM (SELECT count(*) AS n FROM river_job GROUP BY attempted_by) AS c`)
	t.Logf("by client: %s", clients)
	require.Len(t, strings.Fields(clients), 2)
}

// The connection breaks when the server has the commit of a batch and its answer is on
// the way: nothing is lost or doubled. What was claimed with it goes back.
func TestConnectionBreaksAtTheCommit(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const flights = 120
	b.lineUp(t, flights)
	far, pool := b.far(t)
	release := b.pauseAt(t, `CREATE CONSTRAINT TRIGGER pause AFTER INSERT ON charges DEFERRABLE INITIALLY DEFERRED`)
	b.start(t, workers(1), func(c *jobs.Config) { c.Pool = pool })
	b.waitForPause(t) // River's flight; its save claims the first batch
	far.setCut(true)
	release()
	b.waitForBilled(t, 1)
	require.Equal(t, "completed 1, running 50", get[string](t, b, `SELECT string_agg(concat_ws(' ', state, n), ', ' ORDER BY state)
		FROM (SELECT state, count(*) AS n FROM river_job WHERE state <> 'available' GROUP BY state) AS s`), "the server has done it")
	far.setCut(false)
	b.waitForBilled(t, flights)
	require.Equal(t, flights, get[int](t, b, `SELECT count(*) FROM charges`))
	require.Equal(t, flights, get[int](t, b, `SELECT count(*) FROM river_job WHERE state = 'completed' AND attempt = 1`), "no attempt was spent")
}

// Clients that know nothing of uniqueness put flights in the queue several times. That
// does not have a worker claim without end.
func TestClaimsStayABatch(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.landed(t, 1, 200)
	b.exec(t, `INSERT INTO river_job (kind, args, queue, max_attempts)
		SELECT 'ingest_flight', jsonb_build_object('flight_id', 'F' || n), 'flights', 25 FROM generate_series(1, 200) AS n, generate_series(1, 3) ORDER BY n`)
	source := &recordingSource{}
	b.start(t, source.record, workers(1))
	b.emptyQueue(t)
	require.LessOrEqual(t, slices.Max(source.sizes()), jobs.DefaultBatch)
	require.Equal(t, 200, get[int](t, b, `SELECT count(*) FROM charges`))
	require.Equal(t, source.total(), get[int](t, b, `SELECT count(*) FROM river_job WHERE state = 'completed'`), "each job is done once")
}

// Somebody's transaction has locked a flight's job: it alone waits, and not what ends
// with it.
func TestLockedJobHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	for name, known := range map[string]bool{"that is to be saved": true, "that is to wait": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.landed(t, 1, 40)
			if !known {
				b.exec(t, `DELETE FROM flights WHERE flight_id IN ('F20', 'F21')`)
			}
			b.enqueueMany(t, 1, 40, 1)
			source := &recordingSource{}
			holder := b.begin(t)
			source.before = func(ctx context.Context, ids []string) (err error) {
				if len(ids) > 1 {
					_, err = holder.Exec(ctx, `SELECT FROM river_job WHERE args ->> 'flight_id' = 'F20' FOR UPDATE`)
				}
				return err
			}
			b.start(t, source.record, workers(1))
			left := 1
			if !known {
				left = 2
				b.waitFor(t, "the other unknown flight waits", 1, `SELECT count(*) FROM flight_processing_queue WHERE flight_id = 'F21' AND state = 'scheduled'`)
			}
			b.waitForBilled(t, 40-left)
			require.NoError(t, holder.Rollback(t.Context()))
			if known {
				b.waitForBilled(t, 40)
				require.Equal(t, 1, get[int](t, b, `SELECT max(attempt) FROM river_job`))
			} else {
				b.waitFor(t, "it is given back, and waits", 1, `SELECT count(*) FROM flight_processing_queue WHERE flight_id = 'F20' AND state = 'scheduled' AND attempts = 0`)
			}
		})
	}
}

// A function that is missing at the right version is no migration: flights fail, at River's
// intervals.
func TestFunctionMissingAtTheRightVersion(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const flights = 60
	b.landed(t, 1, flights)
	b.exec(t, `ALTER FUNCTION save_flights RENAME TO save_flights_gone`)
	b.enqueueMany(t, 1, flights, 1)
	source, said := &recordingSource{}, &jobs.LogBuffer{}
	b.start(t, source.record, said.Record)
	b.waitFor(t, "each has failed", flights, `SELECT count(*) FROM flight_processing_queue WHERE attempts >= 1 AND details LIKE '%function flightbill.save_flights%does not exist%'`)
	for id, n := range source.times() {
		require.LessOrEqual(t, n, 6, "%s was asked for %d times: at each attempt together, and at most once apart", id, n)
	}
	require.Contains(t, said.String(), "flight failed and will be tried again")
}
