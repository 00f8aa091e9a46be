package jobs

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/db"
)

// LogBuffer is a log that may be read while it is written. Like OpenPool it is for the
// tests inside this package and for those outside.
type LogBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *LogBuffer) Write(line []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(line)
}

func (b *LogBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// Count is how often the log has a text.
func (b *LogBuffer) Count(text string) int { return strings.Count(b.String(), text) }

// Logger writes to the log.
func (b *LogBuffer) Logger() *slog.Logger { return slog.New(slog.NewTextHandler(b, nil)) }

// Record has a service write to the log.
func (b *LogBuffer) Record(c *Config) { c.Logger = b.Logger() }

// OpenPool opens a pool for as long as a test takes.
func OpenPool(t *testing.T, url string) *pgxpool.Pool {
	t.Helper()
	pool, err := db.Open(t.Context(), url, db.Options{SearchPath: db.Schema, MaxConns: 20})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}
