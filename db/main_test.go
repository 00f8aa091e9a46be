package db_test

import (
	"context"
	"testing"

	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/dbtest"
)

func TestMain(m *testing.M) { dbtest.Main(m, dbtest.Template(migrate)) }

func migrate(ctx context.Context, url string) error {
	pool, err := db.Open(ctx, url, db.Options{})
	if err != nil {
		return err
	}
	defer pool.Close()
	_, err = db.MigrateUp(ctx, pool)
	return err
}
