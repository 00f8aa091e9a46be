package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Columns stay in line where the last cells of a row are empty, and where letters take more than a byte.
func TestTable(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	require.NoError(t, table(&out, []string{"CUSTOMER", ">TOTAL", "STATUS", "REASON"}, [][]string{
		{"ÅLAND", "1,234.50", "PENDING", "a long reason"},
		{"B", "", "", ""},
		{"A LONGER NAME", "2.00", "VOID", ""},
	}))
	require.Equal(t, strings.TrimPrefix(`
CUSTOMER          TOTAL  STATUS   REASON
ÅLAND          1,234.50  PENDING  a long reason
B
A LONGER NAME      2.00  VOID
`, "\n"), out.String())
}
