package pinot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/flightbill/flightbill/billing"
)

const (
	defaultTable   = "flights"
	defaultTimeout = 10 * time.Second
	// idleConns is above any number of workers: with Go's default of 2, the
	// others would open a connection for every query.
	idleConns = 64
)

// Config says where the flights are. Brokers or Controller is set, not both.
type Config struct {
	Brokers    []string      // each host:port, or an http:// or https:// URL
	Controller string        // the same form; the brokers are asked from it
	Table      string        // default "flights"
	Columns    string        // PINOT_COLUMNS: name=expression, separated by commas; see README
	Timeout    time.Duration // of one query to one broker; default 10 s
	Logger     *slog.Logger  // default: none
}

// Source reads flights from one table of Pinot. Its methods may be called at once
// from any number of goroutines.
type Source struct {
	table     string
	mapping   mapping
	selection selection
	timeout   time.Duration
	transport *http.Transport
	brokers   *brokers
}

// tableName is any name that needs no escaping inside double quotes.
var tableName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*$`)

// New returns a source. It asks nothing of Pinot yet: see Check. Its error is a
// *ConfigError, which names the variable.
func New(cfg Config) (*Source, error) {
	s := &Source{table: strings.TrimSpace(cfg.Table), timeout: cfg.Timeout}
	if s.table == "" {
		s.table = defaultTable
	}
	if !tableName.MatchString(s.table) {
		return nil, configErrorf("PINOT_TABLE", "%q is not a table's name: letters, digits, _ . and -", s.table)
	}
	if s.timeout <= 0 {
		s.timeout = defaultTimeout
	}
	logger := cfg.Logger
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	var err error
	if s.mapping, err = parseMapping(cfg.Columns); err != nil {
		return nil, err
	}
	s.selection = newSelection(s.mapping)
	known, controller, err := parseAddresses(cfg)
	if err != nil {
		return nil, err
	}
	s.transport = &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: s.timeout, KeepAlive: 15 * time.Second}).DialContext,
		ForceAttemptHTTP2:   true,
		MaxIdleConns:        0, // no limit but the one per host
		MaxIdleConnsPerHost: idleConns,
		IdleConnTimeout:     90 * time.Second,
		TLSHandshakeTimeout: s.timeout,
	}
	s.brokers = &brokers{
		controller: controller,
		table:      s.table,
		client:     &http.Client{Transport: s.transport},
		timeout:    s.timeout,
		logger:     logger,
		now:        time.Now,
		asking:     make(chan struct{}, 1),
		known:      known,
		failed:     map[string]time.Time{},
	}
	return s, nil
}

// parseAddresses returns the brokers, or the controller to ask for them.
func parseAddresses(cfg Config) ([]broker, *broker, error) {
	var known []broker
	for i, address := range cfg.Brokers {
		if strings.TrimSpace(address) == "" {
			continue
		}
		b, err := parseAddress(address)
		if err != nil {
			return nil, nil, configErrorf("PINOT_BROKERS", "broker %d of %d %s", i+1, len(cfg.Brokers), err)
		}
		known = append(known, b)
	}
	controller := strings.TrimSpace(cfg.Controller)
	switch {
	case controller == "" && known == nil:
		return nil, nil, configErrorf("PINOT_BROKERS", "set it, or PINOT_CONTROLLER, to where Pinot is")
	case controller == "":
		return known, nil, nil
	case known != nil:
		return nil, nil, configErrorf("PINOT_CONTROLLER", "set it or PINOT_BROKERS, not both")
	}
	b, err := parseAddress(controller)
	if err != nil {
		return nil, nil, configErrorf("PINOT_CONTROLLER", "the address %s", err)
	}
	return nil, &b, nil
}

// Name says which source this is: for logs.
func (s *Source) Name() string { return "pinot (table " + s.table + ")" }

// Close closes the connections that no query is using. A later query opens new
// ones.
func (s *Source) Close() { s.transport.CloseIdleConnections() }

// Flight reads one flight. Times are in UTC, masses in kg, distances in km.
//
// Its errors are of type *billing.Error: kind Outage where Pinot gave no answer to
// rely on, NotYet where it has no such flight, Refused where it has differing rows
// or a value that cannot be right. Once ctx is done, its error is returned wrapped.
// With several brokers, each is given Timeout before there is an outage.
func (s *Source) Flight(ctx context.Context, id string) (billing.Flight, error) {
	if standIn(id) || !utf8.ValidString(id) {
		// No flight can have such an id; rows without an id would answer to it.
		return billing.Flight{}, billing.UnknownFlight(id)
	}
	a, err := s.ask(ctx, s.flightQuery(id), len(s.selection.expressions))
	if err != nil {
		return billing.Flight{}, asOutage(ctx, fmt.Sprintf("pinot: flight %s", id), err)
	}
	var distinct []billing.Flight
	for _, row := range a.rows {
		f, err := s.selection.readRow(row)
		if wrong, ok := errors.AsType[*valueError](err); ok {
			return billing.Flight{}, billing.UnusableFlight(id, wrong.Error())
		}
		if err == nil && f.ID != id {
			err = fmt.Errorf("asked for flight %q, got %q", id, f.ID)
		}
		if err != nil {
			return billing.Flight{}, billing.SourceDown("pinot", "answers what cannot be read",
				fmt.Errorf("broker %s: %w", a.broker, err))
		}
		if !containsFlight(distinct, f) {
			distinct = append(distinct, f)
		}
	}
	switch {
	case len(distinct) == 0:
		return billing.Flight{}, billing.UnknownFlight(id)
	case len(distinct) > 1:
		return billing.Flight{}, billing.AmbiguousFlight(id, len(distinct))
	case len(a.rows) >= rowLimit:
		// One more may differ.
		return billing.Flight{}, billing.UnusableFlight(id, fmt.Sprintf("has %d rows or more", rowLimit))
	}
	return distinct[0], nil
}

func containsFlight(flights []billing.Flight, f billing.Flight) bool {
	for _, other := range flights {
		if sameFlight(other, f) {
			return true
		}
	}
	return false
}

// ask puts a query to one broker after the other until one gives an answer to rely
// on. Its error joins what each of them said.
func (s *Source) ask(ctx context.Context, sql string, width int) (*answer, error) {
	var failures error
	tried := map[string]bool{}
	// The second round is for brokers that the controller names once all that it
	// named before have failed.
	for _, again := range []bool{false, true} {
		list, err := s.brokers.list(ctx, again)
		if err != nil {
			return nil, joined(failures, err)
		}
		for _, b := range list {
			if tried[b.url] {
				continue
			}
			tried[b.url] = true
			a, err := s.query(ctx, b, sql, width)
			if ctx.Err() == nil || err == nil {
				s.brokers.report(ctx, b, err)
			}
			if err == nil {
				return a, nil
			}
			failures = joined(failures, fmt.Errorf("broker %s: %w", b.name, err))
			if ctx.Err() != nil {
				return nil, failures
			}
		}
	}
	return nil, failures
}

// joined is errors.Join on one line.
func joined(a, b error) error {
	if a == nil {
		return b
	}
	return fmt.Errorf("%w; %w", a, b)
}

// asOutage makes an outage of an error of ask, unless ctx is done: then nothing is
// known about Pinot.
func asOutage(ctx context.Context, doing string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", doing, ctx.Err())
	}
	return billing.SourceDown("pinot", "gave no answer to rely on", err)
}
