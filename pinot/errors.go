package pinot

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	pinotclient "github.com/startreedata/pinot-client-go/pinot"

	"github.com/flightbill/flightbill/billing"
)

// ConfigError reports a setting that cannot work: by itself, or with the Pinot that it
// names. Waiting does not help.
type ConfigError struct {
	Setting string // the environment variable, such as PINOT_COLUMNS
	Problem string // what is wrong with it, for people
	Err     error  // what Pinot said, where it was Pinot that objected
}

// Error names the variable first.
func (e *ConfigError) Error() string {
	if e.Err != nil {
		return e.Setting + ": " + e.Problem + ": " + e.Err.Error()
	}
	return e.Setting + ": " + e.Problem
}

// Unwrap returns what Pinot said.
func (e *ConfigError) Unwrap() error { return e.Err }

func configErrorf(setting, format string, args ...any) *ConfigError {
	return &ConfigError{Setting: setting, Problem: fmt.Sprintf(format, args...)}
}

// OutageCause is that of flights which wait for it to be put right.
func (e *ConfigError) OutageCause() billing.Cause { return billing.CauseConfiguration }

// causedError is an error whose cause is known.
type causedError struct {
	cause billing.Cause
	error
}

func (e *causedError) OutageCause() billing.Cause { return e.cause }
func (e *causedError) Unwrap() error              { return e.error }

func causedBy(cause billing.Cause, format string, args ...any) error {
	return &causedError{cause, fmt.Errorf(format, args...)}
}

// maxTold is how many brokers' words an error repeats: each waiting flight keeps it.
const maxTold = 10

// failures are what each broker said.
type failures []error

func (f failures) Error() string {
	var texts []string
	for _, err := range f[:min(len(f), maxTold)] {
		texts = append(texts, err.Error())
	}
	if more := len(f) - len(texts); more > 0 {
		texts = append(texts, fmt.Sprintf("and %d more brokers", more))
	}
	return strings.Join(texts, "; ")
}

func (f failures) Unwrap() []error { return f }

// OutageCause is a setting only where all brokers say so, and a quota only where none is
// better to wait for.
func (f failures) OutageCause() billing.Cause {
	for _, late := range [][]billing.Cause{{billing.CauseConfiguration, billing.CauseQuota}, {billing.CauseConfiguration}, nil} {
		for _, err := range f {
			if cause := billing.CauseOf(err); !slices.Contains(late, cause) {
				return cause
			}
		}
	}
	return billing.CauseUnreachable
}

// peer is whom a request goes to: for errors.
type peer struct {
	name    string // such as broker pinot-1:8099
	setting string // that its address comes from
}

// statusError reports an answer's HTTP status, where that is not 200.
func (p peer) statusError(resp *http.Response) error {
	status := strings.TrimSpace(fmt.Sprintf("%d %s", resp.StatusCode, http.StatusText(resp.StatusCode))) // resp.Status is as long as the peer likes
	said := fmt.Sprintf("%s answers with HTTP status %s", p.name, status)
	const give = "give others by PINOT_TOKEN, by PINOT_HEADERS, or as user:password@ in "
	switch code := resp.StatusCode; {
	case code == http.StatusOK:
		return nil
	case code == http.StatusUnauthorized:
		return configErrorf("PINOT_TOKEN", "%s: there are no credentials, or it does not know them; %s%s", said, give, p.setting)
	case code == http.StatusForbidden:
		return configErrorf("PINOT_TOKEN", "%s: these credentials may not read the table; %s%s", said, give, p.setting)
	case code >= 300 && code < 400:
		return configErrorf(p.setting, "%s: it sends us elsewhere; give the address that it sends us to", said)
	case code == http.StatusNotFound, code == http.StatusMethodNotAllowed:
		return configErrorf(p.setting, "%s: nothing of Pinot's is at this address", said)
	case code == http.StatusTooManyRequests:
		return causedBy(billing.CauseQuota, "HTTP status %s: the query quota is used up", status)
	case code == http.StatusBadGateway, code == http.StatusServiceUnavailable:
		return causedBy(billing.CauseUnreachable, "HTTP status %s", status)
	case code == http.StatusGatewayTimeout:
		return causedBy(billing.CauseTimeout, "HTTP status %s", status)
	default:
		return causedBy(billing.CauseFailure, "HTTP status %s", status)
	}
}

// connectionError names the setting behind a connection that cannot be made.
func (p peer) connectionError(err error) error {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return &ConfigError{Setting: "PINOT_CA_FILE", Problem: "the certificate of " + p.name + " is not trusted; name a file with its authority's", Err: err}
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok || strings.Contains(err.Error(), "server gave HTTP response to HTTPS client") {
		return &ConfigError{Setting: p.setting, Problem: p.name + " does not speak TLS: is it an http:// address?", Err: err}
	}
	if remote, ok := errors.AsType[*net.OpError](err); ok && remote.Op == "remote error" { // an alert of TLS
		return &ConfigError{
			Setting: "PINOT_CLIENT_CERT_FILE", Problem: p.name + " refuses the connection; does it want a client's certificate, or another?", Err: err,
		}
	}
	return err
}

// Exception codes of Pinot that say more than that it cannot answer now.
const (
	codeSQLParsing     = 150
	codeSQLRuntime     = 160
	codeAccessDenied   = 180
	codeTableMissing   = 190
	codeTableDisabled  = 191
	codeQueryExecution = 200 // an unknown function, or text that is no number; and failures of servers
	codeTooManyQueries = 429
	codeQueryInvalid   = 700
	codeUnknownColumn  = 710
	codeQueryPlanning  = 720
)

// exceptionError is a query that Pinot answered with exceptions: the first of
// them, which names the cause.
type exceptionError struct {
	code    int
	message string
}

func (e *exceptionError) Error() string {
	return fmt.Sprintf("exception %d: %s", e.code, e.message)
}

// OutageCause sorts the codes that Pinot has.
func (e *exceptionError) OutageCause() billing.Cause {
	switch e.code {
	case codeAccessDenied, codeTableMissing, codeTableDisabled, codeSQLParsing, codeQueryInvalid, codeUnknownColumn, codeQueryPlanning:
		return billing.CauseConfiguration
	case codeTooManyQueries:
		return billing.CauseQuota
	case 170, 240, 250, 400: // of a server's plan, queue and work, and of the broker's waiting
		return billing.CauseTimeout
	case 210, 230, 235, 305, 410, 420, 425, 427: // a server stops, lacks a table or segments, is not there or does not answer
		return billing.CauseIncomplete
	default:
		return billing.CauseFailure
	}
}

// maxExceptionText keeps error texts readable in River UI and in the queue view:
// Pinot repeats the whole query and a stack trace.
const maxExceptionText = 300

func newExceptionError(e pinotclient.Exception) *exceptionError {
	var kept []string
	for line := range strings.Lines(e.Message) {
		line = strings.TrimRight(line, "\r\n")
		if line == "" || line[0] == ' ' || line[0] == '\t' || line == "..." {
			continue // a stack frame
		}
		kept = append(kept, line)
	}
	text := []rune(strings.Map(printable, strings.Join(kept, " ")))
	if len(text) > maxExceptionText {
		text = append(text[:maxExceptionText], '…')
	}
	return &exceptionError{code: e.ErrorCode, message: string(text)}
}

// printable has a mark for what commands a terminal; a NUL, Postgres could not even keep.
func printable(r rune) rune {
	switch {
	case unicode.IsGraphic(r):
		return r
	case unicode.IsSpace(r):
		return ' '
	}
	return utf8.RuneError
}

// settingFault is the ConfigError of an exception that a setting is at fault for, other
// than the mapping; nil where none is.
func (s *Source) settingFault(e *exceptionError) error {
	switch {
	case e.tableFault():
		return &ConfigError{Setting: "PINOT_TABLE", Problem: "Pinot has no table " + s.table, Err: e}
	case e.code == codeAccessDenied:
		return &ConfigError{Setting: "PINOT_TOKEN", Problem: "the credentials may not read table " + s.table, Err: e}
	default:
		return nil
	}
}

// tableFault says whether the exception means that the table is not there to be
// queried.
func (e *exceptionError) tableFault() bool {
	return e.code == codeTableMissing || e.code == codeTableDisabled
}

// queryFault says whether the exception may come from an expression of the
// mapping. Asking for the columns one by one tells.
func (e *exceptionError) queryFault() bool {
	switch e.code {
	case codeSQLParsing, codeSQLRuntime, codeQueryExecution, codeQueryInvalid, codeUnknownColumn, codeQueryPlanning:
		return true
	default:
		return false
	}
}
