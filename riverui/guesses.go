package riverui

import (
	"cmp"
	"context"
	"fmt"
	"hash/maphash"
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
	// Wrong credentials of one address, and of all together, are answered so often, after
	// so many at once.
	addressEvery, addressAtOnce = time.Second, 5
	wholeEvery, wholeAtOnce     = 100 * time.Millisecond, 50

	// maxDelay of one answer, and how many wait at the same time: those beyond are answered
	// at once, so that there is a connection left for the right credentials.
	maxDelay   = 10 * time.Second
	maxDelayed = maxConnections / 2

	// addressSlots bounds the memory. Two addresses in one slot slow each other down, where
	// both are wrong.
	addressSlots = 4096

	// The log names so many addresses, of those first seen in that time.
	logEvery         = time.Minute
	countedAddresses = 1000
	namedAddresses   = 5
)

// guesses slows down who tries passwords, and tells of it. What is right is never slowed
// down: behind a proxy, everybody has one address.
type guesses struct {
	logger       *slog.Logger
	unauthorized *prometheus.CounterVec
	seed         maphash.Seed
	stopping     chan struct{} // closed when nobody is to wait any more
	stop         func()        // closes it, once, and logs what was not yet

	mu        sync.Mutex
	addresses [addressSlots]pace
	whole     pace
	delayed   int
	wrong     map[string]int // in this minute, by address
	others    int            // beyond countedAddresses
	timer     *time.Timer    // to the log's next line; nil: nothing to tell
}

func newGuesses(logger *slog.Logger) *guesses {
	g := &guesses{
		logger: logger, seed: maphash.MakeSeed(), stopping: make(chan struct{}), wrong: map[string]int{},
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

// pace is when the last of what was asked is due, at so many in a time.
type pace struct{ due time.Time }

// next returns how long the next one has to wait.
func (p *pace) next(now time.Time, every time.Duration, atOnce int) time.Duration {
	burst := every * time.Duration(atOnce)
	if p.due.Before(now) {
		p.due = now
	}
	// What nobody waits for is not owed either.
	p.due = slices.MinFunc([]time.Time{p.due.Add(every), now.Add(burst + maxDelay)}, time.Time.Compare)
	return max(0, p.due.Sub(now)-burst)
}

// missing counts a request that has no credentials and needs them.
func (g *guesses) missing() { g.unauthorized.WithLabelValues("none").Inc() }

// refuse counts wrong credentials, and returns when they may be answered.
func (g *guesses) refuse(r *http.Request) {
	g.unauthorized.WithLabelValues("wrong").Inc()
	delay := g.note(remoteAddress(r))
	if delay <= 0 {
		return
	}
	timer := time.NewTimer(delay)
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

// note counts one, and returns its delay; where that is not 0, it is one of those delayed.
func (g *guesses) note(address netip.Addr) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	if name := address.String(); g.wrong[name] > 0 || len(g.wrong) < countedAddresses {
		g.wrong[name]++
	} else {
		g.others++
	}
	if g.timer == nil {
		g.timer = time.AfterFunc(logEvery, g.tell)
	}
	now := time.Now()
	slot := &g.addresses[maphash.Comparable(g.seed, network(address))%addressSlots]
	delay := max(slot.next(now, addressEvery, addressAtOnce), g.whole.next(now, wholeEvery, wholeAtOnce))
	if delay == 0 || g.delayed >= maxDelayed {
		return 0
	}
	g.delayed++
	return delay
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
func remoteAddress(r *http.Request) netip.Addr {
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	address, _ := netip.ParseAddr(host)
	return address.Unmap().WithZone("")
}

// network is what belongs to one who has an address: of IPv6, all of a /64.
func network(address netip.Addr) netip.Prefix {
	bits := 32
	if address.Is6() {
		bits = 64
	}
	prefix, _ := address.Prefix(bits)
	return prefix
}
