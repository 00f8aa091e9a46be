package pinot

import (
	"strings"
	"testing"

	pinotclient "github.com/startreedata/pinot-client-go/pinot"
	"github.com/stretchr/testify/require"
)

func TestExceptionText(t *testing.T) {
	t.Parallel()
	e := newExceptionError(pinotclient.Exception{
		ErrorCode: 710, Message: "UnknownColumnError:\r\nUnknown columnName 'pax'\n\tat a.B(C.java:1)\n...\n  more\nCaused by: x",
	})
	require.EqualError(t, e, "exception 710: UnknownColumnError: Unknown columnName 'pax' Caused by: x")

	e = newExceptionError(pinotclient.Exception{ErrorCode: 200, Message: "a\x00\x1b[2J\u202eé\tb"})
	require.Equal(t, "a\uFFFD\uFFFD[2J\uFFFDé b", e.message)
	e = newExceptionError(pinotclient.Exception{ErrorCode: 150, Message: strings.Repeat("é", 1000)})
	require.EqualError(t, e, "exception 150: "+strings.Repeat("é", maxExceptionText)+"…")
}

// Each waiting flight keeps what the brokers said.
func TestManyBrokersErrors(t *testing.T) {
	t.Parallel()
	var f failures
	for range 1000 {
		f = append(f, errNoServer)
	}
	require.Equal(t, strings.Repeat(errNoServer.Error()+"; ", 10)+"and 990 more brokers", f.Error())
}
