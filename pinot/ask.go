package pinot

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/flightbill/flightbill/billing"
)

// look asks for rows of flights, of which there may be none.
func (s *Source) look(ctx context.Context, q query) (*answer, error) {
	return s.firstAnswer(ctx, func(b broker) (*answer, error) {
		a, err := s.query(ctx, b, q)
		if !errors.Is(err, errNoServer) {
			return a, err
		}
		// On a table with partitions, that may mean that none can have the flights.
		if err := s.count(ctx, b); err != nil {
			return nil, err
		}
		// Or the servers came back just after it: then they are asked now.
		a, err = s.query(ctx, b, q)
		if errors.Is(err, errNoServer) {
			return &answer{broker: b.name}, nil
		}
		return a, err
	})
}

// count asks for the number of rows. Where no server was asked, only one above 0 is an
// answer: the multi-stage engine does not count its servers.
func (s *Source) count(ctx context.Context, b broker) error {
	a, err := s.query(ctx, b, s.countQuery())
	if err != nil || a.servers > 0 {
		return err
	}
	for _, row := range a.rows {
		if n, err := readNumber(row[0]); err != nil || n == nil || !n.IsPositive() {
			return errNoServer
		}
	}
	return nil
}

// ask puts a query to one broker after the other until one gives an answer to rely
// on.
func (s *Source) ask(ctx context.Context, q query) (*answer, error) {
	return s.firstAnswer(ctx, func(b broker) (*answer, error) { return s.query(ctx, b, q) })
}

// firstAnswer tries one broker after the other, all that there are. Its error joins
// what each of them said. Where it was that the quota is used up, it goes on until an
// answer is due.
func (s *Source) firstAnswer(ctx context.Context, try func(broker) (*answer, error)) (*answer, error) {
	patience := time.Now().Add(s.timeout)
	for {
		given, err := s.pace.wait(ctx, patience)
		if err != nil {
			return nil, err
		}
		a, err := s.tryAll(ctx, try)
		switch {
		case err == nil:
			s.pace.answered()
			if len(a.rows) > 0 {
				s.noteRows()
			}
			return a, nil
		case billing.CauseOf(err) != billing.CauseQuota || ctx.Err() != nil:
			s.noteMisfit(err)
			return nil, err
		}
		s.pace.exceeded(ctx, given, err)
	}
}

func (s *Source) tryAll(ctx context.Context, try func(broker) (*answer, error)) (*answer, error) {
	var said failures
	tried := map[string]bool{}
	// The second round is for brokers that the controller names once all that it
	// named before have failed.
	for _, again := range []bool{false, true} {
		list, err := s.brokers.list(ctx, again)
		if err != nil {
			return nil, append(said, err)
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
			if !strings.Contains(err.Error(), "broker "+b.name) {
				err = fmt.Errorf("broker %s: %w", b.name, err)
			}
			said = append(said, err)
			if ctx.Err() != nil {
				return nil, said
			}
		}
	}
	return nil, said
}

// asOutage makes an outage of an error of ask, unless ctx is done: then nothing is
// known about Pinot.
func asOutage(ctx context.Context, doing string, err error) error {
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", doing, ctx.Err())
	case billing.CauseOf(err) == billing.CauseConfiguration:
		return billing.SourceMisfit("pinot", err)
	default:
		return billing.SourceDown("pinot", "gave no answer to rely on", err)
	}
}
