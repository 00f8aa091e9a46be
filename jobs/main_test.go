package jobs_test

import (
	"testing"

	"github.com/flightbill/flightbill/db/dbtest"
)

func TestMain(m *testing.M) { dbtest.Main(m, dbtest.Migrate) }
