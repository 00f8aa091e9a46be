package jobs_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/jobs"
)

// What a receiver answers decides what becomes of a delivery.
func TestWebhookAnswers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.clock.Set(time.Now())
	reached := 0
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached++ }))
	t.Cleanup(elsewhere.Close)
	var status int
	var header [2]string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if header[0] != "" {
			w.Header().Set(header[0], header[1])
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(strings.Repeat("x", 1<<20))) // of which it reads little
	}))
	t.Cleanup(server.Close)
	id, _ := b.webhook(t, strings.Replace(server.URL, "http://", "http://user:pass-word@", 1)+"/?token=hidden", "invoice.issued")
	b.billed(t, "E1", "EACH", landed(4, 9))
	worker := b.deliver(nil)
	for _, test := range []struct {
		status      int
		header      [2]string
		reason      string
		least, most time.Duration // until the next try
	}{
		{http.StatusFound, [2]string{"Location", elsewhere.URL}, "answered 302 Found: redirects are not followed; add the webhook with its new URL", 5 * time.Second, 6 * time.Second},
		{http.StatusPermanentRedirect, [2]string{"Location", elsewhere.URL}, "answered 308 Permanent Redirect: redirects are not followed; add the webhook with its new URL", 5 * time.Second, 6 * time.Second},
		{http.StatusForbidden, [2]string{}, "answered 403 Forbidden", 5 * time.Second, 6 * time.Second},
		{http.StatusTooManyRequests, [2]string{}, "answered 429 Too Many Requests", 5 * time.Second, 6 * time.Second},
		{http.StatusTooManyRequests, [2]string{"Retry-After", "3600"}, "answered 429 Too Many Requests", time.Hour, time.Hour},
		{http.StatusServiceUnavailable, [2]string{"Retry-After", b.clock.Now().Add(2 * time.Hour).UTC().Format(http.TimeFormat)}, "answered 503 Service Unavailable", 2*time.Hour - time.Second, 2 * time.Hour},
		{http.StatusServiceUnavailable, [2]string{"Retry-After", "2000000000"}, "answered 503 Service Unavailable", 24 * time.Hour, 24 * time.Hour},
		{http.StatusServiceUnavailable, [2]string{"Retry-After", "-1"}, "answered 503 Service Unavailable", 5 * time.Second, 6 * time.Second},
		{http.StatusServiceUnavailable, [2]string{"Retry-After", "Thu, 01 Jan 1970 00:00:00 GMT"}, "answered 503 Service Unavailable", 5 * time.Second, 6 * time.Second},
	} {
		status, header = test.status, test.header
		require.EqualError(t, worker.Work(t.Context(), b.deliveryJob(t, 1)), test.reason)
		pause := get[time.Time](t, b, `SELECT next_at FROM deliveries`).Sub(b.clock.Now())
		require.GreaterOrEqual(t, pause, test.least-time.Millisecond, "%v", test)
		require.LessOrEqual(t, pause, test.most+time.Millisecond, "%v", test)
	}
	require.Zero(t, reached)

	status, header = http.StatusGone, [2]string{}
	require.NoError(t, worker.Work(t.Context(), b.deliveryJob(t, 1)))
	require.Equal(t, "webhook invoice.issued given_up 10", get[string](t, b, deliveryStates))
	webhooks, err := db.ListWebhooks(t.Context(), b.clerk, b.clock.Now())
	require.NoError(t, err)
	require.Equal(t, id, webhooks[0].ID)
	require.Equal(t, "answered 410 Gone", *webhooks[0].StoppedReason)
	b.billed(t, "E2", "EACH", landed(4, 9))
	require.Equal(t, 1, get[int](t, b, `SELECT count(*) FROM deliveries`), "it is told nothing more")
	retried, err := db.RetryDeliveries(t.Context(), b.clerk, nil)
	require.NoError(t, err)
	require.Zero(t, retried, "nobody takes it")
	_, err = db.RetryDeliveries(t.Context(), b.clerk, []string{b.deliveryJob(t, 1).Args.DeliveryID})
	require.NoError(t, err)
	require.NoError(t, worker.Work(t.Context(), b.deliveryJob(t, 1)))
	require.Equal(t, "the webhook was stopped: answered 410 Gone", get[string](t, b, `SELECT last_error FROM deliveries`))

	server.Close()
	another, _ := b.webhook(t, strings.Replace(server.URL, "http://", "http://user:pass-word@", 1)+"/?token=hidden", "invoice.paid")
	b.exec(t, `SELECT mark_invoice_paid('EACH-000001')`)
	job := b.deliveryJobOf(t, "invoice.paid", 1)
	require.ErrorContains(t, worker.Work(t.Context(), job), "no answer: dial tcp")
	require.NotRegexp(t, `user|pass-word|hidden`, get[string](t, b, `SELECT to_jsonb(d)::text FROM deliveries d WHERE event = 'invoice.paid'`))
	require.NoError(t, db.RemoveWebhook(t.Context(), b.clerk, another, b.clock.Now()))
	require.NoError(t, worker.Work(t.Context(), job))
	require.Equal(t, "the webhook was removed", get[string](t, b, `SELECT last_error FROM deliveries WHERE event = 'invoice.paid'`))
}

// No webhook reaches a private address, however it is written; nor http.
func TestPrivateWebhooksAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	reached := 0
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached++ }))
	t.Cleanup(server.Close)
	port := server.URL[strings.LastIndexByte(server.URL, ':'):]
	hosts := []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "0", "127.1", "2130706433", "0x7f000001", "017700000001", "127.0.0.1.", "[::1]", "[64:ff9b::7f00:1]"}
	for _, host := range hosts {
		b.webhook(t, "https://"+host+port+"/", "invoice.issued")
	}
	b.webhook(t, "http://example.test/", "invoice.issued")
	b.billed(t, "E1", "EACH", landed(4, 9))
	b.start(t, func(c *jobs.Config) { c.Now = time.Now })
	b.waitFor(t, "all have been tried", len(hosts)+1, `SELECT count(*) FROM deliveries WHERE state = 'failed'`)
	require.Zero(t, reached)
	for _, host := range hosts[:4] {
		require.Contains(t, get[string](t, b, `SELECT last_error FROM deliveries WHERE target = $1`, "https://"+host+port+"/"), "is no public address; FLIGHTBILL_WEBHOOK_ALLOW_PRIVATE=true allows it", host)
	}
	require.Contains(t, get[string](t, b, `SELECT last_error FROM deliveries WHERE target = 'http://example.test/'`), "is not https")
}

// A receiver that never answers holds up neither billing nor, with more than one worker,
// another one.
func TestSlowReceiverHoldsUpNoBilling(t *testing.T) {
	t.Parallel()
	b := setup(t)
	slow, quick := newReceiver(t), newReceiver(t)
	slow.answers(func(received) int { return 0 })
	b.webhook(t, slow.url, "invoice.issued")
	b.webhook(t, quick.url, "invoice.paid")
	b.start(t, privateWebhooks, func(c *jobs.Config) { c.DeliveryWorkers = 2 })
	b.billed(t, "E0", "EACH", landed(4, 9))
	eventually(t, "the slow one has been asked", func() bool { return len(slow.all()) == 1 })
	for n := range 50 {
		id := fmt.Sprint("W", n)
		b.flight(t, id, "WEEK", landed(4, 9))
		b.enqueue(t, id)
	}
	b.exec(t, `SELECT mark_invoice_paid('EACH-000001')`)
	b.waitForBilled(t, 51)
	eventually(t, "the other one is told", func() bool { return len(quick.all()) == 1 })
	require.Equal(t, "pending 0", get[string](t, b, `SELECT concat_ws(' ', state, attempts) FROM deliveries WHERE event = 'invoice.issued'`), "the slow one has still not answered")
	slow.answers(func(received) int { return http.StatusOK })
}

// Many messages for a receiver that never answers hold up another one for one try, not for
// one each.
func TestSilentReceiverIsLeftAlone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	silent, quick := newReceiver(t), newReceiver(t)
	silent.answers(func(received) int { return 0 })
	b.webhook(t, silent.url, "invoice.issued")
	b.webhook(t, quick.url, "invoice.paid")
	for n := range 4 {
		b.billed(t, fmt.Sprint("E", n), "EACH", landed(4, 9))
	}
	b.exec(t, `SELECT mark_invoice_paid('EACH-000001')`)
	b.start(t, privateWebhooks, func(c *jobs.Config) { c.DeliveryWorkers = 1 })
	began := time.Now()
	eventually(t, "the other one is told", func() bool { return len(quick.all()) == 1 })
	require.Less(t, time.Since(began), 30*time.Second)
	require.Len(t, silent.all(), 1)
	require.Equal(t, "failed 1, pending 0, pending 0, pending 0", get[string](t, b,
		`SELECT string_agg(state || ' ' || attempts, ', ' ORDER BY attempts DESC) FROM deliveries WHERE event = 'invoice.issued'`))
	silent.answers(func(received) int { return http.StatusOK })
}

// A process is killed between the request and its end: the message goes out again, under
// the same id.
func TestDeliveredAgainAfterAKill(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := newReceiver(t)
	b.webhook(t, r.url, "invoice.issued")
	b.billed(t, "E1", "EACH", landed(4, 9))
	worker := b.deliver(nil)
	require.NoError(t, worker.Work(t.Context(), b.deliveryJob(t, 1)))
	require.Len(t, r.all(), 1)
	// Nothing of it was written.
	b.exec(t, `UPDATE deliveries SET state = 'pending', attempts = 0, next_at = now(), delivered_at = NULL;
		UPDATE river_job SET state = 'running', attempt = 1, attempted_by = '{dead}', attempted_at = now() - interval '40 seconds'`)
	b.start(t, privateWebhooks)
	b.waitFor(t, "it is delivered", 1, `SELECT count(*) FROM deliveries WHERE state = 'delivered' AND attempts = 1`)
	got := r.all()
	require.Len(t, got, 2)
	require.Equal(t, got[0].id, got[1].id)
	require.Equal(t, got[0].body, got[1].body)
}

// A stop while a receiver thinks leaves the delivery as it was, without spending a try.
func TestDeliveryGoesBackAtAStop(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := newReceiver(t)
	r.answers(func(received) int { return 0 })
	b.webhook(t, r.url, "invoice.issued")
	service := b.service(t, privateWebhooks)
	require.NoError(t, service.Start(t.Context()))
	b.billed(t, "E1", "EACH", landed(4, 9))
	eventually(t, "the receiver has been asked", func() bool { return len(r.all()) == 1 })
	require.NoError(t, service.StopNow(t.Context()))
	require.Equal(t, "webhook invoice.issued pending 0", get[string](t, b, deliveryStates))
	require.Equal(t, "available 0", get[string](t, b, `SELECT state || ' ' || attempt FROM river_job WHERE kind = 'deliver'`))
}

// A run tells of each invoice with a few statements.
func TestRunTellsOfMany(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const many = 1500
	b.webhook(t, "https://example.test/1", "invoice.issued", "run.finished")
	b.webhook(t, "https://example.test/2", "invoice.issued")
	b.exec(t, `INSERT INTO issuers (since, name, mail_from) VALUES (now(), 'Skyport', 'billing@skyport.test')`)
	b.manyDrafts(t, many, march(8))
	b.exec(t, `UPDATE customers SET emails = '{a@example.test,b@example.test,a@example.test}' WHERE code = 'D0001'`)
	b.clock.Set(utc(t, "2026-03-08 12:00:00"))
	b.run(t, march(8))
	require.Equal(t, 2*many, get[int](t, b, `SELECT count(DISTINCT (d.id, d.invoice_id, d.webhook_id)) FROM deliveries d JOIN river_job j ON j.id = job_id AND j.args ->> 'delivery_id' = d.id
		JOIN invoices i ON i.id = invoice_id AND i.number = payload #>> '{data,number}' WHERE d.kind = 'webhook'`))
	require.Equal(t, "a@example.test, b@example.test", get[string](t, b, `SELECT string_agg(target, ', ' ORDER BY target) FROM deliveries WHERE kind = 'mail'`))
	require.Equal(t, get[int](t, b, `SELECT count(*) FROM billing_runs WHERE trigger <> 'start'`), get[int](t, b, `SELECT count(*) FROM deliveries WHERE event = 'run.finished'`))
}

// A delivery whose job a forged notice has cancelled is tried again, when it was to be. One
// whose job somebody has cancelled in earnest, or deleted, is given up, and does not stay open
// for ever; one whose row somebody has locked is passed over.
func TestDeliveriesWhoseJobsAreGone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	told := newReceiver(t)
	for _, what := range []string{"forged", "refused", "cancelled", "deleted", "waiting", "held"} {
		b.webhook(t, told.url+"/"+what, "invoice.issued")
	}
	b.billed(t, "E1", "EACH", landed(4, 9))
	job := func(what string) string {
		return `id = (SELECT job_id FROM deliveries WHERE target LIKE '%/` + what + `')`
	}
	const forged = `UPDATE river_job SET state = 'cancelled', finalized_at = now(), errors = ARRAY['{"error": "JobCancelError: job cancelled remotely"}'::jsonb], ` // as River leaves it
	b.exec(t, forged+`attempt = 1 WHERE `+job("forged"))
	b.exec(t, `UPDATE deliveries SET state = 'failed', attempts = 8, next_at = now() + interval '20 hours' WHERE target LIKE '%/refused'`)
	b.exec(t, forged+`attempt = 8 WHERE `+job("refused"))
	b.exec(t, `UPDATE river_job SET state = 'cancelled', finalized_at = now(), metadata = '{"cancel_attempted_at": "2026-03-04T12:00:00Z"}' WHERE `+job("cancelled"))
	b.exec(t, `DELETE FROM river_job WHERE `+job("deleted"))
	b.exec(t, `UPDATE river_job SET state = 'scheduled', scheduled_at = now() + interval '1 hour' WHERE `+job("waiting"))
	b.exec(t, `DELETE FROM river_job WHERE `+job("held"))
	b.begin(t, `SELECT FROM deliveries WHERE target LIKE '%/held' FOR UPDATE`)
	b.start(t, privateWebhooks)
	const states = `SELECT string_agg(concat_ws(' ', substring(target FROM '[a-z]+$'), state, last_error), ', ' ORDER BY webhook_id) FROM deliveries`
	b.waitFor(t, "one is delivered, two are given up", 3, `SELECT count(*) FROM deliveries WHERE state IN ('delivered', 'given_up')`)
	require.Equal(t, "forged delivered, refused failed, cancelled given_up its job was cancelled, discarded or deleted, "+
		"deleted given_up its job was cancelled, discarded or deleted, waiting pending, held pending", get[string](t, b, states))
	require.Equal(t, "scheduled 8 t", get[string](t, b, `SELECT concat_ws(' ', j.state, j.attempt, j.scheduled_at = d.next_at)
		FROM deliveries d JOIN river_job j ON j.id = d.job_id WHERE d.state = 'failed'`))
	require.Len(t, told.all(), 1)
}
