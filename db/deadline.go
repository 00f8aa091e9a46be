package db

import (
	"context"
	"net"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// silence is how long the other end of a connection may leave what was sent to it
	// unacknowledged: a firewall that has forgotten a connection says nothing.
	silence = 15 * time.Second
	// pingTimeout bounds the look at a connection that has been idle, before it is used.
	pingTimeout = 3 * time.Second
)

// newDialer connects so that a dead connection is noticed by the system, within about
// silence, where an answer is waited for; for a process that has to go on by itself also
// where something was sent on it. That ends one, too, whose server has stalled so long.
func newDialer(goesOn bool) *net.Dialer {
	return &net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: silence / 3, Interval: silence / 3, Count: 2},
		Control: func(network, _ string, conn syscall.RawConn) error {
			if network == "unix" || !goesOn {
				return nil
			}
			return limitSilence(conn, silence)
		},
	}
}

// deadline is the time that queries have whose caller sets none. River's fetch does not,
// and a process whose fetch waits for ever for an answer that was lost takes no flights.
type deadline time.Duration

type cancelKey struct{}

func (d deadline) start(ctx context.Context) context.Context {
	if _, ok := ctx.Deadline(); ok {
		return ctx
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(d))
	return context.WithValue(ctx, cancelKey{}, cancel)
}

func (d deadline) end(ctx context.Context) {
	if cancel, ok := ctx.Value(cancelKey{}).(context.CancelFunc); ok {
		cancel()
	}
}

func (d deadline) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return d.start(ctx)
}

func (d deadline) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryEndData) {
	d.end(ctx)
}

func (d deadline) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return d.start(ctx)
}

func (d deadline) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

func (d deadline) TraceBatchEnd(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchEndData) {
	d.end(ctx)
}
