package jobs

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/riverqueue/river/riverdriver"
	"github.com/stretchr/testify/require"
)

// tellingListener has something to tell at the moment when the wait for it ends.
type tellingListener struct {
	riverdriver.Listener

	tell *riverdriver.Notification
}

func (l *tellingListener) WaitForNotification(ctx context.Context) (*riverdriver.Notification, error) {
	<-ctx.Done()
	if tell := l.tell; tell != nil {
		l.tell = nil
		return tell, nil
	}
	return nil, ctx.Err()
}

func (*tellingListener) Ping(context.Context) error { return nil }

func TestListenerLosesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		driver := newRiverDriver(nil, nil, nil)
		l := &listener{Listener: &tellingListener{tell: &riverdriver.Notification{Topic: "river_leadership"}}, driver: driver}
		driver.Fetch()
		driver.Fetch()
		heard, err := l.WaitForNotification(t.Context())
		require.NoError(t, err)
		require.Equal(t, "river_insert", heard.Topic)
		require.Empty(t, driver.wake, "once")

		// What Postgres told when its wait had to end is told next.
		require.NoError(t, l.Ping(t.Context()))
		heard, err = l.WaitForNotification(t.Context())
		require.NoError(t, err)
		require.Equal(t, "river_leadership", heard.Topic)

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = l.WaitForNotification(ctx)
		require.ErrorIs(t, err, context.Canceled)
	})
}
