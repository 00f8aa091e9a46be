package pinot

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/flightbill/flightbill/billing"
)

// familyTypes are Pinot's types whose values can be read. UNKNOWN is that of a
// plain NULL.
var familyTypes = map[family][]string{
	asText:    {"STRING", "JSON", "UUID", "UNKNOWN"},
	asNumber:  {"INT", "LONG", "FLOAT", "DOUBLE", "BIG_DECIMAL", "UNKNOWN"},
	asInstant: {"LONG", "UNKNOWN"},
	asFact:    {"STRING", "JSON", "UUID", "INT", "LONG", "FLOAT", "DOUBLE", "BIG_DECIMAL", "UNKNOWN"},
}

// Check asks Pinot whether table and mapping fit each other. Its error is a
// *ConfigError that names the table or the column that does not fit, a
// *billing.Error of kind Outage where Pinot cannot tell now, or wraps that of ctx.
func (s *Source) Check(ctx context.Context) error {
	err := s.check(ctx)
	s.setDoubt(err != nil)
	return err
}

func (s *Source) check(ctx context.Context) error {
	of, err := s.choose(ctx)
	if err != nil {
		if wrong := settingOf(err); wrong != nil {
			return wrong
		}
		return asOutage(ctx, "pinot: check", err)
	}
	a, err := s.ask(ctx, s.sampleQuery(1, of.expressions...))
	if err != nil {
		return s.explain(ctx, of, err)
	}
	// Column by column is not enough: the key must also serve as a filter.
	if _, err := s.look(ctx, s.flightQuery(of, []string{noFlight})); err != nil {
		if wrong := settingOf(err); wrong != nil {
			return wrong
		}
		if e, ok := errors.AsType[*exceptionError](err); ok && e.queryFault() {
			return s.misfit(of.mapping[keyColumn], e)
		}
		return asOutage(ctx, "pinot: check", err)
	}
	if len(a.rows) == 0 {
		return nil // without a row Pinot calls every column a STRING
	}
	for i, c := range of.mapping {
		at := of.index[i]
		if at >= 0 && !slices.Contains(familyTypes[c.family], a.types[at]) {
			return s.misfit(c, fmt.Errorf("its type is %s", a.types[at]))
		}
	}
	// One row that cannot be read says nothing of the others.
	sample, err := s.ask(ctx, s.sampleQuery(sampleRows, of.expressions...))
	if err != nil {
		if e, ok := errors.AsType[*exceptionError](err); ok && e.queryFault() {
			return nil
		}
		return asOutage(ctx, "pinot: check", err)
	}
	for i, at := range of.index {
		if at >= 0 {
			if err := s.sampleFault(of, i, sample.rows); err != nil {
				return err
			}
		}
	}
	return nil
}

// settingOf returns the setting that an error of all brokers comes from; nil where that
// is not one.
func settingOf(err error) error {
	if wrong, ok := errors.AsType[*ConfigError](err); ok && billing.CauseOf(err) == billing.CauseConfiguration {
		return wrong
	}
	return nil
}

// explain finds what a failed query of all columns failed for, asking for them one
// by one.
func (s *Source) explain(ctx context.Context, of *selection, err error) error {
	if wrong := settingOf(err); wrong != nil {
		return wrong
	}
	all, ok := errors.AsType[*exceptionError](err)
	if !ok || !all.queryFault() {
		return asOutage(ctx, "pinot: check", err)
	}
	key := of.index[keyColumn]
	for i, c := range of.mapping {
		at := of.index[i]
		probe := of.expressions[key : key+1]
		switch {
		case at < 0:
			continue
		case at != key: // an aggregate works alone, and fails beside the key
			probe = []string{probe[0], of.expressions[at]}
		}
		_, err := s.ask(ctx, s.sampleQuery(1, probe...))
		if err == nil {
			continue
		}
		if e, ok := errors.AsType[*exceptionError](err); ok && e.queryFault() {
			return s.misfit(c, e)
		}
		return asOutage(ctx, "pinot: check", err)
	}
	if all.code == codeQueryExecution { // may have been a server's trouble that has passed
		return asOutage(ctx, "pinot: check", err)
	}
	return &ConfigError{Setting: settingColumns, Problem: "the columns do not work together", Err: all}
}

// misfit reports the column that does not fit, and what to do.
func (s *Source) misfit(c mapped, err error) error {
	needs := map[family]string{asText: "text", asNumber: "a number", asInstant: "a TIMESTAMP or epoch ms", asFact: "text or a number"}[c.family]
	problem := fmt.Sprintf("%s, read as %s, does not fit table %s; map it to an expression that gives %s", c.noun(), c.expression, s.table, needs)
	if c.need != needed {
		problem += fmt.Sprintf(", or write %s= where the table has no such fact", c.name)
	}
	return &ConfigError{Setting: c.setting(), Problem: problem, Err: err}
}
