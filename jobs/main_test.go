package jobs_test

import (
	"flag"
	"testing"

	"github.com/flightbill/flightbill/db/dbtest"
)

func TestMain(m *testing.M) {
	// Most tests wait for a server or for River, not for the processor.
	if err := flag.Set("test.parallel", "6"); err != nil {
		panic(err)
	}
	dbtest.Main(m, dbtest.Migrate)
}
