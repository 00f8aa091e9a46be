package imports_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/db/imports"
)

// The charging schemes that package billing's tests bill are files that can be imported,
// scheme by scheme: the database refuses none of their rows, for overlaps or anything else.
func TestSchemesAreImported(t *testing.T) {
	t.Parallel()
	folders, err := filepath.Glob("../../billing/testdata/schemes/*/tariffs.csv")
	require.NoError(t, err)
	require.NotEmpty(t, folders)
	b := setup(t)
	for _, tariffs := range folders {
		folder := filepath.Dir(tariffs)
		for _, kind := range []imports.Kind{imports.Airports, imports.AircraftTypes, imports.Aircraft, imports.Tariffs, imports.Flights} {
			content, err := os.ReadFile(filepath.Join(folder, string(kind)+".csv"))
			if os.IsNotExist(err) {
				continue
			}
			require.NoError(t, err)
			result, err := b.read(kind, bytes.NewReader(content))
			require.NoError(t, err, "%s: %s", folder, kind)
			if kind != imports.Airports { // some come with flightbill
				assert.Equal(t, result.Rows, result.Added, "%s: %s", folder, kind)
			}
		}
		_, err := b.owner.Exec(t.Context(), `DELETE FROM tariffs; DELETE FROM flights; DELETE FROM aircraft; DELETE FROM aircraft_types`)
		require.NoError(t, err)
	}
}
