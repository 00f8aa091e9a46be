package main

import (
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/dbtest"
	"github.com/flightbill/flightbill/jobs"
)

const pricedTariffs = "code,description,basis,customer,airport,applies_to,when,band_from,band_to,fixed,factor,unit_rate,minimum,currency,tax_rate,valid_from,valid_to,of\n" +
	"LANDING,Landing,per_tonne,,EIDW,arrival,noise_class=A|B,,,,0.5,5,60,EUR,0.20,2012-01-01,,\n" +
	"LOUD,Loud,per_tonne,,EIDW,arrival,noise_class=C,,,,,9,,EUR,0.20,2012-01-01,,\n" +
	"LANDING,Landing,per_tonne,,EGLL,arrival,,,,,,9,,EUR,0.20,2012-01-01,,\n" +
	"NIGHT,Night,percent,,EIDW,arrival,,,,,,0.5,,EUR,0.20,2012-01-01,,LANDING\n" +
	"OLD,Before,per_flight,,EIDW,arrival,,,,,,1,,EUR,0,2011-01-01,2012-01-01,\n" +
	"PAX,Transfer,per_unit,,EIDW,arrival,,,,,,2,,EUR,0,2012-01-01,,pax_transfer\n" +
	"REBATE,Own,per_flight,OTHER,EIDW,arrival,,,,,,1,,EUR,0,2012-01-01,,\n" +
	"FAR,Far,per_flight,,EHAM,arrival,,,,,,1,,EUR,0,2012-01-01,,\n"

const pricedFlights = "flight_id,callsign,operator,registration,aircraft_type,mtow_kg,origin,destination,departed_at,landed_at,distance_km,movement,fact.noise_class,fact.pax_transfer\n" +
	"F1,,WEEK,EI-ABC,B738,66500,EGLL,EIDW,,2013-01-04T10:17:00Z,,arrival,a,14\n" +
	"F2,,WEEK,EI-ABC,B738,66500,EGLL,EIDW,,2013-01-04T10:17:00Z,,arrival,A,\n" +
	"F3,,NOBODY,,B738,66500,EGLL,EIDW,,2013-01-04T10:17:00Z,,arrival,A,0\n" +
	"F4,,WEEK,EI-ABC,B738,66500,EGLL,EIDW,,,,arrival,A,0\n"

// What a flight would be billed is shown so that a clerk can do it again by hand, and is what it is billed then.
func TestPrice(t *testing.T) {
	t.Parallel()
	url := dbtest.URL(t)
	pool, err := db.Open(t.Context(), url, db.Options{SearchPath: db.Schema})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	env := map[string]string{"DATABASE_URL": url, "FLIGHTBILL_BILLING_START": "2013-01-03", "FLIGHTBILL_TIMEZONE": "UTC"}
	now := time.Date(2013, 1, 5, 12, 0, 0, 0, time.UTC)
	run := func(stdin string, args ...string) (status int, stdout, stderr string) {
		var out, failures strings.Builder
		a := &app{stdin: strings.NewReader(stdin), stdout: &out, stderr: &failures, now: func() time.Time { return now }}
		status = a.run(t.Context(), args, func(name string) (string, bool) { value, given := env[name]; return value, given })
		return status, out.String(), failures.String()
	}
	flightbill := func(stdin string, args ...string) string {
		status, stdout, stderr := run(stdin, args...)
		require.Equal(t, exitDone, status, stderr)
		return stdout
	}
	fails := func(status int, says string, args ...string) {
		t.Helper()
		got, _, stderr := run("", args...)
		require.Equal(t, status, got)
		require.Contains(t, stderr, says)
	}
	flightbill("code,name,operators,billing_frequency,week_ends_on,payment_terms_days\nWEEK,Weekly Air,WEEK,weekly,7,30\nOTHER,Other Air,,weekly,7,30\n", "import", "customers", "-")
	flightbill(pricedTariffs, "import", "tariffs", "-")
	flightbill(pricedFlights, "import", "flights", "-")
	fails(exitFailed, "no billing settings yet", "price", "F1")
	flightbill("", "overdue") // stores the settings

	const charges = `CODE     TARIFF  QUANTITY  RATE  AMOUNT  TAX RATE    TAX  CURRENCY
LANDING       1        67     5  167.50       0.2  33.50  EUR       Landing
    noise_class a
    mtow_kg 66500
    tonnes 67: 66500 / 1000, rounded up
    amount 167.5: 67 × 5 × 0.5
NIGHT         4     167.5   0.5   83.75       0.2  16.75  EUR       Night
    LANDING 167.5
PAX           6        14     2   28.00         0   0.00  EUR       Transfer
    pax_transfer 14
`
	const sums = "Subtotal 279.25, tax 50.25, total 329.50 EUR\n"
	shown := flightbill("", "price", "F1")
	require.Equal(t, `Flight    F1, arrival, from EGLL to EIDW, aircraft EI-ABC, type B738, operator WEEK, at 2013-01-04T10:17:00Z
Customer  WEEK
Date      2013-01-04

`+charges+`
CODE     TARIFF  NO CHARGE, SINCE
LANDING       3  for arrivals at "EGLL", and this is the arrival at "EIDW"
LOUD          2  when noise_class=C, but it is a
OLD           5  no longer valid on 2012-01-01, and the flight is of 2013-01-04

`+sums+`
In the ledger: it has not been billed.
`, shown)
	require.Contains(t, flightbill("", "price", "F1", "--all"), "FAR           8  for arrivals at \"EHAM\"")
	require.Contains(t, flightbill("", "price", "F1", "--all"), "REBATE        7  for another customer\n")
	require.Regexp(t, `REBATE +7 +1 +1 +1.00 `, flightbill("", "price", "F1", "--customer", "OTHER"))
	require.Contains(t, flightbill("", "price", "F2"), "PAX           6  needs a fact that the flight does not have: pax_transfer\n")
	require.Contains(t, flightbill("", "price", "F2"), "It is not billed: missing_fact: flight F2 has no")
	require.NotContains(t, flightbill("", "price", "F2"), "Subtotal")
	require.Contains(t, flightbill("", "price", "F3"), "PAX           6  it applies, with quantity 0\n    pax_transfer 0\n")
	require.Contains(t, flightbill("", "price", "F3"), "It is not billed: no_customer: flight F3 has no customer")
	require.Equal(t, "It waits: not_landed: flight F4 has not landed yet; it is billed once the flight source has its landing time (landed_at)\n\nIn the ledger: it has not been billed.\n",
		flightbill("", "price", "F4"))
	require.Contains(t, flightbill("", "price", "F5"), "It waits: flight_unknown: ")
	fails(exitFailed, `--customer: customer "NOBODY" is not known`, "price", "F1", "--customer", "NOBODY")
	fails(exitUsage, `"?" is not a flight id`, "price", "?")
	fails(exitUsage, "accepts 1 arg(s), received 0: write flightbill price FLIGHT_ID [--customer CODE] [--all]\n", "price")
	require.Zero(t, number(t, pool, `SELECT count(*) FROM billed_flights`), "nothing is changed")

	service, err := jobs.New(jobs.Config{
		Pool: pool, Source: db.NewFlights(pool), Workers: 1, Schedules: jobs.NoSchedules, Now: func() time.Time { return now },
		Stats: jobs.NewStats(), Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	require.NoError(t, err)
	require.NoError(t, service.Start(t.Context()))
	flightbill("", "enqueue", "F1")
	eventually(t, "the flight is billed", func() bool { return number(t, pool, `SELECT count(*) FROM billed_flights`) == 1 })
	require.NoError(t, service.Stop(t.Context()))

	// The invoice says the same.
	require.Contains(t, flightbill("", "price", "F1"), sums+"\nIn the ledger: it was billed to WEEK, as of 2013-01-04.\n"+
		"CODE     QUANTITY  RATE  AMOUNT    TAX  CURRENCY  INVOICE  STATUS\n"+
		"LANDING        67     5  167.50  33.50  EUR       draft 1  DRAFT\n"+
		"NIGHT       167.5   0.5   83.75  16.75  EUR       draft 1  DRAFT\n"+
		"PAX            14     2   28.00   0.00  EUR       draft 1  DRAFT\n"+sums, "the steps stand above")
	require.NotContains(t, flightbill("", "price", "F1"), "not what it would be billed now")
	detail := flightbill("", "invoices", "show", "1", "--detail")
	require.Contains(t, detail, "LANDING        67     5  167.50  33.50\n    noise_class a\n    mtow_kg 66500\n    tonnes 67: 66500 / 1000, rounded up\n    amount 167.5: 67 × 5 × 0.5\n")
	require.NotContains(t, flightbill("", "invoices", "show", "1"), "noise_class")
	var invoice struct {
		Charges []struct {
			Detail []map[string]string `json:"detail"`
		} `json:"charges"`
	}
	require.NoError(t, json.Unmarshal([]byte(flightbill("", "invoices", "show", "1", "--json")), &invoice))
	require.Equal(t, map[string]string{"what": "tonnes", "value": "67", "how": "66500 / 1000, rounded up"}, invoice.Charges[0].Detail[2])

	flightbill(strings.Replace(pricedFlights, "EI-ABC,B738,66500", "EI-ABC,B738,50000", 1), "import", "flights", "-")
	changed := flightbill("", "price", "F1")
	require.Contains(t, changed, "That is not what it would be billed now; flightbill correct bills the difference.\n")
	require.Contains(t, changed, "EUR       draft 1  DRAFT\n    noise_class a\n    mtow_kg 66500\n    tonnes 67: 66500 / 1000, rounded up\n    amount 167.5: 67 × 5 × 0.5\nNIGHT ")
	var view struct {
		Flight  map[string]any `json:"flight"`
		Tariffs []struct {
			Code   string  `json:"code"`
			Why    string  `json:"why"`
			Amount *string `json:"amount"`
		} `json:"tariffs"`
		Totals []map[string]string `json:"totals"`
		Ledger struct {
			Differs bool             `json:"differs"`
			Charges []map[string]any `json:"charges"`
		} `json:"ledger"`
	}
	require.NoError(t, json.Unmarshal([]byte(flightbill("", "price", "F1", "--json")), &view))
	require.InDelta(t, 50000, view.Flight["mtow_kg"], 0)
	require.Equal(t, "125", *view.Tariffs[0].Amount)
	require.Nil(t, view.Tariffs[1].Amount)
	require.Equal(t, "when noise_class=C, but it is a", view.Tariffs[2].Why)
	require.Equal(t, []map[string]string{{"currency": "EUR", "subtotal": "215.5", "tax": "37.5", "total": "253"}}, view.Totals)
	require.True(t, view.Ledger.Differs)
	require.Len(t, view.Ledger.Charges, 3)
	require.Equal(t, "draft 1", nameOf(nil, int64(view.Ledger.Charges[0]["invoice_id"].(float64))))

	// The registers are read, too.
	flightbill("registration,valid_from,valid_to,aircraft_type,mtow_kg\nEI-ABC,2012-01-01,,B738,68000\n", "import", "aircraft", "-")
	require.Contains(t, flightbill("", "price", "F1"), "    mtow_kg 68000, from aircraft EI-ABC\n")
	env["FLIGHTBILL_REGISTER_FIRST"] = ""
	require.Contains(t, flightbill("", "price", "F1"), "    mtow_kg 50000\n")
	delete(env, "FLIGHTBILL_REGISTER_FIRST")

	// The reporter may, and no error of the source is taken for an answer.
	_, login := newLogin(t, pool, url, "reporter")
	env["DATABASE_URL"] = url
	flightbill("", "migrate", "grant", "reporter", strings.SplitN(strings.SplitN(login, "//", 2)[1], ":", 2)[0])
	env["DATABASE_URL"] = login
	require.Contains(t, flightbill("", "price", "F1"), "In the ledger: it was billed to WEEK")
	env["FLIGHTBILL_FLIGHT_SOURCE"], env["PINOT_BROKERS"] = "pinot", "127.0.0.1:1"
	fails(exitFailed, "connection refused", "price", "F1")
}
