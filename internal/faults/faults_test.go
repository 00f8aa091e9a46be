package faults_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// fault is something that goes wrong, for a time.
type fault struct {
	name    string
	weight  int
	longest time.Duration // that it lasts; 0: it is over when do returns
	do      func(ctx context.Context, h *harness, r *rand.Rand) (undo, error)
}

// allFaults are what goes wrong. Several do at once.
var allFaults = []fault{
	// flightbill's processes
	{"kill -9 of the leader", 4, 0, killLeader}, // first: in TestEachFault there is one by then
	{"kill -9 of a serve", 6, 0, killServe},
	{"kill -9 of all serves", 1, 0, signalAll(syscall.SIGKILL)},
	{"SIGTERM of a serve", 4, 0, termServe},
	{"SIGTERM of all serves", 1, 0, signalAll(syscall.SIGTERM)},
	{"serve frozen", 5, 100 * time.Second, freezeServe},
	{"leader frozen", 2, 100 * time.Second, freezeLeader},

	// Postgres
	{"Postgres restarted", 2, 0, restart(syscall.SIGINT)},
	{"Postgres stopped at once, without a checkpoint", 2, 0, restart(syscall.SIGQUIT)},
	{"kill -9 of the postmaster", 2, 0, restart(syscall.SIGKILL)},
	{"kill -9 of a backend", 2, 0, killBackend},
	{"Postgres frozen", 2, 15 * time.Second, freezePostgres},
	{"backends terminated", 5, 0, terminateBackends},

	// the network between them
	{"connections cut", 5, 0, cut},
	{"connections refused", 3, 20 * time.Second, refuse},
	{"connections silent", 4, 40 * time.Second, silence},
	{"connections slow", 4, 30 * time.Second, slow},

	// locks
	{"customers locked", 3, 30 * time.Second, lockRows(`SELECT FROM flightbill.customers WHERE id % $1 = 0 ORDER BY id FOR UPDATE`)},
	{"invoices locked", 3, 30 * time.Second, lockRows(`SELECT FROM flightbill.invoices WHERE id % $1 = 0 ORDER BY id FOR UPDATE`)},
	{"jobs locked", 3, 30 * time.Second, lockRows(`SELECT FROM flightbill.river_job WHERE id % $1 = 0 ORDER BY id FOR UPDATE`)},
	{"last run locked", 2, 30 * time.Second, lockRows(`SELECT FROM flightbill.billing_runs WHERE $1 > 0 ORDER BY closes_on DESC LIMIT 1 FOR UPDATE`)},
	{"ledger rows locked", 2, 30 * time.Second, lockRows(`SELECT FROM flightbill.billed_flights WHERE hashtext(flight_id) % $1 = 0 ORDER BY flight_id FOR UPDATE`)},
	{"table locked", 4, 5 * time.Second, lockTable},

	// settings
	{"statement_timeout", 2, 20 * time.Second, setForAll("statement_timeout", "20ms")},
	{"lock_timeout", 2, 20 * time.Second, setForAll("lock_timeout", "5ms")},
	{"idle_session_timeout", 1, 20 * time.Second, setForAll("idle_session_timeout", "200ms")},
	{"connection limit", 3, 20 * time.Second, limitConnections},
	{"read-only", 3, 15 * time.Second, readOnly},

	// Pinot
	{"Pinot refuses connections", 2, 30 * time.Second, breakBroker(0)},
	{"Pinot hangs", 2, 30 * time.Second, breakBroker(1)},
	{"Pinot answers 503", 2, 30 * time.Second, breakBroker(2)},
	{"Pinot answers exceptions", 2, 30 * time.Second, breakBroker(3)},
	{"Pinot lacks a server's answer", 2, 30 * time.Second, breakBroker(4)},
	{"Pinot answers garbage", 2, 30 * time.Second, breakBroker(5)},

	// maintenance
	{"VACUUM FULL", 2, 0, maintain("VACUUM FULL")},
	{"REINDEX", 2, 0, maintain("REINDEX TABLE")},
	{"ANALYZE", 1, 0, maintain("ANALYZE")},
	{"forged notices", 3, 0, forge},
}

// breakThings does faults at random until the context ends, and returns once each has begun; running is done once all are undone.
func (h *harness) breakThings(ctx context.Context, running *sync.WaitGroup) {
	choices := rand.New(rand.NewPCG(h.seed, 1))
	for {
		f := weighted(choices, allFaults, func(f fault) int { return f.weight })
		r := rand.New(rand.NewPCG(choices.Uint64(), 0))
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Duration(choices.Int64N(int64(4 * time.Second)))):
		}
		running.Go(func() { h.inflict(ctx, f, r) })
	}
}

// inflict does one fault and undoes it.
func (h *harness) inflict(ctx context.Context, f fault, r *rand.Rand) {
	lasts := time.Duration(float64(min(f.longest, h.lasts/3)) * r.Float64()).Round(100 * time.Millisecond)
	h.sayf("%s%s", f.name, map[bool]string{true: fmt.Sprintf(" for %v", lasts)}[lasts > 0])
	// A crash takes connections away from what goes on at that time: that is no failure of the test.
	undo, err := f.do(context.WithoutCancel(ctx), h, r)
	if err != nil {
		h.count(h.faults, "(not possible just then)")
		h.sayf("%s: not done: %v", f.name, err)
		lasts = 0
	} else {
		h.count(h.faults, f.name)
	}
	if undo == nil {
		return
	}
	select {
	case <-ctx.Done():
	case <-time.After(lasts):
	}
	for began := time.Now(); ; time.Sleep(200 * time.Millisecond) {
		if err = undo(context.WithoutCancel(ctx)); err == nil {
			return
		}
		if time.Since(began) > 2*time.Minute {
			h.t.Errorf("%s could not be undone: %v", f.name, err)
			return
		}
	}
}

type undo = func(context.Context) error

// over is of faults that need not be undone.
var over undo

func killServe(_ context.Context, h *harness, r *rand.Rand) (undo, error) {
	_, err := pick(r, h.slots).signal(syscall.SIGKILL, true, time.Duration(r.Int64N(int64(5*time.Second))))
	return nil, err
}

func killLeader(ctx context.Context, h *harness, r *rand.Rand) (undo, error) {
	s, leads := h.leader(ctx, r)
	if !leads {
		return nil, fmt.Errorf("nobody leads")
	}
	_, err := s.signal(syscall.SIGKILL, true, time.Duration(r.Int64N(int64(5*time.Second))))
	return nil, err
}

func termServe(_ context.Context, h *harness, r *rand.Rand) (undo, error) {
	_, err := pick(r, h.slots).signal(syscall.SIGTERM, true, time.Duration(r.Int64N(int64(5*time.Second))))
	return nil, err
}

func signalAll(signal syscall.Signal) func(context.Context, *harness, *rand.Rand) (undo, error) {
	return func(_ context.Context, h *harness, r *rand.Rand) (undo, error) {
		var down []error // already
		for _, s := range h.slots {
			if _, err := s.signal(signal, true, time.Duration(r.Int64N(int64(5*time.Second)))); err != nil {
				down = append(down, err)
			}
		}
		if len(down) == len(h.slots) {
			return nil, errors.Join(down...)
		}
		return over, nil
	}
}

func freezeServe(_ context.Context, h *harness, r *rand.Rand) (undo, error) {
	return freeze(pick(r, h.slots))
}

func freezeLeader(ctx context.Context, h *harness, r *rand.Rand) (undo, error) {
	s, _ := h.leader(ctx, r)
	return freeze(s)
}

func freeze(s *slot) (undo, error) {
	pid, err := s.signal(syscall.SIGSTOP, false, 0)
	if err != nil {
		return nil, err
	}
	return func(context.Context) error {
		if err := syscall.Kill(pid, syscall.SIGCONT); err != syscall.ESRCH {
			return err
		}
		return nil // killed meanwhile
	}, nil
}

func restart(signal syscall.Signal) func(context.Context, *harness, *rand.Rand) (undo, error) {
	return func(ctx context.Context, h *harness, r *rand.Rand) (undo, error) {
		return nil, h.postgres.restart(ctx, signal, time.Duration(r.Int64N(int64(5*time.Second))))
	}
}

// backends returns the server processes that work for flightbill, or for those who work with it.
func (h *harness) backends(ctx context.Context) ([]int, error) {
	rows, err := h.admin.Query(ctx, `SELECT pid FROM pg_stat_activity WHERE usename = ANY ($1) ORDER BY pid`, slices.Collect(maps.Keys(logins)))
	if err != nil {
		return nil, err
	}
	pids, err := pgx.CollectRows(rows, pgx.RowTo[int])
	if err == nil && len(pids) == 0 {
		err = fmt.Errorf("nobody is connected")
	}
	return pids, err
}

func killBackend(ctx context.Context, h *harness, r *rand.Rand) (undo, error) {
	h.postgres.mu.Lock()
	defer h.postgres.mu.Unlock()
	pids, err := h.backends(ctx)
	if err != nil {
		return nil, err
	}
	return nil, syscall.Kill(pick(r, pids), syscall.SIGKILL)
}

func freezePostgres(ctx context.Context, h *harness, _ *rand.Rand) (undo, error) {
	pids, err := h.backends(ctx)
	if err != nil {
		return nil, err
	}
	if !h.postgres.mu.TryLock() { // until it is undone: a frozen server cannot be restarted
		return nil, fmt.Errorf("it is being restarted")
	}
	postmaster, err := h.postgres.postmaster()
	if err != nil {
		h.postgres.mu.Unlock()
		return nil, err
	}
	pids = append(pids, postmaster)
	for _, pid := range pids {
		_ = syscall.Kill(pid, syscall.SIGSTOP)
	}
	return func(context.Context) error {
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGCONT)
		}
		h.postgres.mu.Unlock()
		return nil
	}, nil
}

func terminateBackends(ctx context.Context, h *harness, r *rand.Rand) (undo, error) {
	pids, err := h.backends(ctx)
	if err != nil {
		return nil, err
	}
	r.Shuffle(len(pids), func(i, j int) { pids[i], pids[j] = pids[j], pids[i] })
	_, err = h.admin.Exec(ctx, `SELECT pg_terminate_backend(pid) FROM unnest($1::int[]) AS pid`, pids[:1+r.IntN(len(pids))])
	return nil, err
}

// proxiesOf returns those of one process, or of all.
func (h *harness) proxiesOf(r *rand.Rand) []*proxy {
	if r.IntN(3) > 0 {
		return []*proxy{pick(r, h.slots).proxy}
	}
	var all []*proxy
	for _, s := range h.slots {
		all = append(all, s.proxy)
	}
	return all
}

func cut(_ context.Context, h *harness, r *rand.Rand) (undo, error) {
	for _, p := range h.proxiesOf(r) {
		p.cut()
	}
	return over, nil
}

// through does something to connections and undoes it.
func through(h *harness, r *rand.Rand, do, undo func(*proxy)) (undo, error) {
	proxies := h.proxiesOf(r)
	for _, p := range proxies {
		do(p)
	}
	return func(context.Context) error {
		for _, p := range proxies {
			undo(p)
		}
		return nil
	}, nil
}

func refuse(_ context.Context, h *harness, r *rand.Rand) (undo, error) {
	return through(h, r, func(p *proxy) { p.refuse(true) }, func(p *proxy) { p.refuse(false) })
}

func silence(_ context.Context, h *harness, r *rand.Rand) (undo, error) {
	return through(h, r, (*proxy).silence, (*proxy).speak)
}

func slow(_ context.Context, h *harness, r *rand.Rand) (undo, error) {
	delay := r.Int64N(int64(150 * time.Millisecond))
	return through(h, r, func(p *proxy) { p.delay.Store(delay) }, func(p *proxy) { p.delay.Store(0) })
}

// lockRows holds locks in a transaction; $1 is of how many rows it locks one.
func lockRows(sql string) func(context.Context, *harness, *rand.Rand) (undo, error) {
	return func(ctx context.Context, h *harness, r *rand.Rand) (undo, error) {
		return h.inTransaction(ctx, sql, 1+r.IntN(4))
	}
}

func (h *harness) inTransaction(ctx context.Context, sql string, args ...any) (undo, error) {
	tx, err := h.admin.Begin(ctx)
	if err != nil {
		return nil, err
	}
	end := func(ctx context.Context) error {
		_ = tx.Rollback(ctx) // it may have ended with the server
		return nil
	}
	if _, err := tx.Exec(ctx, `SET LOCAL statement_timeout = '5s'`); err != nil {
		return end, err
	}
	_, err = tx.Exec(ctx, sql, args...)
	return end, err
}

var busyTables = []string{"river_job", "billed_flights", "charges", "invoices", "customers", "tariffs", "price_book", "billing_runs", "river_leader", "river_queue", "queue_promises"}

func lockTable(ctx context.Context, h *harness, r *rand.Rand) (undo, error) {
	return h.inTransaction(ctx, `LOCK TABLE flightbill.`+pick(r, busyTables)+` IN `+pick(r, []string{"SHARE", "EXCLUSIVE", "ACCESS EXCLUSIVE"})+` MODE`)
}

// setForAll has new sessions begin with a setting.
func setForAll(name, value string) func(context.Context, *harness, *rand.Rand) (undo, error) {
	return func(ctx context.Context, h *harness, r *rand.Rand) (undo, error) {
		what := pick(r, []string{"ROLE " + server, "DATABASE " + database})
		reset := func(ctx context.Context) error {
			_, err := h.admin.Exec(ctx, `ALTER `+what+` RESET `+name)
			return err
		}
		_, err := h.admin.Exec(ctx, `ALTER `+what+` SET `+name+` = '`+value+`'`)
		if err == nil {
			_, err = terminateBackends(ctx, h, r)
		}
		return reset, err
	}
}

func limitConnections(ctx context.Context, h *harness, r *rand.Rand) (undo, error) {
	set := func(ctx context.Context, limit int) error {
		_, err := h.admin.Exec(ctx, fmt.Sprintf(`ALTER ROLE %s CONNECTION LIMIT %d`, server, limit))
		return err
	}
	err := set(ctx, r.IntN(10))
	if err == nil {
		_, err = terminateBackends(ctx, h, r)
	}
	return func(ctx context.Context) error { return set(ctx, -1) }, err
}

// readOnly makes the server one, as a failed disk or a fail-over to a standby does.
func readOnly(ctx context.Context, h *harness, _ *rand.Rand) (undo, error) {
	set := func(ctx context.Context, how string) error {
		if _, err := h.admin.Exec(ctx, `ALTER SYSTEM `+how); err != nil {
			return err
		}
		_, err := h.admin.Exec(ctx, `SELECT pg_reload_conf()`)
		return err
	}
	err := set(ctx, `SET default_transaction_read_only = on`)
	return func(ctx context.Context) error { return set(ctx, `RESET default_transaction_read_only`) }, err
}

func breakBroker(way int) func(context.Context, *harness, *rand.Rand) (undo, error) {
	return func(_ context.Context, h *harness, _ *rand.Rand) (undo, error) {
		if h.broker == nil {
			return nil, fmt.Errorf("flights come from the table")
		}
		h.broker.breaks(brokenBrokers[way])
		return func(context.Context) error {
			h.broker.mend(brokenBrokers[way])
			return nil
		}, nil
	}
}

func maintain(command string) func(context.Context, *harness, *rand.Rand) (undo, error) {
	return func(ctx context.Context, h *harness, r *rand.Rand) (undo, error) {
		_, err := h.admin.Exec(ctx, command+` flightbill.`+pick(r, append(busyTables, "river_job", "river_job", "river_job")))
		return nil, err
	}
}

// forge sends notices, as anybody can who may connect: that a queue is paused, or nonsense, and then for some seconds that
// whatever runs just then is to be cancelled.
func forge(ctx context.Context, h *harness, r *rand.Rand) (undo, error) {
	payload := pick(r, []string{
		`{"action": "pause", "queue": "flights"}`, `{"action": "pause", "queue": "*"}`, `{"action": "no such"}`, `{`, ``, `{"action": "cancel", "queue": "flights"}`, `{"action": "resume", "queue": "*"}`,
	})
	for _, topic := range []string{"river_control", "river_insert", "river_leadership"} {
		if _, err := h.admin.Exec(ctx, `SELECT pg_notify($1, $2)`, "flightbill."+topic, payload); err != nil {
			return nil, err
		}
	}
	for range 100 {
		_, err := h.admin.Exec(ctx, `SELECT pg_notify('flightbill.river_control', json_build_object('action', 'cancel', 'queue', queue, 'job_id', id)::text)
			FROM flightbill.river_job WHERE state = 'running' AND kind = 'ingest_flight'`)
		if err != nil {
			return nil, err
		}
		time.Sleep(30 * time.Millisecond)
	}
	return over, nil
}
