package pinot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/flightbill/flightbill/billing"
)

const (
	// listRows is how many rows a page of a list asks for. For each page, Pinot sorts all flights of the
	// time anew: those of a time that a page or two holds take 50 ms, a million as long as 2 s.
	listRows = 20_000
	// fewerRows divides it where the cluster refuses the query, as it may for its LIMIT.
	fewerRows = 10
)

// listedColumns are what tells when a flight moved.
var listedColumns = []string{"flight_id", "movement", "departed_at", "landed_at"}

// Count counts the rows of flights that moved at from or later, and before to, or that took off then.
func (s *Source) Count(ctx context.Context, from, to time.Time) (int64, error) {
	failed := func(err error) (int64, error) { return 0, asOutage(ctx, "pinot: count flights", err) }
	of, err := s.listing(ctx)
	if err != nil {
		return failed(err)
	}
	a, err := s.look(ctx, query{fmt.Sprintf(`SELECT COUNT(*) FROM "%s" WHERE %s`, s.table, of.moved(from, to)), 1, 1, false})
	if err != nil {
		return failed(err)
	}
	var n *int64
	for _, row := range a.rows {
		if err := readCount(&n, row[0]); err != nil {
			return failed(causedBy(billing.CauseUnreadable, "%w", err))
		}
	}
	if n == nil {
		return 0, nil // no server can have any
	}
	return *n, nil
}

// List returns the next page of the flights that moved at from or later, and before to, in the order
// of their ids: those after one. An empty page is the end. Its errors are those of Flights itself.
//
// The order is Pinot's, that of UTF-16, which is that of the bytes for all ids that can be billed.
func (s *Source) List(ctx context.Context, from, to time.Time, after string) ([]billing.Listed, error) {
	failed := func(err error) ([]billing.Listed, error) {
		return nil, asOutage(ctx, "pinot: list the flights after "+literal(after), err)
	}
	of, err := s.listing(ctx)
	if err != nil {
		return failed(err)
	}
	for {
		rows, more, err := s.listRows(ctx, of, from, to, after)
		if err != nil {
			return failed(err)
		}
		page, last, err := of.flights(rows, from, to)
		switch {
		case err != nil:
			return failed(err)
		case more && last == after:
			return failed(causedBy(billing.CauseUnreadable, "flights after %s begin with itself", literal(after)))
		case len(page) > 0 || !more:
			return page, nil
		}
		after = last // none of these moved then: the rows have both times
	}
}

// listing is what a list asks for.
type listing struct {
	*selection

	instants []string // the expressions of the times, to compare with epoch ms
}

// listing chooses it. A column of epoch ms, or of Pinot's TIMESTAMP, is compared as it is: 9 times as
// fast as cast, and Pinot passes over segments of other times.
func (s *Source) listing(ctx context.Context) (*listing, error) {
	if chosen := s.listed.Load(); chosen != nil {
		return chosen, nil
	}
	all, err := s.selected(ctx)
	if err != nil {
		return nil, err
	}
	var m mapping
	for _, name := range listedColumns {
		m = append(m, *all.mapping.named(name))
	}
	if m.named("movement").expression == "" {
		m.named("departed_at").expression = "" // a whole flight moves as it lands
	}
	of := &listing{selection: newSelection(m)}
	var plain []string
	for i, c := range m {
		if c.family == asInstant && of.index[i] >= 0 {
			plain, of.instants = append(plain, c.expression), append(of.instants, of.expressions[of.index[i]])
		}
	}
	a, err := s.ask(ctx, s.sampleQuery(1, plain...))
	if err != nil {
		return nil, err
	}
	if len(a.rows) == 0 {
		return of, nil // without a row Pinot calls every column a STRING
	}
	for i, expression := range plain {
		if slices.Contains([]string{"LONG", "TIMESTAMP"}, a.types[i]) {
			of.instants[i] = "(" + expression + ")"
		}
	}
	s.listed.Store(of)
	return of, nil
}

// listRows asks for the rows of flights after one. Where there are more than it returns, it has all
// of those that it has any of, but for one that alone has more than fit.
func (s *Source) listRows(ctx context.Context, of *listing, from, to time.Time, after string) (rows [][]any, more bool, err error) {
	limit := s.listLimit()
	a, err := s.look(ctx, s.listQuery(of, from, to, after, limit))
	for ; err != nil; a, err = s.look(ctx, s.listQuery(of, from, to, after, limit)) {
		if e, ok := errors.AsType[*exceptionError](err); !ok || !e.queryFault() || limit/fewerRows < rowLimit {
			return nil, false, err
		}
		limit /= fewerRows
	}
	s.listLimited.Store(int64(limit))
	rows = a.rows
	if len(rows) < limit {
		return rows, false, nil
	}
	// The last flight may have another row.
	whole := len(rows)
	last := rows[whole-1][of.index[keyColumn]]
	for whole > 0 && rows[whole-1][of.index[keyColumn]] == last {
		whole--
	}
	if whole > 0 {
		rows = rows[:whole]
	}
	return rows, true, nil
}

func (s *Source) listLimit() int {
	if limited := s.listLimited.Load(); limited > 0 {
		return int(limited)
	}
	return listRows
}

// listQuery asks for rows of flights after one, in order, with either time in the range: which of
// the two counts, readMoved says.
func (s *Source) listQuery(of *listing, from, to time.Time, after string, limit int) query {
	id := "(" + of.mapping[keyColumn].expression + ")"
	return query{
		sql: fmt.Sprintf(`SELECT %s FROM "%s" WHERE %s > %s AND %s ORDER BY %s LIMIT %d`,
			strings.Join(of.expressions, ", "), s.table, id, literal(after), of.moved(from, to), of.mapping[keyColumn].expression, limit),
		width: len(of.expressions), rows: limit,
	}
}

// moved is the condition that a flight has either time in the range.
func (l *listing) moved(from, to time.Time) string {
	in := make([]string, len(l.instants))
	for i, at := range l.instants {
		in[i] = fmt.Sprintf("%s >= %d AND %s < %d", at, from.UnixMilli(), at, to.UnixMilli())
	}
	return "(" + strings.Join(in, " OR ") + ")"
}

// flights makes flights of the rows, and returns the id of the last row as Pinot has it.
func (s *selection) flights(rows [][]any, from, to time.Time) (page []billing.Listed, last string, err error) {
	for _, row := range rows {
		id, isText := row[s.index[keyColumn]].(string)
		if !isText {
			return nil, "", causedBy(billing.CauseUnreadable, "a flight's id came as %s", describe(row[s.index[keyColumn]]))
		}
		last = id
		moved, err := s.readMoved(row, from, to)
		if err != nil {
			return nil, "", err
		}
		switch n := len(page) - 1; {
		case moved == nil || standIn(id):
		case n >= 0 && page[n].ID == id:
			page[n].Rows++
		default:
			page = append(page, billing.Listed{ID: id, MovedAt: *moved, Rows: 1})
		}
	}
	return page, last, nil
}

// readMoved returns when a row's flight moved, nil where that is not in the range. Of a row that
// cannot be read for sure, that is whichever time is in it: it is one to look at.
func (s *selection) readMoved(row []any, from, to time.Time) (*time.Time, error) {
	in := func(at *time.Time) bool { return at != nil && !at.Before(from) && at.Before(to) }
	var f billing.Flight
	var unsure bool
	for i := range s.mapping {
		err := s.readColumn(&f, i, row)
		if _, wrong := errors.AsType[*valueError](err); err != nil && !wrong {
			return nil, causedBy(billing.CauseUnreadable, "%w", err)
		}
		unsure = unsure || err != nil
	}
	for _, at := range []*time.Time{f.MovedAt(), f.LandedAt, f.DepartedAt} {
		if in(at) {
			return at, nil
		}
		if !unsure {
			break
		}
	}
	return nil, nil //nolint:nilnil // see above
}
