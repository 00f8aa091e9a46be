package main

import (
	"os"
	"testing"

	"github.com/flightbill/flightbill/db/dbtest"
)

// asCommand makes the test binary behave as flightbill itself, for tests that
// need a process to kill.
const asCommand = "FLIGHTBILL_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		if clock := os.Getenv(testClock); clock != "" {
			mainWithClock(clock)
		}
		main()
	}
	dbtest.Main(m, dbtest.Migrate)
}
