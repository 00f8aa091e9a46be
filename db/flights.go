package db

import (
	"context"
	"encoding/json"
	"maps"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db/dbsqlc"
)

// Flights is the built-in flight source: the table flights.
type Flights struct {
	q *dbsqlc.Queries
}

// NewFlights returns the flight source on a database.
func NewFlights(pool *pgxpool.Pool) *Flights {
	return &Flights{q: dbsqlc.New(plannedAnew{pool})}
}

// plannedAnew has Postgres plan each query, which takes 0.1 ms. A plan that it keeps
// from when the table was small reads all of it once that is large: 400 ms for 50 of
// 300,000 flights, instead of 0.3.
type plannedAnew struct{ dbsqlc.DBTX }

func (p plannedAnew) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	return p.DBTX.QueryRow(ctx, sql, append([]any{pgx.QueryExecModeCacheDescribe}, args...)...)
}

func (p plannedAnew) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	return p.DBTX.Query(ctx, sql, append([]any{pgx.QueryExecModeCacheDescribe}, args...)...)
}

// Name names the source in logs.
func (s *Flights) Name() string { return "postgres (table flights)" }

// Flights reads any number of flights with one query. One that the table does not have
// is billing.UnknownFlight. While the database is away, so is the source.
func (s *Flights) Flights(ctx context.Context, ids []string) (map[string]billing.Answer, error) {
	answers := make(map[string]billing.Answer, len(ids))
	asked := make([]string, 0, len(ids))
	for _, id := range ids {
		answers[id] = billing.Answer{Err: billing.UnknownFlight(id)}
		if utf8.ValidString(id) && !strings.Contains(id, "\x00") { // Postgres would refuse the query
			asked = append(asked, id)
		}
	}
	rows, err := s.q.FlightList(ctx, asked)
	if err != nil {
		return nil, s.outage(ctx, err)
	}
	for _, row := range rows {
		f := billing.Flight{
			ID: row.FlightID, Callsign: text(row.Callsign), Operator: text(row.Operator), Registration: text(row.Registration),
			AircraftType: text(row.AircraftType), MTOWKg: row.MtowKg, Origin: text(row.Origin), Destination: text(row.Destination),
			DepartedAt: inUTC(row.DepartedAt), LandedAt: inUTC(row.LandedAt), DistanceKm: DecimalOrNil(row.DistanceKm), Passengers: row.Passengers,
			Movement: billing.Movement(text(row.Movement)), MTOWLb: row.MtowLb, OnBlockAt: inUTC(row.OnBlockAt), OffBlockAt: inUTC(row.OffBlockAt),
		}
		var err error
		if f.Facts, err = namedFacts(row.Facts); err != nil {
			answers[row.FlightID] = billing.Answer{Err: billing.UnusableFlight(row.FlightID, "has facts that cannot be read: "+err.Error())}
			continue
		}
		answers[row.FlightID] = billing.Answer{Flight: f}
	}
	return answers, nil
}

// listPage is how many flights a page of List has.
const listPage = 10_000

// Count counts the flights that moved in a time.
func (s *Flights) Count(ctx context.Context, from, to time.Time) (int64, error) {
	n, err := s.q.FlightCountMoved(ctx, dbsqlc.FlightCountMovedParams{FromTime: from, ToTime: to})
	return n, s.outage(ctx, err)
}

// List returns the next page of the flights that moved in a time, in the order of their ids.
func (s *Flights) List(ctx context.Context, from, to time.Time, after string) ([]billing.Listed, error) {
	rows, err := s.q.FlightPageMoved(ctx, dbsqlc.FlightPageMovedParams{After: after, FromTime: from, ToTime: to, Page: listPage})
	if err != nil {
		return nil, s.outage(ctx, err)
	}
	page := make([]billing.Listed, len(rows))
	for i, row := range rows {
		page[i] = billing.Listed{ID: row.FlightID, MovedAt: row.MovedAt.UTC(), Rows: 1}
	}
	return page, nil
}

// outage makes an outage of the error of a database that is away.
func (s *Flights) outage(ctx context.Context, err error) error {
	if err != nil && ctx.Err() == nil && Away(err) {
		return billing.SourceDown(s.Name(), "cannot be read", err)
	}
	return err
}

// Probe reports whether flights can be read.
func (s *Flights) Probe(ctx context.Context) error {
	_, err := s.Flights(ctx, nil)
	return err
}

// namedFacts reads a column of type facts; nil: there are none.
func namedFacts(column []byte) (map[string]billing.Fact, error) {
	if string(column) == "{}" {
		return nil, nil //nolint:nilnil // not an error
	}
	var facts map[string]billing.Fact
	if err := json.Unmarshal(column, &facts); err != nil {
		return nil, err
	}
	maps.DeleteFunc(facts, func(name string, fact billing.Fact) bool { return billing.NamedFact(name, fact.String()).IsZero() })
	return facts, nil
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// inUTC keeps the machine's own zone out of what is stored.
func inUTC(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	return new(t.UTC())
}
