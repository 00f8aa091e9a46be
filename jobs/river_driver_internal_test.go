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

func TestListenerLosesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		driver := newRiverDriver(nil, nil, nil)
		l := &listener{Listener: &tellingListener{tell: &riverdriver.Notification{Topic: "river_leadership"}}, driver: driver}
		driver.Fetch()
		driver.Fetch()
		heard, err := l.WaitForNotification(t.Context())
		require.NoError(t, err)
		require.Equal(t, "river_leadership", heard.Topic)
		heard, err = l.WaitForNotification(t.Context())
		require.NoError(t, err)
		require.Equal(t, "river_insert", heard.Topic, "the notice that was asked for comes all the same")
		require.Empty(t, driver.wake, "once")

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		driver.Fetch()
		_, err = l.WaitForNotification(ctx)
		require.ErrorIs(t, err, context.Canceled)
	})
}
