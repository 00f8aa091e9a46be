package jobs

import (
	"context"
	"log/slog"
)

// riverLogger passes on what River has to complain about. What it tells of its
// own comings and goings, and of jobs whose failure flightbill has logged in its
// own words, is for those who look for a fault: it shows where debug lines do.
// Nor is what it says while the database is away, which has been told.
func riverLogger(logger *slog.Logger, looksAway func() bool) *slog.Logger {
	return slog.New(riverHandler{logger.With("component", "INGESTION").Handler(), looksAway})
}

type riverHandler struct {
	slog.Handler

	looksAway func() bool
}

func (h riverHandler) Handle(ctx context.Context, record slog.Record) error {
	if record.Level >= slog.LevelWarn && !h.Handler.Enabled(ctx, slog.LevelDebug) && h.looksAway() {
		return nil
	}
	return h.Handler.Handle(ctx, record)
}

func (h riverHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.Handler.Enabled(ctx, level) && (level >= slog.LevelWarn || h.Handler.Enabled(ctx, slog.LevelDebug))
}

func (h riverHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return riverHandler{h.Handler.WithAttrs(attrs), h.looksAway}
}

func (h riverHandler) WithGroup(name string) slog.Handler {
	return riverHandler{h.Handler.WithGroup(name), h.looksAway}
}
