package faults_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// broker answers as a Pinot broker whose table has the flights.
type broker struct {
	flights *flights
	server  *httptest.Server
	mode    atomic.Pointer[string] // how it is broken; nil: not
	closing chan struct{}
}

// brokenBrokers are the ways to break one.
var brokenBrokers = []string{"refuses connections", "hangs", "answers 503", "answers exceptions", "lacks a server's answer", "answers garbage"}

func startBroker(t *testing.T, f *flights) *broker {
	t.Helper()
	b := &broker{flights: f, closing: make(chan struct{})}
	b.server = httptest.NewUnstartedServer(b)
	b.server.Listener = &refusing{b.server.Listener, b}
	b.server.Start()
	t.Cleanup(func() {
		close(b.closing)
		b.server.CloseClientConnections()
		b.server.Close()
	})
	return b
}

func (b *broker) address() string { return strings.TrimPrefix(b.server.URL, "http://") }

func (b *broker) isBroken(mode string) bool {
	now := b.mode.Load()
	return now != nil && *now == mode
}

func (b *broker) breaks(mode string) {
	b.mode.Store(&mode)
	b.server.CloseClientConnections()
}

// mend ends a way to be broken, unless another has begun meanwhile.
func (b *broker) mend(mode string) {
	if now := b.mode.Load(); now != nil && *now == mode {
		b.mode.CompareAndSwap(now, nil)
	}
}

// refusing closes new connections while its broker refuses them.
type refusing struct {
	net.Listener

	b *broker
}

func (l *refusing) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil || !l.b.isBroken("refuses connections") {
			return conn, err
		}
		_ = conn.(*net.TCPConn).SetLinger(0)
		_ = conn.Close()
	}
}

const pinotAnswer = `{"resultTable":{"dataSchema":{"columnNames":[%s],"columnDataTypes":[%s]},"rows":[%s]},"exceptions":[],"numServersQueried":2,"numServersResponded":%d}`

func (b *broker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var request struct {
		SQL string `json:"sql"`
	}
	if json.NewDecoder(r.Body).Decode(&request) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	switch {
	case b.isBroken("hangs"):
		select {
		case <-r.Context().Done():
		case <-b.closing:
		case <-time.After(time.Minute):
		}
	case b.isBroken("answers 503"):
		w.WriteHeader(http.StatusServiceUnavailable)
	case b.isBroken("answers exceptions"):
		_, _ = io.WriteString(w, `{"exceptions":[{"errorCode":425,"message":"ServerUnreachable"}],"numServersQueried":2,"numServersResponded":1}`)
	case b.isBroken("lacks a server's answer"):
		// Its rows are not there, and their flights look unknown.
		_, _ = io.WriteString(w, b.answer(strings.SplitAfter(request.SQL, "WHERE")[0], 1))
	case b.isBroken("answers garbage"):
		body := b.answer(request.SQL, 2)
		_, _ = io.WriteString(w, body[:len(body)/2])
	default:
		_, _ = io.WriteString(w, b.answer(request.SQL, 2))
	}
}

var (
	quotedName    = regexp.MustCompile(`"([a-z_]+)"`)
	quotedLiteral = regexp.MustCompile(`'([^']*)'`)
)

// answer returns the answer to a query to which so many of two servers responded.
func (b *broker) answer(sql string, responded int) string {
	list, condition, _ := strings.Cut(strings.TrimPrefix(sql, "SELECT "), " FROM ")
	if strings.HasPrefix(list, "COUNT") {
		return fmt.Sprintf(pinotAnswer, `"count"`, `"LONG"`, "[1000]", responded)
	}
	var names, types, rows []string
	if list == "*" {
		list = `"` + strings.Join(slices.Sorted(maps.Keys(pinotTypes)), `", "`) + `"`
	}
	for expression := range strings.SplitSeq(list, ", ") {
		name := quotedName.FindStringSubmatch(expression)[1]
		names = append(names, name)
		types = append(types, `"`+pinotTypes[name]+`"`)
	}
	var ids []string
	if _, where, found := strings.Cut(condition, "WHERE"); found {
		for _, match := range quotedLiteral.FindAllStringSubmatch(where, -1) {
			ids = append(ids, match[1])
		}
	} else {
		ids = b.flights.some(20)
	}
	for _, id := range ids {
		f, _ := b.flights.get(id)
		if f.absent {
			continue
		}
		values := make([]string, len(names))
		for i, name := range names {
			values[i] = pinotValue(id, f, name)
		}
		rows = append(rows, "["+strings.Join(values, ",")+"]")
	}
	return fmt.Sprintf(pinotAnswer, `"`+strings.Join(names, `","`)+`"`, strings.Join(types, ","), strings.Join(rows, ","), responded)
}

var pinotTypes = map[string]string{
	"flight_id": "STRING", "callsign": "STRING", "operator": "STRING", "registration": "STRING", "aircraft_type": "STRING", "mtow_kg": "INT",
	"origin": "STRING", "destination": "STRING", "departed_at": "LONG", "landed_at": "LONG", "distance_km": "DOUBLE", "passengers": "INT",
}

func pinotValue(id string, f facts, column string) string {
	text := func(s string) string {
		if s == "" {
			s = "null" // as Pinot says it
		}
		return `"` + s + `"`
	}
	switch column {
	case "flight_id":
		return text(id)
	case "operator":
		return text(f.operator)
	case "registration":
		return text(f.aircraft)
	case "mtow_kg":
		return fmt.Sprint(f.mass)
	case "origin":
		return text(f.origin)
	case "destination":
		return text(f.destination)
	case "departed_at":
		return "0"
	case "landed_at":
		if f.landed.IsZero() {
			return "0"
		}
		return fmt.Sprint(f.landed.UnixMilli())
	case "distance_km":
		return fmt.Sprintf("%d.%d", f.hectometres/10, f.hectometres%10)
	case "passengers":
		return fmt.Sprint(f.passengers)
	}
	return text("")
}

// TestFakeBroker holds the fake to what flightbill reads of it.
func TestFakeBroker(t *testing.T) {
	t.Parallel()
	b := startBroker(t, &flights{all: map[string]*flight{"F1": {version: 1, landed: time.UnixMilli(1357046400000)}}})
	answer := b.answer(`SELECT "flight_id", CAST("landed_at" AS LONG) FROM "flights" WHERE ("flight_id") IN ('F1', 'F2') LIMIT 100`, 2)
	require.JSONEq(t, `{"resultTable":{"dataSchema":{"columnNames":["flight_id","landed_at"],"columnDataTypes":["STRING","LONG"]},"rows":[["F1",1357046400000]]},
		"exceptions":[],"numServersQueried":2,"numServersResponded":2}`, answer)
}
