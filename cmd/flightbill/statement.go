package main

import (
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/shopspring/decimal"
	"github.com/spf13/cobra"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
)

// statementView is a customer's account in one currency.
type statementView struct {
	Customer string              `json:"customer"`
	Currency string              `json:"currency"`
	From     billing.Date        `json:"from"`
	To       billing.Date        `json:"to"`
	Opening  decimal.Decimal     `json:"opening"`
	Lines    []statementLineView `json:"lines"`
	Closing  decimal.Decimal     `json:"closing"`
}

type statementLineView struct {
	Day       billing.Date    `json:"day"`
	What      string          `json:"what"`
	Number    string          `json:"number"`
	DueOn     billing.Date    `json:"due_on"`
	Reference string          `json:"reference"`
	Amount    decimal.Decimal `json:"amount"`
	Balance   decimal.Decimal `json:"balance"`
}

func (a *app) newStatementCommand() *cobra.Command {
	var from, to string
	var asJSON bool
	cmd := &cobra.Command{
		Use: "statement CUSTOMER", Short: "Show a customer's statement of account: documents, payments, and what is open after each", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			first, last, err := daysFlags(from, to)
			if err != nil {
				return err
			}
			return a.withPlannedCalendar(cmd.Context(), func(pool *pgxpool.Pool, calendar billing.Calendar) error {
				if first.IsZero() {
					first = billing.NewDate(1, 1, 1)
				}
				if last.IsZero() {
					last = max2(first, billing.DateOf(a.now(), calendar.Location))
				}
				statements, err := db.ReadStatement(cmd.Context(), pool, args[0], first, last)
				if err != nil {
					return err
				}
				views := make([]statementView, len(statements))
				for i, s := range statements {
					views[i] = statementView{args[0], s.Currency, first, last, s.Opening, make([]statementLineView, len(s.Lines)), s.Closing}
					for j, l := range s.Lines {
						views[i].Lines[j] = statementLineView{l.Day, l.What, l.Number, l.DueOn, l.Reference, l.Amount, l.Balance}
					}
				}
				if asJSON {
					return printJSON(a.stdout, views)
				}
				return a.printStatements(views)
			})
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "first local day, YYYY-MM-DD (default: the first of all)")
	cmd.Flags().StringVar(&to, "to", "", "last local day, YYYY-MM-DD (default: today)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (a *app) printStatements(statements []statementView) error {
	if len(statements) == 0 {
		a.sayf("nothing was issued or paid by then")
	}
	for i, s := range statements {
		if i > 0 {
			a.sayf("")
		}
		a.sayf("%s, %s, through %s", s.Customer, s.Currency, s.To)
		rows := [][]string{{"", "opening balance", "", "", "", "", money(s.Opening, s.Currency)}}
		for _, l := range s.Lines {
			rows = append(rows, []string{
				l.Day.String(), l.What, l.Number, l.DueOn.String(), l.Reference, money(l.Amount, s.Currency), money(l.Balance, s.Currency),
			})
		}
		rows = append(rows, []string{"", "closing balance", "", "", "", "", money(s.Closing, s.Currency)})
		if err := table(a.stdout, []string{"DAY", "", "NUMBER", "DUE ON", "REFERENCE", ">AMOUNT", ">BALANCE"}, rows); err != nil {
			return err
		}
	}
	return nil
}
