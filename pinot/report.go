package pinot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/flightbill/flightbill/billing"
)

// sampleRows is how many rows Inspect looks at: enough to see a fact that every
// hundredth flight lacks, and quick to read.
const sampleRows = 1000

// Report is what a source reads, for those who set it up.
type Report struct {
	Table       string         `json:"table"`
	Rows        *int64         `json:"rows"` // of the table; nil where no broker could tell
	Brokers     []BrokerReport `json:"brokers"`
	SampledRows int            `json:"sampled_rows"`
	Columns     []ColumnReport `json:"columns"`

	// Flight is the one that was asked for; nil where there is none to bill.
	Flight *billing.Flight `json:"flight,omitempty"`
	// Refusal is why there is none: of type *billing.Error.
	Refusal error `json:"-"`
}

// BrokerReport is one broker, and why it gives no answer to rely on.
type BrokerReport struct {
	Name    string `json:"name"`
	Problem string `json:"problem,omitempty"`
}

// ColumnReport is one fact, and where it comes from.
type ColumnReport struct {
	Name       string `json:"name"`
	Expression string `json:"expression"` // empty where the table does not have it
	Type       string `json:"type"`       // Pinot's; empty where no row tells
	Value      string `json:"value"`      // as read: the flight's, else of the first sampled row that has one
	Absent     int    `json:"absent"`     // of the sampled rows
	Unreadable int    `json:"unreadable"` // likewise
	Problem    string `json:"problem,omitempty"`
}

// Inspect asks every broker, checks the mapping as Check does, and looks at a sample
// of rows; with an id, at that flight. Its errors are those of Check. The report then
// holds what was found before.
func (s *Source) Inspect(ctx context.Context, id string) (*Report, error) {
	r := &Report{Table: s.table, Brokers: []BrokerReport{}, Columns: make([]ColumnReport, len(s.mapping))}
	for i, c := range s.mapping {
		r.Columns[i] = ColumnReport{Name: c.name, Expression: c.expression}
	}
	if err := s.inspectBrokers(ctx, r); err != nil {
		return r, asOutage(ctx, "pinot: inspect", err)
	}
	if err := s.Check(ctx); err != nil {
		return r, err
	}
	of, err := s.selected(ctx)
	if err != nil {
		return r, asOutage(ctx, "pinot: inspect", err)
	}
	sample, err := s.ask(ctx, s.sampleQuery(sampleRows, of.expressions...))
	if err != nil {
		return r, asOutage(ctx, "pinot: inspect", err)
	}
	if err := of.inspectRows(r, sample); err != nil || id == "" {
		return r, err
	}
	f, err := s.Flight(ctx, id)
	refusal, refused := errors.AsType[*billing.Error](err)
	switch {
	case err == nil:
		r.Flight = &f
	case refused && refusal.Kind != billing.Outage:
		r.Refusal = refusal
	default:
		return r, err
	}
	values, err := factsOf(f)
	for i := range r.Columns {
		r.Columns[i].Value = values[r.Columns[i].Name]
	}
	return r, err
}

// inspectBrokers fails only where it is not known which brokers there are.
func (s *Source) inspectBrokers(ctx context.Context, r *Report) error {
	list, err := s.brokers.list(ctx, false)
	if err != nil {
		return err
	}
	for _, b := range list {
		found := BrokerReport{Name: b.name}
		a, err := s.query(ctx, b, s.countQuery())
		if ctx.Err() != nil {
			return ctx.Err()
		}
		s.brokers.report(ctx, b, err)
		if err == nil && r.Rows == nil {
			r.Rows = new(int64)
			for _, row := range a.rows {
				err = readCount(&r.Rows, row[0])
			}
		}
		if err != nil {
			found.Problem = err.Error()
		}
		r.Brokers = append(r.Brokers, found)
	}
	return nil
}

// inspectRows reads each column of each row by itself.
func (s *selection) inspectRows(r *Report, a *answer) error {
	for i, c := range s.mapping {
		r.Columns[i].Expression = c.expression
	}
	r.SampledRows = len(a.rows)
	for _, row := range a.rows {
		var f billing.Flight
		problems := make([]error, len(s.mapping))
		for i := range s.mapping {
			problems[i] = s.readColumn(&f, i, row)
		}
		values, err := factsOf(f)
		if err != nil {
			return err
		}
		for i := range r.Columns {
			c := &r.Columns[i]
			value, known := values[c.Name]
			switch {
			case problems[i] != nil:
				c.Unreadable++
				if c.Problem == "" {
					c.Problem = problems[i].Error()
				}
			case !known:
				c.Absent++
			case c.Value == "":
				c.Value = value
			}
		}
	}
	for i, at := range s.index {
		if at >= 0 && len(a.rows) > 0 {
			r.Columns[i].Type = a.types[at]
		}
	}
	return nil
}

// factsOf returns the facts that the flight has, by name: a column is called what the
// fact is called in JSON.
func factsOf(f billing.Flight) (map[string]string, error) {
	text, err := json.Marshal(f)
	if err != nil {
		return nil, fmt.Errorf("pinot: flight %s: %w", f.ID, err)
	}
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(text, &raw); err != nil {
		return nil, fmt.Errorf("pinot: flight %s: %w", f.ID, err)
	}
	delete(raw, "facts")
	facts := map[string]string{}
	for name, fact := range f.Facts {
		facts[name] = fact.String()
	}
	for name, value := range raw {
		var unquoted string
		if json.Unmarshal(value, &unquoted) != nil {
			unquoted = string(value)
		}
		if unquoted != "" {
			facts[name] = unquoted
		}
	}
	return facts, nil
}
