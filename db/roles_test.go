package db_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/db"
)

func TestGrantRole(t *testing.T) {
	t.Parallel()
	b := setup(t)
	login, address := b.role(t)
	reporter, err := db.ParseRole("reporter")
	require.NoError(t, err)
	_, err = db.ParseRole("root")
	require.EqualError(t, err, `"root" is not one of server, enqueuer, queue_admin, reporter, accountant`)
	members := func() []string {
		list, err := db.RoleMembers(t.Context(), b.pool, reporter)
		require.NoError(t, err)
		return list
	}

	// All or none.
	_, err = db.GrantRole(t.Context(), b.pool, reporter, []string{login, `no"body`})
	require.EqualError(t, err, `grant flightbill_reporter: role "no\"body" does not exist; have an administrator run: CREATE ROLE "no""body" LOGIN PASSWORD '…'`)
	require.NotContains(t, members(), login)
	_, err = db.GrantRole(t.Context(), b.pool, reporter, []string{"flightbill_queue_reader"})
	require.ErrorContains(t, err, `"flightbill_queue_reader" is a role of flightbill's`)
	b.exec(t, `ALTER ROLE `+login+` NOINHERIT`)
	_, err = db.GrantRole(t.Context(), b.pool, reporter, []string{login})
	require.ErrorContains(t, err, `ALTER ROLE "`+login+`" INHERIT`)
	b.exec(t, `ALTER ROLE `+login+` INHERIT`)
	require.NotContains(t, members(), login)

	for range 2 { // again changes nothing
		warnings, err := db.GrantRole(t.Context(), b.pool, reporter, []string{login})
		require.NoError(t, err)
		require.Empty(t, warnings)
		require.Contains(t, members(), login)
	}
	own := open(t, address, 1)
	_, err = db.GrantRole(t.Context(), own, reporter, []string{login})
	require.ErrorContains(t, err, `have an administrator run: GRANT flightbill_reporter TO "`+login+`"`)

	b.exec(t, `DO $$ BEGIN EXECUTE format('REVOKE CONNECT ON DATABASE %I FROM PUBLIC', current_database()); END $$`)
	warnings, err := db.GrantRole(t.Context(), b.pool, reporter, []string{login})
	require.NoError(t, err)
	require.Len(t, warnings, 1)
	require.Contains(t, warnings[0], "GRANT CONNECT ON DATABASE")
	b.exec(t, `DO $$ BEGIN EXECUTE format('GRANT CONNECT ON DATABASE %I TO PUBLIC', current_database()); END $$`)
	b.exec(t, `ALTER SCHEMA flightbill OWNER TO `+login)
	warnings, err = db.GrantRole(t.Context(), b.pool, reporter, []string{login})
	require.NoError(t, err)
	require.Len(t, warnings, 1)
	require.Contains(t, warnings[0], `"`+login+`" owns schema flightbill`)
	b.exec(t, `ALTER ROLE `+login+` SUPERUSER`)
	warnings, err = db.GrantRole(t.Context(), b.pool, reporter, []string{login})
	require.NoError(t, err)
	require.Len(t, warnings, 1)
	require.Contains(t, warnings[0], `"`+login+`" is a superuser`)
	b.exec(t, `ALTER SCHEMA flightbill OWNER TO CURRENT_USER`)
}

// What is looked for before a migration is what the migrations make.
func TestRoleNames(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.ElementsMatch(t, db.RoleNames(), get[[]string](t, b, `SELECT array_agg(rolname::text) FROM pg_roles WHERE rolname LIKE 'flightbill\_%' AND NOT rolcanlogin`))
}

// No role of flightbill's comes with another.
func TestRolesStandAlone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.Empty(t, get[string](t, b, `
		SELECT coalesce(string_agg(member::regrole || ' has ' || roleid::regrole, ', '), '') FROM pg_auth_members
		WHERE member IN (SELECT oid FROM pg_roles WHERE rolname = ANY ($1))`, db.RoleNames()))
}

// Whoever may not is told who can, and what to have run.
func TestSchemaCheckNamesTheOwner(t *testing.T) {
	t.Parallel()
	b := setup(t)
	login, address := b.role(t)
	own := open(t, address, 1)
	err := db.CheckSchema(t.Context(), own)
	require.True(t, db.NoRight(err))
	require.ErrorContains(t, err, "role "+login+" may not use schema flightbill")
	b.exec(t, `GRANT flightbill_enqueuer TO `+login)
	require.True(t, db.NoRight(db.CheckSchema(t.Context(), own)), "it may not see which migrations there are")
	b.exec(t, `GRANT flightbill_server TO `+login)
	require.NoError(t, db.CheckSchema(t.Context(), own))
	b.exec(t, `DELETE FROM goose_db_version WHERE version_id = (SELECT max(version_id) FROM goose_db_version)`)
	err = db.CheckSchema(t.Context(), own)
	require.ErrorIs(t, err, db.ErrSchemaTooOld)
	require.ErrorContains(t, err, "run flightbill migrate up as "+get[string](t, b, `SELECT quote_ident(current_user)`)+", who owns schema flightbill")
}

// Somebody else takes over the schema and all that the migrations' role owns in it: the
// queue works on.
func TestSchemaChangesHands(t *testing.T) {
	t.Parallel()
	b := setup(t)
	owner, _ := b.role(t)
	application, _ := b.login(t, "application", "flightbill_enqueuer")
	enqueue := func() {
		_, err := application.Exec(t.Context(), `INSERT INTO flightbill.flight_processing_queue (flight_id) SELECT 'F' || n FROM generate_series(1, 200) AS n`)
		require.NoError(t, err)
	}
	enqueue()
	b.exec(t, `UPDATE flightbill.river_job SET state = 'cancelled', finalized_at = now()`)
	b.exec(t, `DO $$
	DECLARE
		command text;
	BEGIN
		FOR command IN
			SELECT format('ALTER %s flightbill.%I OWNER TO `+owner+`', CASE relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END, relname)
			FROM pg_class WHERE relnamespace = 'flightbill'::regnamespace AND relkind IN ('r', 'v') AND relowner = current_user::regrole
			UNION ALL
			SELECT format('ALTER FUNCTION %s OWNER TO `+owner+`', p.oid::regprocedure)
			FROM pg_proc p WHERE pronamespace = 'flightbill'::regnamespace AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
		LOOP
			EXECUTE command;
		END LOOP;
	END
	$$; ALTER SCHEMA flightbill OWNER TO `+owner)
	enqueue() // the first hundred one by one, the others together
	require.Equal(t, 200, get[int](t, b, `SELECT count(*) FROM flightbill.flight_processing_queue WHERE state = 'available'`))
}
