package db

import (
	"context"
	"fmt"

	"github.com/flightbill/flightbill/db/dbsqlc"
)

// Overlap is a row of the view overlapping_flights.
type Overlap = dbsqlc.OverlappingFlightListRow

// Overlaps lists the billed flights that one aircraft cannot have flown both.
func Overlaps(ctx context.Context, db dbsqlc.DBTX) ([]Overlap, error) {
	overlaps, err := dbsqlc.New(db).OverlappingFlightList(ctx)
	if err != nil {
		return nil, fmt.Errorf("look for billed flights that overlap: %w", err)
	}
	return overlaps, nil
}
