package pinot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// rowLimit bounds the rows of one flight. A row that was loaded twice comes twice,
// so there must be room to see that a later one differs; without a LIMIT, Pinot
// returns 10.
const rowLimit = 100

// limitFor bounds the rows of several flights: low, since a cluster may refuse a
// query for its LIMIT. Where it is reached, fewer flights are asked for.
func limitFor(flights int) int { return max(rowLimit, 10*flights) }

// selection is what one query asks for: distinct expressions, and where among
// them each column of the mapping is found.
type selection struct {
	mapping     mapping
	expressions []string
	index       []int // by column; -1 where the table does not have it
}

// newSelection lists the mapping's expressions. Two columns may share one, which
// is asked for once: versions of Pinot differ in what they return for a repeated
// expression.
func newSelection(m mapping) *selection {
	s := &selection{mapping: m, index: make([]int, len(m))}
	for i, c := range m {
		expression := c.expression
		if expression == "" {
			s.index[i] = -1
			continue
		}
		if c.family == asInstant {
			// As it is, a TIMESTAMP comes as text in the time zone of Pinot's
			// JVM; cast, it is epoch ms, and so is a number of any type.
			expression = "CAST(" + expression + " AS LONG)"
		}
		at := slices.Index(s.expressions, expression)
		if at < 0 {
			at = len(s.expressions)
			s.expressions = append(s.expressions, expression)
		}
		s.index[i] = at
	}
	return s
}

// selected returns what is asked for. Where that depends on the table's columns, it looks
// at them once; Check does again.
func (s *Source) selected(ctx context.Context) (*selection, error) {
	if chosen := s.chosen.Load(); chosen != nil {
		return chosen, nil
	}
	return s.choose(ctx)
}

func (s *Source) choose(ctx context.Context) (*selection, error) {
	m := s.mapping
	if unsure := m.unsure(); unsure != nil {
		a, err := s.ask(ctx, s.namesQuery())
		if e, ok := errors.AsType[*exceptionError](err); ok && e.queryFault() {
			return nil, fmt.Errorf("the columns of table %s cannot be listed; name %s in %s, those that it lacks with nothing after the =: %w",
				s.table, strings.Join(unsure, ", "), settingColumns, err)
		}
		if err != nil {
			return nil, err
		}
		m = m.in(a.names)
	}
	chosen := newSelection(m)
	s.chosen.Store(chosen)
	return chosen, nil
}

// flightQuery asks for the rows of flights.
func (s *Source) flightQuery(of *selection, ids []string) query {
	literals := make([]string, len(ids))
	for i, id := range ids {
		literals[i] = literal(id)
	}
	condition := "= " + literals[0]
	if len(ids) > 1 {
		condition = "IN (" + strings.Join(literals, ", ") + ")"
	}
	rows := limitFor(len(ids))
	return query{fmt.Sprintf(`SELECT %s FROM "%s" WHERE (%s) %s LIMIT %d`,
		strings.Join(of.expressions, ", "), s.table, of.mapping[keyColumn].expression, condition, rows), len(of.expressions), rows, false}
}

// namesQuery asks for the names of the table's columns. One row has them in every
// version; without a row, some ask no server and have no names.
func (s *Source) namesQuery() query {
	//nolint:unqueryvet // the names of all columns are what is asked for
	return query{sql: fmt.Sprintf(`SELECT * FROM "%s" LIMIT 1`, s.table), rows: rowLimit, names: true}
}

// countQuery asks all servers, whatever the table's partitions.
func (s *Source) countQuery() query {
	return query{fmt.Sprintf(`SELECT COUNT(*) FROM "%s"`, s.table), 1, 1, false}
}

// sampleQuery asks for rows, whichever, of the given expressions.
func (s *Source) sampleQuery(limit int, expressions ...string) query {
	return query{fmt.Sprintf(`SELECT %s FROM "%s" LIMIT %d`, strings.Join(expressions, ", "), s.table, limit), len(expressions), max(limit, rowLimit), false}
}

// literal writes text as a SQL literal. In Pinot's SQL the quote is the only
// character with a meaning inside one; a backslash has none.
func literal(text string) string {
	return "'" + strings.ReplaceAll(text, "'", "''") + "'"
}
