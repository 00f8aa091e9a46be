package riverui

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	ui "riverqueue.com/riverui"
)

// Server serves River UI, /metrics, /healthz and /readyz.
type Server struct {
	config Config // without the credentials
	open   bool   // without credentials
	logger *slog.Logger
	ui     *ui.Handler // nil while it waits for the database
	http   *http.Server

	started     *slog.Logger // for the line that says so
	guesses     *guesses
	certificate *certificate // nil: plain HTTP
	most        int          // connections

	startCounts func() // see countsStarted
	stopCounts  context.CancelFunc

	mu     sync.Mutex
	addr   net.Addr      // once it listens
	served chan struct{} // closed when it serves no more; nil before Start
}

// New makes a server that does not listen yet.
func New(config Config) (*Server, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	if err := config.validateParts(); err != nil {
		return nil, err
	}
	s, credentials, err := newServer(config)
	if err != nil {
		return nil, err
	}
	if s.ui, err = ui.NewHandler(&ui.HandlerOpts{
		Endpoints: ui.NewEndpoints(config.Client, nil),
		Logger:    slog.New(uiHandler{s.logger.Handler()}),
		Prefix:    config.prefix(),
	}); err != nil {
		return nil, fmt.Errorf("prepare River UI: %w", err)
	}
	counts, stopCounts := context.WithCancel(context.Background())
	s.stopCounts = stopCounts
	s.startCounts = sync.OnceFunc(func() {
		if err := s.ui.Start(counts); err != nil {
			s.logger.ErrorContext(counts, "River UI's counts not started", "error", err)
		}
	})
	s.http.Handler = s.routes(credentials)
	return s, nil
}

// NewWaiting makes a server that has /healthz and /readyz alone, for a service that waits
// for its database.
func NewWaiting(config Config) (*Server, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	s, credentials, err := newServer(config)
	if err != nil {
		return nil, err
	}
	probes := http.NewServeMux()
	s.handle(probes, "/healthz", http.HandlerFunc(healthz))
	// The wait is told by who waits.
	s.handle(probes, "/readyz", &readiness{check: config.Ready, credentials: credentials, logger: slog.New(slog.DiscardHandler)})
	s.http.Handler = s.guarded(probes)
	s.started = slog.New(slog.DiscardHandler)
	return s, nil
}

// newServer makes a server of a Config that is valid, without its paths.
func newServer(config Config) (*Server, *credentials, error) {
	logger := config.Logger
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	logger = logger.With(slog.String("component", "HTTP"))
	guesses := newGuesses(logger)
	credentials := newCredentials(config.User, config.Password, guesses)
	config.User, config.Password = "", ""
	s := &Server{config: config, open: credentials == nil, logger: logger, started: logger, guesses: guesses, most: maxConnections, stopCounts: func() {}}
	var protocols http.Protocols
	protocols.SetHTTP1(true) // of HTTP/2, anybody can have the server write warnings
	s.http = &http.Server{
		Protocols:         &protocols,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      time.Minute, // River UI gives up a query after 10 s; its largest file has 0.5 MB
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ConnContext:       withConnection,
		ErrorLog:          slog.NewLogLogger(serverHandler{logger.Handler()}, slog.LevelWarn),
	}
	if config.TLSCert != "" {
		var err error
		if s.certificate, err = newCertificate(config.TLSCert, config.TLSKey, logger); err != nil {
			return nil, nil, err
		}
		s.certificate.current(context.Background()) // says that it has expired
		s.http.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: s.certificate.get}
	}
	return s, credentials, nil
}

// Collectors have the server's own figures.
func (s *Server) Collectors() []prometheus.Collector {
	collectors := []prometheus.Collector{s.guesses.unauthorized}
	if s.certificate != nil {
		collectors = append(collectors, s.certificate.expiry())
	}
	return collectors
}

// routes puts everything behind the credentials but what is named here.
func (s *Server) routes(credentials *credentials) http.Handler {
	prefix := s.config.prefix()
	private := http.NewServeMux()
	private.Handle("GET "+prefix+"/api/states", s.countsStarted(s.ui))
	private.Handle(prefix+"/", withoutFolders(prefix, s.ui))

	public := http.NewServeMux()
	s.handle(public, "/healthz", http.HandlerFunc(healthz))
	s.handle(public, "/readyz", &readiness{check: s.config.Ready, degraded: s.config.Degraded, credentials: credentials, logger: s.logger})
	metrics := s.config.Metrics
	if !s.config.MetricsOpen {
		metrics = credentials.require(metrics, s.logger)
	}
	s.handle(public, "/metrics", metrics)
	public.Handle("/", credentials.require(private, s.logger))

	return s.guarded(public)
}

// handle serves what is watched under the prefix and without it: probes do not come
// through the proxy.
func (s *Server) handle(mux *http.ServeMux, path string, handler http.Handler) {
	mux.Handle("GET "+path, handler)
	if prefix := s.config.prefix(); prefix != "" {
		mux.Handle("GET "+prefix+path, handler)
	}
}

// guarded lets no other site's pages in, nor, without credentials, other machines.
func (s *Server) guarded(public http.Handler) http.Handler {
	handler := sameOriginOnly(http.MaxBytesHandler(public, maxBody))
	if s.open {
		host, _, _ := net.SplitHostPort(s.config.addr())
		handler = thisMachineOnly(host, handler, s.logger)
	}
	return counted(withHeaders(handler))
}

// countsStarted starts River UI's background services with the first request for
// what they count: the jobs in each state, up to 10,000 of each every 10 s, and
// all of them every 30 s to 15 min, up to 2 % of the time. Every process
// would do so for ever although nobody looks.
func (s *Server) countsStarted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.startCounts()
		next.ServeHTTP(w, r)
	})
}

// ErrListen: the address cannot be had.
var ErrListen = errors.New("FLIGHTBILL_HTTP_ADDR: cannot listen on")

// Start listens and serves in the background until Shutdown, whatever becomes of
// ctx meanwhile.
func (s *Server) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.served != nil {
		return errors.New("riverui: started already")
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", s.config.addr())
	if err != nil {
		return fmt.Errorf("%w %s; if another program does, "+
			"set FLIGHTBILL_HTTP_ADDR to another host:port, with port 0 to any free one: %w", ErrListen, s.config.addr(), err)
	}
	// Validate looked the name up, and Listen again: between the two its address
	// may have changed.
	if addr, ok := listener.Addr().(*net.TCPAddr); s.open && (!ok || !addr.IP.IsLoopback()) {
		_ = listener.Close()
		return s.config.openError()
	}
	s.addr = listener.Addr()
	s.served = make(chan struct{})
	go s.serve(context.WithoutCancel(ctx), &connections{Listener: listener, most: s.most})
	s.started.InfoContext(ctx, "River UI, /metrics, /healthz and /readyz served", "url", s.url(), "credentials", !s.open)
	return nil
}

func (s *Server) serve(ctx context.Context, listener net.Listener) {
	defer close(s.served)
	serve := s.http.Serve
	if s.http.TLSConfig != nil {
		serve = func(l net.Listener) error { return s.http.ServeTLS(l, "", "") }
	}
	if err := serve(listener); !errors.Is(err, http.ErrServerClosed) {
		s.logger.ErrorContext(ctx, "no longer served", "error", err)
	}
}

// URL is where River UI is: as configured, with the port that was picked, and
// with this machine's address for all interfaces.
func (s *Server) URL() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.url()
}

func (s *Server) url() string {
	host, port, _ := net.SplitHostPort(s.config.addr())
	if addr, err := netip.ParseAddr(host); host == "" || err == nil && addr.Unmap().IsUnspecified() {
		host = "127.0.0.1"
	}
	if s.addr != nil {
		_, port, _ = net.SplitHostPort(s.addr.String())
	}
	scheme := "http"
	if s.config.TLSCert != "" {
		scheme = "https"
	}
	return (&url.URL{Scheme: scheme, Host: net.JoinHostPort(host, port), Path: s.config.prefix() + "/"}).String()
}

// Shutdown stops listening, lets the requests in hand finish, and cuts them off
// when ctx ends. It does nothing to a server that was not started.
func (s *Server) Shutdown(ctx context.Context) error {
	defer s.stopCounts()
	s.mu.Lock()
	served := s.served
	s.mu.Unlock()
	if served == nil {
		return nil
	}
	s.guesses.stop()
	err := s.http.Shutdown(ctx)
	if err != nil {
		_ = s.http.Close()
		err = fmt.Errorf("HTTP requests cut off: %w", err)
	}
	<-served
	return err
}
