package db

import (
	"context"
	"fmt"

	"github.com/flightbill/flightbill/db/dbsqlc"
)

// The states of a delivery.
const (
	DeliveryPending = "pending" // not tried yet, or it waits for what its last error says
	DeliveryFailed  = "failed"  // tried, and will be again
	Delivered       = "delivered"
	DeliveryGivenUp = "given_up"
)

// The kinds of a delivery.
const (
	ByWebhook = "webhook"
	ByMail    = "mail"
)

// Delivery is a message to one receiver, and how far it has got.
type Delivery = dbsqlc.DeliveryListRow

// ListDeliveries returns the last ones, at most so many, the newest first; of a state, or
// of any where it is empty.
func ListDeliveries(ctx context.Context, db dbsqlc.DBTX, state string, most int32) ([]Delivery, error) {
	params := dbsqlc.DeliveryListParams{MaxRows: most}
	if state != "" {
		params.State = &state
	}
	deliveries, err := dbsqlc.New(db).DeliveryList(ctx, params)
	if err != nil {
		return nil, fmt.Errorf("list deliveries: %w", err)
	}
	return deliveries, nil
}

// RetryDeliveries has deliveries tried again at once; without ids, all that have failed.
func RetryDeliveries(ctx context.Context, db dbsqlc.DBTX, ids []string) (int64, error) {
	retried, err := dbsqlc.New(db).DeliveryRetry(ctx, ids)
	if err != nil {
		return 0, fmt.Errorf("retry: %w", err)
	}
	return retried, nil
}
