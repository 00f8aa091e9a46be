package faults_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/embedded"
)

var (
	minutes = flag.Float64("minutes", 2, "how long TestFaults breaks things; it then takes a minute or two to come to rest")
	seedOf  = flag.Uint64("seed", 0, "what TestFaults does; 0: something new")
)

const (
	owner    = "owner" // of the tables
	server   = "server"
	clerk    = "clerk"
	riverUI  = "river_ui"
	database = "airport"
	secret   = "secret"

	processes = 3
	clerks    = 2
	days      = 70 // of history that is billed in a run of the test

	settles = 6 * time.Minute // at most, from the last fault until nothing is left to do
)

// logins are what those who work with flightbill have, and the roles that README gives them.
var (
	logins = map[string]string{
		server: "server", clerk: "accountant", riverUI: "server", "app_0": "enqueuer", "app_1": "enqueuer", "app_2": "enqueuer server", "app_3": "enqueuer server",
	}
	apps = []string{"app_0", "app_1", "app_2", "app_3"}
)

func TestMain(m *testing.M) {
	embedded.Main()
	goleak.VerifyTestMain(m)
}

// harness is a database, the processes that bill by it, and those who work with it.
type harness struct {
	t      *testing.T
	dir    string // of logs
	binary string
	seed   uint64
	began  time.Time
	lasts  time.Duration
	zone   *time.Location
	next   bool      // FLIGHTBILL_CLOSE=next_day
	start  time.Time // FLIGHTBILL_BILLING_START
	today  time.Time

	postgres *postgres
	flights  *flights
	broker   *broker // nil: the flight source is the table
	commands *proxy  // of operators' commands; nothing happens to it
	slots    []*slot
	admin    *pgxpool.Pool            // a superuser's
	pools    map[string]*pgxpool.Pool // by login
	river    *river.Client[pgxTx]

	last     *worker      // what it does, it does when no fault is at work
	sound    bool         // all checks have passed
	tokens   atomic.Int64 // of transactions
	mu       sync.Mutex
	log      *os.File
	faults   map[string]int
	done     map[string]int      // operations
	failed   map[string]int      // operations
	seen     map[int64]time.Time // by version of the price book: when its commit was known
	ended    []int64             // transactions that were said to be committed
	mistakes []string
	fixed    map[string]int // by flight: the version of its facts to which it was corrected
}

// TestFaults breaks everything around three flightbill processes, and then recomputes what they billed.
func TestFaults(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes three minutes: not with -short")
	}
	if deadline, ok := t.Deadline(); ok && time.Until(deadline) < time.Duration((*minutes+5)*float64(time.Minute)) {
		t.Fatalf("-minutes=%v is more than go test has time for: give it -timeout 0", *minutes)
	}
	seed := *seedOf
	if seed == 0 {
		seed = rand.Uint64()
	}
	h := setup(t, seed, time.Duration(*minutes*float64(time.Minute)))
	ctx, stop := context.WithTimeout(t.Context(), h.lasts)
	defer stop()
	var working, breaking sync.WaitGroup
	for i, login := range apps {
		working.Go(func() { h.newWorker(login, login).work(ctx, uint64(100+i), 400*time.Millisecond) })
	}
	for i := range clerks {
		working.Go(func() {
			h.newWorker(fmt.Sprintf("clerk %d", i), clerk).work(ctx, uint64(200+i), 800*time.Millisecond)
		})
	}
	breaking.Go(func() { h.breakThings(ctx, &breaking) })
	working.Wait()
	breaking.Wait()

	h.sayf("all faults are undone")
	h.settle(t)
	h.checkCorrected(t)
	h.doEach(t)
	h.settle(t)
	h.lastRun(t)
	h.stop(t)
	h.check(t)
	h.report(t)
	h.sound = !t.Failed()
}

// TestEachFault does each fault once, one after the other, and then each operation: each must be possible.
func TestEachFault(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes a minute: not with -short")
	}
	h := setup(t, 1, time.Second) // a seed that has a Pinot
	r := rand.New(rand.NewPCG(h.seed, 1))
	for _, f := range allFaults {
		h.sayf("%s", f.name)
		h.eventually(t, time.Minute, f.name, func() error { // there may be no leader just then, or nothing connected
			undo, err := f.do(t.Context(), h, r)
			if undo != nil {
				err = errors.Join(err, undo(t.Context()))
			}
			return err
		})
	}
	h.settle(t)
	h.doEach(t)
	h.settle(t)
	h.lastRun(t)
	h.stop(t)
	h.check(t)
	h.sound = !t.Failed()
}

func setup(t *testing.T, seed uint64, lasts time.Duration) *harness {
	t.Helper()
	h := &harness{
		t: t, seed: seed, lasts: lasts, faults: map[string]int{}, done: map[string]int{}, failed: map[string]int{}, seen: map[int64]time.Time{}, fixed: map[string]int{}, pools: map[string]*pgxpool.Pool{},
	}
	var err error
	h.dir, err = os.MkdirTemp("", "flightbill-faults-")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(h.dir, 0o755)) // root's Postgres runs as another user
	h.log, err = os.Create(filepath.Join(h.dir, "faults.log"))
	require.NoError(t, err)
	h.began = time.Now()
	t.Cleanup(func() {
		_ = h.log.Close()
		if !h.sound {
			t.Logf("-seed=%d -minutes=%v; all logs are kept in %s", h.seed, *minutes, h.dir)
			return
		}
		require.NoError(t, os.RemoveAll(h.dir))
	})
	h.binary = build(t, h.dir)

	choices := rand.New(rand.NewPCG(h.seed, 0))
	h.zone, err = time.LoadLocation(pick(choices, []string{"UTC", "Europe/London", "America/New_York"}))
	require.NoError(t, err)
	h.next = choices.IntN(2) == 0
	h.today = dayOf(h.began, h.zone)
	h.start = h.today.AddDate(0, 0, -days)
	h.flights = &flights{seed: h.seed, inTable: choices.IntN(4) == 0, all: map[string]*flight{}}
	if !h.flights.inTable {
		h.broker = startBroker(t, h.flights)
	}
	h.sayf("-seed=%d: %v of faults, time zone %s, close %s, flights from %s", h.seed, h.lasts, h.zone, h.closeMode(), h.source())
	h.startPostgres(t)
	h.startServes(t)
	h.last = h.newWorker("last", "app_2")
	h.began = time.Now()
	return h
}

func (h *harness) closeMode() string {
	if h.next {
		return "next_day"
	}
	return "period_end"
}

func (h *harness) source() string {
	if h.flights.inTable {
		return "postgres"
	}
	return "pinot"
}

func dayOf(t time.Time, zone *time.Location) time.Time {
	y, m, d := t.In(zone).Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}

// progress is the day that is today in what the applications and clerks do.
func (h *harness) progress() time.Time {
	passed := min(1, float64(time.Since(h.began))/float64(h.lasts+time.Minute))
	return h.start.AddDate(0, 0, int(passed*(days-2)))
}

// env is that of a flightbill that reaches its database through a proxy.
func (h *harness) env(through *proxy, login string) []string {
	env := []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + h.dir, "DATABASE_URL=" + h.postgres.url(through, login, secret, database),
		"FLIGHTBILL_TIMEZONE=" + h.zone.String(), "FLIGHTBILL_CLOSE=" + h.closeMode(), "FLIGHTBILL_BILLING_START=" + h.start.Format(time.DateOnly),
		"FLIGHTBILL_HTTP_ADDR=127.0.0.1:0", "FLIGHTBILL_RESULTS=", "FLIGHTBILL_FLIGHT_SOURCE=" + h.source(),
	}
	if h.broker != nil {
		env = append(env, "PINOT_BROKERS="+h.broker.address())
	}
	return env
}

func (h *harness) startPostgres(t *testing.T) {
	t.Helper()
	h.commands = startProxy(t)
	h.postgres = &postgres{dir: filepath.Join(h.dir, "postgres"), proxies: []*proxy{h.commands}}
	for i := range processes {
		s := &slot{number: i + 1, proxy: startProxy(t), binary: h.binary, log: filepath.Join(h.dir, fmt.Sprintf("serve-%d.log", i+1)), ended: make(chan struct{})}
		h.slots = append(h.slots, s)
		h.postgres.proxies = append(h.postgres.proxies, s.proxy)
	}
	require.NoError(t, h.postgres.start(t.Context()))
	t.Cleanup(func() {
		h.postgres.mu.Lock()
		defer h.postgres.mu.Unlock()
		require.NoError(t, h.postgres.server.Stop())
	})
	user, password := h.postgres.superuser(t)
	h.admin = h.pool(t, h.postgres.url(h.commands, user, password, "postgres"))
	for _, sql := range []string{
		`CREATE ROLE ` + owner + ` LOGIN CREATEROLE PASSWORD '` + secret + `'`, `CREATE DATABASE ` + database + ` OWNER ` + owner + ` TEMPLATE template0`,
	} {
		_, err := h.admin.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	h.admin.Close()
	h.admin = h.pool(t, h.postgres.url(h.commands, user, password, database))
	h.must(t, owner, "migrate", "up")
	for login, roles := range logins {
		_, err := h.admin.Exec(t.Context(), `CREATE ROLE `+login+` LOGIN PASSWORD '`+secret+`'`)
		require.NoError(t, err)
		for role := range strings.FieldsSeq(roles) {
			h.must(t, owner, "migrate", "grant", role, login)
		}
		h.pools[login] = h.pool(t, h.postgres.url(h.commands, login, secret, database))
	}
	_, err := h.admin.Exec(t.Context(), `GRANT SELECT, INSERT, UPDATE ON flightbill.flights TO `+strings.Join(apps, ", "))
	require.NoError(t, err)
	h.river, err = river.NewClient(riverpgxv5.New(h.pools[riverUI]), &river.Config{Schema: db.Schema})
	require.NoError(t, err)
	h.must(t, clerk, "import", "customers", h.file(t, "customers.csv", customersCSV))
	h.must(t, clerk, "import", "tariffs", h.file(t, "tariffs.csv", tariffsCSV))
	_, err = h.admin.Exec(t.Context(), witnesses)
	require.NoError(t, err)
	var version int64
	require.NoError(t, h.admin.QueryRow(t.Context(), `UPDATE flightbill.price_book SET version = version + 1 RETURNING version`).Scan(&version))
	h.seen[version] = time.Now()
}

// must runs a flightbill command that must succeed.
func (h *harness) must(t *testing.T, login string, args ...string) {
	t.Helper()
	said, err := h.command(t.Context(), login, args...)
	require.NoError(t, err, said)
}

func (h *harness) file(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(h.dir, name)
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

// pool connects to a database; what a fault sets for role, database and server does not reach it.
func (h *harness) pool(t *testing.T, url string) *pgxpool.Pool {
	t.Helper()
	config, err := pgxpool.ParseConfig(url)
	require.NoError(t, err)
	config.MaxConns = 40
	maps.Copy(config.ConnConfig.RuntimeParams, map[string]string{
		"application_name": "harness", "statement_timeout": "60s", "lock_timeout": "45s", "default_transaction_read_only": "off", "timezone": "UTC",
	})
	config.ConnConfig.ConnectTimeout = 10 * time.Second
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}

func (h *harness) startServes(t *testing.T) {
	t.Helper()
	for _, s := range h.slots {
		s.env = h.env(s.proxy, server)
		go s.run()
		t.Cleanup(func() {
			_ = s.stop()
		})
	}
	h.eventually(t, time.Minute, "three processes work", func() error {
		for _, s := range h.slots {
			if _, begun := s.works(); begun == 0 {
				return fmt.Errorf("serve %d does not", s.number)
			}
		}
		return nil
	})
}

// sayf writes a line with the time since the start.
func (h *harness) sayf(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	line := fmt.Sprintf("%7.1fs  %s", time.Since(h.began).Seconds(), fmt.Sprintf(format, args...))
	fmt.Fprintln(h.log, line)
	h.t.Log(line)
}

func (h *harness) count(counts map[string]int, what string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	counts[what]++
}

// eventually waits until something holds.
func (h *harness) eventually(t *testing.T, most time.Duration, what string, holds func() error) {
	t.Helper()
	var err error
	for began := time.Now(); time.Since(began) < most; time.Sleep(250 * time.Millisecond) {
		if err = holds(); err == nil {
			return
		}
	}
	require.NoError(t, err, "not within %v: %s", most, what)
}

// settle waits until there is nothing to do in the queue. Flights whose facts have been put right are enqueued again, and a
// few new ones, to see that all is well.
func (h *harness) settle(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	began := time.Now()
	h.eventually(t, settles, "each process bills flights again", func() error {
		if err := h.last.enqueueNew(ctx, 40, insertMany); err != nil {
			return err
		}
		return h.eachWorks(ctx, began)
	})
	h.sayf("each process bills flights again, %v after the last fault", time.Since(began).Round(time.Second))
	h.eventually(t, settles, "the queue is worked off", func() error {
		stuck, err := h.unsettled(ctx)
		if err == nil && len(stuck) > 0 {
			err = fmt.Errorf("%d flights are left, the first: %s", len(stuck), strings.Join(stuck[:min(5, len(stuck))], "; "))
		}
		return err
	})
	h.sayf("the queue is worked off, %v after the last fault", time.Since(began).Round(time.Second))
}

// doEach does each operation once. Nothing is in its way: it works, or finds nothing to do.
func (h *harness) doEach(t *testing.T) {
	t.Helper()
	for _, w := range []*worker{h.last, h.newWorker("each", "app_0"), h.newWorker("", clerk)} {
		for _, o := range w.does {
			if err := o.do(t.Context(), w); err != nil {
				require.ErrorIs(t, err, errNothingToDo, "%s, with no fault at work", o.name)
			}
		}
	}
}

// eachWorks reports a process that has billed nothing since a time.
func (h *harness) eachWorks(ctx context.Context, since time.Time) error {
	rows, err := h.admin.Query(ctx, `SELECT DISTINCT attempted_by[array_upper(attempted_by, 1)] FROM flightbill.river_job WHERE state = 'completed' AND finalized_at > $1`, since)
	if err != nil {
		return err
	}
	working, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, s := range h.slots {
		if client, _ := s.works(); !slices.Contains(working, client) {
			return fmt.Errorf("serve %d (%s) has billed nothing for %v: see %s", s.number, client, time.Since(since).Round(time.Second), s.log)
		}
	}
	return nil
}

// unsettled returns the queued flights about which there is something to do, after having done what clerks have to.
func (h *harness) unsettled(ctx context.Context) (stuck []string, err error) {
	rows, err := h.admin.Query(ctx, `SELECT flight_id, state, coalesce(reason, ''), coalesce(last_error, ''), job_id, attempts, process_after FROM flightbill.flight_processing_queue`)
	if err != nil {
		return nil, err
	}
	queued, err := collect[queuedFlight](rows)
	if err != nil {
		return nil, err
	}
	for _, q := range queued {
		f, version := h.flights.get(q.FlightID)
		why := f.refused()
		waits := q.State != "cancelled" && slices.Contains([]string{"source_down", "database_down", "locked"}, q.Reason)
		if q.Reason != "" && q.Reason != "invoice_voided" && !waits && !h.flights.everRefused(q.FlightID, version, q.Reason) {
			h.mistakef("flight %s is %s with the reason %q, and by its facts, of version %d now, it never had that: %s", q.FlightID, q.State, q.Reason, version, q.LastError)
		}
		switch {
		case q.State == "cancelled" && q.Reason == "invoice_voided":
			continue // whether that is right is for check to say
		case (q.State == "cancelled" || q.State == "scheduled") && q.Reason == why && why != "":
			continue
		case q.State == "cancelled" && why == "" && q.Reason != "":
			_, err = h.admin.Exec(ctx, `SELECT flightbill.enqueue_flights(ARRAY[$1])`, q.FlightID)
		case q.State == "scheduled" && why == "" && (q.Reason == "flight_unknown" || q.Reason == "not_landed"):
			_, err = h.river.JobRetry(ctx, q.JobID)
		}
		if err != nil {
			return nil, err
		}
		stuck = append(stuck, fmt.Sprintf("%s %s after %d attempts, due %s: %s", q.FlightID, q.State, q.Attempts, q.ProcessAfter.Format(time.TimeOnly), q.LastError))
	}
	return stuck, nil
}

// mistakef notes something for which there can be no good reason.
func (h *harness) mistakef(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if said := fmt.Sprintf(format, args...); len(h.mistakes) < 10 && !slices.Contains(h.mistakes, said) {
		h.mistakes = append(h.mistakes, said)
	}
}

type queuedFlight struct {
	FlightID, State, Reason, LastError string
	JobID                              int64
	Attempts                           int
	ProcessAfter                       time.Time
}

// lastRun issues all that can be.
func (h *harness) lastRun(t *testing.T) {
	t.Helper()
	_, err := h.admin.Exec(t.Context(), `UPDATE flightbill.customers SET billing_hold = false`)
	require.NoError(t, err)
	h.must(t, server, "consolidate", "--run-date", h.today.Format(time.DateOnly))
}

func (h *harness) stop(t *testing.T) {
	t.Helper()
	var stopping sync.WaitGroup
	failures := make([]error, len(h.slots))
	for i, s := range h.slots {
		stopping.Go(func() { failures[i] = s.stop() })
	}
	stopping.Wait()
	require.NoError(t, errors.Join(failures...))
	for _, s := range h.slots {
		require.Empty(t, s.surprises, "how processes ended: see %s", s.log)
		content, err := os.ReadFile(s.log)
		require.NoError(t, err)
		for _, sign := range []string{"panic:", "DATA RACE", "fatal error:", "goroutine 1 ["} {
			require.NotContains(t, string(content), sign, s.log)
		}
	}
}

// report says what was done, for people.
func (h *harness) report(t *testing.T) {
	t.Helper()
	list := func(counts map[string]int) string {
		var all []string
		for _, name := range slices.Sorted(maps.Keys(counts)) {
			all = append(all, fmt.Sprintf("%d × %s", counts[name], name))
		}
		return strings.Join(all, ", ")
	}
	h.sayf("faults: %s", list(h.faults))
	h.sayf("operations: %s", list(h.done))
	h.sayf("operations that failed whole, as they may under faults: %s", list(h.failed))
	var story string
	require.NoError(t, h.admin.QueryRow(t.Context(), `SELECT format('%s flights enqueued, %s billed; %s invoices and credit notes, %s of them void, %s paid; total %s',
		(SELECT count(DISTINCT flight_id) FROM witness.asked), (SELECT count(*) FROM flightbill.billed_flights), count(*) FILTER (WHERE number IS NOT NULL),
		count(*) FILTER (WHERE status = 'VOID'), count(*) FILTER (WHERE status = 'PAID'),
		(SELECT string_agg(total || ' ' || currency, ' + ' ORDER BY currency) FROM (SELECT sum(total) AS total, currency FROM flightbill.invoices GROUP BY currency) AS t))
		FROM flightbill.invoices`).Scan(&story))
	h.sayf("%s", story)
	h.sayf("nothing lost, none twice, all to the cent")
	h.sayf("again: go test ./internal/faults -timeout 0 -run TestFaults -v -args -minutes=%v -seed=%d", *minutes, h.seed)
}
