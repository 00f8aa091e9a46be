package main

import (
	"context"
	_ "embed" // the peers' SQL
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// compareCommand is the argument, followed by flags, that runs flightbill beside
// what else flights could be billed with.
const compareCommand = "compare"

const (
	fullFlights    = 5_000
	comparisonSeed = "comparison"
)

// delays are those of Pinot's answers.
var delays = []time.Duration{0, 5 * time.Millisecond}

// Slower Pinots, for flightbill alone.
const (
	slow    = 50 * time.Millisecond
	slower  = 200 * time.Millisecond // one process waits for it most of the time, so that a second one has cores to use
	slowest = 2 * time.Second        // throughput is in proportion to the flights that are asked for together
)

//go:embed compare.sql
var compareSQL string

// comparison is one run of all contenders on one server, and of flightbill on a
// second one.
type comparison struct {
	*bench

	settings  []string // of the database of a turn
	programs  programs
	brokers   map[time.Duration]string // their addresses
	noNode    string                   // why Node's contenders are left out
	noPgbench bool

	stock     string // the address of the second server; "": Debian's package makes it
	noStock   string // why that one is left out
	onServers *serversReport
}

// runCompare measures, and writes what README shows.
func runCompare(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	var o options
	var all []string
	for _, p := range peers() {
		all = append(all, p.name)
	}
	all = append(all, serversName)
	flags := flag.NewFlagSet("benchmarks "+compareCommand, flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.only, "only", "", "these, separated by commas: "+strings.Join(all, ", "))
	flags.IntVar(&o.passes, "passes", 2, "how often each has its turn, at least 2")
	flags.Float64Var(&o.scale, "scale", 1, "multiplies the number of flights; a try-out: 0.05")
	flags.StringVar(&o.dir, "dir", "", "put the server's data in a temporary folder in here; it must be on the disk to be measured")
	flags.StringVar(&o.database, "stock", "", "the server of "+serversName+" beside the embedded one, on this machine: a superuser's URL (default one of Debian's package)")
	flags.StringVar(&o.out, "out", "", "the folder for the results (default benchmarks, and README.md's part of them, for a whole run at full size)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	wanted := all
	if o.only != "" {
		wanted = strings.Split(o.only, ",")
		for _, name := range wanted {
			if !slices.Contains(all, name) {
				return fmt.Errorf("-only %s: there are %s", o.only, strings.Join(all, ", "))
			}
		}
	}
	chosen := slices.DeleteFunc(peers(), func(p peer) bool { return !slices.Contains(wanted, p.name) })
	if flags.NArg() > 0 || o.passes < 2 || o.scale <= 0 {
		flags.Usage()
		return errors.New("these flags cannot be understood")
	}
	whole := o.only == "" && o.scale == 1 && o.out == ""

	conditions := observe(o, append([]string{compareCommand}, args...))
	logger := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	fmt.Fprintln(stderr, "starting Postgres")
	srv, err := startServer(ctx, o.dir, logger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, srv.stop()) }()
	conditions.postgres = srv.version
	c := &comparison{
		bench:    &bench{server: srv, passes: o.passes, scale: o.scale, log: stderr, logger: logger},
		settings: []string{noWait}, stock: o.database,
	}
	found, err := c.compare(ctx, chosen, slices.Contains(wanted, serversName))
	if err != nil {
		return err
	}
	r := newReport(conditions, c, found)
	fmt.Fprint(stdout, r.markdown())
	switch {
	case whole:
		return errors.Join(r.write("benchmarks"), r.show("README.md"))
	case o.out != "":
		return r.write(o.out)
	}
	return nil
}

// measured is a contender with what its turns came to.
type measured struct {
	peer     peer
	outcomes map[time.Duration][]outcome
	singles  []outcome // with flights one by one
}

func (c *comparison) compare(ctx context.Context, chosen []peer, servers bool) (_ []measured, err error) {
	dir, err := os.MkdirTemp("", "flightbill-binary-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	c.progressf("building flightbill, and npm ci in %s", peersDir)
	if c.programs, c.noNode, err = findPrograms(ctx, dir); err != nil {
		return nil, err
	}
	if c.noNode != "" {
		c.progressf("Node's contenders are left out: %s", c.noNode)
		chosen = slices.DeleteFunc(chosen, func(p peer) bool { return p.family == node })
	}
	_, err = exec.LookPath("pgbench")
	c.noPgbench = err != nil
	dropSeed, err := c.server.seed(ctx, comparisonSeed, func(pool *pgxpool.Pool) error { return c.fill(ctx, pool) })
	if err != nil {
		return nil, err
	}
	defer dropSeed()
	c.brokers = map[time.Duration]string{}
	for _, delay := range append(slices.Clone(delays), slow, slower, slowest) {
		address, stop, err := startBroker(ctx, delay)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, stop()) }()
		c.brokers[delay] = address
	}

	// First: the second server is gone before the others have their turns.
	if servers {
		if err := c.servers(ctx); err != nil {
			return nil, err
		}
	}

	found := make([]measured, len(chosen))
	var turns, singles []contender
	for i, p := range chosen {
		found[i] = measured{peer: p, outcomes: map[time.Duration][]outcome{}}
		for _, delay := range p.delays() {
			turns = append(turns, func(ctx context.Context, pass int) (float64, error) {
				o, err := c.outcome(ctx, p, delay, allAtOnce, pass)
				c.progressf("%s, Pinot %v: %s flights/s %s", p.name, delay, number(o.FlightsPerSecond), o.Refused)
				found[i].outcomes[delay] = append(found[i].outcomes[delay], o)
				return o.FlightsPerSecond, err
			})
		}
		if p.latency && p.polls == 0 {
			singles = append(singles, func(ctx context.Context, pass int) (float64, error) {
				o, err := c.outcome(ctx, p, 0, singly, pass)
				found[i].singles = append(found[i].singles, o)
				if len(o.latencies) == 0 {
					c.progressf("%s, one by one: %s", p.name, o.Refused)
					return 0, err
				}
				c.progressf("%s, one by one: p50 %s, p99 %s ms", p.name, number(median(o.latencies)), number(quantile(o.latencies, 0.99)))
				return median(o.latencies), err
			})
		}
	}
	if _, err = c.takeTurns(ctx, turns...); err != nil {
		return nil, err
	}
	// What else the machine does for some seconds must not make one's tail.
	short := *c.bench
	short.passes = 3 * c.passes
	_, err = short.takeTurns(ctx, singles...)
	return found, err
}

// outcome takes a turn. A contender that fails has it refused.
func (c *comparison) outcome(ctx context.Context, p peer, delay time.Duration, work work, pass int) (outcome, error) {
	o, err := c.take(ctx, p, delay, work, pass)
	if err != nil && ctx.Err() == nil {
		o.Refused, err = err.Error(), nil
	}
	return o, err
}

// fill makes the database that every turn begins with a copy of: flightbill's
// tables, 50 weekly customers, two tariffs, and every queue, empty.
func (c *comparison) fill(ctx context.Context, pool *pgxpool.Pool) error {
	if err := makeBilling(ctx, pool); err != nil {
		return err
	}
	if _, err := pool.Exec(ctx, "DELETE FROM tariffs WHERE code = 'ROUTE'"); err != nil {
		return err
	}
	if _, err := pool.Exec(ctx, compareSQL); err != nil {
		return err
	}
	if err := makePlainRiver(ctx, pool); err != nil {
		return err
	}
	if c.noNode != "" {
		return nil
	}
	for _, script := range []string{"pgboss.js", "graphile.js"} {
		setup := exec.CommandContext(ctx, c.programs[node], script, "setup") //nolint:gosec // our own
		setup.Dir = peersDir
		setup.Env = append(os.Environ(), "DATABASE_URL="+pool.Config().ConnString())
		if out, err := setup.CombinedOutput(); err != nil {
			return fmt.Errorf("%s setup: %w: %s", script, err, out)
		}
	}
	return nil
}
