package pinot

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/pinot/local"
	"github.com/flightbill/flightbill/pinot/pinottest"
)

// The real cluster's Java is in a time zone that nobody would take for UTC. A session lasts for three times a query, so
// that a server that is frozen for one is never taken for gone, and no longer, since a test waits for its end.
func TestMain(m *testing.M) {
	pinottest.Main(m, local.Options{
		Brokers: 2, Servers: 2, TimeZone: "America/St_Johns",
		SessionTimeout: 12 * time.Second, QueryTimeout: 4 * time.Second,
	})
}

// fakeBroker answers queries on loopback and remembers them.
type fakeBroker struct {
	*httptest.Server

	asksNames bool // also when asked for names; otherwise its table has what each has

	mu      sync.Mutex
	queries []string
}

// answerFunc gives HTTP status and body for a query.
type answerFunc func(r *http.Request, sql string) (int, string)

func newBroker(t testing.TB, answer answerFunc) *fakeBroker {
	t.Helper()
	b := &fakeBroker{}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var request struct {
			SQL string `json:"sql"`
		}
		text, err := io.ReadAll(r.Body)
		if err != nil || r.Method != http.MethodPost || r.URL.Path != "/query/sql" || json.Unmarshal(text, &request) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		if isNames(request.SQL) && !b.asksNames {
			_, _ = io.WriteString(w, namesBody())
			return
		}
		b.mu.Lock()
		b.queries = append(b.queries, request.SQL)
		b.mu.Unlock()
		status, body := answer(r, request.SQL)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(b.Close)
	return b
}

// asked returns the queries so far.
func (b *fakeBroker) asked() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.queries...)
}

// isNames says whether a query asks for the names of the table's columns.
func isNames(sql string) bool { return strings.HasPrefix(sql, "SELECT *") } //nolint:unqueryvet // see namesQuery

// namesBody answers such a query.
func namesBody(names ...string) string {
	return `{"resultTable":{"dataSchema":{"columnNames":["flight_id"` + strings.Join(append([]string{""}, quoted(names)...), ",") +
		`],"columnDataTypes":["STRING"]},"rows":[["F1"]]},"exceptions":[],"numServersQueried":1,"numServersResponded":1}`
}

func quoted(names []string) []string {
	all := make([]string, len(names))
	for i, name := range names {
		all[i] = strconv.Quote(name)
	}
	return all
}

// newSource makes a source that is closed before the brokers are.
func newSource(t *testing.T, cfg Config) *Source {
	t.Helper()
	s, err := New(cfg)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s
}

// always answers every query alike.
func always(status int, body string) answerFunc {
	return func(*http.Request, string) (int, string) { return status, body }
}

// recorded reads an answer from testdata.
func recorded(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	require.NoError(t, err)
	return string(text)
}

// rowsBody is a vouched answer with rows given as JSON texts by column; what a row
// leaves out has a value that no test looks at.
func rowsBody(rows ...map[string]string) string {
	all := make([]string, len(rows))
	for i, row := range rows {
		values := make([]string, len(goodTypes()))
		for j, c := range columns[:len(values)] {
			switch v, ok := row[c.name]; {
			case ok:
				values[j] = v
			case c.name == "flight_id":
				values[j] = `"F1"`
			case c.family == asText:
				values[j] = `"X"`
			default:
				values[j] = "1357046400000"
			}
		}
		all[i] = "[" + strings.Join(values, ",") + "]"
	}
	types := `"` + strings.Join(goodTypes(), `","`) + `"`
	return fmt.Sprintf(`{"resultTable":{"dataSchema":{"columnNames":[%s],"columnDataTypes":[%s]},"rows":[%s]},
		"exceptions":[],"numServersQueried":1,"numServersResponded":1}`, types, types, strings.Join(all, ","))
}
