package db

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/flightbill/flightbill/db/dbsqlc"
)

// WebhookEvents are those that a webhook can be told of.
func WebhookEvents() []string {
	return []string{"invoice.issued", "invoice.overdue", "invoice.paid", "invoice.voided", "run.finished"}
}

// newWebhookSecret makes one of 32 bytes, written as Standard Webhooks has it.
func newWebhookSecret() string {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // which never fails
	return "whsec_" + base64.StdEncoding.EncodeToString(key)
}

// AddWebhook has the events told to a URL, and returns the secret that they are signed
// with: it is shown this once.
func AddWebhook(ctx context.Context, pool *pgxpool.Pool, url string, events []string) (id int64, secret string, err error) {
	if len(events) == 0 {
		return 0, "", fmt.Errorf("no event is named; there are %v", WebhookEvents())
	}
	for _, event := range events {
		if !slices.Contains(WebhookEvents(), event) {
			return 0, "", fmt.Errorf("%q is no event; there are %v", event, WebhookEvents())
		}
	}
	secret = newWebhookSecret()
	err = pgx.BeginTxFunc(ctx, pool, ReadCommitted, func(tx pgx.Tx) (err error) {
		q := dbsqlc.New(tx)
		if id, err = q.WebhookAdd(ctx, dbsqlc.WebhookAddParams{Url: url, Events: events}); err != nil {
			return err
		}
		return q.WebhookSecretAdd(ctx, dbsqlc.WebhookSecretAddParams{WebhookID: id, Secret: secret})
	})
	if err != nil {
		return 0, "", fmt.Errorf("add the webhook: %w", err)
	}
	return id, secret, nil
}

// RotateWebhook gives a webhook a new secret. The one before signs, too, until an instant.
func RotateWebhook(ctx context.Context, pool *pgxpool.Pool, id int64, now, until time.Time) (secret string, err error) {
	secret = newWebhookSecret()
	err = pgx.BeginTxFunc(ctx, pool, ReadCommitted, func(tx pgx.Tx) error {
		q := dbsqlc.New(tx)
		ended, err := q.WebhookSecretEnd(ctx, dbsqlc.WebhookSecretEndParams{WebhookID: id, Until: &until})
		if err != nil {
			return err
		}
		if ended == 0 {
			return errNoWebhook
		}
		if err := q.WebhookSecretDelete(ctx, dbsqlc.WebhookSecretDeleteParams{WebhookID: id, Ended: &now}); err != nil {
			return err
		}
		return q.WebhookSecretAdd(ctx, dbsqlc.WebhookSecretAddParams{WebhookID: id, Secret: secret})
	})
	if err != nil {
		return "", fmt.Errorf("give webhook %d a new secret: %w", id, err)
	}
	return secret, nil
}

// RemoveWebhook ends a webhook. What was sent to it stays in deliveries.
func RemoveWebhook(ctx context.Context, pool *pgxpool.Pool, id int64, now time.Time) error {
	err := pgx.BeginTxFunc(ctx, pool, ReadCommitted, func(tx pgx.Tx) error {
		q := dbsqlc.New(tx)
		removed, err := q.WebhookRemove(ctx, dbsqlc.WebhookRemoveParams{ID: id, At: &now})
		if err != nil {
			return err
		}
		if removed == 0 {
			return errNoWebhook
		}
		return q.WebhookSecretDelete(ctx, dbsqlc.WebhookSecretDeleteParams{WebhookID: id})
	})
	if err != nil {
		return fmt.Errorf("remove webhook %d: %w", id, err)
	}
	return nil
}

// Webhook is one of those there are, without its secrets.
type Webhook = dbsqlc.WebhookListRow

// ListWebhooks returns those that were not removed.
func ListWebhooks(ctx context.Context, db dbsqlc.DBTX, now time.Time) ([]Webhook, error) {
	webhooks, err := dbsqlc.New(db).WebhookList(ctx, now)
	if err != nil {
		return nil, fmt.Errorf("list the webhooks: %w", err)
	}
	return webhooks, nil
}
