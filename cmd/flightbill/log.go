package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"
)

// newLogger returns a logger of the format given, of what has that level or a
// higher one. In both formats the attribute component says which part speaks.
func newLogger(w io.Writer, format string, level slog.Level) (*slog.Logger, error) {
	switch format {
	case "json":
		return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level})), nil
	case "text":
		return slog.New(newTextHandler(w, level)), nil
	}
	return nil, usageError{fmt.Errorf("--log-format: %q is not one of text, json", format)}
}

// textHandler writes lines such as
//
//	2026-11-23T01:00:00Z INFO [SCHEDULED] consolidated invoices issued run_date=2026-11-23 invoices=12
type textHandler struct {
	level     slog.Level
	mu        *sync.Mutex // of w and line
	w         io.Writer
	line      *bytes.Buffer
	rest      slog.Handler // slog's own, for the attributes; writes to line
	component string
}

func newTextHandler(w io.Writer, level slog.Level) *textHandler {
	line := &bytes.Buffer{}
	return &textHandler{
		level: level, mu: &sync.Mutex{}, w: w, line: line,
		rest: slog.NewTextHandler(line, &slog.HandlerOptions{
			ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
				if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey || a.Key == slog.MessageKey) {
					return slog.Attr{}
				}
				return a
			},
		}),
	}
}

// Enabled implements slog.Handler.
func (h *textHandler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= h.level
}

// Handle implements slog.Handler.
func (h *textHandler) Handle(ctx context.Context, r slog.Record) error {
	component := h.component
	attributes := slog.NewRecord(r.Time, r.Level, "", 0)
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == componentKey {
			component = a.Value.String()
		} else {
			attributes.AddAttrs(a)
		}
		return true
	})

	h.mu.Lock()
	defer h.mu.Unlock()
	h.line.Reset()
	h.line.WriteString(r.Time.UTC().Format(time.RFC3339))
	h.line.WriteByte(' ')
	h.line.WriteString(r.Level.String())
	if component != "" {
		h.line.WriteString(" [" + component + "]")
	}
	h.line.WriteString(" " + oneLine(r.Message) + " ")
	if err := h.rest.Handle(ctx, attributes); err != nil {
		return err
	}
	_, err := h.w.Write(append(bytes.TrimRight(h.line.Bytes(), " \n"), '\n'))
	return err
}

const componentKey = "component"

// WithAttrs implements slog.Handler.
func (h *textHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	clone := *h
	var others []slog.Attr
	for _, a := range attrs {
		if a.Key == componentKey {
			clone.component = a.Value.String()
		} else {
			others = append(others, a)
		}
	}
	if len(others) > 0 {
		clone.rest = h.rest.WithAttrs(others)
	}
	return &clone
}

// WithGroup implements slog.Handler.
func (h *textHandler) WithGroup(name string) slog.Handler {
	clone := *h
	clone.rest = h.rest.WithGroup(name)
	return &clone
}
