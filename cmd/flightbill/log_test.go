package main

import (
	"log/slog"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/db/dbtest"
)

func TestLogLevel(t *testing.T) {
	t.Parallel()
	for level, want := range map[string]string{"debug": "abcd", "info": "bcd", "warn": "cd", "error": "d"} {
		for _, format := range []string{"text", "json"} {
			c, err := loadConfig(func(name string) (string, bool) { return level, name == "FLIGHTBILL_LOG_LEVEL" })
			require.NoError(t, err)
			var out strings.Builder
			logger, err := newLogger(&out, format, c.LogLevel)
			require.NoError(t, err)
			logger = logger.With(componentKey, "DATABASE")
			for i, l := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
				logger.Log(t.Context(), l, "line", "letter", string(rune('a'+i)))
			}
			require.Equal(t, len(want), strings.Count(out.String(), "\n"), out.String())
			for _, letter := range want {
				require.Regexp(t, `letter"?[=:]"?`+string(letter), out.String())
			}
		}
	}
}

// What River says of its own shows where debug lines do, and only there.
func TestServeLogsAtItsLevel(t *testing.T) {
	t.Parallel()
	const (
		debug  = " DEBUG [INGESTION] "
		rivers = " INFO [INGESTION] River client started"
	)
	url := dbtest.URL(t)
	asked := startServe(t, "DATABASE_URL="+url, "FLIGHTBILL_LOG_LEVEL=debug")
	eventually(t, "River's lines show", func() bool { return strings.Contains(asked.said(), debug) && strings.Contains(asked.said(), rivers) })
	notAsked := startServe(t, "DATABASE_URL="+url)
	require.NoError(t, notAsked.Process.Signal(syscall.SIGTERM))
	eventually(t, "it ends", notAsked.hasEnded)
	require.NotContains(t, notAsked.said(), " DEBUG ")
	require.NotContains(t, notAsked.said(), "River client")
}
