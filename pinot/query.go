package pinot

import (
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
// them each of columns is found.
type selection struct {
	expressions []string
	index       []int // by column; -1 where the table does not have it
}

// newSelection lists the mapping's expressions. Two columns may share one, which
// is asked for once: versions of Pinot differ in what they return for a repeated
// expression.
func newSelection(m mapping) selection {
	s := selection{index: make([]int, len(m))}
	for i, expression := range m {
		if expression == "" {
			s.index[i] = -1
			continue
		}
		if columns[i].family == asInstant {
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

// flightQuery asks for the rows of flights.
func (s *Source) flightQuery(ids []string) query {
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
		strings.Join(s.selection.expressions, ", "), s.table, s.mapping[keyColumn], condition, rows), len(s.selection.expressions), rows}
}

// countQuery asks all servers, whatever the table's partitions.
func (s *Source) countQuery() query {
	return query{fmt.Sprintf(`SELECT COUNT(*) FROM "%s"`, s.table), 1, 1}
}

// sampleQuery asks for rows, whichever, of the given expressions.
func (s *Source) sampleQuery(limit int, expressions ...string) query {
	return query{fmt.Sprintf(`SELECT %s FROM "%s" LIMIT %d`, strings.Join(expressions, ", "), s.table, limit), len(expressions), max(limit, rowLimit)}
}

// literal writes text as a SQL literal. In Pinot's SQL the quote is the only
// character with a meaning inside one; a backslash has none.
func literal(text string) string {
	return "'" + strings.ReplaceAll(text, "'", "''") + "'"
}
