package jobs_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/jobs"
)

// machine is a machine whose clock a test sets.
type machine struct {
	ahead atomic.Int64
	asked atomic.Int64
}

func (m *machine) Now() time.Time {
	m.asked.Add(1)
	return time.Now().Add(time.Duration(m.ahead.Load()))
}

func (m *machine) set(ahead time.Duration) { m.ahead.Store(int64(ahead)) }

// lookedAt waits until the clock has been compared some times more.
func (m *machine) lookedAt(t *testing.T) {
	t.Helper()
	asked := m.asked.Load()
	eventually(t, "the clock is looked at", func() bool { return m.asked.Load() > asked+20 })
}

func (m *machine) use(every time.Duration) func(*jobs.Config) {
	return func(c *jobs.Config) {
		c.Clock, c.FitnessEvery = db.NewClock(m.Now), every
		c.Now = c.Clock.Now
	}
}

// While its clock is wrong a process takes nothing and leads nothing, says so once, and
// works again when it is right.
func TestWrongClock(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.landed(t, 1, 3)
	var m machine
	m.set(40 * 24 * time.Hour)
	said := &jobs.LogBuffer{}
	service := b.start(t, m.use(20*time.Millisecond), func(c *jobs.Config) {
		c.Schedules, c.Logger = jobs.InsertSchedules, said.Logger()
	})
	require.ErrorContains(t, service.Unfit(), "40.0 days ahead of the database's")
	require.ErrorIs(t, service.Unfit(), db.ErrClock)
	idle := func(flight string) {
		t.Helper()
		b.enqueue(t, flight)
		m.lookedAt(t)
		require.Equal(t, "available", get[string](t, b, `SELECT state FROM flight_processing_queue WHERE flight_id = $1`, flight))
		require.Zero(t, get[int](t, b, `SELECT count(*) FROM river_leader`), "it leads nothing")
		require.Zero(t, get[int](t, b, `SELECT count(*) FROM river_job WHERE kind <> 'ingest_flight' AND finalized_at IS NULL`), "and has nothing run")
	}
	idle("F1")

	m.set(0)
	b.waitForBilled(t, 1)
	require.NoError(t, service.Unfit())
	eventually(t, "it leads", func() bool { return get[int](t, b, `SELECT count(*) FROM river_leader`) == 1 })
	b.exec(t, `DELETE FROM river_job WHERE kind <> 'ingest_flight'`) // those of the runs, which nobody works here

	m.set(6 * time.Second)
	eventually(t, "it notices", func() bool { return service.Unfit() != nil })
	require.ErrorContains(t, service.Unfit(), "s ahead of the database's")
	eventually(t, "it resigns", func() bool { return get[int](t, b, `SELECT count(*) FROM river_leader`) == 0 })
	idle("F2")

	m.set(-4 * time.Second)
	b.waitForBilled(t, 2)
	require.NoError(t, service.Unfit())
	require.Equal(t, 2, said.Count("takes no flights and leads nothing until the clock is put right"), said)
	require.Equal(t, 2, said.Count("the clock is put right: this process works"), said)
	require.Zero(t, get[int](t, b, `SELECT count(*) FROM billed_flights WHERE abs(extract(epoch FROM billed_at - now())) > 60`), "the database's clock")
}

// What is in work when the clock jumps goes back as it was, to be done now and not when
// the machine thinks it is now.
func TestClockJumpsAtWork(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var m machine
	source := b.blockingSource()
	service := b.start(t, source.use, m.use(20*time.Millisecond))
	b.enqueue(t, "F1")
	<-source.entered
	m.set(40 * 24 * time.Hour)
	b.waitFor(t, "it goes back", 1, `SELECT count(*) FROM river_job WHERE state = 'available' AND attempt = 0 AND scheduled_at <= now()`)
	require.Error(t, service.Unfit())
	close(source.let)
}

// A run looks first, however long ago the last look was.
func TestRunLooksAtTheClock(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var m machine
	service := b.start(t, m.use(time.Hour), func(c *jobs.Config) { c.Schedules = jobs.WorkSchedules; c.LookEvery = time.Hour })
	b.waitFor(t, "what was missed is done", 2, `SELECT count(*) FROM river_job WHERE state = 'completed' AND kind IN ('consolidate_invoices', 'mark_overdue')`)
	ran := get[string](t, b, `SELECT string_agg(b::text, ',') FROM billing_runs b`)

	m.set(40 * 24 * time.Hour)
	_, err := service.Client().Insert(t.Context(), jobs.ConsolidateInvoicesArgs{RunDate: march(8)}, nil)
	require.NoError(t, err)
	eventually(t, "it notices", func() bool { return service.Unfit() != nil })
	b.waitFor(t, "the job goes back", 1, `SELECT count(*) FROM river_job WHERE kind = 'consolidate_invoices' AND state = 'available' AND attempt = 0 AND scheduled_at <= now()`)
	require.Equal(t, ran, get[string](t, b, `SELECT string_agg(b::text, ',') FROM billing_runs b`))
}

// River, and what flightbill writes as River would, have their times from the clock that
// is compared with the database's. Here it runs away and nobody looks.
func TestRiverGoesByTheClock(t *testing.T) {
	t.Parallel()
	for _, batch := range []int{1, jobs.DefaultBatch} {
		b := setup(t)
		var m machine
		b.start(t, m.use(time.Hour), func(c *jobs.Config) { c.Batch, c.Workers = batch, 1 })
		m.set(2 * time.Hour)
		b.enqueueMany(t, 1, 20, 1)
		b.waitFor(t, "they wait", 20, `SELECT count(*) FROM river_job WHERE state = 'scheduled' AND scheduled_at > now() + interval '1 hour'`)
	}
}
