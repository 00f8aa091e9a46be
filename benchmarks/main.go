// Benchmarks measures flightbill on an embedded Postgres or a given one, each figure
// beside a yardstick that runs on the same server in the same minutes: see README.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/flightbill/flightbill/db/embedded"
)

// bareRiver is the argument that makes this program the yardstick of an idle
// process instead.
const bareRiver = "bare-river"

// resultsFile is where a whole run at full size is kept.
const resultsFile = "benchmarks/RESULTS.md"

func main() {
	embedded.Main()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	var err error
	switch {
	case len(os.Args) == 2 && os.Args[1] == bareRiver:
		err = runBareRiver(ctx, os.Getenv("DATABASE_URL"))
	case len(os.Args) == 3 && os.Args[1] == answerServer:
		var delay time.Duration
		if delay, err = time.ParseDuration(os.Args[2]); err == nil {
			err = serveAnswers(ctx, delay, os.Stdin, os.Stdout)
		}
	case len(os.Args) == 3 && os.Args[1] == plainRiver:
		var cooldown time.Duration
		if cooldown, err = time.ParseDuration(os.Args[2]); err == nil {
			err = runPlainRiver(ctx, cooldown)
		}
	case len(os.Args) > 1 && os.Args[1] == compareCommand:
		err = runCompare(ctx, os.Args[2:], os.Stdout, os.Stderr)
	default:
		err = run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	}
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "benchmarks:", err)
		os.Exit(1)
	}
}

// bench is what the measurements share.
type bench struct {
	server *server
	passes int
	scale  float64
	log    io.Writer // progress
	logger *slog.Logger
}

// measurement makes one or more rows of the table.
type measurement struct {
	name  string
	run   func(*bench, context.Context) ([]row, error)
	large bool // takes long and much of the disk: only when asked for
}

func measurements() []measurement {
	return []measurement{
		{"drain", (*bench).drain, false},
		{"batch", (*bench).batch, false},
		{"cancel", (*bench).cancel, false},
		{"unknown", (*bench).unknown, false},
		{"enqueue", (*bench).enqueue, false},
		{"enqueue-clients", (*bench).enqueueOneByOne, false},
		{"revive", (*bench).revive, false},
		{"issue", func(b *bench, ctx context.Context) ([]row, error) { return b.issue(ctx, 50_000, 40) }, false},
		{"latency", (*bench).latency, false},
		{"pinot", (*bench).pinot, false},
		{"idle", (*bench).idle, false},
		{"overdue", func(b *bench, ctx context.Context) ([]row, error) { return b.overdue(ctx, 4_000_000, 67_000) }, false},
		{"backlog", (*bench).backlog, true},
		{"issue-large", func(b *bench, ctx context.Context) ([]row, error) { return b.issue(ctx, 100_000, 100) }, true},
		{"overdue-large", func(b *bench, ctx context.Context) ([]row, error) { return b.overdue(ctx, 10_000_000, 1_675_000) }, true},
	}
}

type options struct {
	only     string
	passes   int
	scale    float64
	dir      string
	database string // the address of a server, which may hold a password
	out      string
}

func parse(args []string, stderr io.Writer) (options, []measurement, error) {
	var o options
	chosen := measurements()
	names := make([]string, len(chosen))
	for i, m := range chosen {
		names[i] = m.name
	}
	flags := flag.NewFlagSet("benchmarks", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.only, "only", "", "measure these, separated by commas: "+strings.Join(names, ", ")+"; without it, all but backlog and those that are large")
	flags.IntVar(&o.passes, "passes", 3, "how often each measurement and its yardstick take turns, at least 2")
	flags.Float64Var(&o.scale, "scale", 1, "multiplies every size and waiting time; a try-out: 0.02")
	flags.StringVar(&o.dir, "dir", "", "put the server's data in a temporary folder in here; it must be on the disk to be measured")
	flags.StringVar(&o.database, "database", "", "measure on this server, not on an embedded one: a superuser's URL, whose databases are made and dropped there")
	flags.StringVar(&o.out, "out", "", "also write the table to this file (default "+resultsFile+" for a whole run at full size on the embedded server)")
	if err := flags.Parse(args); err != nil {
		return o, nil, err
	}
	if flags.NArg() > 0 || o.passes < 2 || o.scale <= 0 {
		flags.Usage()
		return o, nil, errors.New("these flags cannot be understood")
	}
	if o.only == "" {
		chosen = slices.DeleteFunc(chosen, func(m measurement) bool { return m.large })
	} else {
		wanted := strings.Split(o.only, ",")
		for _, name := range wanted {
			if !slices.Contains(names, name) {
				return o, nil, fmt.Errorf("-only %s: there is no measurement of this name; there are %s", name, strings.Join(names, ", "))
			}
		}
		chosen = slices.DeleteFunc(chosen, func(m measurement) bool { return !slices.Contains(wanted, m.name) })
	}
	if o.out == "" && o.only == "" && o.scale == 1 && o.database == "" {
		o.out = resultsFile
	}
	return o, chosen, nil
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, chosen, err := parse(args, stderr)
	if err != nil {
		return err
	}
	logger := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	conditions := observe(o, args)
	var srv *server
	if o.database != "" {
		srv, err = openServer(ctx, givenServer, o.database)
	} else {
		fmt.Fprintln(stderr, "starting Postgres")
		srv, err = startServer(ctx, o.dir, logger)
	}
	if err != nil {
		return err
	}
	conditions.postgres, conditions.server = srv.version, srv.name

	b := &bench{server: srv, passes: o.passes, scale: o.scale, log: stderr, logger: logger}
	var rows []row
	var failures []error
	for _, m := range chosen {
		b.progressf("%s", m.name)
		measured, err := m.run(b, ctx)
		rows = append(rows, measured...)
		if err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", m.name, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	failures = append(failures, srv.stop())
	if len(rows) == 0 {
		return errors.Join(failures...)
	}

	document := markdown(conditions, rows)
	fmt.Fprint(stdout, document)
	// A file that looks whole and is not would mislead.
	if err := errors.Join(failures...); err != nil || o.out == "" {
		return err
	}
	return os.WriteFile(o.out, []byte(document), 0o644) //nolint:gosec // for everyone to read
}

func (b *bench) progressf(format string, args ...any) {
	fmt.Fprintf(b.log, "benchmarks: "+format+"\n", args...)
}

// size scales one of the sizes that the table is about.
func (b *bench) size(full int) int {
	return max(1, int(float64(full)*b.scale))
}

// contender does its work once and returns the figure that it came to.
type contender func(ctx context.Context, pass int) (float64, error)

// takeTurns runs contenders one after another, pass by pass, each pass in the
// reverse order of the one before: what a server's caches, checkpoints or
// neighbours do to one, they do to the other too. It returns each one's figures.
func (b *bench) takeTurns(ctx context.Context, contenders ...contender) ([][]float64, error) {
	figures := make([][]float64, len(contenders))
	for pass := range b.passes {
		for turn := range contenders {
			i := turn
			if pass%2 == 1 {
				i = len(contenders) - 1 - turn
			}
			figure, err := contenders[i](ctx, pass)
			if err != nil {
				return nil, err
			}
			figures[i] = append(figures[i], figure)
			b.progressf("  pass %d, contender %d: %s", pass+1, i+1, number(figure))
		}
	}
	return figures, nil
}
