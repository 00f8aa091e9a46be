package pinot

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	pinotclient "github.com/startreedata/pinot-client-go/pinot"

	"github.com/flightbill/flightbill/billing"
)

// maxBody bounds an answer, in bytes. A flight's rows take some 30 kB at most, a
// controller's list of all tables some MB on a large cluster.
const maxBody = 16 << 20

// answer is a result that Pinot vouches for: rows of the selected expressions.
type answer struct {
	broker  string
	servers int      // how many were asked; the multi-stage engine says 0
	types   []string // Pinot's type per expression; all STRING where there is no row
	rows    [][]any  // each as long as the selection
}

// query asks one broker, through Pinot's client, and waits for at most timeout.
// Any error means that there is no answer to rely on, or that ctx is done.
//
// A connection is made for each query: the client's calls take no context, and
// its response type lacks partialResult, so each query needs a transport of its
// own to carry both. That costs 0.2 µs and no goroutine; the TCP connections are
// those of the one transport below it.
func (s *Source) query(ctx context.Context, b broker, sql string, width int) (*answer, error) {
	attempt, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	e := &exchange{ctx: attempt, transport: s.transport, access: s.access, at: peer{"broker " + b.name, s.addressSetting()}}
	conn, err := pinotclient.NewFromBrokerListAndClient([]string{b.url}, &http.Client{Transport: e})
	if err != nil {
		return nil, err
	}
	_, err = conn.ExecuteSQL(s.table, sql)
	if e.err != nil {
		err = e.err
	}
	if err != nil {
		if attempt.Err() != nil || errors.Is(err, context.DeadlineExceeded) {
			// Not wrapped: the deadline was ours. Where it was the caller's, the
			// caller of this looks at ctx.
			return nil, causedBy(billing.CauseTimeout, "no answer within %s", s.timeout)
		}
		return nil, s.named(err)
	}
	if err := vouch(e.got, width); err != nil {
		return nil, s.named(err)
	}
	table := e.got.ResultTable
	return &answer{broker: b.name, servers: *e.got.NumServersQueried, types: table.DataSchema.ColumnDataTypes, rows: table.Rows}, nil
}

// named names the setting that an exception comes from, where that is clear.
func (s *Source) named(err error) error {
	if e, ok := errors.AsType[*exceptionError](err); ok {
		if fault := s.settingFault(e); fault != nil {
			return fault
		}
	}
	return err
}

// addressSetting is the variable that the brokers' addresses come from.
func (s *Source) addressSetting() string {
	if s.brokers.controller != nil {
		return "PINOT_CONTROLLER"
	}
	return "PINOT_BROKERS"
}

// exchange is the transport of one query. It adds the query's context, bounds the
// body, and keeps what came of it. The client gets an empty answer: it need not
// parse the same once more, and on a failure it logs the whole query through a
// logger that belongs to the process, not to us.
type exchange struct {
	ctx       context.Context //nolint:containedctx // the client's calls take none
	transport http.RoundTripper
	access    *access
	at        peer

	got *body // nil where err is not
	err error
}

// RoundTrip sends the request and never fails; see err.
func (e *exchange) RoundTrip(req *http.Request) (*http.Response, error) {
	e.got, e.err = e.send(req)
	const empty = "{}"
	return &http.Response{
		Status:        "200 OK",
		StatusCode:    http.StatusOK,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        http.Header{},
		Body:          io.NopCloser(strings.NewReader(empty)),
		ContentLength: int64(len(empty)),
		Request:       req,
	}, nil
}

func (e *exchange) send(req *http.Request) (*body, error) {
	req = req.Clone(e.ctx)
	// A query changes nothing, so it may be sent again where a connection that
	// was kept open turns out to be closed. The empty value keeps the header
	// itself off the wire.
	req.Header["Idempotency-Key"] = []string{}
	if err := e.access.mark(req); err != nil {
		return nil, err
	}
	resp, err := e.transport.RoundTrip(req)
	if err != nil {
		return nil, e.at.connectionError(err)
	}
	text, readErr := readBody(resp)
	parsed, parseErr := parseBody(text)
	status := e.at.statusError(resp)
	switch {
	case status != nil && readErr == nil && parseErr == nil && len(parsed.Exceptions) > 0:
		return nil, newExceptionError(parsed.Exceptions[0]) // Pinot can be set to answer so
	case status != nil:
		return nil, status
	case readErr != nil:
		return nil, readErr
	case parseErr != nil:
		return nil, causedBy(billing.CauseUnreadable, "not an answer of Pinot: %w", parseErr)
	}
	return parsed, nil
}

func readBody(resp *http.Response) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	err = errors.Join(err, resp.Body.Close())
	if err == nil && len(body) > maxBody {
		err = causedBy(billing.CauseUnreadable, "an answer of more than %d bytes", maxBody)
	}
	return body, err
}

// body is a broker's answer of either generation.
type body struct {
	pinotclient.BrokerResponse
	NumServersQueried *int `json:"numServersQueried"`
	PartialResult     bool `json:"partialResult"` // since 1.0
}

// parseBody keeps numbers as they were written.
func parseBody(text []byte) (*body, error) {
	var b body
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&b); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more text after it")
	}
	return &b, nil
}
