package billing_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
)

func TestCheckMoved(t *testing.T) {
	t.Parallel()

	require.NoError(t, billing.CheckMoved(flight(), *flight().LandedAt))
	err := billing.CheckMoved(flight(func(f *billing.Flight) { f.LandedAt = nil }), time.Now())
	requireRefused(t, err, billing.NotYet, billing.ReasonNotLanded, "flight ACM12-20261123-KJFK", "landed_at")

	// A landing time that is still to come is a forecast; clocks differ a little.
	landed := *flight().LandedAt
	require.NoError(t, billing.CheckMoved(flight(), landed.Add(-4*time.Minute)))
	err = billing.CheckMoved(flight(), landed.Add(-6*time.Minute))
	requireRefused(t, err, billing.NotYet, billing.ReasonNotLanded, "flight ACM12-20261123-KJFK", "landed_at", landed.UTC().Format(time.RFC3339))
}

func TestNoCustomer(t *testing.T) {
	t.Parallel()

	for _, tc := range []struct {
		operator, registration string
		parts                  []string
	}{
		{"ACM", "N12AC", []string{`aircraft "N12AC"`, `operator "ACM"`, "to a customer"}},
		{"", "N12AC", []string{`aircraft "N12AC"`, "operator is not known"}},
		{"ACM", "", []string{`operator "ACM"`, "registration is not known"}},
		{"", "", []string{"neither its aircraft's registration nor its operator is known", "flight source"}},
	} {
		f := flight(func(f *billing.Flight) { f.Operator, f.Registration = tc.operator, tc.registration })
		requireRefused(t, billing.NoCustomer(f), billing.Refused, billing.ReasonNoCustomer,
			append(tc.parts, "flight ACM12-20261123-KJFK", "enqueue the flight again")...)
	}
	departure := flight(func(f *billing.Flight) { f.Movement = billing.Departure })
	requireRefused(t, billing.NoCustomer(departure), billing.Refused, billing.ReasonNoCustomer, "on its departure date")
}

type quotaError struct{ error }

func (quotaError) OutageCause() billing.Cause { return billing.CauseQuota }

func TestErrorsOfTheSource(t *testing.T) {
	t.Parallel()

	cause := errors.New("connection refused")
	down := billing.SourceDown("pinot", "did not answer", cause)
	require.ErrorIs(t, down, cause)
	assert.Equal(t, "flight source pinot did not answer; flights wait until it is back: connection refused", down.Error())
	requireRefused(t, down, billing.Outage, billing.ReasonSourceDown)
	assert.Equal(t, billing.CauseUnreachable, down.Cause)
	assert.Equal(t, billing.CauseTimeout, billing.SourceDown("pinot", "did not answer", context.DeadlineExceeded).Cause)
	assert.Equal(t, billing.CauseQuota, billing.SourceDown("pinot", "did not answer", fmt.Errorf("broker a: %w", quotaError{})).Cause)
	misfit := billing.SourceMisfit("pinot", errors.New("PINOT_TABLE: no such table"))
	assert.Equal(t, billing.CauseConfiguration, misfit.Cause)
	requireRefused(t, misfit, billing.Outage, billing.ReasonSourceDown, "until that is put right")
	require.ErrorContains(t, misfit, "PINOT_TABLE: no such table")
	requireRefused(t, billing.UnknownFlight("F1"), billing.NotYet, billing.ReasonFlightUnknown, "flight F1")
	requireRefused(t, billing.AmbiguousFlight("F1", 2), billing.NotYet, billing.ReasonFlightAmbiguous, "flight F1", "2")
	requireRefused(t, billing.UnusableFlight("F1", "is odd"), billing.Refused, billing.ReasonUnusableFacts, "flight F1 is odd")
}

// Text where a number counts may be a mistake of whoever gave the fact, or of the tariff.
func TestTextWhereANumberCounts(t *testing.T) {
	t.Parallel()
	tariffs := billing.NewTariffSet([]billing.Tariff{tariff(1, "SEATS", times("seats"))}, canonical)
	for where, c := range map[string]billing.Case{
		"the flight source":        caseOf(flight(facts("seats", "many"))),
		"the register of aircraft": caseOf(flight(), aircraft("seats", "many")),
	} {
		_, err := billing.Price(c, tariffs, billing.DefaultBounds)
		requireRefused(t, err, billing.Refused, billing.ReasonUnusableFacts, `"many"`, "as its seats, where a number counts",
			`for tariff "SEATS"`, "correct it in "+where+", or correct the tariff,")
	}
}
