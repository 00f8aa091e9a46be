package db

import (
	"context"
	"errors"
	"time"

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
	return &Flights{q: dbsqlc.New(pool)}
}

// Name names the source in logs.
func (s *Flights) Name() string { return "postgres (table flights)" }

// Flight returns a flight's facts. An id that the table does not have is
// billing.UnknownFlight.
func (s *Flights) Flight(ctx context.Context, id string) (billing.Flight, error) {
	row, err := s.q.FlightGet(ctx, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return billing.Flight{}, billing.UnknownFlight(id)
	}
	if err != nil {
		return billing.Flight{}, err
	}
	return billing.Flight{
		ID: row.FlightID, Callsign: text(row.Callsign), Operator: text(row.Operator), Registration: text(row.Registration),
		AircraftType: text(row.AircraftType), MTOWKg: row.MtowKg, Origin: text(row.Origin), Destination: text(row.Destination),
		DepartedAt: inUTC(row.DepartedAt), LandedAt: inUTC(row.LandedAt), DistanceKm: DecimalOrNil(row.DistanceKm), Passengers: row.Passengers,
	}, nil
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
	utc := t.UTC()
	return &utc
}
