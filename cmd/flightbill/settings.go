package main

import (
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
)

func (a *app) newSettingsCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "settings", Short: "Show the billing settings that the database has", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withPlannedCalendar(cmd.Context(), func(pool *pgxpool.Pool, c billing.Calendar) error {
				taxBy, err := db.ReadTaxBy(cmd.Context(), pool)
				if err != nil {
					return err
				}
				s := db.Settings{Timezone: c.Location.String(), Close: c.Close, BillingStart: c.Start, TaxBy: taxBy}
				if asJSON {
					return printJSON(a.stdout, map[string]string{
						"timezone": s.Timezone, "close": string(s.Close), "billing_start": s.BillingStart.String(), "tax_by": string(s.TaxBy),
					})
				}
				return table(a.stdout, []string{"NAME", "VALUE"}, [][]string{
					{"timezone", s.Timezone}, {"close", string(s.Close)}, {"billing_start", s.BillingStart.String()}, {"tax_by", string(s.TaxBy)},
				})
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.AddCommand(&cobra.Command{
		Use: "set NAME=VALUE…", Short: "Change timezone, close, billing_start or tax_by from the next run on", Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			given, err := parseSettings(args)
			if err != nil {
				return usageError{err}
			}
			return a.withDatabase(cmd.Context(), func(pool *pgxpool.Pool) error {
				before, after, err := db.ChangeSettings(cmd.Context(), pool, given, a.config.Billing, a.now())
				if err != nil {
					return err
				}
				a.explainChange(before, after)
				return nil
			})
		},
	})
	return cmd
}

func parseSettings(args []string) (db.Settings, error) {
	var given db.Settings
	for _, arg := range args {
		name, value, found := strings.Cut(arg, "=")
		if !found || value == "" {
			return given, fmt.Errorf("%q is not NAME=VALUE", arg)
		}
		var err error
		switch strings.TrimPrefix(strings.ToLower(name), "flightbill_") {
		case "timezone":
			given.Timezone = value
			_, err = given.Calendar()
		case "close":
			given.Close, err = billing.ParseCloseMode(value)
		case "billing_start":
			given.BillingStart, err = billing.ParseDate(value)
		case "tax_by":
			given.TaxBy, err = db.ParseTaxBy(value)
		default:
			err = fmt.Errorf("%q is not a billing setting; they are timezone, close, billing_start and tax_by", name)
		}
		if err != nil {
			return given, err
		}
	}
	return given, nil
}

func (a *app) explainChange(before, after db.Settings) {
	if before == (db.Settings{}) {
		a.sayf("stored for the first start: timezone %s, close %s, billing_start %s, tax_by %s", after.Timezone, after.Close, after.BillingStart, after.TaxBy)
		return
	}
	if before == after {
		a.sayf("nothing changed: the settings are as asked")
		return
	}
	if before.Timezone != after.Timezone {
		a.sayf("timezone: %s is now %s. Flights saved from now on take their dates from it; runs happen at 01:00 there. What has been billed stays.", before.Timezone, after.Timezone)
	}
	if before.Close != after.Close {
		a.sayf("close: %s is now %s. Open drafts keep their closing dates; a date that has been run is not run again.", before.Close, after.Close)
	}
	if before.BillingStart != after.BillingStart {
		a.sayf("billing_start: %s is now %s. Periods before it count as run; a cut-off that is already later stays where it is.", before.BillingStart, after.BillingStart)
	}
	switch {
	case before.TaxBy == after.TaxBy:
	case after.TaxBy == db.TaxByInvoice:
		a.sayf("tax_by: line is now invoice. From the next issue on, an invoice's tax is reckoned once for each category and rate, on the sum of its charges; the charges' own taxes are for information. What has been issued stays, and is voided to the cent.")
	default:
		a.sayf("tax_by: invoice is now line. From the next issue on, an invoice's tax is the sum of its charges' own, each rounded; on many charges an e-invoice's receiver may refuse that. What has been issued stays, and is voided to the cent.")
	}
	a.sayf("Processes that run take this up within a minute; restart those that were given FLIGHTBILL_* values which differ.")
}
