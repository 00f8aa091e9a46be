package jobs_test

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/jobs"
)

type sourceState struct {
	outage *jobs.Outage
	pause  time.Duration
}

func (s sourceState) Outage() *jobs.Outage { return s.outage }
func (s sourceState) Pause() time.Duration { return s.pause }
func (sourceState) Overdue() int64         { return 7 }

// scrape returns the gauges and counters of a scrape, by name and label.
func (b *testBundle) scrape(t *testing.T) map[string]float64 {
	t.Helper()
	return b.metrics(t, sourceState{})()
}

// metrics returns the scrapes of one process.
func (b *testBundle) metrics(t *testing.T, source jobs.SourceState) (scrape func() map[string]float64) {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	require.NoError(t, registry.Register(jobs.NewMetrics(b.stats, b.pool, source)))
	return func() map[string]float64 {
		families, err := registry.Gather()
		require.NoError(t, err)
		values := map[string]float64{}
		for _, f := range families {
			for _, m := range f.GetMetric() {
				name := f.GetName()
				for _, l := range m.GetLabel() {
					name += " " + l.GetValue()
				}
				values[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
		return values
	}
}

func TestMetricsOfRuns(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.billed(t, "W1", "WEEK", landed(4, 9))
	b.billed(t, "H1", "HELD", landed(4, 9))
	b.billed(t, "M1", "MON", landed(4, 9))
	requireDrafts := func(what string, past, held, parked float64) {
		t.Helper()
		g := b.scrape(t)
		require.Equal(t, []float64{past, held, parked},
			[]float64{g["flightbill_drafts_past_closing"], g["flightbill_drafts_kept held"], g["flightbill_drafts_kept parked"]}, what)
	}
	b.run(t, march(7))
	requireDrafts("WEEK's draft is open, HELD's waits", 0, 1, 0)
	b.exec(t, `ALTER TABLE invoices ADD CONSTRAINT no_weekly_air CHECK (bill_to_name <> 'Weekly Air')`)
	b.run(t, march(8))
	requireDrafts("it is parked", 0, 1, 1)
	b.exec(t, `UPDATE customers SET billing_hold = code = 'WEEK'`)
	requireDrafts("on hold, it is not tried; the hold that was lifted is for the next run", 0, 1, 0)
	b.exec(t, `ALTER TABLE invoices DROP CONSTRAINT no_weekly_air`)
	b.exec(t, `UPDATE invoices SET parked_at = NULL, parked_reason = NULL`)
	b.exec(t, `UPDATE customers SET billing_hold = false, held_through = NULL`)
	requireDrafts("nothing explains why they are left", 2, 0, 0)
	b.run(t, march(9))
	requireDrafts("all are out but the open one", 0, 0, 0)

	// The next run was due on 10 March 2026 at 01:00, by the real clock long ago.
	due := time.Date(2026, 3, 10, 1, 0, 0, 0, time.UTC)
	require.InDelta(t, time.Since(due).Seconds(), b.scrape(t)["flightbill_run_overdue_seconds"], 60)
	b.run(t, billing.DateOf(time.Now().Add(48*time.Hour), time.UTC))
	require.Zero(t, b.scrape(t)["flightbill_run_overdue_seconds"])
	b.exec(t, `UPDATE billing_runs SET finished_at = NULL, due_at = now() - interval '100 s' WHERE closes_on = (SELECT max(closes_on) FROM billing_runs)`)
	require.InDelta(t, 100, b.scrape(t)["flightbill_run_overdue_seconds"], 30, "a run that does not finish")
}

// One cause is 1 while there is an outage, of a set that does not grow.
func TestMetricsOfTheSource(t *testing.T) {
	t.Parallel()
	b := setup(t)
	causes := func(g map[string]float64) (names []string, sum float64) {
		for name, value := range g {
			if cause, ok := strings.CutPrefix(name, "flightbill_flight_source_outage "); ok {
				names, sum = append(names, cause), sum+value
			}
		}
		return names, sum
	}
	g := b.scrape(t)
	names, sum := causes(g)
	require.Len(t, names, len(billing.Causes()))
	require.Zero(t, sum)
	require.InDelta(t, 1, g["flightbill_flight_source_up"], 0)
	require.InDelta(t, 7, g["flightbill_flights_overdue_in_source"], 0)

	g = b.metrics(t, sourceState{&jobs.Outage{Since: time.Now(), Cause: billing.CauseQuota}, 250 * time.Millisecond})()
	names, sum = causes(g)
	require.Len(t, names, len(billing.Causes()))
	require.InDelta(t, 1, sum, 0)
	require.InDelta(t, 1, g["flightbill_flight_source_outage quota"], 0)
	require.InDelta(t, 0.25, g["flightbill_flight_source_quota_pause_seconds"], 0)
	require.Zero(t, g["flightbill_flight_source_up"])
}

// Codes of flights that another source has, too, since these were refused for them.
func TestMetricsOfUnmatchedCodes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(t, `UPDATE tariffs SET airport = 'QQQQ'`)
	b.flight(t, "F1", "NOBODY", landed(4, 9))
	b.flight(t, "F2", "WEEK", landed(4, 9))
	b.start(t)
	b.enqueue(t, "F1", "F2")
	require.Contains(t, b.givenUp(t, "F1"), `no_customer: flight F1 has no customer: its operator "NOBODY" belongs to none`)
	require.Contains(t, b.givenUp(t, "F2"), `no_tariff: flight F2 has no tariff: none applies to customer WEEK, from "EIDW" to "EGLL"`)
	b.exec(t, `DELETE FROM flights`)
	require.Equal(t, "flights airport EGLL 2 2026-03-04, flights airport EIDW 2 2026-03-04, flights operator NOBODY 1 2026-03-04", get[string](t, b,
		`SELECT string_agg(concat_ws(' ', found_in, kind, code, flights, last_seen), ', ' ORDER BY kind, code) FROM unmatched_codes WHERE found_in = 'flights'`))

	scrape := b.metrics(t, sourceState{})
	eventually(t, "they are counted", func() bool { _, counted := scrape()["flightbill_unmatched_codes flights airport"]; return counted })
	b.exec(t, `ALTER VIEW unmatched_codes RENAME TO away`) // and not with each scrape
	g := scrape()
	require.Equal(t, []float64{2, 1, 0, 1, 3, 0}, []float64{
		g["flightbill_unmatched_codes flights airport"], g["flightbill_unmatched_codes flights operator"], g["flightbill_unmatched_codes flights registration"],
		g["flightbill_unmatched_codes tariffs airport"], g["flightbill_unmatched_codes customers operator"], g["flightbill_unmatched_codes customers registration"],
	})
}
