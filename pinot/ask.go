package pinot

import (
	"context"
	"errors"
	"fmt"

	"github.com/flightbill/flightbill/billing"
)

// look asks for the rows of flights.
func (s *Source) look(ctx context.Context, ids ...string) (*answer, error) {
	return s.firstAnswer(ctx, func(b broker) (*answer, error) {
		a, err := s.query(ctx, b, s.flightQuery(ids), len(s.selection.expressions))
		if !errors.Is(err, errNoServer) {
			return a, err
		}
		// On a table with partitions, that may mean that none can have the flights.
		if _, err := s.query(ctx, b, s.countQuery(), 1); err != nil {
			return nil, err
		}
		// Or the servers came back just after it: then they are asked now.
		a, err = s.query(ctx, b, s.flightQuery(ids), len(s.selection.expressions))
		if errors.Is(err, errNoServer) {
			return &answer{broker: b.name}, nil
		}
		return a, err
	})
}

// ask puts a query to one broker after the other until one gives an answer to rely
// on.
func (s *Source) ask(ctx context.Context, sql string, width int) (*answer, error) {
	return s.firstAnswer(ctx, func(b broker) (*answer, error) { return s.query(ctx, b, sql, width) })
}

// firstAnswer tries one broker after the other, all that there are. Its error joins
// what each of them said.
func (s *Source) firstAnswer(ctx context.Context, try func(broker) (*answer, error)) (*answer, error) {
	var failures error
	tried := map[string]bool{}
	// The second round is for brokers that the controller names once all that it
	// named before have failed.
	for _, again := range []bool{false, true} {
		list, err := s.brokers.list(ctx, again)
		if err != nil {
			return nil, joined(failures, err)
		}
		for _, b := range list {
			if tried[b.url] {
				continue
			}
			tried[b.url] = true
			a, err := try(b)
			if ctx.Err() == nil || err == nil {
				s.brokers.report(ctx, b, err)
			}
			if err == nil {
				return a, nil
			}
			failures = joined(failures, fmt.Errorf("broker %s: %w", b.name, err))
			if ctx.Err() != nil {
				return nil, failures
			}
		}
	}
	return nil, failures
}

// joined is errors.Join on one line.
func joined(a, b error) error {
	if a == nil {
		return b
	}
	return fmt.Errorf("%w; %w", a, b)
}

// asOutage makes an outage of an error of ask, unless ctx is done: then nothing is
// known about Pinot.
func asOutage(ctx context.Context, doing string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", doing, ctx.Err())
	}
	return billing.SourceDown("pinot", "gave no answer to rely on", err)
}
