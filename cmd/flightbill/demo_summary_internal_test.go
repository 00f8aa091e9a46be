package main

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/flightbill/flightbill/db"
)

// On a slow machine the first snoozes end before the summary is made.
func TestOutcomesAddUpAFlightThatWaitsWhateverItsState(t *testing.T) {
	t.Parallel()
	assert.Equal(t, [][]string{
		{"cancelled", "705", "a fact is missing that a tariff needs: 'flightbill price FLIGHT_ID' names it"},
		{"waiting", "3", "not in the flight source yet"},
		{"waiting", "85", "not landed yet"},
	}, outcomes([]db.QueueState{
		{State: "available", Reason: "not_landed", Jobs: 10},
		{State: "running", Reason: "not_landed", Jobs: 1},
		{State: "cancelled", Reason: "missing_fact", Jobs: 705},
		{State: "scheduled", Reason: "not_landed", Jobs: 74},
		{State: "available", Reason: "flight_unknown", Jobs: 3},
	}))
}
