package pinot

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	pinotclient "github.com/startreedata/pinot-client-go/pinot"

	"github.com/flightbill/flightbill/billing"
)

// Bounds of an answer. A flight's row takes some 300 bytes. The numbers are bounded too:
// of what is small, a million pieces cost seconds.
const (
	maxRow     = 2 << 10 // bytes, on average
	maxOneRow  = 64 << 10
	maxBeside  = 1 << 20 // bytes beside the rows: an exception repeats the query, with a stack trace
	maxFields  = 1000    // of an object
	maxList    = 8 << 20 // bytes of a controller's list: 60 for a table's broker
	maxTables  = 100_000
	maxBrokers = 1000
	maxHeader  = 64 << 10 // bytes
)

// stream is JSON, read as it comes in: what is not asked for is passed over, and only what
// is asked for stays in memory.
type stream struct {
	*json.Decoder
	body *boundedBody
	text json.RawMessage // of the last small value
}

func newStream(resp *http.Response, most int64) *stream {
	body := &boundedBody{from: resp.Body, most: most}
	return &stream{Decoder: json.NewDecoder(body), body: body}
}

// boundedBody ends with an error after most bytes, or some more.
type boundedBody struct {
	from       io.Reader
	read, most int64
	err        error // of reading, and not of what was read
}

func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := b.from.Read(p)
	if b.read += int64(n); b.read > b.most {
		err = causedBy(billing.CauseUnreadable, "an answer of more than %d bytes", b.most)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		b.err = err
	}
	return n, err
}

// end returns what came of it, with err of what was read: an error too is that there is
// more. What cannot be read is not what.
func (s *stream) end(what string, err error) error {
	if err == nil {
		if _, more := s.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("more text after it")
		}
	}
	switch {
	case s.body.err != nil:
		return s.body.err
	case err != nil:
		return causedBy(billing.CauseUnreadable, "not %s: %w", what, err)
	}
	return nil
}

// object reads the fields that are named. One that comes twice would leave open which
// of the two counts.
func (s *stream) object(fields map[string]func() error) error {
	seen := map[string]bool{}
	return s.inside('{', maxFields, func() error {
		name, err := s.key()
		if err != nil {
			return err
		}
		read, known := fields[name]
		switch {
		case !known:
			return s.skip()
		case seen[name]:
			return fmt.Errorf("%s is there twice", name)
		}
		seen[name] = true
		return read()
	})
}

// inside calls read for all that an object or array holds, most at most; null holds
// nothing.
func (s *stream) inside(start json.Delim, most int, read func() error) error {
	switch token, err := s.Token(); {
	case err != nil:
		return err
	case token == nil:
		return nil
	case token != start:
		return fmt.Errorf("%.20q where %s was expected", fmt.Sprint(token), start)
	}
	for n := 0; s.More(); n++ {
		if n == most {
			return fmt.Errorf("more than %d of a kind", most)
		}
		if err := read(); err != nil {
			return err
		}
	}
	_, err := s.Token()
	return err
}

// key reads a field's name.
func (s *stream) key() (string, error) {
	token, err := s.Token()
	name, _ := token.(string)
	return name, err
}

// skip passes over a value.
func (s *stream) skip() error { return s.Decode(&passedOver{}) }

type passedOver struct{}

func (*passedOver) UnmarshalJSON([]byte) error { return nil }

// small reads a value of few bytes.
func (s *stream) small(value any) error {
	if err := s.Decode(&s.text); err != nil {
		return err
	}
	if len(s.text) > maxOneRow {
		return fmt.Errorf("a row of more than %d bytes", maxOneRow)
	}
	decoder := json.NewDecoder(bytes.NewReader(s.text))
	decoder.UseNumber()
	return decoder.Decode(value)
}

// body is a broker's answer, of either generation.
type body struct {
	exception         *pinotclient.Exception // the first
	types             []string
	names             []string // where they were asked for
	rows              [][]any
	numServersQueried *int
	serversResponded  int
	partialResult     bool // since 1.0
}

// readBody reads the answer to a query. Numbers stay as they were written.
func readBody(resp *http.Response, q query) (*body, error) {
	s := newStream(resp, maxBeside+int64(q.rows)*maxRow)
	b := &body{}
	err := s.object(map[string]func() error{
		"exceptions": func() error {
			return s.inside('[', maxFields, func() error {
				if b.exception != nil {
					return s.skip()
				}
				return s.Decode(&b.exception)
			})
		},
		"numServersQueried":   func() error { return s.Decode(&b.numServersQueried) },
		"numServersResponded": func() error { return s.Decode(&b.serversResponded) },
		"partialResult":       func() error { return s.Decode(&b.partialResult) },
		"resultTable": func() error {
			return s.object(map[string]func() error{
				"dataSchema": func() error {
					fields := map[string]func() error{"columnDataTypes": func() error { return s.small(&b.types) }}
					if q.names {
						fields["columnNames"] = func() error { return s.small(&b.names) }
					}
					return s.object(fields)
				},
				"rows": func() error {
					return s.inside('[', q.rows, func() error {
						var row []any
						read := func() error { return s.small(&row) }
						if q.names {
							read = s.skip
						}
						err := read()
						b.rows = append(b.rows, row)
						return err
					})
				},
			})
		},
	})
	if err := s.end("an answer of Pinot", err); err != nil {
		return nil, err
	}
	return b, nil
}
