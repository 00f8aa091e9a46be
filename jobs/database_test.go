package jobs_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/dbtest"
	"github.com/flightbill/flightbill/jobs"
)

// landedSource has every flight, and no database.
type landedSource struct {
	jobs.FlightSource // nil: what it does not have is not called

	at time.Time
}

func (s landedSource) Name() string { return "test" }

func (s landedSource) Flights(_ context.Context, ids []string) (map[string]billing.Answer, error) {
	answers := map[string]billing.Answer{}
	mass, left := int64(70500), s.at.Add(-time.Hour)
	for _, id := range ids {
		answers[id] = billing.Answer{Flight: billing.Flight{ID: id, Operator: "WEEK", MTOWKg: &mass, Origin: "EIDW", Destination: "EGLL", DepartedAt: &left, LandedAt: &s.at}}
	}
	return answers, nil
}

// The database cannot be worked with for a while: the flights wait without an attempt,
// one line is logged as it begins and one as it ends, and then all are billed.
func TestDatabaseOutage(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ begin, end, reason string }{
		"full": {
			`CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM nextval('flightbill.saves'); RAISE 'could not extend file "base/1": No space left on device' USING ERRCODE = '53100'; END $$;
				CREATE TRIGGER full_disk BEFORE INSERT ON billed_flights EXECUTE FUNCTION full_disk()`,
			`DROP TRIGGER full_disk ON billed_flights`, "has no resources left", // a limit stands for the disk
		},
		"read-only": {
			`ALTER DATABASE this SET default_transaction_read_only = on; others`,
			`ALTER DATABASE this RESET default_transaction_read_only; others`, "is read-only",
		},
		"takes no connections": {`ALTER DATABASE this ALLOW_CONNECTIONS false; others`, `ALTER DATABASE this ALLOW_CONNECTIONS true`, "takes no connections"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			this := get[string](t, b, `SELECT current_database()`)
			elsewhere, err := pgx.Connect(t.Context(), dbtest.EmptyURL(t))
			require.NoError(t, err)
			t.Cleanup(func() { _ = elsewhere.Close(context.Background()) })
			sql := func(text string) {
				t.Helper()
				if name == "full" {
					b.exec(t, text)
					return
				}
				for statement := range strings.SplitSeq(strings.NewReplacer("DATABASE this", "DATABASE "+this,
					"others", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '"+this+"' AND pid <> pg_backend_pid()").Replace(text), "; ") {
					_, err := elsewhere.Exec(t.Context(), statement)
					require.NoError(t, err, statement)
				}
			}
			if name == "full" {
				b.exec(t, `CREATE SEQUENCE saves; GRANT USAGE ON SEQUENCE saves TO PUBLIC; ALTER DATABASE `+this+` SET temp_file_limit = 0`)
				b.pool.Reset()
			}
			log := &jobs.LogBuffer{}
			service := b.start(t, func(c *jobs.Config) {
				c.Source = landedSource{at: b.clock.Now().Add(-time.Hour)} // else its outages are told, too
				c.Logger = log.Logger()
			})
			b.enqueueMany(t, 1, 1, 1)
			b.waitForBilled(t, 1)
			if name == "full" {
				sql(c.begin)
				b.enqueueMany(t, 2, 50, 1)
			} else {
				b.enqueueMany(t, 2, 50, 1)
				sql(c.begin)
			}
			eventually(t, "the outage is told", func() bool { return service.DatabaseOutage() != nil })
			time.Sleep(8 * time.Second)
			require.Equal(t, c.reason, db.AwayReason(service.DatabaseOutage().Err))
			requireOneLine := func() {
				t.Helper()
				require.Equal(t, 1, log.Count("database is away: flights wait, and no attempt is spent"), log.String())
				require.Equal(t, 1, log.Count("level=WARN")+log.Count("level=ERROR"), log.String())
			}
			requireOneLine()
			if name == "full" {
				require.LessOrEqual(t, get[int](t, b, `SELECT last_value FROM saves`), 5, "one a worker")
				b.exec(t, `ALTER DATABASE `+this+` RESET temp_file_limit`)
				b.pool.Reset()
			}
			sql(c.end)
			eventually(t, "connections work", func() bool { return b.pool.Ping(context.Background()) == nil })
			eventually(t, "its end is told", func() bool { return log.Count("database is back") == 1 })
			require.Nil(t, service.DatabaseOutage())
			b.enqueueMany(t, 51, 100, 1)
			b.waitForBilled(t, 100)
			require.Zero(t, get[int](t, b, `SELECT count(*) FROM river_job WHERE errors <> '{}' OR attempt > 1`))
			requireOneLine()
		})
	}
}
