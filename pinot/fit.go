package pinot

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/flightbill/flightbill/billing"
)

// fitsFor is how long a column in which rows could be read is not looked at again for a
// row that cannot.
const fitsFor = time.Minute

// manyFailed is more queries than one flight's data fails, among others that are read.
const manyFailed = 10

// fit is what is known of how mapping and table fit each other.
type fit struct {
	mu     sync.Mutex
	doubt  bool              // Check has to tell before flights are read
	failed int               // queries in a row that an expression of the mapping may have failed
	proven map[int]time.Time // by column: when it was seen that rows can be read
}

// noteMisfit has the next probe check the whole, where an error is none that time heals:
// Pinot has one code for text that is no number, in every row or in one, and for its
// servers' own trouble.
func (s *Source) noteMisfit(err error) {
	misfit := billing.CauseOf(err) == billing.CauseConfiguration
	e, ok := errors.AsType[*exceptionError](err)
	s.fit.mu.Lock()
	defer s.fit.mu.Unlock()
	if ok && e.queryFault() {
		s.fit.failed++
	}
	s.fit.doubt = s.fit.doubt || misfit || s.fit.failed >= manyFailed
}

// noteRows is told that rows have been read, each of whose expressions works.
func (s *Source) noteRows() {
	s.fit.mu.Lock()
	defer s.fit.mu.Unlock()
	s.fit.failed = 0
}

func (s *Source) setDoubt(doubt bool) {
	s.fit.mu.Lock()
	defer s.fit.mu.Unlock()
	if s.fit.doubt = doubt; !doubt {
		s.fit.failed = 0
	}
}

func (s *Source) inDoubt() bool {
	s.fit.mu.Lock()
	defer s.fit.mu.Unlock()
	return s.fit.doubt
}

// fault returns a *ConfigError where the rows that cannot be read are not the fault of
// their flights, but of the mapping: the column has a type that it cannot have, or no row
// can be read in it, neither of these nor of others.
func (s *Source) fault(ctx context.Context, of *selection, a *answer) error {
	for i, at := range of.index {
		if at < 0 {
			continue
		}
		few := of.lookAt(i, a.rows)
		if few.bad == nil || few.good {
			continue
		}
		if !slices.Contains(familyTypes[of.mapping[i].family], a.types[at]) {
			return s.misfit(of.mapping[i], fmt.Errorf("its type is %s: %w", a.types[at], few.bad))
		}
		if s.isProven(i) {
			continue
		}
		sample, err := s.ask(ctx, s.sampleQuery(sampleRows, of.expressions...))
		if err != nil {
			return err
		}
		if err := s.sampleFault(of, i, slices.Concat(a.rows, sample.rows)); err != nil {
			return err
		}
	}
	return nil
}

// sampleFault judges a column by a sample of rows. One flight alone proves nothing.
func (s *Source) sampleFault(of *selection, i int, rows [][]any) error {
	many := of.lookAt(i, rows)
	if many.bad != nil && !many.good && many.flights > 1 {
		return s.misfit(of.mapping[i], fmt.Errorf("of %d rows none can be read: %w", len(rows), many.bad))
	}
	s.fit.mu.Lock()
	defer s.fit.mu.Unlock()
	if s.fit.proven == nil {
		s.fit.proven = map[int]time.Time{}
	}
	s.fit.proven[i] = time.Now()
	return nil
}

func (s *Source) isProven(i int) bool {
	s.fit.mu.Lock()
	defer s.fit.mu.Unlock()
	at, ok := s.fit.proven[i]
	return ok && time.Since(at) < fitsFor
}

// looked is what rows have in a column.
type looked struct {
	good    bool  // a value
	bad     error // of the first row that cannot be read
	flights int   // that cannot be read
}

func (s *selection) lookAt(i int, rows [][]any) looked {
	var l looked
	bad := map[string]bool{}
	for n, row := range rows {
		var f billing.Flight
		err := s.readAny(&f, i, row)
		if err != nil {
			if l.bad == nil {
				l.bad = err
			}
			id, ok := s.readID(row)
			if !ok {
				id = fmt.Sprintf("row %d", n)
			}
			bad[id] = true
		}
		l.good = l.good || err == nil && !reflect.ValueOf(f).IsZero()
	}
	l.flights = len(bad)
	return l
}
