package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/dbtest"
)

var monthsSeed = flag.Uint64("seed", 0, "seed of TestMonthsOfKills; 0: a new one")

const (
	monthsCustomers = `code,name,operators,aircraft,billing_frequency,week_ends_on,payment_terms_days,billing_hold
MON,Monthly Air,MON,,monthly,,30,
SUN,Sunday Air,SUN,,weekly,7,14,
WED,Wednesday Air,WED,,weekly,3,30,
EACH,Single Air,EACH,,per_flight,,10,
HELD,Held Air,HELD,,weekly,5,14,true
PAUSE,Pausing Air,PAUSE,,monthly,,30,
`
	monthsTariffs = `code,description,basis,airport,applies_to,band_from,band_to,unit_rate,minimum,currency,tax_rate,valid_from,valid_to
RUNWAY,Runway use,per_tonne,,departure,,,2.015,10.00,EUR,0.20,2012-01-01,2027-04-10
RUNWAY,Runway use,per_tonne,,departure,,,2.135,10.00,EUR,0.19,2027-04-10,
NAV,En route,route,EGLL,arrival,,,61.37,,GBP,0,2012-01-01,
`
	monthsFirst = "2027-03-01"
)

// months is a database that several processes bill by one simulated clock, while
// they are killed.
type months struct {
	url    string
	pool   *pgxpool.Pool
	clock  simulatedClock
	random *rand.Rand
	env    []string

	serving []*process
	kills   map[string]int // all, of leaders, in a run
}

// TestMonthsOfKills runs three processes through ten weeks of simulated days,
// over the London clocks' change, while flights arrive, one of the processes
// after the other is killed with -9, the leader as soon as there is one, and
// some in the middle of a run. Then an auditor that shares no code with them
// recomputes every invoice.
func TestMonthsOfKills(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes more than a minute of simulated days: not with -short")
	}
	m := startMonths(t)
	ctx, stop := context.WithCancel(t.Context())
	var arrivals sync.WaitGroup
	defer arrivals.Wait()
	defer stop()
	var arrived int
	var failure error
	random := rand.New(rand.NewPCG(m.random.Uint64(), 1))
	arrivals.Go(func() { arrived, failure = m.arrivals(ctx, random) })

	for m.clock.Now().Before(m.clock.until.AddDate(0, 0, -14)) || m.kills["leader"] < 2 {
		m.killOne(t)
	}
	require.NoError(t, m.hold(ctx, "PAUSE", false))
	arrivals.Wait()
	require.NoError(t, failure)
	t.Logf("%d flights arrived; killed: %v", arrived, m.kills)
	require.GreaterOrEqual(t, m.kills["all"], 10, m.kills)
	require.Positive(t, m.kills["in a run"], m.kills)

	lastRun := billing.DateOf(m.clock.until, time.UTC)
	eventually(t, "the last run is done and the queue is empty", func() bool {
		return number(t, m.pool, `SELECT count(*) FROM billing_runs WHERE run_date = '`+lastRun.String()+`' AND finished_at IS NOT NULL`) == 1 &&
			number(t, m.pool, `SELECT count(*) FROM flight_processing_queue WHERE state <> 'cancelled'`) == 0
	})
	m.requireSound(t, lastRun)
	m.audit(t, lastRun)
}

func startMonths(t *testing.T) *months {
	t.Helper()
	seed := *monthsSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	m := &months{url: dbtest.URL(t), random: rand.New(rand.NewPCG(seed, 0)), kills: map[string]int{}}
	closeMode := []billing.CloseMode{billing.PeriodEnd, billing.NextDay}[m.random.IntN(2)]
	t.Logf("-seed=%d, %s", seed, closeMode)
	pool, err := db.Open(t.Context(), m.url, db.Options{SearchPath: db.Schema, MaxConns: 4})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	m.pool = pool

	m.env = []string{
		"DATABASE_URL=" + m.url, "FLIGHTBILL_TIMEZONE=Europe/London", "FLIGHTBILL_CLOSE=" + string(closeMode), "FLIGHTBILL_BILLING_START=" + monthsFirst,
	}
	for kind, content := range map[string]string{"customers": monthsCustomers, "tariffs": monthsTariffs} {
		m.command(t, content, "import", kind, "-")
	}
	// A witness of its own: a save holds the run lock, so this is the cut-off under
	// which it was made.
	_, err = pool.Exec(t.Context(), `
		CREATE TABLE witnessed (flight_id text PRIMARY KEY, cutoff date NOT NULL);
		CREATE FUNCTION witness() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			INSERT INTO flightbill.witnessed SELECT NEW.flight_id, max(closes_on) FROM flightbill.billing_runs;
			RETURN NULL;
		END $$;
		CREATE TRIGGER witness AFTER INSERT ON billed_flights FOR EACH ROW EXECUTE FUNCTION witness()`)
	require.NoError(t, err)

	// River's election has a term of 15 s: a killed leader costs as many days.
	from := time.Date(2027, time.March, 1, 0, 0, 0, 0, time.UTC)
	m.clock = simulatedClock{from: from, until: from.AddDate(0, 0, 70).Add(12 * time.Hour), began: time.Now(), factor: 90_000}
	m.env = append(m.env, m.clock.env())
	for range 3 {
		m.serve(t)
	}
	return m
}

// command runs a flightbill command in this process, by the simulated clock.
func (m *months) command(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	var out, failures strings.Builder
	a := &app{stdin: strings.NewReader(stdin), stdout: &out, stderr: &failures, now: m.clock.Now}
	status := a.run(t.Context(), args, func(name string) (string, bool) {
		for _, setting := range m.env {
			if value, found := strings.CutPrefix(setting, name+"="); found {
				return value, true
			}
		}
		return "", false
	})
	require.Equal(t, exitDone, status, &failures)
	return out.String()
}

var clientInLog = regexp.MustCompile(`flightbill is working.* client=(\S+)`)

func (m *months) serve(t *testing.T) {
	t.Helper()
	p := startServe(t, m.env...)
	p.client = clientInLog.FindStringSubmatch(p.said())[1]
	m.serving = append(m.serving, p)
}

// arrivals brings flights until two days before the clock stops. Most have just
// landed, some long ago; some have no mass and are refused.
func (m *months) arrivals(ctx context.Context, random *rand.Rand) (flights int, err error) {
	operators := []string{"MON", "SUN", "WED", "EACH", "HELD", "PAUSE"}
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for ; m.clock.Now().Before(m.clock.until.AddDate(0, 0, -2)); <-ticker.C {
		now := m.clock.Now()
		var rows []string
		for range 1 + random.IntN(4) {
			flights++
			ago := time.Duration(random.Int64N(int64(20 * time.Hour)))
			if random.IntN(15) == 0 {
				ago *= 20
			}
			mass := "NULL"
			if random.IntN(20) > 0 {
				mass = fmt.Sprint(1_000 + random.IntN(250_000))
			}
			rows = append(rows, fmt.Sprintf("('F%05d', '%s', %s, '%s', '%s', '%s', %d)", flights, operators[random.IntN(len(operators))], mass,
				[]string{"EIDW", "LFPG"}[random.IntN(2)], []string{"EGLL", "EHAM"}[random.IntN(2)], now.Add(-ago).Format(time.RFC3339), 200+random.IntN(9_000)))
		}
		// In one statement: other applications do it in one transaction.
		_, err := m.pool.Exec(ctx, `WITH landed AS (
				INSERT INTO flights (flight_id, operator, mtow_kg, origin, destination, landed_at, distance_km) VALUES `+strings.Join(rows, ", ")+` RETURNING flight_id
			) INSERT INTO flight_processing_queue (flight_id) SELECT flight_id FROM landed`)
		if err != nil {
			return flights, fmt.Errorf("enqueue: %w", err)
		}
	}
	return flights, nil
}

func (m *months) hold(ctx context.Context, customer string, hold bool) error {
	_, err := m.pool.Exec(ctx, `UPDATE customers SET billing_hold = $2 WHERE code = $1`, customer, hold)
	return err
}

// leader returns the process that leads and whether it has for a while; nil where
// none does.
func (m *months) leader(t *testing.T) (leader *process, long bool) {
	t.Helper()
	var client string
	require.NoError(t, m.pool.QueryRow(t.Context(), `SELECT coalesce(max(leader_id), ''), coalesce(max(elected_at) < now() - interval '4 seconds', false)
		FROM river_leader`).Scan(&client, &long))
	return m.byClient(client), long
}

func (m *months) byClient(client string) *process {
	for _, p := range m.serving {
		if p.client == client {
			return p
		}
	}
	return nil
}

// killOne kills a process and starts another in its place.
func (m *months) killOne(t *testing.T) {
	t.Helper()
	time.Sleep(time.Duration(m.random.Int64N(int64(2500 * time.Millisecond))))
	require.NoError(t, m.hold(t.Context(), "PAUSE", m.random.IntN(2) == 0))
	victim, long := m.leader(t)
	release := func() {}
	if !long || m.random.IntN(3) == 0 {
		if victim, release = m.inARun(t); victim != nil {
			m.kills["in a run"]++
		}
	}
	if victim == nil {
		victim = m.serving[m.random.IntN(len(m.serving))]
	}
	require.NoError(t, victim.Process.Kill())
	<-victim.ended
	release()
	m.kills["all"]++
	if leader, _ := m.leader(t); victim == leader {
		m.kills["leader"]++
	}
	m.serving = slices.DeleteFunc(m.serving, func(p *process) bool { return p == victim })
	m.rescue(t, victim)
	m.serve(t)
}

// inARun keeps runs from going on at one of their steps, until release is
// called, and returns a process that works one, nil where none does soon.
func (m *months) inARun(t *testing.T) (victim *process, release func()) {
	t.Helper()
	tx, err := m.pool.Begin(t.Context())
	require.NoError(t, err)
	release = func() { require.NoError(t, tx.Rollback(context.Background())) }
	step := []string{
		`LOCK TABLE billing_runs IN SHARE MODE`, `SELECT FROM customers ORDER BY id FOR NO KEY UPDATE`,
		`SELECT FROM invoices WHERE status = 'DRAFT' ORDER BY id FOR NO KEY UPDATE`,
	}[m.random.IntN(3)]
	_, err = tx.Exec(t.Context(), step)
	require.NoError(t, err)
	for began := time.Now(); time.Since(began) < 2*time.Second; time.Sleep(20 * time.Millisecond) {
		var client string
		require.NoError(t, tx.QueryRow(t.Context(), `SELECT coalesce((SELECT attempted_by[array_upper(attempted_by, 1)] FROM river_job
			WHERE queue = 'schedules' AND kind <> 'mark_overdue' AND state = 'running' AND attempted_at < clock_timestamp() - interval '100 ms' LIMIT 1), '')`).Scan(&client))
		if victim = m.byClient(client); victim != nil {
			return victim, release
		}
	}
	release()
	return nil, func() {}
}

// rescue gives back what a killed process had in hand, as River's rescuer does
// half a minute to a minute later: that would be two months here. (It does it
// itself in TestServeKilled.)
func (m *months) rescue(t *testing.T, killed *process) {
	t.Helper()
	const inHand = `SELECT id FROM river_job WHERE state = 'running' AND attempted_by[array_upper(attempted_by, 1)] = $1`
	// The server may still be at what the killed process has sent it.
	eventually(t, "what a killed process had in hand is given back", func() bool {
		_, err := m.pool.Exec(t.Context(), `UPDATE river_job SET state = 'available', scheduled_at = now() WHERE id IN (`+inHand+` FOR UPDATE SKIP LOCKED)`, killed.client)
		require.NoError(t, err)
		var left bool
		require.NoError(t, m.pool.QueryRow(t.Context(), `SELECT EXISTS (`+inHand+`)`, killed.client).Scan(&left))
		return !left
	})
}

func (m *months) requireSound(t *testing.T, lastRun billing.Date) {
	t.Helper()
	none := func(what, sql string) {
		t.Helper()
		require.Zero(t, number(t, m.pool, `SELECT count(*) FROM (`+sql+`) AS found`), what)
	}
	none("flights neither billed nor refused, or both", `SELECT FROM flights f WHERE EXISTS (SELECT FROM billed_flights b WHERE b.flight_id = f.flight_id)
		= EXISTS (SELECT FROM flight_processing_queue q WHERE q.flight_id = f.flight_id AND reason = 'missing_fact')`)
	none("flights on two invoices of a currency", `SELECT FROM charges c JOIN invoices i ON i.id = invoice_id GROUP BY flight_id, currency HAVING count(DISTINCT invoice_id) > 1`)
	none("lines charged twice", `SELECT FROM charges GROUP BY flight_id, code HAVING count(*) > 1`)
	none("two invoices for a period", `SELECT FROM invoices WHERE closes_on IS NOT NULL GROUP BY customer_id, currency, closes_on HAVING count(*) > 1`)
	none("drafts left past their closing date", `SELECT FROM invoices i JOIN customers c ON c.id = customer_id
		WHERE status = 'DRAFT' AND NOT billing_hold AND closes_on <= (SELECT max(closes_on) FROM billing_runs)`)
	none("numbers missing or twice", `SELECT FROM invoices i JOIN customers c ON c.id = customer_id WHERE number IS NOT NULL
		GROUP BY c.id HAVING array_agg(number ORDER BY number) <> (SELECT array_agg(c.code || '-' || lpad(n::text, 6, '0') ORDER BY n) FROM generate_series(1, c.invoice_seq) AS n)`)
	none("run dates without a run", `SELECT d FROM generate_series('`+monthsFirst+`', '`+lastRun.String()+`', interval '1 day') AS d
		EXCEPT SELECT run_date FROM billing_runs WHERE finished_at IS NOT NULL AND trigger = 'schedule'`)
	none("runs before their time", `SELECT FROM billing_runs WHERE trigger <> 'start' AND (started_at < due_at OR finished_at < started_at)`)
	require.Equal(t, number(t, m.pool, `SELECT count(*) FROM invoices WHERE closes_on IS NOT NULL AND number IS NOT NULL`),
		number(t, m.pool, `SELECT sum(invoices) FROM billing_runs`), "invoices that no run, or two, have counted")
	require.Positive(t, number(t, m.pool, `SELECT count(*) FROM charges WHERE late`), "no flight was late")
	require.Positive(t, number(t, m.pool, `SELECT count(*) FROM charges WHERE NOT late`), "all flights were late")
	require.Positive(t, number(t, m.pool, `SELECT count(*) FROM flight_processing_queue`), "no flight was without mass")
	require.NotContains(t, m.command(t, "", "calendar", "--from", monthsFirst, "--to", lastRun.String()), "missed")
	var story string
	require.NoError(t, m.pool.QueryRow(t.Context(), `SELECT format('%s runs, %s of them within a day of their time, the latest %s after it; %s invoices, %s charges, %s late',
		count(*), count(*) FILTER (WHERE started_at - due_at < interval '1 day'), max(started_at - due_at), sum(invoices),
		(SELECT count(*) FROM charges), (SELECT count(*) FROM charges WHERE late)) FROM billing_runs WHERE trigger <> 'start'`).Scan(&story))
	t.Log(story)
}

// audit has internal/checks/recompute.py recompute all of it.
func (m *months) audit(t *testing.T, lastRun billing.Date) {
	t.Helper()
	for _, program := range []string{"python3", "psql"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("all else has passed; the auditor needs %s, which is not there", program)
		}
	}
	dir := t.TempDir()
	write := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, content, 0o600))
		return path
	}
	audit := exec.CommandContext(t.Context(), "python3", "../../internal/checks/recompute.py", "--database", m.url,
		"--customers", write("customers.csv", []byte(monthsCustomers)), "--tariffs", write("tariffs.csv", []byte(monthsTariffs)),
		"--flights", write("flights.csv", m.table(t, `SELECT flight_id, operator, registration, mtow_kg, origin, destination,
			to_char(departed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS departed_at,
			to_char(landed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS landed_at, distance_km, passengers FROM flights`)),
		"--cutoffs", write("cutoffs.csv", m.table(t, `SELECT flight_id, cutoff FROM witnessed`)),
		"--start", monthsFirst, "--last-run", lastRun.String())
	for _, setting := range m.env {
		if zone, found := strings.CutPrefix(setting, "FLIGHTBILL_TIMEZONE="); found {
			audit.Args = append(audit.Args, "--timezone", zone)
		}
		if mode, found := strings.CutPrefix(setting, "FLIGHTBILL_CLOSE="); found {
			audit.Args = append(audit.Args, "--close", mode)
		}
	}
	said, err := audit.CombinedOutput()
	require.NoError(t, err, string(said))
	t.Logf("%s", said)
}

// table is what a query finds, as CSV.
func (m *months) table(t *testing.T, sql string) []byte {
	t.Helper()
	conn, err := m.pool.Acquire(t.Context())
	require.NoError(t, err)
	defer conn.Release()
	var out bytes.Buffer
	_, err = conn.Conn().PgConn().CopyTo(t.Context(), &out, "COPY ("+sql+") TO STDOUT (FORMAT csv, HEADER)")
	require.NoError(t, err)
	return out.Bytes()
}
