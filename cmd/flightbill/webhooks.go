package main

import (
	"context"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/jobs"
)

// maxKeep is the longest that a secret may sign beside its successor.
const maxKeep = 90 * 24 * time.Hour

func (a *app) newWebhooksCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "webhooks", Short: "List, add or remove webhooks, which are told of invoices and runs, or give one a new secret", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return usageError{fmt.Errorf("say which: flightbill webhooks list, add URL, rotate ID, or remove ID")}
		},
	}
	var asJSON bool
	list := &cobra.Command{
		Use: "list", Short: "List the webhooks, without their secrets", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withDatabase(cmd.Context(), func(pool *pgxpool.Pool) error { return a.listWebhooks(cmd.Context(), pool, asJSON) })
		},
	}
	list.Flags().BoolVar(&asJSON, "json", false, "print JSON")

	var events []string
	add := &cobra.Command{
		Use: "add URL [--events E,E]", Short: "Have a URL told of events; shows, this once, the secret that they are signed with", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.checkWebhookURL(args[0]); err != nil {
				return usageError{err}
			}
			for _, event := range events {
				if !slices.Contains(db.WebhookEvents(), event) {
					return usageError{fmt.Errorf("--events: %q is not one of %s", event, strings.Join(db.WebhookEvents(), ", "))}
				}
			}
			return a.withDatabase(cmd.Context(), func(pool *pgxpool.Pool) error {
				id, secret, err := db.AddWebhook(cmd.Context(), pool, args[0], events)
				if err != nil {
					return err
				}
				a.sayf("webhook %d is told of %s", id, strings.Join(events, ", "))
				a.saySecret(secret)
				return nil
			})
		},
	}
	add.Flags().StringSliceVar(&events, "events", db.WebhookEvents(), "what it is told of, separated by commas")

	var keep time.Duration
	rotate := &cobra.Command{
		Use: "rotate ID [--keep 24h]", Short: "Give a webhook a new secret; the old one signs, too, for a while", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := webhookID(args[0])
			if err != nil {
				return err
			}
			if keep < 0 || keep > maxKeep {
				return usageError{fmt.Errorf("--keep: %s is not from 0s to %s", keep, maxKeep)}
			}
			return a.withDatabase(cmd.Context(), func(pool *pgxpool.Pool) error {
				until := a.now().Add(keep)
				secret, err := db.RotateWebhook(cmd.Context(), pool, id, a.now(), until)
				if err != nil {
					return err
				}
				a.sayf("webhook %d has a new secret; the one before signs, too, until %s", id, until.UTC().Format(time.RFC3339))
				a.saySecret(secret)
				return nil
			})
		},
	}
	rotate.Flags().DurationVar(&keep, "keep", 24*time.Hour, "how long the old secret signs, too; 0s where it is known to others")

	remove := &cobra.Command{
		Use: "remove ID", Short: "Remove a webhook; what it was told stays in the deliveries", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := webhookID(args[0])
			if err != nil {
				return err
			}
			return a.withDatabase(cmd.Context(), func(pool *pgxpool.Pool) error {
				if err := db.RemoveWebhook(cmd.Context(), pool, id, a.now()); err != nil {
					return err
				}
				a.sayf("webhook %d is removed", id)
				return nil
			})
		},
	}
	cmd.AddCommand(list, add, rotate, remove)
	return cmd
}

func (a *app) saySecret(secret string) {
	a.sayf("secret %s", secret)
	fmt.Fprintln(a.stdout, "it is not shown again: give it to the receiver, who checks signatures with it (standardwebhooks.com)")
}

func webhookID(text string) (int64, error) {
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id < 1 {
		return 0, usageError{fmt.Errorf("%q is no id of a webhook; flightbill webhooks list shows them", text)}
	}
	return id, nil
}

var printable = regexp.MustCompile(`^[!-~]+$`)

// checkWebhookURL tells at once what each delivery would be refused for. Its errors have no
// secret of the URL in them.
func (a *app) checkWebhookURL(text string) error {
	parsed, err := url.Parse(text)
	switch {
	case err != nil || parsed.Hostname() == "" || parsed.Scheme != "https" && parsed.Scheme != "http" ||
		!strings.HasPrefix(text, parsed.Scheme+"://") || !printable.MatchString(text) || len(text) > 2000:
		return fmt.Errorf("that is no URL such as https://example.com/flightbill, of at most 2,000 letters")
	case parsed.Scheme == "http" && !a.config.PrivateWebhooks:
		return fmt.Errorf("the URL is not https; where that is meant, set FLIGHTBILL_WEBHOOK_ALLOW_PRIVATE=true, here and for flightbill serve")
	}
	if address, err := netip.ParseAddr(parsed.Hostname()); !a.config.PrivateWebhooks && (strings.EqualFold(parsed.Hostname(), "localhost") || err == nil && !jobs.Public(address)) {
		return fmt.Errorf("%s is no public address; where that is meant, set FLIGHTBILL_WEBHOOK_ALLOW_PRIVATE=true, here and for flightbill serve", parsed.Hostname())
	}
	return nil
}

// webhookView is a webhook in the list.
type webhookView struct {
	ID             int64      `json:"id"`
	Target         string     `json:"target"` // the URL without user, password and query
	Events         []string   `json:"events"`
	CreatedAt      time.Time  `json:"created_at"`
	StoppedAt      *time.Time `json:"stopped_at"`
	StoppedReason  *string    `json:"stopped_reason"`
	OldSecretUntil *time.Time `json:"old_secret_until"` // while one is rotated
}

func (a *app) listWebhooks(ctx context.Context, pool *pgxpool.Pool, asJSON bool) error {
	webhooks, err := db.ListWebhooks(ctx, pool, a.now())
	if err != nil {
		return err
	}
	views, rows := make([]webhookView, len(webhooks)), make([][]string, len(webhooks))
	for i, w := range webhooks {
		views[i] = webhookView{w.ID, w.Target, w.Events, w.CreatedAt, w.StoppedAt, w.StoppedReason, w.Until}
		state := "told"
		if w.StoppedReason != nil {
			state = "stopped: " + *w.StoppedReason
		}
		rows[i] = []string{strconv.FormatInt(w.ID, 10), w.Target, strings.Join(w.Events, ","), state}
	}
	if asJSON {
		return printJSON(a.stdout, views)
	}
	return table(a.stdout, []string{">ID", "TARGET", "EVENTS", "STATE"}, rows)
}
