package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFactsOfTheDemoAreTheSameEachTime(t *testing.T) {
	t.Chdir("../..")
	require.NoError(t, run(false))
}

func TestFactsThatAreMade(t *testing.T) {
	t.Parallel()
	const types = "aircraft_type,fact.seats\nB738,100\n"
	made, err := withFacts([]byte("flight_id,aircraft_type,departed_at,passengers\n"+
		"F1,B738,2013-01-01T10:00:00Z,9999\nF2,,2013-01-01T10:00:00Z,7\nF3,B738,,\n"), []byte(types))
	require.NoError(t, err)
	rows := strings.Split(strings.TrimSpace(string(made)), "\n")
	require.Equal(t, "flight_id,aircraft_type,departed_at,passengers,fact.pax_local,fact.pax_transfer,fact.stand,on_block_at,off_block_at", rows[0])
	require.Regexp(t, `^F1,B738,2013-01-01T10:00:00Z,\d\d,\d\d,\d+,(contact|remote),2013-01-01T0[678]:\d\d:00Z,2013-01-01T09:\d\d:00Z$`, rows[1])
	require.Regexp(t, `^F2,,2013-01-01T10:00:00Z,,,,(contact|remote),2013`, rows[2], "nobody knows the seats")
	require.Regexp(t, `^F3,B738,,\d\d,\d\d,\d+,(contact|remote),,$`, rows[3], "it has not left its stand")

	again, err := withFacts(made, []byte(types))
	require.NoError(t, err)
	require.Equal(t, string(made), string(again))
}
