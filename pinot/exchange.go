package pinot

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"

	pinotclient "github.com/startreedata/pinot-client-go/pinot"

	"github.com/flightbill/flightbill/billing"
)

// answer is a result that Pinot vouches for: rows of the selected expressions.
type answer struct {
	broker  string
	servers int      // how many were asked; the multi-stage engine says 0
	types   []string // Pinot's type per expression; all STRING where there is no row
	names   []string // where the query asked for them
	rows    [][]any  // each as long as the selection
}

// query is what a broker is asked, and how much its answer may hold.
type query struct {
	sql         string
	width, rows int
	names       bool // it asks for these, and the rows are passed over
}

// query asks one broker, through Pinot's client, and waits for at most timeout.
// Any error means that there is no answer to rely on, or that ctx is done.
//
// A connection is made for each query: the client's calls take no context, and
// its response type lacks partialResult, so each query needs a transport of its
// own to carry both. That costs 0.2 µs and no goroutine; the TCP connections are
// those of the one transport below it.
func (s *Source) query(ctx context.Context, b broker, q query) (*answer, error) {
	attempt, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	e := &exchange{ctx: attempt, asked: q, transport: s.transport, access: s.access, at: peer{"broker " + b.name, s.addressSetting()}}
	conn, err := pinotclient.NewFromBrokerListAndClient([]string{b.url}, &http.Client{Transport: e})
	if err != nil {
		return nil, err
	}
	_, err = conn.ExecuteSQL(s.table, q.sql)
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
	if err := vouch(e.got, q); err != nil {
		return nil, s.named(err)
	}
	return &answer{broker: b.name, servers: *e.got.numServersQueried, types: e.got.types, names: e.got.names, rows: e.got.rows}, nil
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
	asked     query
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
	got, err := readBody(resp, e.asked)
	_ = resp.Body.Close() // the answer is there, or will not be
	status := e.at.statusError(resp)
	switch {
	case status != nil && err == nil && got.exception != nil:
		return nil, newExceptionError(*got.exception) // Pinot can be set to answer so
	case status != nil:
		return nil, status
	case err != nil:
		return nil, err
	}
	return got, nil
}
