package main

import (
	"flag"
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
	// Most tests wait for a server or for River, not for the processor.
	if err := flag.Set("test.parallel", "6"); err != nil {
		panic(err)
	}
	dbtest.Main(m, dbtest.Migrate)
}
