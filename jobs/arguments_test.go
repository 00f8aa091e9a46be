package jobs_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Whatever arguments a job of the queue has, it is cancelled with the reason, and the
// others go on.
func TestForgedArguments(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.flight(t, "F1", "WEEK", b.clock.Now())
	b.flight(t, "F2", "WEEK", b.clock.Now())
	forged := []string{
		`{}`, `[]`, `null`, `5`, `"F1"`, `{"flight_id": 5}`, `{"flight_id": null}`, `{"flight_id": ["F1"]}`, `{"flight_id": {"a": "F1"}}`,
		`{"flight_id": ""}`, `{"flight_id": "F1 "}`, `{"flight_id": "é"}`, `{"FLIGHT_ID": 5}`, `{"flight_id": "F1'; --"}`,
		fmt.Sprintf(`{"flight_id": "%s"}`, strings.Repeat("F", 100<<10)), fmt.Sprintf(`{"x": "%s"}`, strings.Repeat("F", 1<<20)),
		`{"flight_id": ` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}`,
	}
	b.exec(t, `INSERT INTO river_job (kind, args, queue, max_attempts, priority) SELECT 'ingest_flight', a::jsonb, 'flights', 25, 1 FROM unnest($1::text[]) a`, forged)
	b.exec(t, `INSERT INTO river_job (kind, args, queue, max_attempts, priority) VALUES ('ingest_flight', '{"flight_id": "F1", "more": [1, {}]}', 'flights', 25, 2)`)
	b.exec(t, `INSERT INTO river_job (kind, args, queue, max_attempts, priority) VALUES ('ingest_flight', '{"flight_id": "F1", "flight_id": "F2"}', 'flights', 25, 2)`)
	b.start(t)
	b.waitFor(t, "the others are billed", 2, `SELECT count(*) FROM billed_flights`)
	b.waitFor(t, "forged ones are cancelled", len(forged), `SELECT count(*) FROM river_job WHERE state = 'cancelled'`)
	require.Zero(t, get[int](t, b, `SELECT count(*) FROM river_job WHERE state NOT IN ('cancelled', 'completed') AND kind = 'ingest_flight'`))
	require.Zero(t, get[int](t, b, `SELECT count(*) FROM river_job WHERE state = 'cancelled' AND errors[1] ->> 'error' NOT LIKE '%flight id%'`))
	require.Less(t, get[int](t, b, `SELECT max(length(errors::text)) FROM river_job`), 2000)
	require.Positive(t, get[int](t, b, `SELECT count(*) FROM flight_processing_queue`), "the view can still be read")
}
