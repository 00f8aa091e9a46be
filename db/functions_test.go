package db_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/internal/functions/source"
)

// The database has the functions that db/functions shows, no other, and each as its
// file makes it, with those who may call it.
func TestFunctionsAreTheFiles(t *testing.T) {
	t.Parallel()
	b := setup(t)
	files, err := source.Files(os.DirFS("functions"))
	require.NoError(t, err)
	migrated, err := source.Migrated(os.DirFS("../migrations"))
	require.NoError(t, err)
	require.Empty(t, source.Changes(files, migrated), "run go run ./internal/functions -migration NAME")

	const all = `FROM pg_proc p WHERE pronamespace = 'flightbill'::regnamespace AND proname <> 'river_job_state_in_bitmask'
		AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')`
	const texts = `SELECT string_agg(concat_ws(E'\n', pg_get_functiondef(p.oid), p.proacl), E'\n' ORDER BY p.oid::regprocedure::text) ` + all
	before := get[string](t, b, texts)
	for _, f := range files {
		b.exec(t, f.Text)
	}
	require.Equal(t, before, get[string](t, b, texts))
	require.Equal(t, len(files), get[int](t, b, `SELECT count(DISTINCT proname) `+all))
}

// What others call, and what is called within their statements, is not compiled by
// JIT: on servers that have it, that took 50 ms at each call.
func TestFunctionsDoWithoutJIT(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.Empty(t, get[string](t, b, `
		SELECT coalesce(string_agg(proname, ' ' ORDER BY proname), '') FROM pg_proc
		WHERE pronamespace = 'flightbill'::regnamespace AND NOT 'jit=off' = ANY (coalesce(proconfig, '{}'))
			AND (prosecdef OR 'enable_seqscan=off' = ANY (coalesce(proconfig, '{}')))`), "a plan that Postgres was told to avoid costs 1e10")
}
