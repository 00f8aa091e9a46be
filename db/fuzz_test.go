package db_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/dbtest"
)

// What is an id, what is no text, and what is the form of a code: Go and SQL agree.
func FuzzTextInSQL(f *testing.F) {
	pool, err := db.Open(f.Context(), dbtest.URL(f), db.Options{SearchPath: db.Schema, MaxConns: 1})
	require.NoError(f, err)
	f.Cleanup(pool.Close)
	for _, seed := range []string{"", "BAW123-20261122-LHR", "A ", " A", "A\n", strings.Repeat("a", 129), "g-own", "n/a ", `\N`, "\u00a0NaN", "É1", "- -"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) || strings.Contains(text, "\x00") {
			t.Skip("no text to Postgres")
		}
		var valid bool
		var clean, form string
		require.NoError(t, pool.QueryRow(t.Context(), `SELECT flight_id_is_valid($1), clean_text($1), code_form($1)`, text).Scan(&valid, &clean, &form))
		require.Equal(t, db.ValidFlightID(text), valid)
		require.Equal(t, billing.CleanText(text), clean)
		if !strings.ContainsFunc(text, func(r rune) bool { return r >= 0x3100 }) { // whose capitals the server's locale decides
			require.Equal(t, billing.CodeForm(text), form)
		}
	})
}
