package pinot

import (
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"
	"time"
)

const (
	defaultTable   = "flights"
	defaultTimeout = 10 * time.Second
	// idleConns is above what any usual number of workers asks at once: with Go's
	// default of 2, the others would open a connection for every query.
	idleConns = 128
)

// Config says where the flights are. Brokers or Controller is set, not both.
type Config struct {
	Brokers    []string      // each host:port, or an http:// or https:// URL
	Controller string        // the same form; the brokers are asked from it
	Table      string        // default "flights"
	Columns    string        // PINOT_COLUMNS: name=expression, separated by commas; see README
	Facts      string        // PINOT_FACTS: likewise
	Zeros      string        // PINOT_ZERO_IS_A_FACT: names, separated by commas
	Timeout    time.Duration // of one query to one broker; default 10 s
	Logger     *slog.Logger  // default: none

	// How to get in. A token is one of the two; so are the files of a client's certificate
	// and key both or neither.
	Headers        string // PINOT_HEADERS: name=value, separated by commas
	Token          string // of the header Authorization; a bearer's, where it does not say
	TokenFile      string
	CAFile         string // certificates to trust beside the system's, in PEM
	ClientCertFile string
	ClientKeyFile  string
	Database       string // of a cluster with several
}

// Source reads flights from one table of Pinot. Its methods may be called at once
// from any number of goroutines.
type Source struct {
	table       string
	mapping     mapping
	chosen      atomic.Pointer[selection] // nil: the table's columns were not looked at yet
	timeout     time.Duration
	transport   *http.Transport
	access      *access
	brokers     *brokers
	pace        *pace
	listed      atomic.Pointer[listing] // likewise
	listLimited atomic.Int64            // rows of a page of a list; 0: not tried yet
	fit         fit
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
	if s.mapping, err = newMapping(cfg); err != nil {
		return nil, err
	}
	known, controller, err := parseAddresses(cfg)
	if err != nil {
		return nil, err
	}
	if s.access, err = newAccess(cfg); err != nil {
		return nil, err
	}
	tlsClient, err := tlsConfig(cfg)
	if err != nil {
		return nil, err
	}
	s.transport = &http.Transport{
		TLSClientConfig:     tlsClient,
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: s.timeout, KeepAlive: 15 * time.Second}).DialContext,
		ForceAttemptHTTP2:   true,
		MaxIdleConns:        0, // no limit but the one per host
		MaxIdleConnsPerHost: idleConns,
		IdleConnTimeout:     90 * time.Second,
		TLSHandshakeTimeout: s.timeout,

		MaxResponseHeaderBytes: maxHeader,
	}
	s.brokers = &brokers{
		controller: controller,
		table:      s.table,
		client:     &http.Client{Transport: s.transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		access:     s.access,
		timeout:    s.timeout,
		logger:     logger,
		now:        time.Now,
		asking:     make(chan struct{}, 1),
		known:      known,
		failed:     map[string]time.Time{},
	}
	s.pace = &pace{logger: logger}
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
