package jobs_test

import (
	"context"
	"flag"
	"testing"

	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/dbtest"
)

func TestMain(m *testing.M) {
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
