package db

import (
	"context"
	"fmt"
	"regexp"

	"github.com/flightbill/flightbill/db/dbsqlc"
)

var flightID = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9 ._:/+#@~-]{0,126}[A-Za-z0-9._:/+#@~-])?$`)

// ValidFlightID reports whether a flight of this id can be enqueued: the rule
// of the SQL function flight_id_is_valid.
func ValidFlightID(id string) bool { return flightID.MatchString(id) }

// Enqueued counts what became of flights that were enqueued.
type Enqueued = dbsqlc.QueueEnqueueRow

// Enqueue puts flights in the queue. An id that is not valid refuses them all.
func Enqueue(ctx context.Context, db dbsqlc.DBTX, flightIDs []string) (Enqueued, error) {
	enqueued, err := dbsqlc.New(db).QueueEnqueue(ctx, flightIDs)
	if err != nil {
		return Enqueued{}, fmt.Errorf("enqueue flights: %w", err)
	}
	return enqueued, nil
}

// QueueState is how many flights are in one state of the queue, for one reason.
type QueueState = dbsqlc.QueueCountsRow

// QueueStates counts the queue by state and reason.
func QueueStates(ctx context.Context, db dbsqlc.DBTX) ([]QueueState, error) {
	states, err := dbsqlc.New(db).QueueCounts(ctx)
	if err != nil {
		return nil, fmt.Errorf("count the queue: %w", err)
	}
	return states, nil
}

// CountUntried counts the flights that have not had their first try.
func CountUntried(ctx context.Context, db dbsqlc.DBTX) (int64, error) {
	untried, err := dbsqlc.New(db).QueueCountUntried(ctx)
	if err != nil {
		return 0, fmt.Errorf("ask how far the queue has got: %w", err)
	}
	return untried, nil
}
