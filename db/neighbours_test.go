package db_test

import (
	"context"
	"testing"
	"testing/fstest"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/dbtest"
	"github.com/flightbill/flightbill/migrations"
)

// An application has its own goose, its own River, and tables of flightbill's names,
// in schema public of the same database: neither it nor flightbill meets the other,
// up or down.
func TestNeighbours(t *testing.T) {
	t.Parallel()
	b := setupEmpty(t)
	theirs := fstest.MapFS{"00001_app.sql": {Data: []byte(`-- +goose Up
CREATE TABLE public.customers (name text PRIMARY KEY);
CREATE TABLE public.flights (flight_id text PRIMARY KEY, gate text);
CREATE TABLE public.invoices (id bigint PRIMARY KEY);
INSERT INTO public.flights VALUES ('F1', 'A7');
-- +goose Down
DROP TABLE public.customers, public.flights, public.invoices;
`)}}
	app := stockGoose(t, b.pool, theirs, "public.goose_db_version")
	_, err := app.Up(t.Context())
	require.NoError(t, err)
	appRiver, err := rivermigrate.New(riverpgxv5.New(b.pool), &rivermigrate.Config{Schema: "public"})
	require.NoError(t, err)
	_, err = appRiver.Migrate(t.Context(), rivermigrate.DirectionUp, nil)
	require.NoError(t, err)
	appBefore := schemaOf(t, b, "public")

	_, err = db.MigrateUp(t.Context(), b.pool)
	require.NoError(t, err)
	require.Equal(t, appBefore, schemaOf(t, b, "public"))
	ours := schemaOf(t, b, db.Schema)

	// Its River client leads in its own schema and finds none of flightbill's jobs.
	b.exec(t, `SELECT flightbill.enqueue_flights(ARRAY['F1'])`)
	b.setState(t, "F1", "cancelled")
	b.exec(t, `UPDATE flightbill.river_job SET finalized_at = now() - interval '3 days'`)
	queue := b.queue(t)
	workers := river.NewWorkers()
	worked := make(chan struct{}, 1)
	river.AddWorker(workers, river.WorkFunc(func(context.Context, *river.Job[ingestArgs]) error {
		worked <- struct{}{}
		return nil
	}))
	client, err := river.NewClient(riverpgxv5.New(b.pool), &river.Config{
		Schema: "public", Workers: workers, Queues: map[string]river.QueueConfig{"flights": {MaxWorkers: 1}},
	})
	require.NoError(t, err)
	require.NoError(t, client.Start(context.WithoutCancel(t.Context())))
	defer func() { require.NoError(t, client.Stop(context.WithoutCancel(t.Context()))) }()
	eventually(t, "the application leads its own queue", func() bool {
		return get[int](t, b, `SELECT count(*) FROM public.river_leader`) == 1
	})
	require.Zero(t, get[int](t, b, `SELECT count(*) FROM flightbill.river_leader`))
	_, err = client.Insert(t.Context(), ingestArgs{FlightID: "THEIRS"}, &river.InsertOpts{Queue: "flights"})
	require.NoError(t, err)
	<-worked
	require.Equal(t, queue, b.queue(t))

	for range steps {
		_, err := db.MigrateDown(t.Context(), b.pool, false)
		require.NoError(t, err)
	}
	require.Equal(t, appBefore, schemaOf(t, b, "public"))
	require.Equal(t, "A7", get[string](t, b, `SELECT gate FROM public.flights`))
	_, err = db.MigrateUp(t.Context(), b.pool)
	require.NoError(t, err)
	require.Equal(t, ours, schemaOf(t, b, db.Schema))
	_, err = app.DownTo(t.Context(), 0)
	require.NoError(t, err)
	require.Equal(t, ours, schemaOf(t, b, db.Schema))
}

// Whatever stands in the way is said before anything is changed.
func TestMigrateLooksFirst(t *testing.T) {
	t.Parallel()
	b := setupEmpty(t)
	b.exec(t, `CREATE SCHEMA flightbill; CREATE EXTENSION btree_gist SCHEMA flightbill; CREATE TABLE flightbill.customers (name text);
		CREATE VIEW flightbill.report AS SELECT 1 AS one; CREATE FUNCTION flightbill.void_invoice(text) RETURNS int LANGUAGE sql RETURN 1;
		CREATE TYPE flightbill.flight_line AS (x int); CREATE TYPE flightbill.mood AS ENUM ('ok')`)
	before := schemaOf(t, b, db.Schema)
	_, err := db.MigrateUp(t.Context(), b.pool)
	require.ErrorContains(t, err, "schema flightbill holds what no flightbill has made: customers, flight_line, mood, report, void_invoice(); move it to another schema")
	require.Equal(t, before, schemaOf(t, b, db.Schema))
}

// A role that lacks a right is told which, and what to have run; with that it migrates.
func TestMigrateAsAnyRole(t *testing.T) {
	t.Parallel()
	_ = dbtest.URL(t) // so that the server has flightbill_enqueuer, which takes a right of its own to make
	b := setupEmpty(t)
	role, address := b.role(t)
	own := open(t, address, 2)
	up := func() error {
		_, err := db.MigrateUp(t.Context(), own)
		return err
	}
	err := up()
	require.ErrorIs(t, err, db.ErrCannotMigrate)
	require.ErrorContains(t, err, "CREATE SCHEMA flightbill AUTHORIZATION "+role)
	b.exec(t, `CREATE SCHEMA flightbill`)
	require.ErrorContains(t, up(), "GRANT USAGE ON SCHEMA flightbill TO "+role)
	b.exec(t, `GRANT CREATE, USAGE ON SCHEMA flightbill TO `+role)
	require.ErrorContains(t, up(), "schema flightbill, or a table in it, belongs to another role")
	b.exec(t, `ALTER SCHEMA flightbill OWNER TO `+role)
	require.ErrorContains(t, up(), "CREATE EXTENSION btree_gist")
	b.exec(t, `CREATE EXTENSION btree_gist`)
	require.ErrorContains(t, up(), "GRANT flightbill_queue_reader TO "+role)
	// As where the role has made flightbill's roles.
	before16 := get[bool](t, b, `SELECT current_setting('server_version_num')::int < 160000`)
	if before16 {
		b.exec(t, `ALTER ROLE `+role+` NOINHERIT CREATEROLE`)
	} else {
		b.exec(t, `ALTER ROLE `+role+` NOINHERIT; GRANT flightbill_queue_reader TO `+role+` WITH ADMIN TRUE, SET FALSE, INHERIT FALSE`)
	}
	require.NoError(t, up())
	require.NoError(t, db.CheckSchema(t.Context(), own))
	const reader = `SELECT count(*) FROM pg_auth_members WHERE roleid = 'flightbill_queue_reader'::regrole AND member = $1::regrole`
	if before16 {
		require.Zero(t, get[int](t, b, reader, role), "it is a member while it migrates")
	} else {
		require.Equal(t, 1, get[int](t, b, reader+` AND admin_option AND NOT set_option`, role), "it can use the role while it migrates only")
	}
	require.False(t, get[bool](t, b, `SELECT has_schema_privilege('flightbill_queue_reader', 'flightbill', 'USAGE') OR has_schema_privilege('flightbill_queue_reader', 'flightbill', 'CREATE')`))

	// The view is another's; its owner before uses it, and can let others use it.
	for _, sql := range []string{
		`INSERT INTO flightbill.flight_processing_queue (flight_id) SELECT 'F' || n FROM generate_series(1, 200) AS n`,
		`DELETE FROM flightbill.flight_processing_queue WHERE flight_id = 'F2'`, `SELECT FROM flightbill.flight_processing_queue`,
		`GRANT SELECT ON ALL TABLES IN SCHEMA flightbill TO PUBLIC`, `REVOKE SELECT ON ALL TABLES IN SCHEMA flightbill FROM PUBLIC`,
	} {
		_, err := own.Exec(t.Context(), sql)
		require.NoError(t, err, sql)
	}
	for range steps {
		_, err := db.MigrateDown(t.Context(), own, false)
		require.NoError(t, err)
	}
	if before16 {
		b.exec(t, `ALTER ROLE `+role+` NOCREATEROLE`)
	} else {
		b.exec(t, `REVOKE flightbill_queue_reader FROM `+role)
	}
	require.ErrorContains(t, up(), "GRANT flightbill_queue_reader TO "+role)
	b.exec(t, `GRANT flightbill_queue_reader TO `+role)
	require.NoError(t, up())
	require.Equal(t, 1, get[int](t, b, reader, role), "what an administrator granted stays")
}

func TestMigrateDownKeepsIssuedInvoices(t *testing.T) {
	t.Parallel()
	b := setupInvoices(t)
	before := schemaOf(t, b, db.Schema)
	_, err := db.MigrateDown(t.Context(), b.pool, false)
	require.ErrorIs(t, err, db.ErrInvoicesIssued)
	require.ErrorContains(t, err, "--lose-invoices")
	require.Equal(t, before, schemaOf(t, b, db.Schema))

	// Stock goose gets as far as what it would lose.
	stock := stockGoose(t, b.pool, migrations.FS, "flightbill.goose_db_version")
	_, err = stock.DownTo(t.Context(), 0)
	requireSQLError(t, err, raised, "1 issued invoices would be lost", "flightbill.lose_invoices")
	require.Equal(t, 1, get[int](t, b, `SELECT count(*) FROM flightbill.invoices WHERE status <> 'DRAFT'`))
	_, err = db.MigrateDown(t.Context(), b.pool, false)
	require.ErrorIs(t, err, db.ErrInvoicesIssued)
	for {
		undone, err := db.MigrateDown(t.Context(), b.pool, true)
		require.NoError(t, err)
		if undone == nil {
			break
		}
	}
}
