package jobs_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/jobs"
)

// receiver is somebody who is told of events.
type receiver struct {
	url string

	mu     sync.Mutex
	got    []received
	answer func(received) int // 0: the request is left open until the test ends
}

type received struct {
	id     string
	header http.Header
	body   []byte
	event  struct {
		Type      string         `json:"type"`
		Timestamp time.Time      `json:"timestamp"`
		Data      map[string]any `json:"data"`
	}
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{answer: func(received) int { return http.StatusNoContent }}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		got := received{id: request.Header.Get(standardwebhooks.HeaderWebhookID), header: request.Header}
		got.body, _ = io.ReadAll(request.Body)
		_ = json.Unmarshal(got.body, &got.event)
		r.mu.Lock()
		r.got = append(r.got, got)
		answer := r.answer
		r.mu.Unlock()
		status := answer(got)
		if status == 0 {
			<-t.Context().Done()
			return
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(server.Close)
	r.url = server.URL
	return r
}

func (r *receiver) answers(answer func(received) int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

func (r *receiver) all() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

// said is what was received, by event and document, sorted.
func (r *receiver) said() string {
	var lines []string
	for _, got := range r.all() {
		what := got.event.Data["number"]
		if what == nil {
			what = got.event.Data["closes_on"]
		}
		lines = append(lines, fmt.Sprint(got.event.Type, " ", what))
	}
	slices.Sort(lines)
	return strings.Join(lines, ", ")
}

func (b *testBundle) webhook(t *testing.T, url string, events ...string) (id int64, secret string) {
	t.Helper()
	if len(events) == 0 {
		events = db.WebhookEvents()
	}
	id, secret, err := db.AddWebhook(t.Context(), b.clerk, url, events)
	require.NoError(t, err)
	return id, secret
}

func privateWebhooks(c *jobs.Config) { c.PrivateWebhooks = true }

// deliver is a worker by itself, on a clock of the test's.
func (b *testBundle) deliver(mail *jobs.MailSender) *jobs.Deliver {
	return &jobs.Deliver{Pool: b.pool, Webhooks: jobs.NewWebhookSender(true, b.clock.Now), Mail: mail, Now: b.clock.Now, Stats: b.stats, Logger: b.logger}
}

// deliveryJob is an attempt at the only delivery that there is.
func (b *testBundle) deliveryJob(t *testing.T, attempt int) *river.Job[jobs.DeliverArgs] {
	t.Helper()
	return b.deliveryJobOf(t, "%", attempt)
}

func (b *testBundle) deliveryJobOf(t *testing.T, event string, attempt int) *river.Job[jobs.DeliverArgs] {
	t.Helper()
	return &river.Job[jobs.DeliverArgs]{
		JobRow: &rivertype.JobRow{ID: get[int64](t, b, `SELECT job_id FROM deliveries WHERE event LIKE $1`, event), Attempt: attempt},
		Args:   jobs.DeliverArgs{DeliveryID: get[string](t, b, `SELECT id FROM deliveries WHERE event LIKE $1`, event)},
	}
}

const deliveryStates = `SELECT coalesce(string_agg(concat_ws(' ', kind, event, state, attempts), ', ' ORDER BY event, kind, target), '') FROM deliveries`

// What the database's triggers insert is what River's own client does; and the notice is.
func TestDeliveryJobsAreRivers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.webhook(t, "https://example.test/hook", "invoice.issued")
	b.billed(t, "E1", "EACH", landed(4, 9))
	const job = `SELECT (to_jsonb(j) - ARRAY['id', 'created_at', 'scheduled_at'])::text FROM river_job j WHERE kind = 'deliver'`
	bySQL := get[string](t, b, job)
	id := get[string](t, b, `SELECT id FROM deliveries`)
	require.Regexp(t, `^msg_[0-9a-f]{32}$`, id)
	b.exec(t, `DELETE FROM river_job WHERE kind = 'deliver'`)
	_, err := b.service(t).Client().Insert(t.Context(), jobs.DeliverArgs{DeliveryID: id}, nil)
	require.NoError(t, err)
	require.Equal(t, get[string](t, b, job), bySQL)

	heard := b.notices(t, jobs.DeliveriesQueue)
	b.billed(t, "E2", "EACH", landed(4, 9))
	require.Equal(t, 1, heard())
}

// A delivery is written with the change that it tells of, or not at all; and none where
// nobody listens.
func TestDeliveriesAreWrittenWithTheChange(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.issued(t, "PENDING", march(1), "FIRST")
	b.markOverdue(t, march(4))
	removed, _ := b.webhook(t, "https://example.test/removed")
	require.NoError(t, db.RemoveWebhook(t.Context(), b.clerk, removed, b.clock.Now()))
	b.webhook(t, "https://example.test/other", "invoice.voided", "run.finished")
	b.exec(t, `SELECT mark_invoice_paid('FIRST')`)
	require.Zero(t, get[int](t, b, `SELECT count(*) FROM deliveries`))

	b.webhook(t, "https://user:password@example.test/hook?token=secret#part")
	b.issued(t, "PENDING", march(1), "SECOND")
	const pay = `SELECT mark_invoice_paid('SECOND', '2026-03-02')`
	require.NoError(t, b.begin(t, pay).Rollback(t.Context()))
	require.Zero(t, get[int](t, b, `SELECT count(*) FROM deliveries`))
	require.Zero(t, get[int](t, b, `SELECT count(*) FROM river_job`))
	b.exec(t, pay)
	require.Equal(t, "https://example.test/hook invoice.paid pending", get[string](t, b, `SELECT concat_ws(' ', target, event, state) FROM deliveries`))
	require.Equal(t, 1, get[int](t, b, `SELECT count(*) FROM river_job JOIN deliveries d ON d.job_id = river_job.id WHERE args ->> 'delivery_id' = d.id`))
	require.JSONEq(t, `{"number": "SECOND", "customer": "EACH", "kind": "flight", "status": "PAID", "currency": "EUR", "subtotal": "1", "tax": "0", "total": "1",
		"issued_on": "2026-02-15", "due_on": "2026-03-01", "closes_on": null, "paid_on": "2026-03-02", "credits": null, "voided_by": null}`,
		get[string](t, b, `SELECT payload ->> 'data' FROM deliveries`))
}

// Every event reaches its webhook once, whatever the number of processes, signed.
func TestWebhooksAreTold(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.clock.Set(utc(t, "2026-03-08 12:00:00"))
	all, paid := newReceiver(t), newReceiver(t)
	_, secret := b.webhook(t, all.url+"/all")
	b.webhook(t, paid.url+"/paid", "invoice.paid")
	for range 2 {
		b.start(t, privateWebhooks)
	}
	b.billed(t, "W1", "WEEK", landed(4, 9))
	b.billed(t, "E1", "EACH", landed(4, 9))
	b.billed(t, "E2", "EACH", landed(4, 9))
	b.run(t, march(8))
	b.exec(t, `SELECT mark_invoice_paid('EACH-000001', '2026-03-08')`)
	b.markOverdue(t, march(30))
	b.exec(t, `SELECT void_invoice('EACH-000002', 'wrong tariff')`)
	b.waitFor(t, "all is delivered", 0, `SELECT count(*) FROM deliveries WHERE state <> 'delivered'`)
	const told = "invoice.issued EACH-000001, invoice.issued EACH-000002, invoice.issued EACH-CN000001, invoice.issued WEEK-000001, " +
		"invoice.overdue EACH-000002, invoice.paid EACH-000001, invoice.paid EACH-CN000001, invoice.voided EACH-000002, "
	runs := get[string](t, b, `SELECT string_agg('run.finished ' || closes_on, ', ' ORDER BY closes_on) FROM billing_runs WHERE trigger <> 'start'`)
	require.Equal(t, told+runs, all.said())
	require.Equal(t, "invoice.paid EACH-000001, invoice.paid EACH-CN000001", paid.said())

	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	require.NoError(t, err)
	require.Len(t, key, 32)
	verifier, err := standardwebhooks.NewWebhookRaw(key)
	require.NoError(t, err)
	ids := map[string]bool{}
	for _, got := range all.all() {
		require.NoError(t, verifier.VerifyIgnoringTimestamp(got.body, got.header))
		require.Equal(t, "application/json", got.header.Get("Content-Type"))
		require.Equal(t, fmt.Sprint(b.clock.Now().Unix()), got.header.Get(standardwebhooks.HeaderWebhookTimestamp))
		ids[got.id] = true
		if got.event.Type == "invoice.voided" {
			require.Equal(t, "EACH-CN000001", got.event.Data["voided_by"])
		}
		if got.event.Data["number"] == "EACH-CN000001" {
			require.Equal(t, "EACH-000002", got.event.Data["credits"])
			require.Nil(t, got.event.Data["due_on"])
		}
		if got.event.Type == "run.finished" && got.event.Data["closes_on"] == "2026-03-08" {
			require.EqualValues(t, 1, got.event.Data["invoices"])
		}
	}
	require.Len(t, ids, len(all.all()))
	for _, got := range paid.all() {
		require.ErrorIs(t, verifier.VerifyIgnoringTimestamp(got.body, got.header), standardwebhooks.ErrNoMatchingSignature, "each has a secret of its own")
	}
	values := b.scrape(t)
	require.EqualValues(t, len(ids)+2, values["flightbill_deliveries_total webhook delivered"])
	require.Zero(t, values["flightbill_deliveries_pending webhook"])
}

// While a secret is rotated, both sign; after its end the old one does not.
func TestWebhookSecretsRotate(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := newReceiver(t)
	id, first := b.webhook(t, r.url, "invoice.issued")
	now := b.clock.Now()
	second, err := db.RotateWebhook(t.Context(), b.clerk, id, now, now.Add(24*time.Hour))
	require.NoError(t, err)
	require.NotEqual(t, first, second)
	_, err = db.RotateWebhook(t.Context(), b.clerk, id+1, now, now)
	require.ErrorContains(t, err, "flightbill webhooks list shows them")
	b.start(t, privateWebhooks)
	for i, signers := range []int{2, 2, 1} {
		b.clock.Set(now.Add([]time.Duration{0, 24*time.Hour - time.Second, 24 * time.Hour}[i]))
		b.billed(t, fmt.Sprint("E", i), "EACH", landed(4, 9))
		b.waitFor(t, "it is delivered", i+1, `SELECT count(*) FROM deliveries WHERE state = 'delivered'`)
		got := r.all()[i]
		require.Len(t, strings.Fields(got.header.Get(standardwebhooks.HeaderWebhookSignature)), signers)
		for _, secret := range []string{second, first}[:signers] {
			verifier, err := standardwebhooks.NewWebhook(secret)
			require.NoError(t, err)
			require.NoError(t, verifier.VerifyIgnoringTimestamp(got.body, got.header))
		}
	}
}

// Tries go on for three days, further and further apart; then a delivery is given up, until
// somebody has it tried again, from the start.
func TestDeliveriesBackOff(t *testing.T) {
	t.Parallel()
	b := setup(t)
	r := newReceiver(t)
	r.answers(func(received) int { return http.StatusInternalServerError })
	b.webhook(t, r.url+"/?token=secret", "invoice.issued")
	b.billed(t, "E1", "EACH", landed(4, 9))
	worker, began := b.deliver(nil), b.clock.Now()
	pauses := []string{"5s", "5m", "30m", "2h", "5h", "10h", "14h", "20h", "24h"}
	for i, text := range pauses {
		pause, err := time.ParseDuration(text)
		require.NoError(t, err)
		job := b.deliveryJob(t, i+1)
		require.EqualError(t, worker.Work(t.Context(), job), "answered 500 Internal Server Error")
		next := worker.NextRetry(job)
		require.WithinRange(t, next, b.clock.Now().Add(pause), b.clock.Now().Add(pause+pause/10))
		require.True(t, get[bool](t, b, `SELECT next_at = $1 AND state = 'failed' AND attempts = $2 AND last_error = 'answered 500 Internal Server Error' FROM deliveries`, next, i+1))
		require.WithinDuration(t, next, worker.NextRetry(b.deliveryJob(t, i+1)), time.Second, "after a kill")
		b.clock.Set(next)
	}
	require.InDelta(t, 3.3, b.clock.Now().Sub(began).Hours()/24, 0.2)
	require.NoError(t, worker.Work(t.Context(), b.deliveryJob(t, len(pauses)+1)))
	require.Equal(t, "webhook invoice.issued given_up 10", get[string](t, b, deliveryStates))
	values := b.scrape(t)
	require.EqualValues(t, 9, values["flightbill_deliveries_total webhook failed"])
	require.EqualValues(t, 1, values["flightbill_deliveries_total webhook given_up"])
	require.Zero(t, values["flightbill_deliveries_pending webhook"])

	// The job is over, and River has yet to say so.
	b.exec(t, `UPDATE river_job SET state = 'running' WHERE kind = 'deliver'`)
	old := b.deliveryJob(t, 1)
	retried, err := db.RetryDeliveries(t.Context(), b.clerk, []string{old.Args.DeliveryID})
	require.NoError(t, err)
	require.EqualValues(t, 1, retried)
	require.Equal(t, 1, get[int](t, b, `SELECT count(*) FROM river_job j JOIN deliveries d ON d.job_id = j.id WHERE j.state = 'available' AND j.attempt = 0 AND d.state = 'pending'`))
	require.NoError(t, worker.Work(t.Context(), old), "another job has it now")
	r.answers(func(received) int { return http.StatusOK })
	require.NoError(t, worker.Work(t.Context(), b.deliveryJob(t, 1)))
	require.Equal(t, "webhook invoice.issued delivered 11", get[string](t, b, deliveryStates))
	require.NoError(t, worker.Work(t.Context(), b.deliveryJob(t, 2)), "nothing is sent twice that is known to be there")
	require.Len(t, r.all(), 11)
	for _, got := range r.all() {
		require.Equal(t, r.all()[0].id, got.id)
		require.Equal(t, r.all()[0].body, got.body)
	}
	_, err = db.RetryDeliveries(t.Context(), b.clerk, []string{old.Args.DeliveryID})
	require.ErrorContains(t, err, "was delivered at")
	_, err = db.RetryDeliveries(t.Context(), b.clerk, []string{"msg_nowhere"})
	require.ErrorContains(t, err, "delivery 'msg_nowhere' is not known")
}
