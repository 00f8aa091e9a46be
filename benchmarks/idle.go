package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/jobs"
)

// idle watches the real binary do nothing, beside a process that is a River
// client and nothing else.
func (b *bench) idle(ctx context.Context) ([]row, error) {
	dir, err := os.MkdirTemp("", "flightbill-binary-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	binary, err := buildFlightbill(ctx, dir)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	watched := time.Duration(float64(20*time.Second) * max(b.scale, 0.1))

	var memory, bareMemory, cpu, bareCPU []float64
	for pass := range b.passes {
		err := b.withProcess(ctx, "idle_serve", "FLIGHTBILL_HTTP_ADDR=127.0.0.1:0", func(pid string) error {
			return b.withProcess(ctx, "idle_bare", "", func(barePid string) error {
				// Both have become their database's leader by then, and have had their first look around.
				if err := wait(ctx, watched/2); err != nil {
					return err
				}
				first, second, err := watchBoth(ctx, pid, barePid, watched)
				memory, cpu = append(memory, first.memoryMB), append(cpu, first.cpuPercent)
				bareMemory, bareCPU = append(bareMemory, second.memoryMB), append(bareCPU, second.cpuPercent)
				b.progressf("  pass %d: serve %+v, bare River %+v", pass+1, first, second)
				return err
			}, self, bareRiver)
		}, binary, "serve")
		if err != nil {
			return nil, err
		}
	}
	what := fmt.Sprintf("idle: flightbill serve, over %v: ", watched)
	load := compared(what+"CPU", "%", cpu, "%, a bare River client", bareCPU, below(1, "%"))
	load.ratio = none // both are a few ticks of the kernel's clock
	return []row{compared(what+"memory (RSS)", "MB", memory, "MB, a bare River client", bareMemory, below(80, "MB")), load}, nil
}

// withProcess runs a program on a database of its own until do returns.
func (b *bench) withProcess(ctx context.Context, database, environment string, do func(pid string) error, program string, args ...string) error {
	pool, drop, err := b.server.database(ctx, database, migrated)
	if err != nil {
		return err
	}
	defer drop()
	pool.Close()
	cmd := exec.Command(program, args...) //nolint:noctx // our own; ended in good order below
	cmd.Env = append(os.Environ(), "DATABASE_URL="+b.server.Database(database), "FLIGHTBILL_RESULTS=", environment)
	cmd.Stderr = io.Discard
	if err := cmd.Start(); err != nil {
		return err
	}
	err = do(strconv.Itoa(cmd.Process.Pid))
	return errors.Join(err, cmd.Process.Signal(syscall.SIGTERM), cmd.Wait())
}

// usage is what an idle process takes.
type usage struct{ memoryMB, cpuPercent float64 }

func watchBoth(ctx context.Context, pid, other string, watched time.Duration) (first, second usage, err error) {
	finishFirst, err := watch(pid)
	if err != nil {
		return first, second, err
	}
	finishSecond, err := watch(other)
	if err != nil {
		return first, second, err
	}
	if err := wait(ctx, watched); err != nil {
		return first, second, err
	}
	if first, err = finishFirst(); err != nil {
		return first, second, err
	}
	second, err = finishSecond()
	return first, second, err
}

func watch(pid string) (finish func() (usage, error), err error) {
	before, err := cpuTime(pid)
	began := time.Now()
	return func() (u usage, err error) {
		after, err := cpuTime(pid)
		if err != nil {
			return u, err
		}
		u.cpuPercent = 100 * float64(after-before) / float64(time.Since(began))
		u.memoryMB, err = memoryMB(pid, currentMemory)
		return u, err
	}, err
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// noWork is a worker for a job that never comes.
type noWork struct {
	river.WorkerDefaults[jobs.IngestFlightArgs]
}

func (*noWork) Work(context.Context, *river.Job[jobs.IngestFlightArgs]) error { return nil }

// runBareRiver is the yardstick: a pool and a River client with one queue, at
// River's own settings, until ctx ends.
func runBareRiver(ctx context.Context, url string) error {
	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		return err
	}
	defer pool.Close()
	all := river.NewWorkers()
	river.AddWorker(all, &noWork{})
	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{
		Schema: db.Schema, Queues: map[string]river.QueueConfig{jobs.FlightsQueue: {MaxWorkers: workers}}, Workers: all,
	})
	if err != nil {
		return err
	}
	if err := client.Start(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	<-ctx.Done()
	return client.Stop(context.WithoutCancel(ctx))
}
