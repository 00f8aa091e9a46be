package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// serversName chooses what is measured here, as a contender's name chooses that.
const serversName = "servers"

// serverTurn is something that flightbill does on each of two servers, with the
// lines that its outcome is for.
type serverTurn struct {
	take  func(ctx context.Context, c *comparison, pass int) (outcome, error)
	lines []*serverLine
}

// serverTurns take ids to enqueue, which both servers have in the table wanted.
func serverTurns(ids []string) (turns []serverTurn) {
	rate := func(o outcome) float64 { return o.FlightsPerSecond }
	for _, name := range []string{"flightbill-1x5", "flightbill-1x1"} {
		p := peerNamed(name)
		for _, delay := range delays {
			turns = append(turns, serverTurn{
				take: func(ctx context.Context, c *comparison, pass int) (outcome, error) {
					return c.outcome(ctx, p, delay, allAtOnce, pass)
				},
				lines: []*serverLine{newLine(fmt.Sprintf("%s, Pinot %d ms", p.label, delay.Milliseconds()), "flights/s", rate)},
			})
		}
	}
	enqueued := func(sql string, args ...any) func(context.Context, *comparison, int) (outcome, error) {
		return func(ctx context.Context, c *comparison, pass int) (outcome, error) {
			figure, err := c.enqueues(len(ids), sql, args...)(ctx, pass)
			return outcome{FlightsPerSecond: figure}, err
		}
	}
	many := count(len(ids)) + " ids enqueued "
	return append(turns,
		serverTurn{
			take: func(ctx context.Context, c *comparison, pass int) (outcome, error) {
				return c.outcome(ctx, peerNamed("flightbill-1x5"), 0, singly, pass)
			},
			lines: []*serverLine{
				newLine("a lone flight, enqueued to saved, p50", "ms", func(o outcome) float64 { return median(o.latencies) }),
				newLine("a lone flight, enqueued to saved, p99", "ms", func(o outcome) float64 { return quantile(o.latencies, 0.99) }),
			},
		},
		serverTurn{enqueued(throughView), []*serverLine{newLine(many+"by `INSERT … SELECT` into the view", "rows/s", rate)}},
		serverTurn{enqueued(throughFunction, ids), []*serverLine{newLine(many+"by `enqueue_flights`", "rows/s", rate)}})
}

func peerNamed(name string) peer {
	all := peers()
	return all[slices.IndexFunc(all, func(p peer) bool { return p.name == name })]
}

// servers measures flightbill in turns on the embedded server and on a stock one,
// whose settings nobody has chosen for flightbill: it compiles by JIT, which the
// embedded one cannot.
func (c *comparison) servers(ctx context.Context) (err error) {
	c.progressf("starting the stock server")
	stock, noStock, err := startStock(ctx, c.stock)
	if stock == nil {
		c.noStock = noStock
		c.progressf("the stock server is left out: %s", noStock)
		return err
	}
	defer func() { err = errors.Join(err, stock.stop()) }()
	dropSeed, err := stock.seed(ctx, comparisonSeed, func(pool *pgxpool.Pool) error { return c.fill(ctx, pool) })
	if err != nil {
		return err
	}
	defer dropSeed()

	// As many passes as single flights have, for the same reason.
	r := &serversReport{Passes: 3 * c.passes, Settings: map[string][]setting{}}
	both := []*comparison{c.on(c.server, r.Passes), c.on(stock, r.Passes)}
	var ids []string
	for _, on := range both {
		if r.Settings[on.server.name], err = on.server.settings(ctx); err != nil {
			return err
		}
		var drop func()
		if ids, drop, err = on.wantedSeed(ctx, c.size(100_000), ""); err != nil {
			return err
		}
		defer drop()
	}
	var turns []contender
	for _, t := range serverTurns(ids) {
		r.Lines = append(r.Lines, t.lines...)
		for _, on := range both {
			turns = append(turns, func(ctx context.Context, pass int) (float64, error) {
				o, err := t.take(ctx, on, pass)
				if err != nil {
					return 0, err
				}
				for _, l := range t.lines {
					l.add(on.server.name, o)
				}
				figure, text := t.lines[0].last(on.server.name)
				c.progressf("%s server, %s: %s", on.server.name, t.lines[0].What, text)
				return figure, nil
			})
		}
	}
	if _, err := both[0].takeTurns(ctx, turns...); err != nil {
		return err
	}
	c.onServers = r
	return nil
}

// on is the same on one of the servers, with the settings that it comes with.
func (c *comparison) on(s *server, passes int) *comparison {
	other, b := *c, *c.bench
	b.server, b.passes = s, passes
	other.bench, other.settings = &b, nil
	return &other
}

// setting is one that a figure may depend on.
type setting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// settings are in the same order for every server.
func (s *server) settings(ctx context.Context) ([]setting, error) {
	// Not by db.Open, which makes settings of its own.
	conn, err := pgx.Connect(ctx, s.address.String())
	if err != nil {
		return nil, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	rows, err := conn.Query(ctx, `
		SELECT 'version', current_setting('server_version')
		UNION ALL SELECT 'JIT', CASE WHEN pg_jit_available() THEN 'on' ELSE 'not available, or off' END
		UNION ALL SELECT 'locale', datcollate FROM pg_database WHERE datname = 'template1'
		UNION ALL SELECT name, coalesce(current_setting(name, true), 'unknown to it') FROM unnest(ARRAY[
			'fsync', 'synchronous_commit', 'full_page_writes', 'track_commit_timestamp', 'data_checksums', 'shared_buffers', 'max_wal_size',
			'wal_compression', 'effective_io_concurrency', 'io_method', 'max_connections']) AS name`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[setting])
}
