package jobs_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/jobs"
	"github.com/flightbill/flightbill/pinot"
	"github.com/flightbill/flightbill/pinot/local"
)

// startPinot starts a cluster of the test's own with a table of n landed flights,
// P0 to P(n-1), half of them on each of two servers.
func startPinot(t *testing.T, b *testBundle, n int) (*local.Cluster, *pinot.Source) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cluster, err := local.Start(ctx, local.Options{Servers: 2, QueryTimeout: 2 * time.Second})
	if errors.Is(err, local.ErrNoJava) {
		t.Skipf("needs a real Pinot: %v", err)
	}
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, cluster.Close()) })

	schema, config := local.FlightsTable("flights")
	require.NoError(t, cluster.CreateTable(ctx, schema, config))
	landed := b.clock.Now().Add(-time.Hour)
	for half := range 2 {
		var rows strings.Builder
		rows.WriteString("flight_id,operator,mtow_kg,origin,destination,departed_at,landed_at\n")
		for i := half; i < n; i += 2 {
			fmt.Fprintf(&rows, "P%d,WEEK,70500,EIDW,EGLL,%d,%d\n", i, landed.Add(-time.Hour).UnixMilli(), landed.UnixMilli())
		}
		require.NoError(t, cluster.Load(ctx, "flights", local.CSV, strings.NewReader(rows.String())))
	}
	require.NoError(t, cluster.WaitRows(ctx, "flights", n))
	holders, err := cluster.Holders(ctx, "flights")
	require.NoError(t, err)
	require.Len(t, holders, 2)
	source, err := pinot.New(pinot.Config{Brokers: cluster.BrokerAddresses(), Timeout: 4 * time.Second})
	require.NoError(t, err)
	t.Cleanup(source.Close)
	return cluster, source
}

// A real Pinot loses one part after the other while 5,000 flights are queued:
// each is billed once, and no attempt is spent.
func TestPinotOutages(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const flights = 5000
	cluster, source := startPinot(t, b, flights)
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	restart := func(processes ...*local.Process) {
		t.Helper()
		for _, p := range processes {
			require.NoError(t, p.Restart(ctx), p.Name())
		}
	}

	b.exec(t, `SELECT enqueue_flights(array_agg('P' || n)) FROM generate_series(0, $1::int - 1) AS n`, flights)
	log := &jobs.LogBuffer{}
	service := b.start(t, func(c *jobs.Config) { c.Source, c.Logger = source, log.Logger() })
	waitFor := func(what string, holds func() bool) {
		t.Helper()
		require.Eventually(t, holds, 3*time.Minute, 20*time.Millisecond, what)
	}
	for _, step := range []struct {
		what       string
		away, back func()
	}{
		{
			"one of two servers frozen",
			func() { require.NoError(t, cluster.Server(0).Freeze()) },
			func() { require.NoError(t, cluster.Server(0).Thaw()) },
		}, {
			"one of two servers killed",
			func() { require.NoError(t, cluster.Server(1).Kill()) },
			func() { restart(cluster.Server(1)) },
		}, {
			"the broker killed",
			func() { require.NoError(t, cluster.Broker(0).Kill()) },
			func() { restart(cluster.Broker(0)) },
		}, {
			"all servers down",
			func() {
				require.NoError(t, cluster.Server(0).Stop(ctx))
				require.NoError(t, cluster.Server(1).Stop(ctx))
			},
			func() { restart(cluster.Server(0), cluster.Server(1)) },
		},
	} {
		before := b.billedCount(t)
		waitFor("flights are billed before: "+step.what, func() bool { return b.billedCount(t) >= before+100 })
		require.Less(t, b.billedCount(t), flights-100, "the queue must last: %s", step.what)
		told := log.Count("flight source is away")
		step.away()
		waitFor(step.what+": the outage is seen", func() bool { return service.Outage() != nil })
		atRest := b.billedCount(t)
		step.back()
		waitFor(step.what+": the outage ends", func() bool { return service.Outage() == nil })
		back := time.Now()
		waitFor(step.what+": flights are billed again", func() bool { return b.billedCount(t) > atRest })
		require.Less(t, time.Since(back), 30*time.Second, step.what)
		// Twice where Pinot gives up a killed server, answers without it, and then
		// with exceptions while that comes back.
		require.LessOrEqual(t, log.Count("flight source is away")-told, 2, "an outage is told of once: %s", step.what)
	}
	waitFor("every flight is billed", func() bool { return b.billedCount(t) == flights })
	waitFor("each outage is told to be over", func() bool { return log.Count("flight source is back") == log.Count("flight source is away") })
	require.Equal(t, flights, get[int](t, b, `SELECT count(*) FROM charges`), "once")
	require.Zero(t, get[int](t, b, `SELECT count(*) FROM river_job WHERE kind = 'ingest_flight' AND (attempt > 1 OR errors IS NOT NULL)`),
		"no attempt was spent")
}

// A quota is kept to: flights are asked for by the batch, hardly anything else is asked,
// and one warning says why it takes its time.
func TestPinotQuota(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const (
		flights = 400
		each    = 200 * time.Millisecond
	)
	landed := b.clock.Now().Add(-time.Hour).UnixMilli()
	ids := regexp.MustCompile(`'(P[0-9]+)'`)
	var mu sync.Mutex
	var free time.Time
	var answered, refused, others int
	broker := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sql, _ := io.ReadAll(r.Body)
		asked := ids.FindAllStringSubmatch(string(sql), -1)
		mu.Lock()
		defer mu.Unlock()
		if time.Now().Before(free) {
			refused++
			_, _ = io.WriteString(w, `{"exceptions":[{"errorCode":429,"message":"QuotaExceededError: Request exceeds query quota for table: flights"}],"numServersQueried":0,"numServersResponded":0}`)
			return
		}
		free = time.Now().Add(each)
		answered++
		if len(asked) == 0 {
			others++
		}
		rows := make([]string, len(asked))
		for i, id := range asked {
			rows[i] = fmt.Sprintf(`["%s",null,"WEEK",null,null,70500,"EIDW","EGLL",%d,%d,null,null]`, id[1], landed-3_600_000, landed)
		}
		fmt.Fprintf(w, `{"resultTable":{"dataSchema":{"columnNames":["flight_id"],"columnDataTypes":["STRING","STRING","STRING","STRING","STRING","INT","STRING","STRING","LONG","LONG","DOUBLE","INT"]},
			"rows":[%s]},"exceptions":[],"numServersQueried":1,"numServersResponded":1}`, strings.Join(rows, ","))
	}))
	t.Cleanup(broker.Close)
	log := &jobs.LogBuffer{}
	logger := log.Logger()
	source, err := pinot.New(pinot.Config{Brokers: []string{broker.URL}, Logger: logger})
	require.NoError(t, err)
	t.Cleanup(source.Close)
	b.exec(t, `SELECT enqueue_flights(array_agg('P' || n)) FROM generate_series(1, $1::int) AS n`, flights)
	service := b.start(t, func(c *jobs.Config) { c.Source, c.Logger = source, logger })
	began := time.Now()
	b.waitForBilled(t, flights)
	mu.Lock()
	defer mu.Unlock()
	t.Logf("%d flights in %s: %d queries answered, %d refused, %d for no flight", flights, time.Since(began), answered, refused, others)
	require.LessOrEqual(t, others, 2, "probes")
	require.LessOrEqual(t, answered, flights/10, "most are batches")
	require.LessOrEqual(t, refused, answered)
	require.NotZero(t, service.Pause())
	require.LessOrEqual(t, log.Count("level=WARN"), 2)
	require.Equal(t, 1, log.Count("query quota is used up: it is asked less often"))
	require.EqualValues(t, 1, get[int64](t, b, `SELECT max(attempt) FROM river_job`))
}
