package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCheckNames(t *testing.T) {
	t.Parallel()
	for name, meant := range map[string]string{
		"FLIGHTBILL_TIMZONE":        "FLIGHTBILL_TIMEZONE",
		"FLIGHTBILL_TIME_ZONE":      "FLIGHTBILL_TIMEZONE",
		"FLIGHTBILL_TIMEZOEN":       "FLIGHTBILL_TIMEZONE",
		"FLIGHTBIL_TIMEZONE":        "FLIGHTBILL_TIMEZONE",
		"flightbill_timezone":       "FLIGHTBILL_TIMEZONE",
		"FLIGHTBILL_BILING_START":   "FLIGHTBILL_BILLING_START",
		"FLIGHTBILL_CLOSES":         "FLIGHTBILL_CLOSE",
		"PINOT_TABEL":               "PINOT_TABLE",
		"PINOT_BROKER":              "PINOT_BROKERS",
		"FLIGHTBILL_FLIGHTS_SOURCE": "FLIGHTBILL_FLIGHT_SOURCE",
		"FLIGHTBILL_HTTP_ADDRS":     "FLIGHTBILL_HTTP_ADDR",
		"FLIGHTBILL_WORKER":         "FLIGHTBILL_WORKERS",
	} {
		_, err := checkNames([]string{"PATH=/bin", name + "=Europe/Dublin"})
		require.EqualError(t, err, name+": there is no such setting; is "+meant+" meant? Rename it, or unset it")
	}
	for _, s := range settings() {
		unknown, err := checkNames([]string{s.name + "="})
		require.NoError(t, err)
		require.Empty(t, unknown)
	}
	unknown, err := checkNames([]string{
		"FLIGHTBILL_SERVICE_HOST=10.0.0.1", "FLIGHTBILL_SERVICE_PORT_HTTP=8080", "FLIGHTBILL_PORT=tcp://10.0.0.1:8080", "FLIGHTBILL_PORT_8080_TCP_ADDR=10.0.0.1",
		"PINOT_BROKER_SERVICE_HOST=10.0.0.2", "PINOT_BROKER_PORT=tcp://10.0.0.2:8099", "FLIGHTBILL_TEST_TIMEZONE=1",
		"FLIGHTBILL_REGION=eu", "PINOT_HOME=/opt/pinot", "DATABASE_URL=ours", "DATABASE_URI=theirs", "DATABASE_URLS=theirs", "TIMEZONE=UTC", "=C:=C:\\",
	})
	require.NoError(t, err)
	require.Equal(t, []string{"FLIGHTBILL_REGION", "PINOT_HOME"}, unknown)

	// Without an address of its own it would work on the embedded database, unseen.
	for _, name := range []string{"DATABASE_UR", "DATABASEURL", "database_url", "DATABASE_URLS", "DATABASE_URL_FILES"} {
		_, err := checkNames([]string{name + "=postgres://h/d"})
		require.ErrorContains(t, err, name+": there is no such setting; is DATABASE_URL")
	}
	unknown, err = checkNames([]string{"DATABASE_URI=theirs"})
	require.NoError(t, err)
	require.Equal(t, []string{"DATABASE_URI"}, unknown)
}

func TestMisspeltSetting(t *testing.T) {
	t.Parallel()
	refused := startProcess(t, []string{"migrate", "status"}, "FLIGHTBILL_TIMZONE=Europe/Dublin", "DATABASE_URL=postgres://nobody@127.0.0.1:1/none")
	eventually(t, "it ends", refused.hasEnded)
	require.Equal(t, exitUsage, refused.ProcessState.ExitCode(), refused.said())
	require.Contains(t, refused.said(), "is FLIGHTBILL_TIMEZONE meant?")

	warned := startProcess(t, []string{"migrate", "status"}, "FLIGHTBILL_REGION=eu", "DATABASE_URL=postgres://nobody@127.0.0.1:1/none")
	eventually(t, "it ends", warned.hasEnded)
	require.Equal(t, exitFailed, warned.ProcessState.ExitCode(), warned.said())
	require.Contains(t, warned.said(), "no setting of flightbill name=FLIGHTBILL_REGION")
}
