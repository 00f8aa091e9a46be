package jobs

import (
	"context"
	"log/slog"
)

// riverLogger passes on what River has to complain about. What it tells of its
// own comings and goings, and of jobs whose failure flightbill has logged in its
// own words, is for those who look for a fault: it shows where debug lines do.
func riverLogger(logger *slog.Logger) *slog.Logger {
	return slog.New(riverHandler{logger.With("component", "INGESTION").Handler()})
}

type riverHandler struct{ slog.Handler }

func (h riverHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.Handler.Enabled(ctx, level) && (level >= slog.LevelWarn || h.Handler.Enabled(ctx, slog.LevelDebug))
}

func (h riverHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return riverHandler{h.Handler.WithAttrs(attrs)}
}

func (h riverHandler) WithGroup(name string) slog.Handler {
	return riverHandler{h.Handler.WithGroup(name)}
}
