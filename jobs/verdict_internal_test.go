package jobs

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"
)

func TestLastWait(t *testing.T) {
	t.Parallel()
	first := instant(t, "2026-03-04T12:00:00Z")
	since, until := first, first.Add(2*time.Hour)
	const (
		cancelled = "JobCancelError: flight F1 is not in the flight source yet"
		failed    = "connection reset"
	)
	type failures = map[time.Duration]string
	for _, c := range []struct {
		name        string
		waiting     *waiting
		scheduledAt time.Duration // from the first "not yet"
		errors      failures
		waits       bool
	}{
		{"first try", nil, 0, nil, false},
		{"an outage before any not yet", &waiting{Reason: "down"}, 0, nil, false},
		{"at its time", &waiting{Since: &since, Until: &until}, 2 * time.Hour, nil, true},
		{"an instant late", &waiting{Since: &since, Until: &until}, 2*time.Hour + 50*time.Millisecond, nil, true},
		{"retried before its time", &waiting{Since: &since, Until: &until}, time.Hour, nil, false},
		{"retried in the last second", &waiting{Since: &since, Until: &until}, 2*time.Hour - time.Second, nil, true},
		{"cancelled in River UI, retried long after", &waiting{Since: &since, Until: &until}, 30 * time.Hour, nil, false},
		{"given up, then retried", &waiting{Since: &since, Until: &until}, 30 * time.Hour, failures{3 * time.Hour: cancelled}, false},
		{"given up before this wait", &waiting{Since: &since, Until: &until}, 2 * time.Hour, failures{-time.Hour: cancelled}, true},
		{"an unexpected failure at this try", &waiting{Since: &since, Until: &until}, 5 * time.Hour, failures{2*time.Hour + time.Second: failed}, true},
		{"an unexpected failure before this wait", &waiting{Since: &since, Until: &until}, 2 * time.Hour, failures{-time.Hour: failed}, true},
		{"a failure, then given up, then retried", &waiting{Since: &since, Until: &until}, 5 * time.Hour,
			failures{2*time.Hour + time.Second: failed, 3 * time.Hour: cancelled}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			job := &rivertype.JobRow{ScheduledAt: first.Add(c.scheduledAt)}
			var err error
			job.Metadata, err = json.Marshal(map[string]any{"snoozes": 1, "waiting": c.waiting})
			require.NoError(t, err)
			for at, text := range c.errors {
				job.Errors = append(job.Errors, rivertype.AttemptError{At: first.Add(at), Error: text})
			}
			got := lastWait(job)
			require.Equal(t, c.waits, got != nil)
			if c.waits {
				require.Equal(t, first, *got.Since)
			}
		})
	}
}
