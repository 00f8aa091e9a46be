package main

import (
	"context"
	"flag"
	"os"
	"testing"

	"github.com/flightbill/flightbill/db"
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
	dbtest.Main(m, dbtest.Template(func(ctx context.Context, url string) error {
		pool, err := db.Open(ctx, url, db.Options{})
		if err != nil {
			return err
		}
		defer pool.Close()
		_, err = db.MigrateUp(ctx, pool)
		return err
	}))
}
