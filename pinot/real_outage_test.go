package pinot

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/pinot/pinottest"
)

// The tests in this file take parts of the cluster away, so nothing runs beside them.

// lookup is one flight to look up.
type lookup struct {
	in *Source
	id string
}

// all looks flights up at once.
func all(t *testing.T, lookups ...lookup) []error {
	t.Helper()
	errs := make([]error, len(lookups))
	var group sync.WaitGroup
	for i, l := range lookups {
		group.Go(func() { _, errs[i] = l.in.Flight(t.Context(), l.id) })
	}
	group.Wait()
	return errs
}

func rowOf(id string) pinottest.Rows {
	return pinottest.CSV(flightsHeader, id+",,UAL,,,1,KEWR,KIAH,,,,")
}

// requireNoList checks that a list of flights, and their number, are not vouched for.
func requireNoList(t *testing.T, s *Source) {
	t.Helper()
	_, err := s.List(t.Context(), time.Unix(0, 0), time.Now(), "")
	require.Equal(t, billing.Outage, kindOf(t, err), "%v", err)
	_, err = s.Count(t.Context(), time.Unix(0, 0), time.Now())
	require.Equal(t, billing.Outage, kindOf(t, err), "%v", err)
}

//nolint:paralleltest // see above
func TestRealServerOutages(t *testing.T) {
	cluster := pinottest.Outage(t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	// One broker: by the time of a second try, the session of the frozen server is over.
	broker := cluster.BrokerAddresses()[:1]
	split := realSource(t, Config{Brokers: broker, Table: pinottest.Flights(t, rowOf("A"), rowOf("B"))})
	singleTable := pinottest.Flights(t, rowOf("A"))
	single := realSource(t, Config{Brokers: broker, Table: singleTable})
	holders, err := cluster.Holders(ctx, singleTable)
	require.NoError(t, err)
	require.Len(t, holders, 1)
	down := holders[0]
	recovered := func(t *testing.T, never billing.Kind) {
		t.Helper()
		waitFound(t, single, "A", never)
		for _, id := range []string{"A", "B"} {
			waitFound(t, split, id, "")
		}
	}
	recovered(t, "")

	// A frozen server keeps its connections, and the broker waits for it in vain. Only while its session lasts: so at
	// once.
	require.NoError(t, down.Freeze())
	errs := all(t, lookup{split, "A"}, lookup{split, "B"}, lookup{split, "none"}, lookup{single, "A"})
	require.NoError(t, down.Thaw())
	for _, err := range errs {
		require.Equal(t, billing.Outage, kindOf(t, err), "%v", err)
		require.ErrorContains(t, err, "exception 427")
	}
	// A server that was frozen may also have been taken for gone meanwhile; its rows come back.
	recovered(t, billing.NotYet)

	// Killed: first the broker knows it by a broken connection.
	require.NoError(t, down.Kill())
	for _, err := range all(t, lookup{split, "A"}, lookup{split, "B"}, lookup{split, "none"}, lookup{single, "A"}, lookup{single, "none"}) {
		require.Equal(t, billing.Outage, kindOf(t, err), "%v", err)
		require.ErrorContains(t, err, "exception 42") // 425 or 427
	}
	requireNoList(t, single)

	// Once its session has expired Pinot forgets the server. Where there is no other, there is nobody to ask; where
	// there is, Pinot vouches for an answer without the other's rows. Nothing in it tells that from an unknown flight.
	missing := ""
	for missing == "" {
		require.NoError(t, ctx.Err())
		for _, id := range []string{"A", "B"} {
			if _, err := split.Flight(ctx, id); kindOf(t, err) == billing.NotYet {
				missing = id
			}
		}
		_, err := single.Flight(ctx, "A")
		require.Equal(t, billing.Outage, kindOf(t, err), "%v", err)
	}
	for _, err := range all(t, lookup{single, "A"}, lookup{single, "none"}) {
		require.Equal(t, billing.Outage, kindOf(t, err), "%v", err)
		require.ErrorContains(t, err, "it had no server to ask")
	}
	require.Equal(t, billing.Outage, kindOf(t, single.Check(ctx)))
	requireNoList(t, single)
	for _, id := range []string{"A", "B"} {
		if _, err := split.Flight(ctx, id); id != missing {
			require.NoError(t, err)
		}
	}

	// While it starts, its rows are missing, then unavailable, then there. Where it is the only one: never unknown.
	restarted := make(chan error, 1)
	go func() { restarted <- down.Restart(ctx) }()
	waitFound(t, single, "A", billing.NotYet)
	require.NoError(t, <-restarted)
	recovered(t, billing.NotYet)

	// Stopped in order, it is forgotten at once.
	require.NoError(t, down.Stop(ctx))
	requireNoList(t, single)
	for _, err := range all(t, lookup{single, "A"}, lookup{single, "none"}) {
		require.Equal(t, billing.Outage, kindOf(t, err), "%v", err)
	}
	go func() { restarted <- down.Restart(ctx) }()
	waitFound(t, single, "A", billing.NotYet)
	require.NoError(t, <-restarted)
	recovered(t, billing.NotYet)
}

//nolint:paralleltest // see above
func TestRealBrokerOutages(t *testing.T) {
	cluster := pinottest.Outage(t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	table := pinottest.Flights(t, rowOf("A"))
	found := func(s *Source, times int) {
		t.Helper()
		for range times {
			_, err := s.Flight(ctx, "A")
			require.NoError(t, err)
		}
	}
	outage := func(s *Source, says string) {
		t.Helper()
		_, err := s.Flight(ctx, "A")
		require.Equal(t, billing.Outage, kindOf(t, err), "%v", err)
		require.ErrorContains(t, err, says)
	}
	byController := Config{Table: table, Controller: cluster.ControllerAddress()}
	known := realSource(t, byController)
	found(known, 4)

	// One of two frozen: the other's turn, once this one's time is over. One of two gone: the other's turn.
	require.NoError(t, cluster.Broker(0).Freeze())
	found(realSource(t, Config{Table: table, Timeout: 2 * time.Second}), 2)
	outage(realSource(t, Config{Table: table, Timeout: time.Second, Brokers: cluster.BrokerAddresses()[:1]}), "no answer within 1s")
	require.NoError(t, cluster.Broker(0).Kill())
	found(realSource(t, Config{Table: table}), 4)
	found(realSource(t, byController), 4)
	found(known, 4)

	// Both gone.
	require.NoError(t, cluster.Broker(1).Stop(ctx))
	outage(realSource(t, Config{Table: table}), "connection refused")
	outage(realSource(t, byController), "") // the controller may not know yet that they are gone
	outage(known, "connection refused")

	// Starting: nothing that one says meanwhile is an unknown flight.
	restarted := make(chan error, 2)
	for i := range 2 {
		go func() { restarted <- cluster.Broker(i).Restart(ctx) }()
	}
	for i := range 2 {
		waitFound(t, realSource(t, Config{Table: table, Brokers: cluster.BrokerAddresses()[i : i+1]}), "A", billing.NotYet)
	}
	require.NoError(t, errors.Join(<-restarted, <-restarted))
	waitFound(t, known, "A", billing.NotYet)

	// Without the controller, those that know the brokers go on.
	require.NoError(t, cluster.Controller().Freeze())
	found(known, 4)
	byController.Timeout = time.Second
	outage(realSource(t, byController), "controller "+cluster.ControllerAddress()+": no answer within 1s")
	require.NoError(t, cluster.Controller().Thaw())
	waitFound(t, realSource(t, byController), "A", billing.NotYet)
}
