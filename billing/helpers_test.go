package billing_test

import (
	"math/big"
	"testing"
	"time"
	_ "time/tzdata" // the same zones on every machine

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/flightbill/flightbill/billing"
)

// tb is what *testing.T and *rapid.T share.
type tb interface {
	require.TestingT
	Helper()
}

func zone(t tb, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	require.NoError(t, err)
	return loc
}

func date(t tb, s string) billing.Date {
	t.Helper()
	if s == "" {
		return billing.Date{}
	}
	d, err := billing.ParseDate(s)
	require.NoError(t, err)
	return d
}

func at(t tb, s string) time.Time {
	t.Helper()
	instant, err := time.Parse(time.RFC3339Nano, s)
	require.NoError(t, err)
	return instant
}

// priceOf prices a flight without registers.
func priceOf(f billing.Flight, cust billing.Customer, movedOn billing.Date, tariffs []billing.Tariff, bounds billing.Bounds) ([]billing.Charge, error) {
	return billing.Price(billing.Case{Flight: f, Customer: cust, MovedOn: movedOn}, billing.NewTariffSet(tariffs, nil), bounds)
}

func dec(s string) decimal.Decimal { return decimal.RequireFromString(s) }

func decPtr(s string) *decimal.Decimal {
	d := dec(s)
	return &d
}

func weekly(isoDay int) billing.Customer {
	return billing.Customer{ID: 1, Code: "ACME", Frequency: billing.Weekly, WeekEndsOn: isoDay}
}

func monthly() billing.Customer {
	return billing.Customer{ID: 1, Code: "ACME", Frequency: billing.Monthly}
}

func perFlight() billing.Customer {
	return billing.Customer{ID: 1, Code: "ACME", Frequency: billing.PerFlight}
}

// drawDecimal draws a number from 0 with up to so many digits and decimals.
func drawDecimal(t *rapid.T, digits, decimals int, label string) decimal.Decimal {
	limit := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(digits)), nil).Int64()
	coefficient := rapid.Int64Range(0, limit-1).Draw(t, label)
	places := rapid.IntRange(0, decimals).Draw(t, label+" decimals")
	return decimal.New(coefficient, int32(-places))
}

// requireRefused requires an *Error of kind and reason, whose message holds
// every one of the parts.
func requireRefused(t *testing.T, err error, kind billing.Kind, reason billing.Reason, parts ...string) {
	t.Helper()
	var refused *billing.Error
	require.ErrorAs(t, err, &refused)
	assert.Equal(t, kind, refused.Kind)
	assert.Equal(t, reason, refused.Reason, refused.Message)
	for _, part := range parts {
		assert.Contains(t, refused.Message, part)
	}
}
