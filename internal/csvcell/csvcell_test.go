package csvcell_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/flightbill/flightbill/internal/csvcell"
)

func TestCellsThatASpreadsheetWouldRun(t *testing.T) {
	t.Parallel()
	for text, cell := range map[string]string{
		"=1+1": "'=1+1", "+1": "'+1", "-x": "'-x", "@SUM(A1)": "'@SUM(A1)", "\t=1": "'\t=1", "\r=1": "'\r=1", "＝1": "'＝1", "'=1": "''=1", "'-5": "''-5", "-": "'-",
		"-5": "-5", "-0.05": "-0.05", "": "", "'": "'", "'a": "'a", "a=1": "a=1", "é": "é", "−5": "−5",
	} {
		require.Equal(t, cell, csvcell.Write(text), "%q", text)
		require.Equal(t, text, csvcell.Read(cell), "%q", cell)
	}
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`['=+\-@\t\r＝]{0,3}.{0,5}`).Draw(t, "text")
		require.Equal(t, text, csvcell.Read(csvcell.Write(text)))
	})
}
