package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/jobs"
)

func (b *testBundle) reconciler() *jobs.Reconciler {
	return &jobs.Reconciler{Pool: b.pool, Source: db.NewFlights(b.pool), Now: b.clock.Now}
}

// reconcile returns what is told of each flight, in the order of their ids, and the counts.
func (b *testBundle) reconcile(t *testing.T, r *jobs.Reconciler, zone string, from, to billing.Date) (told []string, result jobs.Reconciliation) {
	t.Helper()
	location, err := time.LoadLocation(zone)
	require.NoError(t, err)
	result, err = r.Run(t.Context(), billing.Calendar{Location: location}, from, to, func(f jobs.Reconciled) error {
		told = append(told, strings.TrimRight(fmt.Sprintf("%s %s %s %s>%s", f.FlightID, f.State, f.Reason, f.BilledOn, f.Date), " >"))
		return nil
	}, func(_, _ int64) {})
	require.NoError(t, err)
	slices.Sort(told)
	return told, result
}

func counts(r jobs.Reconciliation) string {
	texts := []string{fmt.Sprint(r.InSource)}
	for _, c := range r.Counts() {
		texts = append(texts, fmt.Sprintf("%s%.*s %d", c.State, 99*len(c.Reason), " "+string(c.Reason), c.Flights))
	}
	return strings.Join(texts, ", ")
}

// fates gives flights of 2 to 5 March everything that can become of a flight.
func (b *testBundle) fates(t *testing.T) {
	t.Helper()
	b.clock.Set(landed(9, 12))
	for _, id := range []string{"BILLED", "GONE", "MOVED-AWAY", "MOVED-HERE", "MOVED-WITHIN", "TIMELESS", "VOID", "VOID-AGAIN"} {
		b.billed(t, id, "EACH", landed(3, 9))
	}
	b.billed(t, "BEFORE", "EACH", landed(1, 9))
	b.billed(t, "INTO", "EACH", landed(1, 9))
	b.flight(t, "CANCELLED", "NOBODY", landed(4, 9))
	for _, id := range []string{"DISCARDED", "NEVER", "WAITS", "WAITS-AGAIN", "TRIED"} {
		b.flight(t, id, "EACH", landed(5, 23))
	}
	b.flight(t, "LATER", "EACH", landed(6, 0))
	b.flight(t, "FORECAST", "EACH", landed(20, 0))
	b.flight(t, "NOT-LANDED", "EACH", landed(5, 0))
	b.exec(t, `UPDATE flights SET landed_at = NULL WHERE flight_id IN ('NOT-LANDED', 'TIMELESS')`)
	b.exec(t, `UPDATE flights SET landed_at = '2026-03-12 09:00Z' WHERE flight_id = 'MOVED-AWAY'`)
	b.exec(t, `UPDATE flights SET landed_at = '2026-03-05 09:00Z' WHERE flight_id = 'MOVED-WITHIN'`)
	b.exec(t, `UPDATE flights SET landed_at = '2026-03-02 09:00Z' WHERE flight_id = 'INTO'`)
	b.exec(t, `DELETE FROM flights WHERE flight_id = 'GONE'`)
	for id, again := range map[string]bool{"VOID": false, "VOID-AGAIN": true} {
		number := get[string](t, b, `SELECT number FROM invoices i JOIN charges c ON c.invoice_id = i.id WHERE c.flight_id = $1`, id)
		_, _, err := db.VoidInvoice(t.Context(), b.clerk, number, "why", again, db.PayerBilled)
		require.NoError(t, err)
	}
	b.enqueue(t, "CANCELLED", "DISCARDED", "WAITS", "WAITS-AGAIN", "TRIED")
	b.exec(t, `UPDATE river_job SET state = 'cancelled', finalized_at = now(), metadata = metadata || '{"reason": "no_customer"}' WHERE args ->> 'flight_id' IN ('CANCELLED', 'WAITS-AGAIN')`)
	b.exec(t, `UPDATE river_job SET state = 'discarded', finalized_at = now() WHERE args ->> 'flight_id' = 'DISCARDED'`)
	b.exec(t, `UPDATE river_job SET state = 'retryable' WHERE args ->> 'flight_id' = 'TRIED'`)
	b.exec(t, `INSERT INTO river_job (kind, args, queue, max_attempts, state) VALUES ('ingest_flight', '{"flight_id": "WAITS-AGAIN"}', 'default', 25, 'available')`)
}

var allFates = []string{
	"CANCELLED cancelled no_customer >2026-03-04",
	"DISCARDED discarded  >2026-03-05",
	"GONE gone  2026-03-03",
	"INTO moved  2026-03-01>2026-03-02",
	"MOVED-AWAY moved  2026-03-03>2026-03-12",
	"MOVED-WITHIN moved  2026-03-03>2026-03-05",
	"NEVER never_enqueued  >2026-03-05",
	"TIMELESS moved  2026-03-03",
	"TRIED waiting  >2026-03-05",
	"VOID voided  2026-03-03>2026-03-03",
	"VOID-AGAIN waiting  2026-03-03>2026-03-03",
	"WAITS waiting  >2026-03-05",
	"WAITS-AGAIN waiting  >2026-03-05",
}

func TestReconcile(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.fates(t)
	told, result := b.reconcile(t, b.reconciler(), "UTC", march(2), march(5))
	require.Equal(t, allFates, told)
	require.Equal(t, "12, billed 2, waiting 4, cancelled no_customer 1, discarded 1, voided 1, never_enqueued 1, moved 4, gone 1", counts(result))
	require.EqualValues(t, 1, result.Missing())
	require.EqualValues(t, 5, result.Changed())

	// However many windows there are, each is told of once.
	b.exec(t, `UPDATE flights SET landed_at = '2026-03-02 09:00Z' WHERE flight_id = 'MOVED-HERE'`)
	windowed := b.reconciler()
	windowed.Window = 2
	for from, to := range map[billing.Date]billing.Date{march(2): march(5), march(1): march(9)} {
		once, _ := b.reconcile(t, b.reconciler(), "UTC", from, to)
		told, _ = b.reconcile(t, windowed, "UTC", from, to)
		require.Equal(t, once, told)
		require.Contains(t, told, "MOVED-HERE moved  2026-03-03>2026-03-02")
	}

	// A day without flights, and one to come.
	told, result = b.reconcile(t, b.reconciler(), "UTC", march(7), march(30))
	require.Empty(t, told)
	require.Equal(t, "0", counts(result))
}

// The day is that of the billing zone, of a departure alone that of its take-off.
func TestReconcileByMovementDate(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		zone, departed, landed string
		day                    billing.Date
	}{
		{"UTC", "2026-03-09 23:30:00", "2026-03-10 00:30:00", march(9)},
		{"Pacific/Auckland", "2026-03-09 23:30:00", "2026-03-10 12:30:00", march(10)},
		{"America/Los_Angeles", "2026-03-10 06:59:59", "2026-03-10 07:00:00", march(9)},
		{"America/New_York", "2026-03-08 04:59:59", "2026-03-08 05:00:00", march(7)}, // the clocks go forward on the 8th
		{"America/New_York", "2026-03-09 03:59:59", "2026-03-09 04:00:00", march(8)},
		{"Europe/London", "2026-03-29 22:59:59", "2026-03-29 23:00:00", march(29)}, // they went forward that day
	} {
		b := setup(t)
		b.clock.Set(landed(31, 0))
		b.flight(t, "LEG", "EACH", utc(t, c.landed))
		b.flight(t, "DEPARTURE", "EACH", utc(t, c.landed))
		b.flight(t, "ARRIVAL", "EACH", utc(t, c.landed))
		b.exec(t, `UPDATE flights SET departed_at = $1, movement = lower(nullif(flight_id, 'LEG'))`, utc(t, c.departed))
		told := func(day billing.Date) []string {
			told, result := b.reconcile(t, b.reconciler(), c.zone, day, day)
			require.EqualValues(t, len(told), result.Missing())
			return told
		}
		next := c.day.AddDays(1)
		require.Equal(t, []string{"DEPARTURE never_enqueued  >" + c.day.String()}, told(c.day), "%v", c)
		require.Equal(t, []string{"ARRIVAL never_enqueued  >" + next.String(), "LEG never_enqueued  >" + next.String()}, told(next), "%v", c)
		require.Empty(t, told(c.day.AddDays(-1)), "%v", c)
		require.Empty(t, told(next.AddDays(1)), "%v", c)
	}
}

// changingSource does something between the list of flights and what comes after it.
type changingSource struct {
	jobs.FlightSource

	listed func(page int) error
	pages  int
}

func (s *changingSource) List(ctx context.Context, from, to time.Time, after string) ([]billing.Listed, error) {
	page, err := s.FlightSource.List(ctx, from, to, after)
	if err == nil {
		err = s.listed(s.pages)
		s.pages++
	}
	return page, err
}

// What is billed, enqueued or put back while it runs is not told of.
func TestReconcileLooksAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, id := range []string{"A", "B", "C"} {
		b.flight(t, id, "EACH", landed(4, 9))
	}
	b.billed(t, "0", "EACH", landed(4, 9))
	b.exec(t, `UPDATE flights SET landed_at = '2026-03-05 09:00Z' WHERE flight_id = '0'`)
	b.clock.Set(landed(9, 12))
	r := b.reconciler()
	r.Source = &changingSource{FlightSource: r.Source, listed: func(page int) error {
		if page > 0 {
			return nil
		}
		outcome, err := saveFlight(t.Context(), b.pool, nil, b.bill(t, "B"), b.clock.Now())
		require.Equal(t, db.Billed, outcome)
		b.enqueue(t, "C")
		b.exec(t, `UPDATE flights SET landed_at = '2026-03-04 09:00Z' WHERE flight_id = '0'`)
		return err
	}}
	told, result := b.reconcile(t, r, "UTC", march(4), march(4))
	require.Equal(t, []string{"A never_enqueued  >2026-03-04", "C waiting  >2026-03-04"}, told)
	require.Equal(t, "3, billed 1, waiting 1, never_enqueued 1", counts(result))
}

// Where the source cannot vouch for a page, nothing is known to be missing.
func TestReconcileInAnOutage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.flight(t, "A", "EACH", landed(4, 9))
	b.billed(t, "B", "EACH", landed(4, 9))
	b.exec(t, `DELETE FROM flights WHERE flight_id = 'B'`)
	b.clock.Set(landed(9, 12))
	for name, source := range map[string]jobs.FlightSource{
		"on the second page": &changingSource{FlightSource: db.NewFlights(b.pool), listed: func(page int) error {
			if page == 0 {
				return nil
			}
			return errAway
		}},
		"on the second look": &recordingSource{FlightSource: db.NewFlights(b.pool), before: func(context.Context, []string) error { return errAway }},
		"of one flight": &recordingSource{FlightSource: db.NewFlights(b.pool), after: func(answers map[string]billing.Answer) {
			answers["B"] = billing.Answer{Err: errAway}
		}},
		"out of order": unordered{db.NewFlights(b.pool)},
	} {
		r := &jobs.Reconciler{Pool: b.pool, Source: source, Now: b.clock.Now}
		_, err := r.Run(t.Context(), billing.Calendar{Location: time.UTC}, march(4), march(4), func(f jobs.Reconciled) error {
			require.NotEqual(t, jobs.Gone, f.State, name)
			return nil
		}, func(_, _ int64) {})
		failure, ok := errors.AsType[*billing.Error](err)
		require.True(t, ok, "%s: %v", name, err)
		require.Equal(t, billing.Outage, failure.Kind, name)
	}
}

type unordered struct{ jobs.FlightSource }

func (unordered) List(context.Context, time.Time, time.Time, string) ([]billing.Listed, error) {
	return []billing.Listed{{ID: "b", MovedAt: landed(4, 9), Rows: 1}, {ID: "B", MovedAt: landed(4, 9), Rows: 1}}, nil
}

// Any number of flights, on both sides, in ids of all characters.
func TestReconcileManyPages(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const many = 10_001 // a page of the source, and of the ledger, and a flight
	b.exec(t, `INSERT INTO flights (flight_id, landed_at) SELECT left('f' || chr(32 + i % 95), 1 + (chr(32 + i % 95) ~ '[ A-Za-z0-9._:/+#@~-]')::int) || lpad(to_hex(i), 4, '0'), '2026-03-04 09:00Z' FROM generate_series(1, $1::int) i`, many)
	b.exec(t, `INSERT INTO billed_flights (flight_id, customer_id, landed_on, facts, billed_at)
		SELECT flight_id, (SELECT min(id) FROM customers), '2026-03-04', '{}', now() FROM flights WHERE flight_id NOT LIKE '%7f'`)
	b.exec(t, `DELETE FROM flights WHERE flight_id LIKE '%3c'`)
	b.clock.Set(landed(9, 12))
	told, result := b.reconcile(t, b.reconciler(), "UTC", march(4), march(4))
	never, gone := get[int64](t, b, `SELECT count(*) FROM flights WHERE flight_id LIKE '%7f'`), get[int64](t, b, `SELECT count(*) FROM billed_flights WHERE flight_id LIKE '%3c'`)
	require.Equal(t, []int64{never, gone}, []int64{result.Of(jobs.NeverEnqueued), result.Of(jobs.Gone)})
	require.Len(t, told, int(never+gone))
	require.Equal(t, get[int64](t, b, `SELECT count(*) FROM flights`), result.InSource)
	require.Equal(t, result.InSource-never, result.Of(jobs.Billed))
}
