package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/spf13/cobra"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/document"
)

func (a *app) newCustomersCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "customers", Short: "List the customers", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withDatabase(cmd.Context(), func(pool *pgxpool.Pool) error {
				customers, err := db.CustomerParties(cmd.Context(), pool)
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(a.stdout, customers)
				}
				rows := make([][]string, len(customers))
				for i, c := range customers {
					held := ""
					if c.BillingHold {
						held = "on hold"
					}
					rows[i] = []string{c.Code, c.Name, c.Country, c.BillingFrequency, strconv.Itoa(c.PaymentTermsDays), held, strings.Join(c.Emails, ";")}
				}
				return table(a.stdout, []string{"CODE", "NAME", "COUNTRY", "BILLED", ">TERMS", "", "EMAILS"}, rows)
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.AddCommand(a.newCustomersCheckCommand())
	return cmd
}

// masterDataView is what is missing, for programs.
type masterDataView struct {
	Issuer    []document.Gap     `json:"issuer"`
	Customers []customerDataView `json:"customers"`
	Rates     []missingRateView  `json:"rates"`
}

type customerDataView struct {
	Code    string         `json:"code"`
	Name    string         `json:"name"`
	Country string         `json:"country"`
	Missing []document.Gap `json:"missing"`
	Notes   []string       `json:"notes"`
}

type missingRateView struct {
	Currency   string `json:"currency"`
	InCurrency string `json:"in_currency"`
}

func (a *app) newCustomersCheckCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "check [CODE…]", Short: "Say what invoices and e-invoices need of issuer and customers, and is missing; it stops none. Exit status 1: something is",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withPlannedCalendar(cmd.Context(), func(pool *pgxpool.Pool, c billing.Calendar) error {
				data, err := db.CheckMasterData(cmd.Context(), pool, args, billing.DateOf(a.now(), c.Location))
				if err != nil {
					return err
				}
				if asJSON {
					err = a.printMasterDataJSON(data)
				} else {
					err = a.printMasterData(data)
				}
				if err != nil {
					return err
				}
				return missingError(data)
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// missingError says how much is missing, nil where nothing is.
func missingError(data db.MasterData) error {
	var lacking int
	for _, c := range data.Customers {
		if len(c.Gaps) > 0 {
			lacking++
		}
	}
	if len(data.Issuer)+lacking+len(data.Rates) == 0 {
		return nil
	}
	return fmt.Errorf("missing: %d of the issuer, something of %d of %d customers, %d currency rates; invoices are issued all the same. "+
		"'flightbill issuer set', 'import customers' and 'import rates' fill it in", len(data.Issuer), lacking, len(data.Customers), len(data.Rates))
}

func (a *app) printMasterData(data db.MasterData) error {
	var rows [][]string
	for _, gap := range data.Issuer {
		rows = append(rows, []string{"issuer", gap.Column, gap.Why})
	}
	for _, rate := range data.Rates {
		rows = append(rows, []string{"rates", rate.Currency + " in " + rate.InCurrency, "tax in the issuer's tax_currency: there is no rate of today or the week before"})
	}
	for _, c := range data.Customers {
		for _, gap := range c.Gaps {
			rows = append(rows, []string{c.Code, gap.Column, gap.Why})
		}
	}
	if len(rows) == 0 {
		a.sayf("nothing is missing: the issuer, and %s customers", count(int64(len(data.Customers))))
	} else if err := table(a.stdout, []string{"OF", "MISSING", "NEEDED FOR"}, rows); err != nil {
		return err
	}
	for _, c := range data.Customers {
		for _, note := range c.Notes {
			a.sayf("%s: %s", c.Code, note)
		}
	}
	return nil
}

func (a *app) printMasterDataJSON(data db.MasterData) error {
	view := masterDataView{append([]document.Gap{}, data.Issuer...), []customerDataView{}, []missingRateView{}}
	for _, c := range data.Customers {
		view.Customers = append(view.Customers, customerDataView{c.Code, c.Name, c.Country, append([]document.Gap{}, c.Gaps...), append([]string{}, c.Notes...)})
	}
	for _, rate := range data.Rates {
		view.Rates = append(view.Rates, missingRateView(rate))
	}
	return printJSON(a.stdout, view)
}
