package riverui

import (
	"context"
	"errors"
	"log/slog"
	"strings"
)

// uiHandler passes on what River UI has to complain about. What it says of a
// request for a job that is gone stays out, and so do the queries that end with a
// closed browser tab or with the server, which River UI calls errors.
type uiHandler struct{ slog.Handler }

func (h uiHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && !errors.Is(ctx.Err(), context.Canceled) && h.Handler.Enabled(ctx, level)
}

func (h uiHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return uiHandler{h.Handler.WithAttrs(attrs)}
}

func (h uiHandler) WithGroup(name string) slog.Handler {
	return uiHandler{h.Handler.WithGroup(name)}
}

// serverHandler passes on what Go's server says. What anybody can make it say, as often
// as he likes, is for debugging.
type serverHandler struct{ slog.Handler }

func (h serverHandler) Handle(ctx context.Context, r slog.Record) error {
	if strings.HasPrefix(r.Message, "http: TLS handshake error") {
		r.Level = slog.LevelDebug
		if !h.Enabled(ctx, r.Level) {
			return nil
		}
	}
	return h.Handler.Handle(ctx, r) //nolint:wrapcheck // it is the handler's
}
