package main

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/embedded"
	"github.com/flightbill/flightbill/jobs"
	"github.com/flightbill/flightbill/pinot"
)

// config is every setting there is. Nothing else reads the environment.
type config struct {
	DatabaseURL  string
	DatabaseFile string // that DatabaseURL is from; or empty
	Pooler       db.Pooler
	DataDir      string
	Billing      db.Settings // as given; empty fields were not
	FlightSource string
	Workers      int
	Batch        int
	FlightWait   time.Duration
	// ReconcileDays is how many days serve compares with the flight source, once a day; 0: none.
	ReconcileDays int
	Bounds        billing.Bounds

	RegisterFirst billing.RegisterFirst
	HTTPAddr      string
	HTTPUser      string
	HTTPPassword  string
	HTTPTLSCert   string
	HTTPTLSKey    string
	HTTPPrefix    string
	MetricsOpen   bool
	Results       string
	LogFormat     string
	LogLevel      slog.Level

	DocumentRetention string // an interval of Postgres; empty: for ever
	DeliveryWorkers   int
	PrivateWebhooks   bool
	SMTPHost          string
	SMTPPort          int
	SMTPUser          string
	SMTPPassword      string
	SMTPTLS           string

	PinotBrokers    []string
	PinotController string
	PinotTable      string
	PinotColumns    string
	PinotAccess     pinot.Config // its settings of how to get in, and no others
	PinotFacts      string
	PinotZero       string
}

// setting is one variable: its default, its meaning for --help, and how it gets
// into the config.
type setting struct {
	name, fallback, help string
	set                  func(*config, string) error
}

const (
	sourcePostgres = "postgres"
	sourcePinot    = "pinot"

	// maxMTOWKg is what the bands of tariffs reach to.
	maxMTOWKg = 1_000_000

	defaultReconcileDays = 7

	defaultHTTPAddr = "127.0.0.1:8080"

	resultsFile = "results.json"
)

func settings() []setting {
	return []setting{
		{"DATABASE_URL", "", "Postgres to use; empty: an embedded one in FLIGHTBILL_DATA_DIR", text(func(c *config) *string { return &c.DatabaseURL })},
		{"DATABASE_URL_FILE", "", "the same from a file, whose user and password may change", func(c *config, v string) error {
			c.DatabaseFile = v
			return fromFile("DATABASE_URL", func(c *config) *string { return &c.DatabaseURL })(c, v)
		}},
		{"FLIGHTBILL_DATABASE_POOLER", string(db.NoPooler), "what DATABASE_URL leads to: none (the server itself), or the pool_mode of a pooler such as PgBouncer: session or transaction",
			oneOf(func(c *config) *string { return (*string)(&c.Pooler) }, string(db.NoPooler), string(db.SessionPooler), string(db.TransactionPooler))},
		{"FLIGHTBILL_DATA_DIR", embedded.DefaultDir(), "folder of the embedded Postgres", text(func(c *config) *string { return &c.DataDir })},
		{"FLIGHTBILL_TIMEZONE", "", "billing time zone, an IANA name; UTC at the first start", func(c *config, v string) error {
			if v == "" {
				return nil
			}
			c.Billing.Timezone = v
			_, err := c.Billing.Calendar()
			return err
		}},
		{"FLIGHTBILL_CLOSE", "", "period_end (at the first start) or next_day: whether a run leaves out or includes its closing date", func(c *config, v string) (err error) {
			if v != "" {
				c.Billing.Close, err = billing.ParseCloseMode(v)
			}
			return err
		}},
		{"FLIGHTBILL_BILLING_START", "", "first run date ever, YYYY-MM-DD; the day of the first start", func(c *config, v string) (err error) {
			if v != "" {
				c.Billing.BillingStart, err = billing.ParseDate(v)
			}
			return err
		}},
		{"FLIGHTBILL_FLIGHT_SOURCE", sourcePostgres, "where flights are read: postgres (table flights) or pinot", oneOf(func(c *config) *string { return &c.FlightSource }, sourcePostgres, sourcePinot)},
		{"FLIGHTBILL_WORKERS", "5", "workers of one process; while flights wait, each takes FLIGHTBILL_BATCH of them together", upTo(func(c *config) *int { return &c.Workers }, 10_000)},
		{"FLIGHTBILL_BATCH", strconv.Itoa(jobs.DefaultBatch), "flights that a worker reads and saves together while others wait; 1: one at a time", upTo(func(c *config) *int { return &c.Batch }, jobs.MaxBatch)},
		{"FLIGHTBILL_FLIGHT_WAIT", "24h", "how long an unknown or unlanded flight is waited for", func(c *config, v string) error {
			d, err := time.ParseDuration(v)
			if err != nil || d < 0 {
				return fmt.Errorf("%q is not a duration such as 24h or 30m", v)
			}
			c.FlightWait = d
			return nil
		}},
		{"FLIGHTBILL_RECONCILE_DAYS", strconv.Itoa(defaultReconcileDays), "how many days before today are compared with the flight source, once a day, for flights that were never enqueued; 0: none", func(c *config, v string) error {
			n, err := strconv.Atoi(v)
			if err != nil || n < 0 || n > 366 {
				return fmt.Errorf("%q is not a number from 0 to 366", v)
			}
			c.ReconcileDays = n
			return nil
		}},
		{"FLIGHTBILL_MAX_MTOW_KG", strconv.Itoa(billing.DefaultBounds.MTOWKg), "mass above which a flight is refused, as one in another unit", upTo(func(c *config) *int { return &c.Bounds.MTOWKg }, maxMTOWKg)},
		{"FLIGHTBILL_MAX_DISTANCE_KM", strconv.Itoa(billing.DefaultBounds.DistanceKm), "distance, likewise", upTo(func(c *config) *int { return &c.Bounds.DistanceKm }, 1_000_000)},
		{"FLIGHTBILL_MAX_PASSENGERS", strconv.Itoa(billing.DefaultBounds.Passengers), "passengers, likewise", upTo(func(c *config) *int { return &c.Bounds.Passengers }, 1_000_000)},
		{"FLIGHTBILL_MAX_FLIGHT_TIME", "72h", "time from take-off to landing, likewise", func(c *config, v string) error {
			d, err := time.ParseDuration(v)
			if err != nil || d <= 0 {
				return fmt.Errorf("%q is not a duration above 0 such as 72h", v)
			}
			c.Bounds.FlightTime = d
			return nil
		}},
		{"FLIGHTBILL_REGISTER_FIRST", strings.Join(billing.DefaultRegisterFirst, ","), "facts, separated by commas, of which the register of aircraft goes before the flight source", func(c *config, v string) (err error) {
			c.RegisterFirst, err = billing.ParseRegisterFirst(v)
			return err
		}},
		{"FLIGHTBILL_DOCUMENT_RETENTION", "", "how long a document that was given to a customer is kept, such as 10y or 3653d; maintain then removes it; empty: for ever", func(c *config, v string) error {
			units := map[string]string{"y": " years", "d": " days"}
			digits := strings.TrimRight(v, "yd")
			n, err := strconv.Atoi(digits)
			if unit := units[strings.TrimPrefix(v, digits)]; v != "" && (err != nil || unit == "" || n < 1 || n > 100_000 || unit == " days" && n < 366) {
				return fmt.Errorf("%q is not at least a year, in years or days, such as 10y or 3653d", v)
			} else if v != "" {
				c.DocumentRetention = digits + unit
			}
			return nil
		}},
		{"FLIGHTBILL_HTTP_ADDR", defaultHTTPAddr, "address of River UI and /metrics", text(func(c *config) *string { return &c.HTTPAddr })},
		{"FLIGHTBILL_HTTP_USER", "", "credentials for it; needed on any address but loopback", text(func(c *config) *string { return &c.HTTPUser })},
		{"FLIGHTBILL_HTTP_PASSWORD", "", "", text(func(c *config) *string { return &c.HTTPPassword })},
		{"FLIGHTBILL_HTTP_PASSWORD_FILE", "", "the same from a file, read at the start", fromFile("FLIGHTBILL_HTTP_PASSWORD", func(c *config) *string { return &c.HTTPPassword })},
		{"FLIGHTBILL_HTTP_TLS_CERT", "", "PEM file of the certificate, and of those between it and its authority's; HTTP is then HTTPS", text(func(c *config) *string { return &c.HTTPTLSCert })},
		{"FLIGHTBILL_HTTP_TLS_KEY", "", "PEM file of its key", text(func(c *config) *string { return &c.HTTPTLSKey })},
		{"FLIGHTBILL_HTTP_PREFIX", "", "path that River UI is under, behind a reverse proxy, such as /billing", text(func(c *config) *string { return &c.HTTPPrefix })},
		{"FLIGHTBILL_METRICS_OPEN", "false", "true: /metrics needs no credentials", func(c *config, v string) error {
			c.MetricsOpen = v == "true"
			return oneOf(func(*config) *string { return &v }, "true", "false")(c, v)
		}},
		{"FLIGHTBILL_RESULTS", "", "file of serve's performance statistics; empty: not written; not set: results.json in FLIGHTBILL_DATA_DIR, or benchmarks/results.json in a checkout", text(func(c *config) *string { return &c.Results })},
		{"FLIGHTBILL_LOG_FORMAT", "text", "or json", oneOf(func(c *config) *string { return &c.LogFormat }, "text", "json")},
		{"FLIGHTBILL_LOG_LEVEL", "info", "least that is logged: debug, info, warn or error", func(c *config, v string) error {
			if err := oneOf(func(*config) *string { return &v }, "debug", "info", "warn", "error")(c, v); err != nil {
				return err
			}
			return c.LogLevel.UnmarshalText([]byte(v))
		}},
		{"FLIGHTBILL_DELIVERY_WORKERS", strconv.Itoa(jobs.DefaultDeliveryWorkers), "workers of one process that tell webhooks, and mail", upTo(func(c *config) *int { return &c.DeliveryWorkers }, 1_000)},
		{"FLIGHTBILL_WEBHOOK_ALLOW_PRIVATE", "false", "true: webhooks may have private addresses, and http beside https", func(c *config, v string) error {
			c.PrivateWebhooks = v == "true"
			return oneOf(func(*config) *string { return &v }, "true", "false")(c, v)
		}},
		{"FLIGHTBILL_SMTP_HOST", "", "mail server that issued invoices are mailed by; empty: mail waits", text(func(c *config) *string { return &c.SMTPHost })},
		{"FLIGHTBILL_SMTP_PORT", "587", "its port; 465 is usual with tls", upTo(func(c *config) *int { return &c.SMTPPort }, 65_535)},
		{"FLIGHTBILL_SMTP_USER", "", "login for it; empty: none", text(func(c *config) *string { return &c.SMTPUser })},
		{"FLIGHTBILL_SMTP_PASSWORD", "", "", text(func(c *config) *string { return &c.SMTPPassword })},
		{"FLIGHTBILL_SMTP_PASSWORD_FILE", "", "the same from a file, read at the start", fromFile("FLIGHTBILL_SMTP_PASSWORD", func(c *config) *string { return &c.SMTPPassword })},
		{"FLIGHTBILL_SMTP_TLS", string(jobs.StartTLS), "starttls or tls, and no mail where the server has none or its certificate is not good; or none",
			oneOf(func(c *config) *string { return &c.SMTPTLS }, string(jobs.StartTLS), string(jobs.ImplicitTLS), string(jobs.NoTLS))},
		{"PINOT_BROKERS", "", "with the pinot source, this or PINOT_CONTROLLER: host:port, several separated by commas", func(c *config, v string) error {
			for broker := range strings.SplitSeq(v, ",") {
				if broker = strings.TrimSpace(broker); broker != "" {
					c.PinotBrokers = append(c.PinotBrokers, broker)
				}
			}
			return nil
		}},
		{"PINOT_CONTROLLER", "", "host:port of the controller, which knows the brokers", text(func(c *config) *string { return &c.PinotController })},
		{"PINOT_TABLE", "flights", "", text(func(c *config) *string { return &c.PinotTable })},
		{"PINOT_COLUMNS", "", "columns whose name or unit differs: 'operator=UPPER(carrier),mtow_kg=mtow_t*1000'", text(func(c *config) *string { return &c.PinotColumns })},
		{"PINOT_FACTS", "", "facts with names of their own: 'noise_class=noise_cat,pax_transfer=pax_trf'", text(func(c *config) *string { return &c.PinotFacts })},
		{"PINOT_ZERO_IS_A_FACT", "", "of these, and of passengers and distance_km, those for which 0 is a value and not a missing one: 'passengers,pax_transfer'", text(func(c *config) *string { return &c.PinotZero })},
		{"PINOT_TOKEN", "", "sent to brokers and controller as Authorization: Bearer …; what begins with Basic or Bearer is sent as it is", text(func(c *config) *string { return &c.PinotAccess.Token })},
		{"PINOT_TOKEN_FILE", "", "the same from a file, which may change", text(func(c *config) *string { return &c.PinotAccess.TokenFile })},
		{"PINOT_HEADERS", "", "other headers to send: 'X-Tenant=a,X-Key=b'", text(func(c *config) *string { return &c.PinotAccess.Headers })},
		{"PINOT_HEADERS_FILE", "", "the same from a file, read at the start", fromFile("PINOT_HEADERS", func(c *config) *string { return &c.PinotAccess.Headers })},
		{"PINOT_DATABASE", "", "database of the table, in a cluster with several", text(func(c *config) *string { return &c.PinotAccess.Database })},
		{"PINOT_CA_FILE", "", "PEM file of certificates to trust beside the system's", text(func(c *config) *string { return &c.PinotAccess.CAFile })},
		{"PINOT_CLIENT_CERT_FILE", "", "PEM file of the certificate to show, where Pinot wants one", text(func(c *config) *string { return &c.PinotAccess.ClientCertFile })},
		{"PINOT_CLIENT_KEY_FILE", "", "PEM file of its key", text(func(c *config) *string { return &c.PinotAccess.ClientKeyFile })},
	}
}

// loadConfig reads all settings and reports every one that is wrong.
func loadConfig(env func(string) (string, bool)) (config, error) {
	var c config
	var problems []error
	for _, s := range settings() {
		value, given := env(s.name)
		if !given {
			value = s.fallback
		}
		if err := s.set(&c, value); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", s.name, err))
		}
	}
	if _, given := env("FLIGHTBILL_RESULTS"); !given {
		c.Results = defaultResults(".", c.DataDir)
	}
	if c.FlightSource == sourcePinot && len(c.PinotBrokers) == 0 && c.PinotController == "" {
		problems = append(problems, errors.New("PINOT_BROKERS: FLIGHTBILL_FLIGHT_SOURCE is pinot; set PINOT_BROKERS or PINOT_CONTROLLER to where Pinot is"))
	}
	return c, errors.Join(problems...)
}

// defaultResults returns the file of the statistics where none is named. Only a
// checkout of flightbill has a folder for them in the working directory; anywhere
// else that is somebody else's. It is empty where there is no data folder either.
func defaultResults(workingDir, dataDir string) string {
	module, err := os.ReadFile(filepath.Join(workingDir, "go.mod"))
	if err == nil && bytes.HasPrefix(module, []byte("module github.com/flightbill/flightbill\n")) {
		return filepath.Join(workingDir, "benchmarks", resultsFile)
	}
	if dataDir == "" {
		return ""
	}
	return filepath.Join(dataDir, resultsFile)
}

func text(field func(*config) *string) func(*config, string) error {
	return func(c *config, value string) error {
		*field(c) = value
		return nil
	}
}

func upTo(field func(*config) *int, most int) func(*config, string) error {
	return func(c *config, value string) error {
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 || n > most {
			return fmt.Errorf("%q is not a number from 1 to %d", value, most)
		}
		*field(c) = n
		return nil
	}
}

func oneOf(field func(*config) *string, allowed ...string) func(*config, string) error {
	return func(c *config, value string) error {
		if slices.Contains(allowed, value) {
			*field(c) = value
			return nil
		}
		return fmt.Errorf("%q is not one of %s", value, strings.Join(allowed, ", "))
	}
}

func settingsHelp() string {
	var b strings.Builder
	b.WriteString("Settings, from the environment:\n")
	for _, s := range settings() {
		fmt.Fprintf(&b, "  %-29s %s", s.name, s.help)
		if s.fallback != "" {
			fmt.Fprintf(&b, " [%s]", s.fallback)
		}
		b.WriteByte('\n')
	}
	return strings.TrimRight(b.String(), "\n")
}
