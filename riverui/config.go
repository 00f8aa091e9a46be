package riverui

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
)

// DefaultAddr is where a Config without an address listens.
const DefaultAddr = "127.0.0.1:8080"

// lookupTimeout is how long Validate waits for a name's addresses.
const lookupTimeout = 5 * time.Second

// Config is what a Server is made of.
type Config struct {
	Addr     string // host:port; empty: DefaultAddr; port 0: a free one
	User     string // with Password, or neither
	Password string

	TLSCert, TLSKey string // PEM files, or neither; read again when they change
	Prefix          string // of all paths but those that are there without it, too; such as /billing
	MetricsOpen     bool   // GET /metrics needs no credentials

	Client  *river.Client[pgx.Tx] // need not be started, nor have workers
	Metrics http.Handler          // GET /metrics
	// Ready is nil when the service can work. Its message is shown to those with
	// credentials; to others what it says by a method Public() string.
	Ready func(context.Context) error
	// Degraded says what is wrong with a service that is ready: what waits for another
	// system, and needs River UI to be seen. The details are for those with credentials.
	// Optional.
	Degraded func() (note, details string)
	Logger   *slog.Logger // nil: nothing is logged
}

// Validate checks the settings, not the rest, so that it can be called before
// there is a database. Where only a name's addresses tell whether credentials are
// needed, it looks the name up.
func (c Config) Validate() error {
	return errors.Join(c.validateCredentials(), c.validateAddr(), c.validateTLS(), c.validatePrefix())
}

func (c Config) validateTLS() error {
	if c.TLSCert == "" && c.TLSKey == "" {
		return nil
	}
	_, err := newCertificate(c.TLSCert, c.TLSKey, nil)
	return err
}

// prefixForm is what needs no escaping, in a path or on River UI's page.
var prefixForm = regexp.MustCompile(`^(/[A-Za-z0-9_-]+)+$`)

func (c Config) validatePrefix() error {
	if c.prefix() != "" && !prefixForm.MatchString(c.prefix()) {
		return fmt.Errorf("FLIGHTBILL_HTTP_PREFIX: %q is not a path such as /billing, of letters, digits, - and _", c.Prefix)
	}
	return nil
}

// prefix is empty where there is none; it ends without a slash.
func (c Config) prefix() string { return strings.TrimSuffix(c.Prefix, "/") }

func (c Config) validateCredentials() error {
	switch {
	case c.User != "" && c.Password == "":
		return errors.New("FLIGHTBILL_HTTP_PASSWORD: is missing, with FLIGHTBILL_HTTP_USER set; set both or neither")
	case c.User == "" && c.Password != "":
		return errors.New("FLIGHTBILL_HTTP_USER: is missing, with FLIGHTBILL_HTTP_PASSWORD set; set both or neither")
	case strings.Contains(c.User, ":"):
		// Basic authentication sends user:password and ends the user at the first colon.
		return errors.New("FLIGHTBILL_HTTP_USER: contains a colon, which no browser can send")
	case strings.ContainsFunc(c.User, unicode.IsControl):
		return errors.New("FLIGHTBILL_HTTP_USER: contains a line break or another control character")
	case strings.ContainsFunc(c.Password, unicode.IsControl):
		// As a rule the line break at the end of the file that it was read from.
		return errors.New("FLIGHTBILL_HTTP_PASSWORD: contains a line break or another control character")
	}
	return nil
}

func (c Config) validateAddr() error {
	host, port, err := net.SplitHostPort(c.addr())
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return fmt.Errorf("FLIGHTBILL_HTTP_ADDR: %q is not host:port, such as %s", c.Addr, DefaultAddr)
	}
	// Half of the credentials is another error already.
	if c.User != "" || c.Password != "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookupTimeout)
	defer cancel()
	if !isLoopback(ctx, host, net.DefaultResolver.LookupNetIP) {
		return c.openError()
	}
	return nil
}

func (c Config) openError() error {
	return fmt.Errorf("FLIGHTBILL_HTTP_ADDR: %s is not loopback, so other machines could reach it, and no credentials are set; "+
		"set FLIGHTBILL_HTTP_USER and FLIGHTBILL_HTTP_PASSWORD, or FLIGHTBILL_HTTP_ADDR to a loopback address such as %s",
		c.addr(), DefaultAddr)
}

func (c Config) validateParts() error {
	switch {
	case c.Client == nil:
		return errors.New("riverui: Config.Client is nil")
	case c.Metrics == nil:
		return errors.New("riverui: Config.Metrics is nil")
	case c.Ready == nil:
		return errors.New("riverui: Config.Ready is nil")
	}
	return nil
}

func (c Config) addr() string {
	if c.Addr == "" {
		return DefaultAddr
	}
	return c.Addr
}

// isLoopback says whether nothing but this machine can reach a host. An empty one
// means all interfaces.
func isLoopback(ctx context.Context, host string, lookup func(ctx context.Context, network, host string) ([]netip.Addr, error)) bool {
	if host == "" {
		return false
	}
	if isLoopbackName(host) {
		return true
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return false
	}
	addrs, err := lookup(ctx, "ip", host)
	if err != nil || len(addrs) == 0 {
		return false
	}
	for _, addr := range addrs {
		if !addr.IsLoopback() {
			return false
		}
	}
	return true
}

// isLoopbackName is the part of isLoopback that needs no look-up.
func isLoopbackName(host string) bool {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.IsLoopback()
	}
	return strings.EqualFold(strings.TrimSuffix(host, "."), "localhost")
}
