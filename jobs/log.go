package jobs

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

const (
	// logDelay is how long what River complains of is held back: where a database goes
	// away, connections end one after the other.
	logDelay = time.Second
	// logAgain is how long a line of River's that comes again is only counted. Anybody who
	// may connect can have it log one a notice.
	logAgain = time.Minute
)

// riverLog passes on what River has to complain about. What it tells of its
// own comings and goings, and of jobs whose failure flightbill has logged in its
// own words, is for those who look for a fault: it shows where debug lines do.
// Nor is what it says while the database is away, which has been told.
type riverLog struct {
	looksAway func() bool

	mu     sync.Mutex
	held   []heldLine
	timer  *time.Timer
	ended  bool
	passed map[lineKey]*passedLine
	done   sync.WaitGroup
}

type heldLine struct {
	handler slog.Handler
	record  slog.Record
}

// lineKey tells lines apart, of which a minute has one. Attributes that a notice can fill
// are none of it.
type lineKey struct{ message, kind, queue string }

func (l heldLine) key() lineKey {
	key := lineKey{message: l.record.Message}
	l.record.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "kind", "job_kind":
			key.kind = a.Value.String()
		case "queue":
			key.queue = a.Value.String()
		}
		return true
	})
	return key
}

type passedLine struct {
	at      time.Time
	leftOut int
	last    heldLine // of those that were left out
}

func newRiverLog(looksAway func() bool) *riverLog {
	return &riverLog{looksAway: looksAway, passed: map[lineKey]*passedLine{}}
}

// logger is the one to give River.
func (l *riverLog) logger(logger *slog.Logger) *slog.Logger {
	return slog.New(riverHandler{logger.With("component", "INGESTION").Handler(), l})
}

// hold keeps a line for a moment, unless it has just been passed on.
func (l *riverLog) hold(line heldLine) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := line.key()
	before := l.passed[key]
	if before != nil && time.Since(before.at) < logAgain {
		before.leftOut++
		before.last = line
		return
	}
	if before != nil && before.leftOut > 0 {
		line.record.AddAttrs(slog.Int("left_out", before.leftOut))
	}
	l.passed[key] = &passedLine{at: time.Now()}
	if l.ended {
		_ = line.handler.Handle(context.Background(), line.record)
		return
	}
	l.held = append(l.held, line)
	if l.timer == nil {
		l.done.Add(1)
		l.timer = time.AfterFunc(logDelay, func() {
			defer l.done.Done()
			l.pass()
		})
	}
}

// pass passes on what is held, unless the database turns out to be away.
func (l *riverLog) pass() {
	l.mu.Lock()
	held := l.held
	l.held, l.timer = nil, nil
	l.mu.Unlock()
	if len(held) == 0 {
		return
	}
	away := l.looksAway()
	for _, line := range held {
		if !away {
			_ = line.handler.Handle(context.Background(), line.record)
			continue
		}
		l.mu.Lock()
		delete(l.passed, line.key())
		l.mu.Unlock()
	}
}

// Stop passes on what is held, and of what was left out the last line of each, with the
// number of the others.
func (l *riverLog) Stop() {
	l.mu.Lock()
	l.ended = true
	if l.timer != nil && l.timer.Stop() {
		l.done.Done()
	}
	for _, passed := range l.passed {
		if passed.leftOut > 1 {
			passed.last.record.AddAttrs(slog.Int("left_out", passed.leftOut-1))
		}
		if passed.leftOut > 0 {
			l.held = append(l.held, passed.last)
		}
	}
	clear(l.passed)
	l.mu.Unlock()
	l.done.Wait()
	l.pass()
}

type riverHandler struct {
	slog.Handler

	log *riverLog
}

func (h riverHandler) Handle(ctx context.Context, record slog.Record) error {
	if h.Handler.Enabled(ctx, slog.LevelDebug) {
		return h.Handler.Handle(ctx, record)
	}
	h.log.hold(heldLine{h.Handler, record.Clone()})
	return nil
}

func (h riverHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.Handler.Enabled(ctx, level) && (level >= slog.LevelWarn || h.Handler.Enabled(ctx, slog.LevelDebug))
}

func (h riverHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return riverHandler{h.Handler.WithAttrs(attrs), h.log}
}

func (h riverHandler) WithGroup(name string) slog.Handler {
	return riverHandler{h.Handler.WithGroup(name), h.log}
}
