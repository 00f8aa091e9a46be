package riverui

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// refusalDelay is less than a probe waits that has an old password.
	refusalDelay = 500 * time.Millisecond
	// maxDelayed wait at the same time: those beyond are answered at once, so that there is
	// a connection left for the right credentials.
	maxDelayed = maxConnections / 2

	// The log names so many addresses, of those first seen in that time.
	logEvery         = time.Minute
	countedAddresses = 1000
	namedAddresses   = 5
)

// guesses counts and logs wrong passwords, and delays their answers. The right one is
// answered at once, since behind a proxy everybody has one address; so whoever tries many
// at the same time is not slowed down.
type guesses struct {
	logger       *slog.Logger
	unauthorized *prometheus.CounterVec
	stopping     chan struct{} // closed when nobody is to wait any more
	stop         func()        // closes it, once, and logs what was not yet

	mu      sync.Mutex
	delayed int
	wrong   map[string]int // in this minute, by address
	others  int            // beyond countedAddresses
	timer   *time.Timer    // to the log's next line; nil: nothing to tell
}

func newGuesses(logger *slog.Logger) *guesses {
	g := &guesses{
		logger: logger, stopping: make(chan struct{}), wrong: map[string]int{},
		unauthorized: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "flightbill_http_unauthorized_total", Help: "HTTP requests without the right credentials, where they are needed.",
		}, []string{"credentials"}),
	}
	for _, credentials := range []string{"none", "wrong"} {
		g.unauthorized.WithLabelValues(credentials) // so that a rate sees the first one
	}
	g.stop = sync.OnceFunc(func() {
		close(g.stopping)
		g.tell()
	})
	return g
}

// missing counts a request that has no credentials and needs them.
func (g *guesses) missing() { g.unauthorized.WithLabelValues("none").Inc() }

// refuse counts wrong credentials, and returns when they may be answered.
func (g *guesses) refuse(r *http.Request) {
	g.unauthorized.WithLabelValues("wrong").Inc()
	if !g.note(remoteAddress(r)) {
		return
	}
	timer := time.NewTimer(refusalDelay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
	case <-g.stopping:
	}
	g.mu.Lock()
	g.delayed--
	g.mu.Unlock()
}

// note counts one, and says whether it is one of those delayed.
func (g *guesses) note(address string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.wrong[address] > 0 || len(g.wrong) < countedAddresses {
		g.wrong[address]++
	} else {
		g.others++
	}
	if g.timer == nil {
		g.timer = time.AfterFunc(logEvery, g.tell)
	}
	if g.delayed >= maxDelayed {
		return false
	}
	g.delayed++
	return true
}

// tell logs what there was since the last line.
func (g *guesses) tell() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.timer == nil {
		return
	}
	g.timer.Stop()
	g.timer = nil
	names := slices.SortedFunc(maps.Keys(g.wrong), func(a, b string) int {
		return cmp.Or(g.wrong[b]-g.wrong[a], strings.Compare(a, b))
	})
	total, left := g.others, g.others
	var named []string
	for i, name := range names {
		total += g.wrong[name]
		if i < namedAddresses {
			named = append(named, fmt.Sprintf("%s (%d)", name, g.wrong[name]))
		} else {
			left += g.wrong[name]
		}
	}
	if left > 0 {
		named = append(named, fmt.Sprintf("others (%d)", left))
	}
	g.logger.WarnContext(context.Background(), "wrong credentials sent: somebody tries passwords, or a program has an old one",
		"requests", total, "remote", strings.Join(named, ", "))
	clear(g.wrong)
	g.others = 0
}

// remoteAddress is that of the connection. What a proxy says of others, anybody can say.
func remoteAddress(r *http.Request) string {
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	address, _ := netip.ParseAddr(host)
	return address.Unmap().WithZone("").String()
}
