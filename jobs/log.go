package jobs

import (
	"context"
	"log/slog"
)

// riverLogger passes on what River has to complain about. What it tells of its
// own comings and goings, and of jobs whose failure flightbill has logged in its
// own words, stays out.
func riverLogger(logger *slog.Logger) *slog.Logger {
	return slog.New(atLeastWarn{logger.With("component", "INGESTION").Handler()})
}

type atLeastWarn struct{ slog.Handler }

func (h atLeastWarn) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && h.Handler.Enabled(ctx, level)
}

func (h atLeastWarn) WithAttrs(attrs []slog.Attr) slog.Handler {
	return atLeastWarn{h.Handler.WithAttrs(attrs)}
}

func (h atLeastWarn) WithGroup(name string) slog.Handler {
	return atLeastWarn{h.Handler.WithGroup(name)}
}
