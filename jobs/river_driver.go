package jobs

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivershared/baseservice"
	"github.com/riverqueue/river/rivershared/riverpilot"
)

// riverDriver is River's own driver for pgx with two additions, at places that
// River keeps for extensions of its own and may move in any release:
//
//   - before River takes flights, it asks how many this process may take now (see
//     sourceGate), and it tells when there were flights for every free slot;
//   - a fetch can be called for. River makes none for slots that become free
//     while one is under way: with 5 workers they stand empty until the next
//     flight ends, and at the end of a backlog until the next poll.
type riverDriver struct {
	*riverpgxv5.Driver

	gate *sourceGate
	full func() // told when there were flights for every free slot
	wake chan struct{}
}

// driverOver is what River asks for in riverDriver.
var _ riverdriver.Driver[pgx.Tx] = (*riverDriver)(nil)

func newRiverDriver(driver *riverpgxv5.Driver, gate *sourceGate) *riverDriver {
	return &riverDriver{Driver: driver, gate: gate, full: func() {}, wake: make(chan struct{}, 1)}
}

// PluginInit does nothing; River looks for it beside PluginPilot.
func (d *riverDriver) PluginInit(*baseservice.Archetype) {}

// PluginPilot is what River takes jobs through.
func (d *riverDriver) PluginPilot() riverpilot.Pilot { return &pilot{driver: d} }

// GetListener is River's own, which also hears Fetch.
func (d *riverDriver) GetListener(params *riverdriver.GetListenenerParams) riverdriver.Listener {
	return &listener{Listener: d.Driver.GetListener(params), driver: d}
}

// Fetch makes River look for flights if it has a free slot.
func (d *riverDriver) Fetch() {
	select {
	case d.wake <- struct{}{}:
	default: // called for already
	}
}

type pilot struct {
	riverpilot.StandardPilot

	driver *riverDriver
}

func (p *pilot) JobGetAvailable(
	ctx context.Context, exec riverdriver.Executor, state riverpilot.ProducerState, params *riverdriver.JobGetAvailableParams,
) (*riverdriver.JobGetAvailableResult, error) {
	if params.Queue != FlightsQueue {
		return p.StandardPilot.JobGetAvailable(ctx, exec, state, params)
	}
	most := p.driver.gate.Take(params.MaxToLock)
	if most == 0 {
		return &riverdriver.JobGetAvailableResult{}, nil
	}
	allowed := *params
	allowed.MaxToLock = most
	result, err := p.StandardPilot.JobGetAvailable(ctx, exec, state, &allowed)
	switch {
	case err != nil || len(result.Jobs) == 0:
		p.driver.gate.Untaken()
	case len(result.Jobs) == params.MaxToLock:
		p.driver.full()
		p.driver.Fetch()
	}
	return result, err
}

// listener adds to what Postgres tells the notice that Fetch asks for: the one
// that an INSERT sends.
type listener struct {
	riverdriver.Listener

	driver *riverDriver
}

func (l *listener) WaitForNotification(ctx context.Context) (*riverdriver.Notification, error) {
	type heard struct {
		notification *riverdriver.Notification
		err          error
	}
	waitCtx, stop := context.WithCancel(ctx)
	defer stop()
	result := make(chan heard, 1)
	go func() {
		notification, err := l.Listener.WaitForNotification(waitCtx)
		result <- heard{notification, err}
	}()
	select {
	case h := <-result:
		return h.notification, h.err
	case <-l.driver.wake:
	}
	stop()
	// The connection serves one at a time, and may have had something to tell. Then
	// the notice is for the next time.
	if h := <-result; h.err == nil || !errors.Is(h.err, context.Canceled) || ctx.Err() != nil {
		l.driver.Fetch()
		return h.notification, h.err
	}
	return &riverdriver.Notification{Topic: "river_insert", Payload: `{"queue": "` + FlightsQueue + `"}`}, nil
}
