package db_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/db"
)

// heard counts the notices of new flights since it was last called.
func (b *testBundle) heard(t *testing.T, listener *pgx.Conn) int {
	t.Helper()
	b.exec(t, `SELECT pg_notify('flightbill.river_insert', 'end')`) // notices come in the order of commits
	for n := 0; ; n++ {
		notice, err := listener.WaitForNotification(t.Context())
		require.NoError(t, err)
		if notice.Payload == "end" {
			return n
		}
	}
}

// Whoever has promised to look needs no notice.
func TestPromiseStandsForANotice(t *testing.T) {
	t.Parallel()
	b := setup(t)
	listener := b.session(t, `LISTEN "flightbill.river_insert"`)
	app := b.enqueuer(t)
	// The second comes by the other way.
	const expired = `UPDATE queue_promises SET until = clock_timestamp() - interval '1 millisecond'`
	for i, c := range []struct {
		name, before string
		notices      int
	}{
		{"no promise", `SELECT`, 2},
		{"in force", `SELECT promise_to_look('one', 3600)`, 0},
		{"expired", expired, 2},
		{"renewed", `SELECT promise_to_look('one', 3600)`, 0},
		{"of two, one expired", expired + `; SELECT promise_to_look('two', 3600)`, 0},
		{"the one in force withdrawn", `SELECT withdraw_promise('two')`, 2},
		{"promised again", `SELECT promise_to_look('two', 3600)`, 0},
		{"all withdrawn", `SELECT withdraw_promise('one'), withdraw_promise('two')`, 2},
	} {
		b.exec(t, c.before)
		for _, sql := range []string{
			`INSERT INTO flightbill.flight_processing_queue (flight_id) VALUES ($1)`, `SELECT flightbill.enqueue_flights(ARRAY[$1 || '-2'])`,
		} {
			_, err := app.Exec(t.Context(), sql, fmt.Sprintf("F%d", i))
			require.NoError(t, err, c.name)
		}
		require.Equal(t, c.notices, b.heard(t, listener), c.name)
	}
}

// A transaction goes by what it can see, and by the clock, not by when it began.
func TestPromiseInALongTransaction(t *testing.T) {
	t.Parallel()
	b := setup(t)
	listener := b.session(t, `LISTEN "flightbill.river_insert"`)
	insert := func(tx *pgx.Conn, id string) {
		_, err := tx.Exec(t.Context(), `INSERT INTO flightbill.flight_processing_queue (flight_id) VALUES ($1)`, id)
		require.NoError(t, err)
	}
	end := func(tx *pgx.Conn) int {
		_, err := tx.Exec(t.Context(), `COMMIT`)
		require.NoError(t, err)
		return b.heard(t, listener)
	}

	earlier := b.session(t, `BEGIN ISOLATION LEVEL REPEATABLE READ`, `SELECT FROM flightbill.queue_promises`)
	committed := b.session(t, `BEGIN`, `SELECT`)
	b.exec(t, `SELECT promise_to_look('one', 3600)`)
	insert(earlier, "F1")
	require.Equal(t, 1, end(earlier), "it does not see the promise")
	insert(committed, "F2")
	require.Equal(t, 0, end(committed))

	// Expired when they enqueue, though not yet when they began.
	both := []*pgx.Conn{b.session(t, `BEGIN ISOLATION LEVEL REPEATABLE READ`), b.session(t, `BEGIN`)}
	b.exec(t, `UPDATE queue_promises SET until = clock_timestamp()`)
	for _, tx := range both {
		var inForce bool
		require.NoError(t, tx.QueryRow(t.Context(), `SELECT until > now() FROM flightbill.queue_promises`).Scan(&inForce))
		require.True(t, inForce)
	}
	insert(both[0], "F3")
	require.Equal(t, 1, end(both[0]))
	insert(both[1], "F4")
	require.Equal(t, 1, end(both[1]))
}

// What killed processes leave is cleared away by those that come after.
func TestPromisesOfTheDead(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.exec(t, `SELECT promise_to_look('dead', 1), promise_to_look('late', 1)`)
	b.exec(t, `UPDATE queue_promises SET until = clock_timestamp() - CASE client WHEN 'dead' THEN interval '61 seconds' ELSE '50 seconds' END`)
	b.exec(t, `SELECT promise_to_look('new', 1)`)
	require.Equal(t, "late new", get[string](t, b, `SELECT string_agg(client, ' ' ORDER BY client) FROM queue_promises`))
	before := get[time.Time](t, b, `SELECT clock_timestamp()`)
	b.exec(t, `SELECT promise_to_look('new', 2.5)`)
	require.WithinRange(t, get[time.Time](t, b, `SELECT until FROM queue_promises WHERE client = 'new'`).Add(-2500*time.Millisecond),
		before, get[time.Time](t, b, `SELECT clock_timestamp()`))
}

// A transaction that wants no notice may be prepared for a commit in two phases.
func TestEnqueueInTwoPhases(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if get[int](t, b, `SELECT current_setting('max_prepared_transactions')::int`) == 0 {
		t.Skip("max_prepared_transactions is 0 on this server: no transaction can be prepared")
	}
	listener := b.session(t, `LISTEN "flightbill.river_insert"`)
	name := get[string](t, b, `SELECT current_database()`) // it is the whole server's
	for _, sql := range []string{
		`INSERT INTO flightbill.flight_processing_queue (flight_id) VALUES ('F1')`,
		`INSERT INTO flightbill.flight_processing_queue (flight_id) SELECT 'F' || n FROM generate_series(2, 1000) AS n`,
		`SELECT flightbill.enqueue_flights(ARRAY['F1001'])`,
	} {
		app := b.session(t, `SET ROLE flightbill_enqueuer`, `BEGIN`, `SET LOCAL flightbill.notify = 'off'`, sql)
		_, err := app.Exec(t.Context(), `PREPARE TRANSACTION '`+name+`'`)
		require.NoError(t, err, sql)
		b.exec(t, `COMMIT PREPARED '`+name+`'`)
	}
	_, _, err := db.AddWebhook(t.Context(), b.pool, "https://example.test/", db.WebhookEvents()) // deliveries have notices too
	require.NoError(t, err)
	b.save(t, nil, b.priced(t, db.NewPriceBooks(b.pool), "E1", "EACH"), db.Billed)
	require.Equal(t, 1, b.heard(t, listener))
	clerk := b.session(t, `BEGIN`, `SET LOCAL flightbill.notify = 'off'`, `SELECT flightbill.mark_invoice_paid('EACH-000001')`)
	_, err = clerk.Exec(t.Context(), `PREPARE TRANSACTION '`+name+`'`)
	require.NoError(t, err)
	b.exec(t, `COMMIT PREPARED '`+name+`'`)
	require.Zero(t, b.heard(t, listener))
	require.Equal(t, 1001, get[int](t, b, `SELECT count(*) FROM flight_processing_queue WHERE state = 'available'`))

	app := b.session(t, `BEGIN`, `INSERT INTO flightbill.flight_processing_queue (flight_id) VALUES ('G1')`)
	_, err = app.Exec(t.Context(), `PREPARE TRANSACTION '`+name+`'`)
	requireSQLError(t, err, "0A000", "NOTIFY") // else this test would prove nothing
}
